"""Reads the types of generated TypeScript files as JSON Schemas: the subset that generators of clients write.

`Types.schema(name)` is the schema of a type; references to other types stay references, `{"$ref": "#/types/Name"}`.
"""

import re

DECLARATION = re.compile(r"^(?:export )?(?:declare )?(?:const )?(type|interface|enum) (\w+)", re.M)
STATEMENT = re.compile(r"^(?:export|declare|type|interface|enum|const|import|class|function)\b", re.M)
TEXT = r"""//[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
TOKEN = re.compile(TEXT + r"|-?\d[\d.]*|[A-Za-z_$][\w$]*|=>|\.\.\.|\S", re.S)
NAMED = {name: name for name in ("string", "number", "boolean", "null", "object")} | {"Blob": "string"}
SCALARS = {"Int": "integer", "Float": "number", "Boolean": "boolean"}
FREE_SCALARS = ("JSON", "JSONObject")


class Types:
    """The types of a file."""

    def __init__(self, text):
        self.text = text
        self.starts = {match[2]: match for match in DECLARATION.finditer(text)}
        self.ends = sorted(match.start() for match in STATEMENT.finditer(text)) + [len(text)]
        self.known = {}

    def __contains__(self, name):
        return name in self.starts

    def get(self, name, default=None):
        """The schema of a type, as a dict would return it."""
        return self.schema(name) if name in self.starts else default

    def schema(self, name):
        if name not in self.known:
            self.known[name] = {}  # for a type that refers to itself
            self.known[name] = self.read(name)
        return self.known[name]

    def read(self, name):
        match = self.starts[name]
        parser = Parser(self.tokens(match), self)
        if match[1] == "enum":
            return {"enum": list(self.members(name).values())}
        parser.skip_parameters()
        if parser.next_is("extends"):
            return {}
        if match[1] == "type":
            parser.take("=")
        return parser.union()

    def tokens(self, match):
        """The tokens of a declaration after its name."""
        low, high = 0, len(self.ends)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.ends[middle] <= match.start() else (low, middle)
        found = TOKEN.findall(self.text, match.end(), self.ends[low])
        return [token for token in found if not token.startswith(("//", "/*"))]

    def members(self, name):
        """The members of an enum with their values."""
        tokens = self.tokens(self.starts[name])
        return {tokens[i - 1]: literal(tokens[i + 1]) for i, token in enumerate(tokens) if token == "="}


class Parser:
    """Parses a type from tokens."""

    def __init__(self, tokens, types):
        self.tokens = tokens + [";"]
        self.at = 0
        self.types = types

    def next_is(self, *wanted):
        return self.tokens[self.at] in wanted

    def take(self, wanted=None):
        token = self.tokens[self.at]
        if wanted and token != wanted:
            raise ValueError(f"{wanted} expected, but {' '.join(self.tokens[max(0, self.at - 5) : self.at + 5])}")
        self.at += 1
        return token

    def accept(self, wanted):
        if self.next_is(wanted):
            self.at += 1
            return True
        return False

    def skip_parameters(self):
        """The parameters of a generic type."""
        if self.accept("<"):
            while not self.accept(">"):
                self.at += 1

    def union(self):
        self.accept("|")
        options = [self.intersection()]
        while self.accept("|"):
            options.append(self.intersection())
        options = [option for option in options if option != {"type": "undefined"}]
        values = [value for option in options for value in option.get("enum", []) if set(option) == {"enum"}]
        if options and len(values) >= len(options) and all(set(option) == {"enum"} for option in options):
            return {"enum": values}
        return options[0] if len(options) == 1 else {"anyOf": options}

    def intersection(self):
        parts = [self.postfix()]
        while self.accept("&"):
            parts.append(self.postfix())
        return parts[0] if len(parts) == 1 else {"allOf": parts}

    def postfix(self):
        found = self.primary()
        while self.next_is("["):
            self.take()
            if self.accept("]"):
                found = {"type": "array", "items": found}
            else:
                found = self.indexed(found, literal(self.take()))
                self.take("]")
        return found

    def indexed(self, found, key):
        """`Scalars["Int"]`, or a member of another type."""
        if found == {"$ref": "#/types/Scalars"}:
            return {"scalar": key} if key in FREE_SCALARS else {"type": SCALARS.get(key, "string"), "scalar": key}
        name = found.get("$ref", "").rpartition("/")[2]
        return self.types.get(name, found).get("properties", {}).get(key, {})

    def primary(self):
        token = self.take()
        if token == "readonly":
            return self.primary()
        if token == "{":
            return self.object()
        if token == "(":
            found = self.union()
            self.take(")")
            return found
        if token == "[":
            return self.tuple()
        if token[0] in "\"'-" or token[0].isdigit():
            return {"enum": [literal(token)]}
        if token in ("true", "false"):
            return {"type": "boolean"}
        if token in NAMED:
            return {"type": NAMED[token]}
        if token in ("never", "undefined", "void"):
            return {"type": "undefined"}
        if token in ("unknown", "any"):
            return {}
        return self.reference(token)

    def reference(self, name):
        while self.accept("."):
            member = self.take()
            if name in self.types:
                return {"enum": [self.types.members(name).get(member)]}
        if not self.accept("<"):
            return {"$ref": f"#/types/{name}"}
        arguments = [self.union()]
        while self.accept(","):
            arguments.append(self.union())
        self.take(">")
        return generic(name, arguments)

    def tuple(self):
        items = []
        while not self.accept("]"):
            items.append(self.union())
            self.accept(",")
        return {"type": "array", "items": {"anyOf": items} if items else {}}

    def object(self):
        properties, required, rest = {}, [], None
        while not self.accept("}"):
            self.accept("readonly")
            if self.accept("["):
                rest = self.index_signature()
            else:
                name = str(literal(self.take()))
                optional = self.accept("?")
                self.take(":")
                properties[name] = self.union()
                required += [] if optional else [name]
            if self.next_is(";", ","):
                self.take()
        found = {"type": "object", "properties": properties, "required": required}
        found["additionalProperties"] = rest if rest is not None else False
        return found

    def index_signature(self):
        while not self.accept("]"):
            self.at += 1
        self.accept("?")
        self.take(":")
        return self.union()


def generic(name, arguments):
    """A type with parameters."""
    if name in ("Array", "ReadonlyArray"):
        return {"type": "array", "items": arguments[0]}
    if name in ("Maybe", "InputMaybe"):
        return {"anyOf": [arguments[0], {"type": "null"}]}
    if name == "Record" and len(arguments) == 2:
        never = arguments[1] == {"type": "undefined"}
        return {"type": "object", "additionalProperties": False if never else arguments[1]}
    return {}


def literal(token):
    """The value of a token: a text in quotes, a number, or a name."""
    if token[0] in "\"'":
        return token[1:-1].replace("\\", "")
    if token[0] == "-" or token[0].isdigit():
        return float(token) if "." in token else int(token)
    return token
