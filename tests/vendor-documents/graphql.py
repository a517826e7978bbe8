"""Checks GraphQL queries against the types that Linear's client has of its schema: fields, arguments and variables."""

import re

from schemas import Comparison, merge
from typescript import SCALARS, Types

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\.\.\.|\$\w+|\w+|[^\s,]')


class Schema:
    """A GraphQL schema, read from the types of a client."""

    def __init__(self, name, text, path):
        self.name, self.path = name, path
        self.types = Types(text)
        self.data = {"types": self.types}
        self.common, self.ignore_case = {}, False

    def resolve(self, value):
        """What a reference points to."""
        while isinstance(value, dict) and "$ref" in value:
            value = self.types.get(value["$ref"].rpartition("/")[2], {})
        return value

    def check(self, tool):
        """What of a tool's query or variables the schema does not have."""
        query = Query(self, tool.graphql)
        if (tool.method, tool.path) != ("POST", self.path):
            query.wrong.append(f"the request is not POST {self.path}")
        for argument in tool.arguments():
            if argument.place != "body":
                query.wrong.append(f"{argument.place} {argument.wire} does not exist")
        query.operation()
        declared = {"type": "object", "additionalProperties": False, "properties": query.variables}
        declared["required"] = [name for name, kind in query.kinds.items() if kind.endswith("!")]
        return query.wrong + Comparison(self).value(tool.body() or {}, declared, "variables")

    def object(self, name):
        """The members of a type, with those of the types that it is made of."""
        merged = {}
        for option in Comparison(self).alternatives({"$ref": f"#/types/{name}"}) if name in self.types else []:
            merged = merge(merged, option)
        return merged

    def named(self, name):
        """The schema of a GraphQL type such as `[String!]`."""
        name = name.rstrip("!")
        if name.startswith("["):
            return {"type": "array", "items": self.named(name[1:-1])}
        if name in self.types:
            return {"$ref": f"#/types/{name}"}
        return {} if name.startswith("JSON") else {"type": SCALARS.get(name, "string")}


def base(schema):
    """The name of the type of a field or an argument without lists and null."""
    for option in schema.get("anyOf", []):
        if option != {"type": "null"}:
            return base(option)
    if "items" in schema:
        return base(schema["items"])
    return schema.get("scalar") or schema.get("$ref", "").rpartition("/")[2] or schema.get("type", "")


class Query:
    """One query or mutation, walked with the schema."""

    def __init__(self, schema, text):
        self.schema = schema
        self.tokens = TOKEN.findall(text) + ["end"]
        self.at = 0
        self.variables, self.kinds = {}, {}
        self.used, self.wrong = set(), []

    def take(self, wanted=None):
        token = self.tokens[self.at]
        if wanted and token != wanted:
            raise ValueError(f"GraphQL: {wanted} expected, but {token}")
        self.at += 1
        return token

    def accept(self, wanted):
        if self.tokens[self.at] == wanted:
            self.at += 1
            return True
        return False

    def operation(self):
        kind = self.take()
        if self.tokens[self.at] not in "({":
            self.take()
        if self.accept("("):
            while not self.accept(")"):
                self.variable()
        self.selection(kind.title())
        for name in sorted(set(self.kinds) - self.used):
            self.wrong.append(f"variable ${name} is not used")

    def variable(self):
        name = self.take()[1:]
        self.take(":")
        kind = ""
        while re.fullmatch(r"[\w\[\]!]+", self.tokens[self.at]):
            kind += self.take()
        if self.accept("="):
            self.value({}, "")
            kind = kind.rstrip("!")
        self.kinds[name] = kind
        self.variables[name] = self.schema.named(kind)
        name_of_type = kind.strip("[]!")
        if name_of_type not in self.schema.types and name_of_type not in self.scalars():
            self.wrong.append(f"type {name_of_type} does not exist")

    def scalars(self):
        return self.schema.types.get("Scalars", {}).get("properties", {})

    def selection(self, type_name):
        """The fields in braces, of a type."""
        self.take("{")
        if type_name not in self.schema.types:
            self.wrong.append(f"type {type_name} does not exist")
        fields = self.schema.object(type_name).get("properties", {})
        while not self.accept("}"):
            if self.accept("..."):
                self.accept("on")
                self.selection(self.take())
            else:
                self.field(type_name, fields)

    def field(self, type_name, fields):
        name = self.take()
        if self.accept(":"):
            name = self.take()
        if fields and name not in fields and name != "__typename":
            self.wrong.append(f"field {type_name}.{name} does not exist")
        self.arguments(type_name, name)
        while self.accept("@"):
            self.take()
            self.arguments("", "")
        found = base(fields.get(name, {}))
        has_fields = bool(self.schema.object(found).get("properties"))
        if self.tokens[self.at] == "{":
            self.selection(found)
        elif has_fields:
            self.wrong.append(f"field {type_name}.{name} has fields of its own, of which none is asked for")

    def arguments(self, type_name, field):
        """The arguments of a field."""
        known = self.schema.object(f"{type_name}{field[:1].upper()}{field[1:]}Args")
        given = set()
        if self.accept("("):
            while not self.accept(")"):
                name = self.take()
                self.take(":")
                given.add(name)
                where = f"argument {name} of {type_name}.{field}"
                if field and name not in known.get("properties", {}):
                    self.wrong.append(f"{where} does not exist")
                self.value(known.get("properties", {}).get(name, {}), where, name in known.get("required", []))
        for name in set(known.get("required", [])) - given:
            self.wrong.append(f"argument {name} of {type_name}.{field} is missing, but required")

    def value(self, schema, where, required=False):
        """A value: a variable of the right type, or a literal."""
        token = self.take()
        if token.startswith("$"):
            self.variable_value(token[1:], schema, where, required)
        elif token == "[":
            while not self.accept("]"):
                self.value(schema.get("items", schema), where)
        elif token == "{":
            self.object_value(base(schema), where)

    def variable_value(self, name, schema, where, required):
        self.used.add(name)
        if name not in self.kinds:
            self.wrong.append(f"variable ${name} is not declared")
            return
        kind, wanted = self.kinds[name], base(schema)
        if wanted and wanted != kind.strip("[]!"):
            self.wrong.append(f"{where} is of type {wanted}, not {kind}")
        if required and not kind.endswith("!"):
            self.wrong.append(f"{where} is required, but ${name} may be null")

    def object_value(self, type_name, where):
        """A literal object of an input type."""
        known = self.schema.object(type_name).get("properties")
        while not self.accept("}"):
            name = self.take()
            self.take(":")
            if known is not None and name not in known:
                self.wrong.append(f"{where}: {type_name}.{name} does not exist")
            self.value((known or {}).get(name, {}), f"{where}.{name}")
