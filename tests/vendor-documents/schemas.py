"""Compares the schemas of arguments and the values of templates with those of a document."""

from toolkit import Choice, Each, Leaf

MOST = 200  # alternatives of a schema that are looked at
NULL_OBJECT = {"type": "object", "nullable": True}  # how Microsoft's document says that a reference may be null
# Types that are the same in a query, a header or a form, though not in JSON.
TEXTUAL = {("integer", "string"), ("number", "string"), ("array", "string")}
FLAT = ("string", "integer", "number", "boolean")


class Comparison:
    """Compares against the schemas of one document. Every comparison returns a list of what is wrong."""

    def __init__(self, document):
        self.document = document
        self.common = document.common.get("body", [])

    def alternatives(self, schema, depth=0):
        """The schema without references, `oneOf` and `allOf`: it is any one of these."""
        schema = self.document.resolve(schema)
        if not isinstance(schema, dict) or not schema or depth > 12:
            return [{}]
        parts = [self.alternatives(part, depth + 1) for part in schema.get("allOf", [])]
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                real = [part for part in schema[key] if part != NULL_OBJECT] or schema[key]
                parts.append([found for part in real for found in self.alternatives(part, depth + 1)])
        types = schema.get("type")
        own = {key: value for key, value in schema.items() if key not in ("allOf", "oneOf", "anyOf")}
        if isinstance(types, list):
            parts.append([{"type": one} for one in types])
            own.pop("type")
        merged = [own]
        for part in parts:
            merged = [merge(left, right) for left in merged for right in part][:MOST]
        return merged

    def schema(self, mine, theirs, where, textual=False):
        """What of an argument's schema the document's does not have. `textual`: it is written as a text."""
        if "anyOf" in mine:
            return [text for part in mine["anyOf"] for text in self.schema(part, theirs, where, textual)]
        kind = mine.get("type")
        options = self.alternatives(theirs)
        if textual and kind not in ("array", "object"):
            options = self.single(options)
        found = [option for option in options if is_compatible(mine, option, textual)]
        if kind is None or any(is_free(option) for option in found):
            return []
        if not found:
            kinds = sorted({str(kind_of(option)) for option in options} - {"null"})
            return [f"{where} is of type {kind}, not {' or '.join(kinds)}"]
        wrong = self.enum(mine.get("enum"), found, where)
        if kind == "array" and "items" in mine:
            wrong += self.items(mine["items"], found, where, textual)
        if kind == "object" and mine.get("properties"):
            wrong += self.object_value(schema_members(mine), found, where, textual)
        return wrong

    def single(self, options):
        """The schemas of a single text: a list can be written as one of its items."""
        lists = [option for option in options if kind_of(option) == "array"]
        items = [found for option in lists for found in self.alternatives(option.get("items", {}))]
        return [option for option in options if kind_of(option) != "array"] + items

    def items(self, mine, found, where, textual):
        lists = [option.get("items", {}) for option in found if kind_of(option) == "array"]
        others = [option for option in found if kind_of(option) != "array"]
        options = lists or (others if textual else [{}])
        if textual and not lists:
            return self.enum(mine.get("enum"), options, where)
        return least(self.schema(mine, option, where + "[]", textual) for option in options)

    def enum(self, mine, found, where):
        """The values of an argument that the document does not allow."""
        if mine is None or any("enum" not in option and "const" not in option for option in found):
            return []
        allowed = {text(value) for option in found for value in option.get("enum", [option.get("const")])}
        unknown = [str(value) for value in mine if text(value) not in allowed]
        return [f"{where} cannot be {', '.join(unknown)}"] if unknown else []

    def value(self, mine, theirs, where, textual=False):
        """What of a part of a body the document's schema does not have."""
        if isinstance(mine, Leaf):
            return [] if mine.is_file else self.schema(mine.schema, theirs, where, textual)
        if isinstance(mine, Choice):
            return [found for choice in mine.choices for found in self.value(choice, theirs, where, textual)]
        if isinstance(mine, (list, Each)):
            return self.list_value(mine, theirs, where, textual)
        if isinstance(mine, dict):
            return self.dict_value(mine, theirs, where, textual)
        constant = {"type": json_kind(mine), "enum": [mine]}
        return self.schema(constant, theirs, where, textual)

    def list_value(self, mine, theirs, where, textual):
        options = self.alternatives(theirs)
        lists = [option for option in options if kind_of(option) in ("array", None)]
        if not lists:
            return [f"{where} is a list, not of type {kind_of(options[0])}"]
        items = mine if isinstance(mine, list) else [mine.item]
        return least(
            [text for item in items for text in self.value(item, option.get("items", {}), where + "[]", textual)]
            for option in lists
        )

    def dict_value(self, mine, theirs, where, textual):
        options = self.alternatives(theirs)
        objects = [option for option in options if kind_of(option) in ("object", None)]
        if not objects:
            return [f"{where} is an object, not of type {kind_of(options[0])}"]
        return self.object_value(mine, objects, where, textual)

    def object_value(self, mine, options, where, textual):
        """An object against the one that it is most like, or all together: arguments may be for different ones."""
        options = [option for option in options if kind_of(option) in ("object", None)]
        together = [union(options)] if len(options) > 1 else []
        return least(self.members(mine, option, where, textual) for option in options + together)

    def members(self, mine, option, where, textual):
        """What of an object's members the document's object does not have, or requires besides."""
        properties = self.folded(option.get("properties", {}))
        rest = option.get("additionalProperties")
        wrong = []
        for name, value in mine.items():
            at = f"{where}.{name}"
            if name in self.common:
                continue
            if self.fold(name) in properties:
                wrong += self.value(value, properties[self.fold(name)], at, textual)
            elif rest or (not properties and rest is None):
                wrong += self.value(value, rest if isinstance(rest, dict) else {}, at, textual)
            else:
                wrong.append(f"{at} does not exist")
        return wrong + self.required(self.folded(mine), option, where)

    def required(self, mine, option, where):
        """What the document's object requires, but a call does not or may not have."""
        wrong = []
        for name in option.get("required", []):
            schema = option.get("properties", {}).get(name, {})
            if name in self.common or self.document.resolve(schema).get("readOnly"):
                continue
            if self.fold(name) not in mine:
                wrong.append(f"{where}.{name} is missing, but required")
            elif is_given(mine) and is_doubtful(mine[self.fold(name)]) and not self.has_default(schema):
                wrong.append(f"{where}.{name} may be left out, but is required")
        return wrong

    def fold(self, name):
        return name.lower() if self.document.ignore_case else name

    def folded(self, members):
        return {self.fold(name): member for name, member in members.items()}

    def has_default(self, schema):
        return "default" in self.document.resolve(schema)


