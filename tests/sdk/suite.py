"""What the conformance suite is made of: the list of an SDK's methods, read from the SDK itself, and
cases that print one JSON line each."""

import functools
import inspect
import json
import os
import re
import time
import traceback
import urllib.request

CASES = []
RECORDER = os.environ.get("RECORDER")
# Public, and without a request: what makes objects, checks signatures, or counts requests.
LOCAL = {
    "client.close", "client.copy", "client.with_options", "client.delete", "client.get", "client.patch", "client.post",
    "client.put", "client.request", "client.get_api_list", "client.from_env", "client.is_closed", "client.platform_headers",
    "connection_request.from_id", "experimental.tool", "experimental.Toolkit", "triggers.parse", "triggers.verify_webhook", "session.custom_tools", "session.custom_toolkits",
}
HELPERS = {"logger", "sanitize_payload", "provider", "client", "request_ctx", "qs", "timeout", "not_given", "sdk_auth", "without_retries"}


def methods_of(thing, prefix, found=None, seen=None):
    """Every public method below an object of the SDK: its dotted name and its callable. What is
    reached twice counts once."""
    found, seen = {} if found is None else found, set() if seen is None else seen
    for name in dir(thing):
        if name.startswith(("_", "with_")) or name in HELPERS:
            continue
        value = getattr(thing, name, None)
        if inspect.isclass(value) or isinstance(value, str) or hasattr(value, "model_dump"):
            continue
        if inspect.isroutine(value) or isinstance(value, functools.partial):
            found[prefix + name] = value
        elif type(value).__module__.split(".")[0] in ("composio", "composio_client") and type(value) not in seen:
            seen.add(type(value))
            methods_of(value, f"{prefix}{name}.", found, seen)
    return found


def case(name, *methods):
    """A named case. It covers the method that is the first word of its name, unless told otherwise."""

    def keep(function):
        CASES.append((name, methods or (name.split(" ")[0],), function))
        return function

    return keep


class Absent(Exception):
    """This SDK line lacks what the case needs."""


def take():
    """The operations that reached the server since the last look, as `METHOD /path`."""
    if not RECORDER:
        return []
    with urllib.request.urlopen(urllib.request.Request(RECORDER, method="POST"), timeout=10) as answer:
        return json.load(answer)


# What the methods of the case called: (method, operations) in their order.
CALLS = []


def watched(name, function):
    """A method that notes which operations it calls."""

    @functools.wraps(function)
    def call(*arguments, **named):
        take()
        try:
            return seen(function(*arguments, **named))
        finally:
            CALLS.append((name, take()))

    return call


class Seen:
    """An object of the SDK, looked at from outside; the SDK itself is left as it is."""

    def __init__(self, thing, name):
        self._thing, self._name = thing, name

    def __getattr__(self, key):
        value, name = getattr(self._thing, key), f"{self._name}{key}"
        if inspect.isroutine(value) or isinstance(value, functools.partial):
            return watched(f"composio.{name}" if name in ("create", "use") else name, value)
        if type(value).__module__.split(".")[0] in ("composio", "composio_client") and not hasattr(value, "model_dump"):
            return Seen(value, f"{name}.")
        return value


def seen(value):
    """What a method returned: sessions and connection requests have methods of their own."""
    kind = type(value).__name__
    if kind.startswith("ToolRouterSession") and hasattr(value, "session_id") and hasattr(value, "authorize"):
        return Seen(value, "session.")
    return Seen(value, "connection_request.") if kind == "ConnectionRequest" else value


def chain(error):
    """An error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def status(error):
    """The status of the answer behind an error; None when there was none."""
    return next((it.status_code for it in chain(error) if isinstance(getattr(it, "status_code", None), int)), None)


def fails(function, *arguments, **named):
    """The error of a call that has to fail."""
    try:
        answer = function(*arguments, **named)
    except Exception as error:
        return error
    raise AssertionError(f"expected an error, got {answer!r}"[:400])


def is_not_built(error):
    """Whether an SDK's error is our answer for what is not built: status, slug and advice."""
    text = " ".join(f"{it} {getattr(it, 'body', '')}" for it in chain(error))
    return status(error) == 501 and "HTTP_NotImplemented" in text and "docs/compatibility.md" in text


