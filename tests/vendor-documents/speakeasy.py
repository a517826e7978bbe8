"""Turns a Python client that Speakeasy has generated from an OpenAPI document back into the operations of it.

Each method of the client builds a request with its method, its path and a model; the fields of the models say where
they go and of which types they are.
"""

import ast
import re

DEFINITION = re.compile(r"^(?:class )?(\w+)(?:\(BaseModel\):| = (?:Literal|Union|TypeAliasType)\b)", re.M)
NAMED = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
NAMED |= {"date": "string", "datetime": "string"}  # as JSON writes them
PLACES = {"query": "query", "path": "path", "header": "header"}


def to_openapi(folder):
    """The operations of a client in a folder, whose models are in `models`."""
    models = Models(folder / "models")
    paths = {}
    for file in sorted(folder.glob("*.py")):
        tree = ast.parse(file.read_text())
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            add_operation(paths, function, models)
    return {"paths": paths, "types": models}


def add_operation(paths, function, models):
    """The request that a method of the client builds."""
    call = next((node for node in ast.walk(function) if is_call(node, "_build_request")), None)
    values = {word.arg: getattr(word.value, "value", None) for word in call.keywords} if call else {}
    if not isinstance(values.get("path"), str):
        return
    model = next((name for node in ast.walk(function) for name in request_model(node)), None)
    operation = operation_of(model, models)
    paths.setdefault(values["path"], {})[values["method"].lower()] = operation


def is_call(node, name):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name


def request_model(node):
    """The model in `request = models.Name(…)` or `request = cast(Optional[models.Name], request)`."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "request":
        for part in ast.walk(node.value):
            if isinstance(part, ast.Attribute) and getattr(part.value, "id", "") == "models":
                yield part.attr


def operation_of(model, models):
    """Parameters and body from the fields of a request's model. One without places is the body."""
    operation = {"parameters": []}
    fields = list(models.fields(model)) if model else []
    body = {"$ref": f"#/types/{model}"} if model and not any(place for *_, place in fields) else None
    for name, schema, required, place in fields:
        if place in PLACES:
            operation["parameters"].append({"name": name, "in": place, "required": required, "schema": schema})
        elif place == "request":
            body = schema
    if body:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


class Models:
    """The models of a client as schemas, read when they are asked for."""

    def __init__(self, folder):
        self.files = {}
        for file in sorted(folder.glob("*.py")):
            for name in DEFINITION.findall(file.read_text()):
                self.files.setdefault(name, file)
        self.trees = {}

    def get(self, name, default=None):
        """The schema of a model, as a dict would return it."""
        node = self.node(name)
        if node is None:
            return default
        if not isinstance(node, ast.ClassDef):
            return self.alias(node)
        fields = list(self.fields(name))
        properties = {field: schema for field, schema, *_ in fields}
        required = [field for field, _, is_required, _ in fields if is_required]
        is_open = properties.pop("__pydantic_extra__", None) is not None
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": is_open}

    def node(self, name):
        """The definition of a model."""
        file = self.files.get(name)
        if file is None:
            return None
        if file not in self.trees:
            self.trees[file] = ast.parse(file.read_text()).body
        for node in self.trees[file]:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
                return node.value
        return None

    def alias(self, node):
        if isinstance(node, ast.Call):  # TypeAliasType("Name", …)
            node = node.args[1]
        return self.schema(node)

    def fields(self, name):
        """Name, schema, whether it is required, and place of each field of a model."""
        node = self.node(name)
        for field in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(field, ast.AnnAssign):
                yield self.field(field)

    def field(self, field):
        kind, name, place = field.annotation, field.target.id, None
        if isinstance(kind, ast.Subscript) and getattr(kind.value, "id", "") == "Annotated":
            kind, *notes = kind.slice.elts
            for word in (word for note in notes if isinstance(note, ast.Call) for word in note.keywords):
                if word.arg == "alias":
                    name = word.value.value
                elif word.arg in (*PLACES, "request"):
                    place = word.arg
        return name, self.schema(kind), field.value is None, place

    def schema(self, node):
        """The schema of a type."""
        if isinstance(node, ast.Attribute):
            return self.named(node.attr)
        if isinstance(node, ast.Name):
            return self.named(node.id)
        if isinstance(node, ast.Constant):
            return {"type": "null"} if node.value is None else {}
        if not isinstance(node, ast.Subscript):
            return {}
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        outer = getattr(node.value, "id", getattr(node.value, "attr", ""))
        if outer == "Literal":
            return {"enum": [part.value for part in parts]}
        if outer in ("List", "list"):
            return {"type": "array", "items": self.schema(parts[0])}
        if outer in ("Dict", "dict"):
            return {"type": "object", "additionalProperties": self.schema(parts[1]) or True}
        return {"anyOf": [self.schema(part) for part in parts]}

    def named(self, name):
        if name in NAMED:
            return {"type": NAMED[name]}
        return {"$ref": f"#/types/{name}"} if name in self.files else {}