def schema_members(mine):
    """The members of an argument's schema as values. Objects say what they require in their description."""
    required = mine.get("required") if isinstance(mine.get("required"), list) else None
    return {name: Leaf(part, required is None or name in required) for name, part in mine["properties"].items()}


def is_given(value):
    """Whether a value is always sent. An object or a list is left out if all its arguments are."""
    found = list(leaves(value))
    return not found or any(leaf.given for leaf in found)


def is_doubtful(value):
    """Whether a call may lack a value. No one makes a call without any of several optional members."""
    found = list(leaves(value))
    return bool(found) and not any(leaf.given for leaf in found) and (not isinstance(value, dict) or len(found) == 1)


def leaves(value):
    """The parts of a value that come from arguments."""
    if isinstance(value, (Leaf, Each, Choice)):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)


def merge(left, right):
    """Two schemas of which both hold."""
    both = {**left, **right}
    for key in ("properties", "required"):
        if key in left and key in right:
            both[key] = {**left[key], **right[key]} if key == "properties" else [*left[key], *right[key]]
    if "enum" in left and "enum" in right:
        both["enum"] = [value for value in left["enum"] if value in right["enum"]] or right["enum"]
    return both


def union(options):
    """The object that has the members of all, and requires what each of them does."""
    have = {}
    for option in options:
        for name, schema in option.get("properties", {}).items():
            have.setdefault(name, []).append(schema)
    required = [name for name in have if all(name in option.get("required", []) for option in options)]
    rest = any(option.get("additionalProperties") or not option.get("properties") for option in options)
    properties = {name: {"anyOf": schemas} for name, schemas in have.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": rest}


def kind_of(option):
    """The type of a schema, also where only its keywords tell."""
    if option.get("type"):
        return option["type"]
    if "properties" in option or "additionalProperties" in option:
        return "object"
    if "items" in option:
        return "array"
    values = option.get("enum", [option["const"]] if "const" in option else [])
    kinds = {json_kind(value) for value in values if value is not None}
    return kinds.pop() if len(kinds) == 1 else None


def is_free(option):
    """Whether a schema allows any value."""
    return kind_of(option) in (None, "any")


def is_compatible(mine, option, textual):
    """Whether a value of an argument can be one of the document's type."""
    kind, theirs = mine.get("type"), kind_of(option)
    if theirs in (None, "any") or kind in (None, "null", theirs) or (kind == "integer" and theirs == "number"):
        return True
    if "int64" in str(option.get("format")) and {kind, theirs} <= {"integer", "string"}:
        return True
    if not textual:
        return False
    # A text can be any value that is written as one, and a list in one text is of the document's type.
    if kind == "string" and theirs in FLAT:
        return True
    if kind == "boolean" and set(option.get("enum", [])) == {"true", "false"}:
        return True
    return (kind, theirs) in TEXTUAL


def json_kind(value):
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def text(value):
    """A value as it is written in a query."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def least(results):
    """The shortest list of what is wrong: the alternative that is meant."""
    return min(results, key=len, default=[])