def filled(function, missing=()):
    """Arguments that a method demands, with something in each."""
    positional, named = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        wanted = parameter.default is parameter.empty
        # Optional in the signature only because there are two ways to give it.
        if not wanted and parameter.name not in ("nanoid", "server_id", "session_id", *missing):
            continue
        kind = str(parameter.annotation)
        value = "x"
        if parameter.name == "x_user_api_key":
            value = os.environ.get("USER_KEY", "x")
        elif "Literal[" in kind:
            value = kind.split("Literal[", 1)[1].split("'")[1]
        elif any(word in kind for word in ("Sequence", "Iterable", "list[", "List[")):
            value = ["x"]
        elif any(word in kind for word in ("Dict", "dict", "_params.", "Mapping", "Webhook")):
            value = {}
        elif "bool" in kind:
            value = True
        elif "float" in kind or "int" in kind.split("|")[0]:
            value = 1
        if parameter.kind is parameter.KEYWORD_ONLY or not wanted:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def fails_filled(function):
    """The error of a call with something in every argument. The newer client says which it misses."""
    positional, named = filled(function)
    error = fails(lambda: function(*positional, **named))
    for _ in range(3):
        if not isinstance(error, TypeError) or "Missing required" not in str(error):
            break
        missing = [it.replace("-", "_") for it in re.findall(r"'([^']+)'", str(error))]
        more = filled(function, missing)[1]
        named |= {it: more.get(it, "x") for it in missing}
        error = fails(lambda: function(*positional, **named))
    return error


def report(name, methods, outcome, note, started):
    operations = [it for method, called in CALLS if method in methods for it in called]
    if outcome == "501" and not operations and CALLS:
        operations = CALLS[-1][1]  # The preparation went no further.
    line = {"name": name, "methods": list(methods), "operations": list(dict.fromkeys(operations)), "outcome": outcome}
    print(json.dumps({**line, "note": str(note)[:900], "ms": round((time.time() - started) * 1000)}), flush=True)
    return outcome == "failed"


def attempt(name, methods, action):
    """Runs one case and prints its line; whether it failed."""
    started = time.time()
    CALLS.clear()
    try:
        outcome, note = "501" if action() == "501" else "works", ""
    except Absent as error:
        outcome, note = "absent", error
    except Exception as error:
        # A case may be there before its operation is.
        outcome, note = "501" if is_not_built(error) else "failed", f"{type(error).__name__}: {error}"
        if os.environ.get("TRACE"):
            traceback.print_exc()
    return report(name, methods, outcome, note, started)


def run(known, only=()):
    """Runs every case, then every method without a case, which is expected not to be built. `known`: name → a list of
    methods, one for each client. With words, only the cases that have one of them. 1 when a case failed."""
    covered, failed = set(), 0
    for name, methods, function in CASES:
        covered.update(methods)
        if only and not any(word in name for word in only):
            continue
        if missing := [it for it in methods if it not in known]:
            report(name, methods, "absent", f"no {', '.join(missing)}", time.time())
        else:
            failed += attempt(name, methods, function)
    for name in sorted(set(known) - covered - LOCAL):
        if not only or any(word in name for word in only):
            failed += attempt(name, [name], lambda: without_case([watched(name, it) for it in known[name]]))
    return 1 if failed else 0


def without_case(functions):
    for function in functions:
        error = fails_filled(function)
        # An operation for another kind of key: the next client has one.
        if status(error) not in (401, 403):
            break
        if function is not functions[-1]:
            CALLS.clear()
    try:
        return assert_not_built(error)
    except AssertionError as reason:
        raise AssertionError(f"a method without a case: {reason}") from None


def not_built(function, *arguments, **named):
    """Asserts that a call ends quickly, with one request, in the SDK's error for a 501 of ours."""
    started = time.time()
    error = fails(function, *arguments, **named)
    assert time.time() - started < 5, "it took too long: is it retried?"
    return assert_not_built(error)


def assert_not_built(error):
    assert is_not_built(error), f"{type(error).__name__} {status(error)}: {error}"
    assert not CALLS or len(CALLS[-1][1]) <= 1, f"retried: {CALLS[-1]}"
    return "501"
