"""What the Python test providers share: common options, the life cycle, and a WSGI layer before the provider that
records requests, injects faults and serves the paths that belong to the test. README.md documents them."""

import argparse
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from urllib.parse import parse_qs

FAULT_MEMBERS = {"path", "times", "delay_ms", "status", "headers", "body"}


def common_options(description):
    """A parser of the options that every Python provider has."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--issuer", help="origin under which the provider is reached")
    parser.add_argument("--redirect-uri", action="append", default=[])
    parser.add_argument("--redirect-uri-prefix", action="append", default=[])
    parser.add_argument("--login", default="alice")
    parser.add_argument("--form-login", action="store_true")
    return parser


def extends_by_a_segment(uri, prefixes):
    """Does `uri` add one path segment to one of `prefixes`?"""
    return any(uri.startswith(p) and re.fullmatch(r"[\w-]+", uri[len(p) :]) for p in prefixes)


def listen(options):
    """The listening socket, and the origin under which the provider is reached."""
    listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    return listener, options.issuer or f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve(listener, application, ready):
    """Serves until SIGTERM or the end of stdin; says that it is ready once it is."""
    from waitress import create_server

    server = create_server(application, sockets=[listener], threads=8, _start=True)
    print(json.dumps({"ready": True, "port": listener.getsockname()[1], **ready}), flush=True)
    server.run()


def quit_with_parent():
    """A test that dies closes our stdin, so no provider outlives the test that started it."""

    def watch():
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=watch, daemon=True).start()


class Front:
    """The layer. `redirect_uris(added)` registers some and answers all of them."""

    def __init__(self, inner, token_path, redirect_uris):
        self.inner = inner
        self.token_path = token_path
        self.redirect_uris = redirect_uris
        self.seen = []
        self.faults = []

    def __call__(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        query = environ.get("QUERY_STRING", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if path == "/health":
            return answer_json(start_response, "ok")
        if path == "/_seen":
            if method == "DELETE":
                self.seen.clear()
            wanted = parse_qs(query).get("path", [self.token_path])[0]
            return answer_json(start_response, [s for s in self.seen if wanted in ("*", s["url"].split("?")[0])])
        if path == "/_fault":
            return self.change_faults(method, body, start_response)
        if path == "/_control/redirect_uris":
            added = json.loads(body)["add"] if method == "POST" else []
            return answer_json(start_response, {"redirect_uris": self.redirect_uris(added)})
        url = path + ("?" + query if query else "")
        request = {"method": method, "url": url, "headers": headers(environ), "body": body.decode("latin-1")}
        self.seen.append({"at": int(time.time() * 1000), **request})
        fault = self.take_fault(path)
        time.sleep(fault.get("delay_ms", 0) / 1000)
        if {"status", "body"} & fault.keys():
            return played(fault, start_response)
        environ["wsgi.input"] = io.BytesIO(body)
        return self.inner(environ, start_response)

    def change_faults(self, method, body, start_response):
        if method == "DELETE":
            self.faults.clear()
        if method == "POST":
            added = json.loads(body)
            added = added if isinstance(added, list) else [added]
            unknown = {name for fault in added for name in fault} - FAULT_MEMBERS
            if unknown:
                return answer_json(start_response, {"unknown": sorted(unknown)}, "400 Bad Request")
            self.faults.extend(added)
        return answer_json(start_response, self.faults)

    def take_fault(self, path):
        for fault in self.faults:
            if fault.get("path", path) == path and fault.get("times", 1) > 0:
                if "times" in fault:
                    fault["times"] -= 1
                return fault
        return {}


def played(fault, start_response):
    """The answer that a fault wants instead of the provider's."""
    data = fault.get("body", "").encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(data)), **fault.get("headers", {})}
    start_response(f"{fault.get('status', 200)} Fault", list(named.items()))
    return [data]


def answer_json(start_response, value, status="200 OK", more=()):
    data = json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data))), *more])
    return [data]


def headers(environ):
    """The request's headers under their lower-case names (WSGI hides them behind HTTP_)."""
    found = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found
