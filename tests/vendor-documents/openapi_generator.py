"""Turns a TypeScript client that OpenAPI Generator has made back into the operations of its documents.

A folder has one API with `apis/*.js`, whose methods build the requests, and `models/*.d.ts`, the types of bodies.
"""

import re

from typescript import TOKEN, Parser, Types

METHOD = re.compile(r"const localVarPath = '([^']*)'(.*?)return requestContext;", re.S)
QUERY = re.compile(r'setQueryParam\("([^"]+)", [\w.]*serialize\(\w+, "([^"]+)"')
REPEATED = re.compile(r'serialize\(\w+, "([^"]+)", "[^"]*"\);\s*for .*?appendQueryParam\("([^"]+)"', re.S)
BODY = re.compile(r'stringify\([\w.]*serialize\(\w+, "([^"]+)"')
CLASS = re.compile(r"export declare class (\w+)[^{]*\{(.*?)\n    static ", re.S)


def to_openapi(folder):
    """The operations of all APIs below a folder."""
    paths, models = {}, {}
    for file in sorted(folder.rglob("apis/*.js")):
        area = str(file.parent.parent.relative_to(folder)).replace("/", ".")
        for path, code in METHOD.findall(file.read_text()):
            method = re.search(r"HttpMethod\.(\w+)\)", code)[1].lower()
            paths.setdefault(path, {}).setdefault(method, operation(path, code, area))
        models[area] = file.parent.parent / "models"
    return {"paths": paths, "types": Models(models)}


def operation(path, code, area):
    """A request from the code that builds it."""
    parameters = [{"name": name, "in": "path", "schema": {}} for name in re.findall(r"\{(\w+)\}", path)]
    for name, kind in QUERY.findall(code):
        parameters.append({"name": name, "in": "query", "schema": schema_of(kind, area)})
    for kind, name in REPEATED.findall(code):
        parameters.append({"name": name, "in": "query", "schema": schema_of(kind, area), "explode": True})
    found = {"parameters": parameters}
    body = BODY.search(code)
    if body:
        found["requestBody"] = {"content": {"application/json": {"schema": schema_of(body[1], area)}}}
    return found


def schema_of(kind, area):
    """The schema of a type such as `Array<string>`."""
    return with_area(Parser(TOKEN.findall(kind), Types("")).union(), area)


def with_area(value, area):
    """The schema with references into the models of an API, because names are used again."""
    if isinstance(value, list):
        return [with_area(item, area) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return {"$ref": value["$ref"].replace("#/types/", f"#/types/{area}:")}
    return {key: with_area(item, area) for key, item in value.items()}


class Models:
    """The models of all APIs, read when they are asked for by `area:Name`."""

    def __init__(self, folders):
        self.folders = folders
        self.known = {}

    def get(self, key, default=None):
        """The schema of a model, as a dict would return it."""
        if key not in self.known:
            self.known[key] = self.read(*key.split(":"))
        return self.known[key] if self.known[key] is not None else default

    def read(self, area, name):
        if name == "Date":
            return {"type": "string"}
        file = self.folders[area] / f"{name}.d.ts"
        text = file.read_text() if file.exists() else ""
        match = CLASS.search(text)
        if match is None:
            return {}
        tokens = TOKEN.findall(match[2] + "}")
        return with_area(Parser(tokens, Types(text)).object(), area)
