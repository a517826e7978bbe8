"""Compares the request of a tool with an operation of a document."""

from schemas import Comparison, least

SEPARATED = ("commas", "spaces", "pipes")


def check_tool(tool, operation, document):
    """What of a tool's request the operation does not have or the tool does not send."""
    comparison = Comparison(document)
    arguments = list(tool.arguments())
    wrong = check_path(tool, arguments, operation, comparison)
    for place in ("query", "header"):
        wrong += check_place(tool, place, arguments, operation, document, comparison)
    return wrong + check_body(tool, operation, comparison)


def check_path(tool, arguments, operation, comparison):
    """The arguments of the path, in their order: names may be others."""
    by_name = {argument.name: argument for argument in arguments if argument.place == "path"}
    mine = [by_name.get(name) for name in names_of(tool.path)]
    theirs = operation.path_parameters()[-len(mine) :] if mine else []
    wrong = []
    for argument, parameter in zip(mine, theirs):
        if argument and parameter:
            wrong += comparison.schema(argument.leaf.schema, parameter.schema, f"path {argument.wire}", textual=True)
    return wrong


def names_of(path):
    return [part.split("}")[0] for part in path.split("{")[1:]]


def check_place(tool, place, arguments, operation, document, comparison):
    """Query or headers: every name is known, every required one is sent."""
    fixed = tool.query if place == "query" else tool.headers
    known = {fold(place, name): parameter for name, parameter in operation.at(place).items()}
    common = {fold(place, name) for name in document.common.get(place, [])}
    mine = {fold(place, argument.wire): argument for argument in arguments if argument.place == place}
    wrong = []
    for name, argument in mine.items():
        if name in common:
            continue
        parameter, schema = described(name, known, comparison)
        where = f"{place} {argument.wire}"
        if parameter is None:
            wrong.append(f"{where} does not exist")
            continue
        wrong += comparison.schema(argument.leaf.schema, schema, where, textual=True)
        wrong += check_style(argument, parameter, schema, where, comparison)
    for name, value in fixed.items():
        if place == "query" and name not in common:
            wrong += check_fixed(name, value, known, tool, comparison)
    sent = {base_name(name) for name in mine} | {fold(place, name) for name in fixed}
    for name, parameter in known.items():
        if name in common:
            continue
        wrong += check_required(place, name, parameter, mine, sent)
    return wrong


def fold(place, name):
    return name.lower() if place == "header" else name


def base_name(name):
    """The name without brackets: `page[size]` is a member of `page`, `ids[]` is the list `ids`."""
    return name.split("[")[0]


def described(name, known, comparison):
    """The parameter of a name with its schema, also for a member such as `page[size]`."""
    if name in known:
        return known[name], known[name].schema
    if name + "[]" in known:
        return known[name + "[]"], known[name + "[]"].schema
    parameter = known.get(base_name(name))
    member = name.partition("[")[2].rstrip("]")
    for option in comparison.alternatives(parameter.schema) if parameter and member else []:
        if member in option.get("properties", {}):
            return parameter, option["properties"][member]
    return None, None


def check_style(argument, parameter, schema, where, comparison):
    """A list in one text where the document repeats the parameter, or the other way round."""
    style = argument.leaf.style
    if argument.leaf.schema.get("type") != "array" or style is None or parameter.explode is None:
        return []
    if not any(option.get("type") == "array" for option in comparison.alternatives(schema)):
        return []
    if style in SEPARATED and parameter.explode:
        return [f"{where} is one text, but a parameter for each item in the document"]
    if style == "repeated" and not parameter.explode:
        return [f"{where} is a parameter for each item, but one text in the document"]
    return []


def check_fixed(name, value, known, tool, comparison):
    """A fixed parameter of the query."""
    if name not in known:
        return [f"query {name} does not exist"]
    value = tool.expand(value, {})
    if not isinstance(value, str):
        return []
    options = comparison.alternatives(known[name].schema)
    lists = [item for option in options if option.get("type") == "array" for item in [option.get("items", {})]]
    values = value.split(",") if lists else [value]
    found = [option for one in lists or options for option in comparison.alternatives(one)]
    return comparison.enum(values, found, f"query {name}")


def check_required(place, name, parameter, mine, sent):
    if not parameter.required:
        return []
    if base_name(name) not in sent:
        return [f"{place} {name} is missing, but required"]
    if name in mine and not mine[name].leaf.given:
        return [f"{place} {name} may be left out, but is required"]
    return []


def check_body(tool, operation, comparison):
    """The body against the operation's bodies, of which it is the one that it is most like."""
    body = tool.body()
    if body is None:
        return ["the body is missing, but required"] if operation.body_required else []
    if not operation.takes_body:
        return ["the operation takes no body"]
    if tool.body_format == "file" or not operation.bodies:
        return []
    textual = tool.body_format in ("form", "multipart")
    return least(comparison.value(body, schema, "body", textual) for schema in operation.bodies)


