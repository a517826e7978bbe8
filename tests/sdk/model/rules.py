"""What vendors of models refuse in a request: definitions of tools, and messages around tool calls. Each rule
raises Refused with the sentence that the scripted model answers."""

import json
import re

import jsonschema_rs

OPENAI_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ANTHROPIC_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_TOOLS = 128
LONGEST_DESCRIPTION = 1024


class Refused(Exception):
    """The vendor would answer 400, or a tool's result is not what the script expects."""


def require(condition, message):
    if not condition:
        raise Refused(message)


def subschemas(schema, path="#"):
    """A schema and everything below it, with where it is."""
    require(isinstance(schema, dict), f"{path}: a schema must be an object, not {schema!r}")
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from subschemas(below, f"{path}/properties/{name}")
    for key in ("$defs", "definitions"):
        for name, below in schema.get(key, {}).items():
            yield from subschemas(below, f"{path}/{key}/{name}")
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, below in enumerate(schema.get(key, [])):
            yield from subschemas(below, f"{path}/{key}/{number}")
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{path}/{key}")


def is_array(schema):
    kind = schema.get("type")
    return kind == "array" or isinstance(kind, list) and "array" in kind


def check_common(name, description, schema):
    """What every vendor demands."""
    require(isinstance(name, str) and OPENAI_NAME.fullmatch(name), f"tool name {name!r}")
    require(isinstance(description, str) and description.strip(), f"{name}: no description")
    require(len(description) <= LONGEST_DESCRIPTION, f"{name}: description of {len(description)} characters")
    require(isinstance(schema, dict), f"{name}: no schema")
    require(schema.get("type") == "object", f"{name}: the root is no object: {schema.get('type')!r}")
    require(isinstance(schema.get("properties"), dict), f"{name}: an object without properties")
    for key in ("anyOf", "oneOf", "allOf", "enum", "not"):
        require(key not in schema, f"{name}: {key} at the root")
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": DIALECT})
    except jsonschema_rs.ValidationError as error:
        raise Refused(f"{name}: not JSON Schema 2020-12: {error.message}") from None
    for path, below in subschemas(schema):
        missing = set(below.get("required", [])) - set(below.get("properties", {}))
        require(not missing or "properties" not in below, f"{name} {path}: required and not declared: {missing}")
        target = below.get("$ref")
        require(target is None or target.startswith("#"), f"{name} {path}: refers to {target}")


def check_openai(tool):
    name, schema = tool["name"], tool["schema"]
    check_common(name, tool["description"], schema)
    for path, below in subschemas(schema):
        if is_array(below):
            require(isinstance(below.get("items"), dict), f"{name} {path}: an array without items")
        if tool["strict"] and below.get("type") == "object":
            require(below.get("additionalProperties") is False, f"{name} {path}: strict, and open")
            optional = set(below.get("properties", {})) - set(below.get("required", []))
            require(not optional, f"{name} {path}: strict, and optional: {optional}")


def check_anthropic(tool):
    name, schema = tool["name"], tool["schema"]
    check_common(name, tool["description"], schema)
    for path, below in subschemas(schema):
        for key in below.get("properties", {}):
            require(ANTHROPIC_PROPERTY.fullmatch(key), f"{name} {path}: property {key!r}")


def check_tools(tools, check):
    require(len(tools) <= MOST_TOOLS, f"{len(tools)} tools")
    names = [tool["name"] for tool in tools]
    require(len(names) == len(set(names)), f"two tools have one name: {names}")
    for tool in tools:
        check(tool)


def arguments(text):
    """The arguments of a call in the conversation."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        raise Refused(f"arguments are not JSON: {text!r}") from None
    require(isinstance(value, dict), f"arguments are no object: {text!r}")
    return value
