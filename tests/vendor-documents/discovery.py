"""Turns a discovery document of Google into an OpenAPI document."""


def to_openapi(data):
    """The same operations as OpenAPI."""
    paths = {}
    for method in methods(data["resources"]):
        path = "/" + data["servicePath"] + method.get("flatPath", method["path"])
        add(paths, path, method, request_body(method))
        simple = method.get("mediaUpload", {}).get("protocols", {}).get("simple")
        if simple:
            upload = {"content": {"*/*": {}}}
            kind = {"name": "uploadType", "in": "query", "schema": {"type": "string"}}
            add(paths, simple["path"], method, upload, [kind])
    common = [parameter(name, value) for name, value in data.get("parameters", {}).items()]
    for item in paths.values():
        item["parameters"] = common
    schemas = {name: schema(value) for name, value in data["schemas"].items()}
    return {"servers": [{"url": data["rootUrl"].rstrip("/")}], "paths": paths, "components": {"schemas": schemas}}


def methods(resources):
    """The methods of all resources."""
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from methods(resource.get("resources", {}))


def add(paths, path, method, body, more=()):
    parameters = [parameter(name, value) for name, value in method.get("parameters", {}).items()]
    operation = {"parameters": parameters + list(more)}
    if body:
        operation["requestBody"] = body
    paths.setdefault(path, {})[method["httpMethod"].lower()] = operation


def request_body(method):
    if "request" not in method:
        return None
    return {"content": {"application/json": {"schema": schema(method["request"])}}}


def parameter(name, value):
    """A parameter. A repeated one is a list."""
    kind = schema(value)
    if value.get("repeated"):
        kind = {"type": "array", "items": kind}
    return {"name": name, "in": value["location"], "required": bool(value.get("required")), "schema": kind}


def schema(value):
    """A schema: references have only a name, and `required` is a mark of a parameter."""
    if "$ref" in value:
        return {"$ref": "#/components/schemas/" + value["$ref"]}
    copy = {key: item for key, item in value.items() if key in ("type", "enum", "format")}
    if "properties" in value:
        copy["properties"] = {name: schema(item) for name, item in value["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in value:
            copy[key] = schema(value[key])
    if copy.get("type") == "any":
        copy.pop("type")
    return copy
