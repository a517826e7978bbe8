"""The operations of an OpenAPI document, found by method and path. Other kinds of documents become one first."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from toolkit import split_url

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass
class Parameter:
    """A parameter of a path, a query or a header."""

    name: str
    place: str
    required: bool
    schema: dict
    explode: bool | None  # whether a list repeats the parameter; None where the document does not say


@dataclass
class Operation:
    """What a document says of one request."""

    path: str
    parameters: list = field(default_factory=list)
    bodies: list = field(default_factory=list)  # one schema for each media type
    body_required: bool = False
    takes_body: bool = False

    def at(self, place):
        return {parameter.name: parameter for parameter in self.parameters if parameter.place == place}

    def path_parameters(self):
        """The parameters in the order of the path; None for one that the document does not describe."""
        described = self.at("path")
        return [described.get(name) for name in re.findall(r"\{([^}]+)\}", self.path)]


class Document:
    """An OpenAPI document with its operations."""

    def __init__(self, name, data, settings):
        self.name = name
        self.data = data
        self.common = settings.get("common", {})
        self.strip = settings.get("strip")
        self.ignore_case = settings.get("ignore_case", False)
        self.body_is_query = settings.get("body_is_query", False)
        self.host, self.base = "", ""
        for server in data.get("servers", [])[:1]:
            self.host, self.base = split_url(server["url"])
        self.operations = {}
        for path, item in data.get("paths", {}).items():
            self.add_path(path, self.resolve(item))

    def add_path(self, path, item):
        host, base = self.host, self.base
        for server in item.get("servers", [])[:1]:
            host, base = split_url(server["url"])
        full = base.rstrip("/") + path
        if self.strip:
            full = re.sub(self.strip, "", full)
        for method in METHODS:
            if method in item:
                key = (method.upper(), without_names(full))
                self.operations.setdefault(key, (host, full, item, item[method]))

    def find(self, method, path, host=None):
        """The operation of a request. With a host, only at this one."""
        found = self.operations.get((method, without_names(path)))
        if found is None or (host and host != found[0]):
            return None
        _, full, item, data = found
        operation = Operation(full)
        declared = {}
        for parameter in map(self.resolve, [*item.get("parameters", []), *data.get("parameters", [])]):
            declared[parameter["in"], parameter["name"]] = self.parameter(parameter)
        operation.parameters = list(declared.values())
        self.add_body(operation, self.resolve(data.get("requestBody", {})))
        return operation

    def parameter(self, data):
        schema = data.get("schema")
        if schema is None:
            schema = next(iter(data.get("content", {}).values()), {}).get("schema", {})
        return Parameter(data["name"], data["in"], bool(data.get("required")), schema, data.get("explode"))

    def add_body(self, operation, body):
        operation.takes_body = bool(body)
        operation.body_required = bool(body.get("required"))
        operation.bodies = [media["schema"] for media in body.get("content", {}).values() if media.get("schema")]
        if self.body_is_query:
            self.move_to_query(operation)

    def move_to_query(self, operation):
        """For an API that takes members of a body in the query, too."""
        for schema in map(self.resolve, operation.bodies):
            for name, member in schema.get("properties", {}).items():
                required = name in schema.get("required", [])
                operation.parameters.append(Parameter(name, "query", required, member, None))
        operation.body_required = False

    def resolve(self, value):
        """What a reference points to."""
        while isinstance(value, dict) and "$ref" in value:
            target = self.data
            for part in value["$ref"].split("/")[1:]:
                target = target.get(unquote(part).replace("~1", "/").replace("~0", "~"), {})
            value = target
        return value


def without_names(path):
    """A path with its parameters in braces without names, so that different names are the same."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/").lower()
