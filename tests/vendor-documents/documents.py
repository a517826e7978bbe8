"""Loads the documents that fetch.py has fetched, each as an OpenAPI document or, for GraphQL, as a schema."""

import json
from pathlib import Path

import discovery
import fetch
import graphql
import openapi_generator
import speakeasy
import typescript_documents
import yaml_subset
from operations import Document

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """A document is not there."""


def entries():
    """The documents of documents.json, each with its package."""
    for package in json.loads((HERE / "documents.json").read_text())["packages"]:
        for document in package["documents"]:
            yield package, document


def toolkits():
    """The toolkits that documents cover, with the settings of each in its documents."""
    found = {}
    for package, document in entries():
        for slug, settings in document["toolkits"].items():
            found.setdefault(slug, []).append((package, document, settings))
    return found


def load(package, document, folder, cache={}):
    """A document. It is read once."""
    path = folder / fetch.directory(package) / document["file"]
    if path not in cache:
        if not path.exists():
            raise Missing(f"{path} is not there: run fetch.py first")
        cache[path] = read(document, path, f"{package['package']} {package['version']}, {path.name}")
    return cache[path]


def read(document, path, name):
    kind = document["kind"]
    if kind == "graphql-types":
        return graphql.Schema(name, path.read_text(), document["path"])
    if kind == "openapi":
        data = yaml_subset.parse(path.read_text()) if path.suffix in (".yml", ".yaml") else json.loads(path.read_text())
    elif kind == "discovery":
        data = discovery.to_openapi(json.loads(path.read_text()))
    elif kind == "typescript-paths":
        data = typescript_documents.paths_to_openapi(path.read_text())
    elif kind == "notion-client":
        texts = ["\n".join(file.read_text() for file in sorted(path.glob(end))) for end in ("*.d.ts", "*.js")]
        data = typescript_documents.notion_to_openapi(*texts)
    elif kind == "openapi-generator":
        data = openapi_generator.to_openapi(path)
    elif kind == "speakeasy":
        data = speakeasy.to_openapi(path)
    else:
        raise ValueError(f"{kind} is no kind of document")
    if "server" in document:
        data["servers"] = [{"url": document["server"]}]
    return Document(name, data, document)
