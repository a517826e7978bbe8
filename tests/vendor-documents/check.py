#!/usr/bin/env python3
"""Checks the tools of the toolkits against the vendors' own documents: python3 check.py FOLDER [--toolkit SLUG].

FOLDER is the one that fetch.py has filled. Prints a line for each finding, then how many tools were checked. Ends with
1 if there is a finding that exceptions.json does not explain, or an exception that no longer applies.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import documents
import toolkit
from request_check import check_tool

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--toolkit", help="check only this one")
    options = parser.parse_args()
    covered = documents.toolkits()
    if options.toolkit and options.toolkit not in covered:
        sys.exit(f"no document covers {options.toolkit}")
    exceptions = Exceptions(json.loads((HERE / "exceptions.json").read_text()))
    findings, counts = [], []
    for slug in [options.toolkit] if options.toolkit else sorted(covered):
        found, count = check_toolkit(slug, covered[slug], options.folder, exceptions)
        findings += found
        counts.append(f"{slug} {count}")
    findings += exceptions.unused(options.toolkit)
    for finding in findings:
        print(finding)
    print(f"tools checked: {', '.join(counts)}; findings: {len(findings)}; explained: {len(exceptions.used)}")
    sys.exit(1 if findings else 0)


def check_toolkit(slug, sources, folder, exceptions):
    """The findings of a toolkit and the number of tools that a document covers."""
    loaded = [(documents.load(package, document, folder), settings) for package, document, settings in sources]
    findings, count = [], 0
    for tool in toolkit.load(slug):
        name, wrong = check(tool, loaded)
        is_covered = wrong != ["no document describes the request"]
        for text in wrong:
            if not exceptions.explain(slug, tool.slug, text):
                findings.append(f"toolkits/{slug}/tools.toml {tool.slug}: {text} (document: {name})")
        count += is_covered
    return findings, count


def check(tool, loaded):
    """The document that describes a tool's request, and what is wrong. The first one with the request decides."""
    for document, settings in loaded:
        if hasattr(document, "check"):
            return document.name, document.check(tool) if tool.graphql else ["no document describes the request"]
        path = tool.path
        for pattern, replacement in settings.get("rewrite", []):
            path = re.sub(pattern, replacement, path)
        operation = document.find(tool.method, path, tool.host if tool.is_absolute else None)
        if operation:
            return document.name, check_tool(tool, operation, document)
    return ", ".join(document.name for document, _ in loaded), ["no document describes the request"]


class Exceptions:
    """Findings that are right although the document says otherwise."""

    def __init__(self, data):
        self.known = {
            (one["toolkit"], tool, text) for one in data for tool, texts in one["findings"].items() for text in texts
        }
        self.used = set()

    def explain(self, slug, tool, text):
        """Whether there is a reason for a finding."""
        key = (slug, tool, text)
        if key in self.known:
            self.used.add(key)
        return key in self.known

    def unused(self, only):
        """Exceptions that explain nothing: the tool or the document has changed."""
        for slug, tool, text in sorted(self.known - self.used):
            if only in (None, slug):
                yield f"tests/vendor-documents/exceptions.json: {slug} {tool}: there is no finding {text!r}"


if __name__ == "__main__":
    try:
        main()
    except documents.Missing as error:
        print(error, file=sys.stderr)
        sys.exit(2)
