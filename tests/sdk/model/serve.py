"""A scripted model behind the APIs of OpenAI and Anthropic, for tests of agents: real HTTP, real clients, no model.

    python serve.py            prints its origin; ends when its standard input ends

A base URL is {origin}/{script}/{run}/v1: the script is one of scripts.py, and a run is any word that tells the
requests of one test from those of others. GET {origin}/{script}/{run} says how many requests there were, which tools
were offered, and what was refused."""

import collections
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rules import Refused  # noqa: E402
from scripts import SCRIPTS  # noqa: E402
from wire import APIS  # noqa: E402

RUNS = collections.defaultdict(lambda: {"requests": 0, "tools": [], "refused": []})


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send(200, RUNS[self.path.strip("/")])

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        script, run, _, path = self.path.split("?")[0].strip("/").split("/", 3)
        api, kept = APIS[path], RUNS[f"{script}/{run}"]
        kept["requests"] += 1
        try:
            talk = api.read(body, {key.lower(): value for key, value in self.headers.items()})
            kept["tools"] = [tool["name"] for tool in talk.tools]
            answer = SCRIPTS[script](talk)
        except (Refused, KeyError, TypeError, AttributeError) as error:
            # Clients do not repeat a 400, and show its message.
            message = f"scripted model, {script}: {type(error).__name__}: {error}"
            kept["refused"].append(message)
            kind = {"type": "invalid_request_error", "message": message}
            return self.send(400, {"type": "error", "error": {**kind, "param": None, "code": None}})
        response = api.write(body, answer)
        if body.get("stream"):
            return self.stream(api.events(response))
        return self.send(200, response)

    def send(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for name, value in events:
            head = f"event: {name}\n" if name else ""
            text = value if isinstance(value, str) else json.dumps(value)
            self.wfile.write(f"{head}data: {text}\n\n".encode())

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
