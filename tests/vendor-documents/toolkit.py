"""Reads a toolkit's tools: which request each makes, and where its arguments go (docs/tool-format.md)."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*)\}")


@dataclass
class Leaf:
    """A value of the request that comes from an argument."""

    schema: dict
    given: bool  # always sent: the argument is required or has a default
    style: str | None = None
    is_file: bool = False


@dataclass
class Argument:
    """An argument that goes to a place of its own."""

    name: str
    wire: str
    place: str
    leaf: Leaf


class Tool:
    """A tool of a toolkit."""

    def __init__(self, data, base_url):
        self.data = data
        self.slug = data["slug"]
        self.method = data["method"]
        self.body_format = data.get("body", "json")
        self.graphql = data.get("graphql")
        self.query = data.get("query", {})
        self.headers = data.get("headers", {})
        self.inputs = data.get("input", {})
        self.is_absolute = data["path"].startswith("https://")
        url = data["path"] if self.is_absolute else base_url + data["path"]
        self.host, self.path = split_url(url)

    def leaf(self, name):
        """The argument as a value."""
        data = self.inputs[name]
        given = bool(data.get("required")) or "default" in data
        return Leaf(data, given, data.get("style"), bool(data.get("file_uploadable")))

    def arguments(self):
        """The arguments that neither the template nor fixed texts name, with their places."""
        used = self.names_in_fixed_texts() | names_in(self.data.get("template"))
        in_path = set(PLACEHOLDER.findall(self.data["path"]))
        for name, data in self.inputs.items():
            place = data.get("in") or ("path" if name in in_path else self.default_place())
            if place == "path" or name not in used:
                yield Argument(name, data.get("as", name), place, self.leaf(name))

    def default_place(self):
        return "query" if self.method in ("GET", "DELETE") else "body"

    def names_in_fixed_texts(self):
        return names_in(list(self.query.values())) | names_in(list(self.headers.values()))

    def body(self):
        """The body as a tree of dicts and lists with leaves, or None. A file alone is a leaf."""
        members = [argument for argument in self.arguments() if argument.place == "body"]
        if self.body_format == "file":
            return members[0].leaf if members else None
        template = self.data.get("template")
        if not members and template is None and not self.data.get("wrap"):
            return None
        body = self.expand(template, {}) if template is not None else {}
        target = body
        for part in self.data.get("wrap", "").split("/")[1:]:
            target = target.setdefault(part, {})
        for argument in members:
            insert(target, self.body_path(argument.wire), argument.leaf)
        return body

    def body_path(self, wire):
        """The names from the body to a member: dots lead into JSON, brackets into forms."""
        if self.body_format == "json":
            return wire.split(".")
        return re.findall(r"[^\[\]]+", wire)

    def expand(self, value, items):
        """The template with leaves for placeholders. `items` has the leaf of `{item}`."""
        if isinstance(value, str):
            return self.expand_text(value, items)
        if isinstance(value, list):
            return [self.expand(item, items) for item in value]
        if not isinstance(value, dict):
            return value
        if "$each" in value:
            return self.expand_each(value, items)
        if "$choose" in value:
            choices = [self.expand(item, items) for key, item in value.items() if key != "$choose"]
            return Choice(choices, "else" in value or self.is_given(value["$choose"]))
        if any(key.startswith("$") for key in value) and len(value) == 1:
            return Leaf({"type": "string"}, any(self.is_given(name) for name in names_in(value)))
        return {key: self.expand(item, items) for key, item in value.items()}

    def expand_each(self, value, items):
        each = self.find(value["$each"], items)
        item = Leaf(each.schema.get("items", {}), True)
        return Each(self.expand(value["item"], {"item": item}), each.given)

    def expand_text(self, text, items):
        whole = PLACEHOLDER.fullmatch(text)
        if whole:
            return self.find(whole[1], items)
        names = PLACEHOLDER.findall(text)
        if not names:
            return text.replace("{{", "{").replace("}}", "}")
        return Leaf({"type": "string"}, all(self.find(name, items).given for name in names))

    def find(self, dotted, items):
        """The leaf of a placeholder such as `to` or `item.name`."""
        first, *rest = dotted.split(".")
        if first in items:
            leaf = items[first]
        elif first in self.inputs:
            leaf = self.leaf(first)
        else:
            return Leaf({}, False)
        for part in rest:
            required = leaf.schema.get("required")
            given = leaf.given and isinstance(required, list) and part in required
            leaf = Leaf(leaf.schema.get("properties", {}).get(part, {}), given)
        return leaf

    def is_given(self, dotted):
        return self.find(dotted, {}).given


@dataclass
class Each:
    """A list in which each item is made from one of an argument."""

    item: object
    given: bool


@dataclass
class Choice:
    """One of some values."""

    choices: list
    given: bool


def names_in(value):
    """The arguments that a template names."""
    if isinstance(value, str):
        return {name.split(".")[0] for name in PLACEHOLDER.findall(value)}
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    if isinstance(value, dict):
        named = {value[key].split(".")[0] for key in ("$each", "$choose") if isinstance(value.get(key), str)}
        return named.union(*map(names_in, value.values()))
    return set()


def insert(target, path, leaf):
    """Puts a leaf into a body. What can be one of some objects has it in each."""
    if isinstance(target, Choice):
        for choice in target.choices:
            insert(choice, path, leaf)
    elif len(path) == 1:
        # A template's own value is sent if the argument is left out.
        target[path[0]] = replace(leaf, given=True) if path[0] in target else leaf
    else:
        insert(target.setdefault(path[0], {}), path[1:], leaf)


def split_url(url):
    """Host and path of a URL, which may have variables."""
    parts = urlsplit(re.sub(r"\{(\w+)\}", r"{\1}", url))
    return parts.netloc, url.split("//", 1)[-1].partition("/")[1] + url.split("//", 1)[-1].partition("/")[2]


def load(slug):
    """The tools of a toolkit."""
    folder = ROOT / "toolkits" / slug
    base_url = tomllib.loads((folder / "toolkit.toml").read_text())["base_url"]
    return [Tool(data, base_url) for data in tomllib.loads((folder / "tools.toml").read_text())["tools"]]
