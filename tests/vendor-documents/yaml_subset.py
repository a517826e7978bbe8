"""Reads the YAML that generators of OpenAPI documents write: block mappings and lists, plain and quoted texts, block
texts (`|`, `>`), empty or simple flow lists and mappings, and anchors of blocks. No tags, no several documents."""

import json
import re

QUOTED = r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
KEY = re.compile(QUOTED + r"""|[^\s#&*!|>%@`"'\[\]{},-][^#]*?|-[^\s#][^#]*?|[^\s"'{\[]*?):(?:\s+(.*)|)$""")
CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$")


def parse(text):
    """The value of a document."""
    return Reader(text).block(0)


class Reader:
    """The lines of a document, read from top to bottom."""

    def __init__(self, text):
        self.lines = text.splitlines()
        self.at = 0
        self.anchors = {}

    def peek(self):
        """Indentation and content of the next line that has content. (-1, "") at the end."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            content = line.lstrip(" ")
            if content and not content.startswith("#") and content != "---":
                return len(line) - len(content), content.rstrip()
            self.at += 1
        return -1, ""

    def block(self, least):
        """The mapping, list or text that begins at the next line, if it is indented enough."""
        indent, content = self.peek()
        if indent < least:
            return None
        if content == "-" or content.startswith("- "):
            return self.list(indent)
        if KEY.match(content):
            return self.mapping(indent)
        self.at += 1
        return self.scalar(content, indent)

    def list(self, indent):
        items = []
        while True:
            here, content = self.peek()
            if here != indent or not (content == "-" or content.startswith("- ")):
                return items
            rest = content[1:].lstrip(" ")
            if not rest:
                self.at += 1
                items.append(self.block(indent + 1))
            elif KEY.match(rest) and rest[0] not in "{[":
                inner = indent + len(content) - len(rest)
                self.lines[self.at] = " " * inner + rest
                items.append(self.mapping(inner))
            else:
                self.at += 1
                items.append(self.scalar(rest, indent + 1))

    def mapping(self, indent):
        found = {}
        while True:
            here, content = self.peek()
            match = KEY.match(content) if here == indent else None
            if not match or content.startswith("- "):
                return found
            self.at += 1
            key, rest = self.key(match[1]), (match[2] or "").strip()
            found[key] = self.value(rest, indent)

    def key(self, text):
        return self.quoted(text) if text[:1] in ("'", '"') else text.strip()

    def value(self, rest, indent):
        """What follows a colon: on this line, or indented on the next ones."""
        if re.fullmatch(r"&\w+", rest):
            return self.anchors.setdefault(rest[1:], self.value("", indent))
        if rest and not rest.startswith("#"):
            return self.scalar(rest, indent + 1)
        here, content = self.peek()
        if here == indent and (content == "-" or content.startswith("- ")):
            return self.list(indent)
        return self.block(indent + 1)

    def scalar(self, text, least):
        """A text of one or more lines, or a flow list or mapping."""
        if re.fullmatch(r"\*\w+", text):
            return self.anchors[text[1:]]
        if re.match(r"[|>][-+\d]*$", text):
            return self.block_text(text, least)
        if text[0] in "\"'":
            return self.quoted(self.joined(text, least, is_closed))
        if text[0] in "[{":
            return flow(self.joined(text, least, is_balanced))
        return plain(self.joined(re.sub(r"\s+#.*", "", text), least, None))

    def joined(self, text, least, is_complete):
        """The text with the lines that continue it."""
        while not (is_complete and is_complete(text)):
            here, content = self.peek_raw()
            if here < least:
                return text
            text += " " + content
            self.at += 1
        return text

    def peek_raw(self):
        """The next line, also if it begins with `#`. An empty line goes on."""
        while self.at < len(self.lines) and not self.lines[self.at].strip():
            self.at += 1
        if self.at == len(self.lines):
            return -1, ""
        line = self.lines[self.at]
        return len(line) - len(line.lstrip(" ")), line.strip()

    def block_text(self, header, least):
        lines = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and len(line) - len(line.lstrip(" ")) < least:
                break
            lines.append(line)
            self.at += 1
        indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
        return (" " if header[0] == ">" else "\n").join(line[indent:] for line in lines).strip()

    def quoted(self, text):
        text = text.strip()
        if text[0] == "'":
            return text[1 : text.rindex("'")].replace("''", "'")
        return json.loads(text[: text.rindex('"') + 1], strict=False)


def is_closed(text):
    quote = text[0]
    rest = re.sub(r"\\.", "", text[1:]) if quote == '"' else text[1:].replace("''", "")
    return quote in rest


def is_balanced(text):
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', "", text)
    return sum(bare.count(one) for one in "[{") <= sum(bare.count(one) for one in "]}")


def flow(text):
    """A flow list or mapping: JSON, or plain words."""
    try:
        return json.loads(text)
    except ValueError:
        inner = text.strip()[1:-1].strip()
    parts = [part.strip() for part in inner.split(",") if part.strip()]
    if text[0] == "[":
        return [plain(part.strip("\"'")) for part in parts]
    return {key.strip(): plain(value.strip()) for key, _, value in (part.partition(":") for part in parts)}


def plain(text):
    """The value of a text without quotes."""
    text = text.strip()
    if text.lower() in CONSTANTS:
        return CONSTANTS[text.lower()]
    if NUMBER.match(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    return text
