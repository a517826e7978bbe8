"""Turns the types of two generated clients into OpenAPI documents: Discord's `Paths`, and Notion's endpoints."""

import re

from typescript import Types

ENDPOINT = re.compile(r"^exports\.(\w+) = \{\n(.*?)^\};", re.S | re.M)


def paths_to_openapi(text):
    """An interface `Paths` with each path, its methods, and their parameters and bodies."""
    types = Types(text)
    paths = {}
    for path, methods in types.schema("Paths")["properties"].items():
        for method, operation in methods["properties"].items():
            paths.setdefault(path, {})[method] = operation_of(operation["properties"], types)
    return {"paths": paths, "types": types}


def operation_of(members, types):
    """An operation from its `parameters` and its `requestBody`."""
    parameters = []
    for place, group in members["parameters"]["properties"].items():
        parameters += parameters_of(place, group)
    operation = {"parameters": parameters}
    body = members.get("requestBody", {"type": "undefined"})
    if body != {"type": "undefined"}:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


def parameters_of(place, group):
    """The parameters of a place, from the type of an object with all of them."""
    required = group.get("required", [])
    return [
        {"name": name, "in": place, "required": place == "path" or name in required, "schema": schema}
        for name, schema in group.get("properties", {}).items()
    ]


def notion_to_openapi(types_text, endpoints_text):
    """The endpoints of the client, each with its types `…PathParameters`, `…QueryParameters` and so on."""
    types = Types(types_text)
    paths = {}
    for name, definition in ENDPOINT.findall(endpoints_text):
        method = re.search(r'method: "(\w+)"', definition)
        path = re.search(r"path: \(p?\) => `([^`]*)`", definition)
        if method and path:
            operation = endpoint(name[0].upper() + name[1:], types)
            paths.setdefault("/v1/" + re.sub(r"\$\{p\.(\w+)\}", r"{\1}", path[1]), {})[method[1]] = operation
    return {"paths": paths, "types": types}


def endpoint(name, types):
    """The operation of an endpoint."""
    parameters = []
    for place in ("path", "query"):
        group = types.get(f"{name}{place.title()}Parameters", {})
        for part in group.get("allOf", [group]):
            parameters += parameters_of(place, types.get(part.get("$ref", "").rpartition("/")[2], part))
    operation = {"parameters": parameters}
    kinds = {"application/json": f"{name}BodyParameters", "multipart/form-data": f"{name}FormDataParameters"}
    content = {kind: {"schema": {"$ref": f"#/types/{body}"}} for kind, body in kinds.items() if body in types}
    if content:
        operation["requestBody"] = {"content": content}
    return operation
