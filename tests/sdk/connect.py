"""Connects an account as an application does it: with composio's own Python SDK, unmodified.

Environment: BASE_URL (origin of the server), KEY (project API key), TOOLKIT (sandbox), USER_ID (sdk-user),
CALLBACK_URL (optional), WAIT (seconds to wait for the user, 60), PROXY (an endpoint such as /api/me, optional).
Prints `REDIRECT_URL <url>` as soon as there is one, then, when the user has connected, one JSON line
{"status", "id"}, then with PROXY another one {"proxy_status", "data"}. Exits 1 when anything fails."""

import atexit
import json
import os
import shutil
import tempfile

# Read when the SDK is imported: nothing may be sent or cached outside of this run.
os.environ["TELEMETRY_DISABLED"] = os.environ["COMPOSIO_DISABLE_TELEMETRY"] = "true"
os.environ["COMPOSIO_CACHE_DIR"] = tempfile.mkdtemp(prefix="composio-cache-")
atexit.register(shutil.rmtree, os.environ["COMPOSIO_CACHE_DIR"], ignore_errors=True)

from composio import Composio  # noqa: E402


def main():
    toolkit = os.environ.get("TOOLKIT", "sandbox")
    composio = Composio(api_key=os.environ["KEY"], base_url=os.environ["BASE_URL"].rstrip("/"), allow_tracking=False)
    session = composio.create(user_id=os.environ.get("USER_ID", "sdk-user"), toolkits=[toolkit])

    callback = {"callback_url": os.environ["CALLBACK_URL"]} if "CALLBACK_URL" in os.environ else {}
    request = session.authorize(toolkit, **callback)
    print("REDIRECT_URL", request.redirect_url, flush=True)
    account = request.wait_for_connection(timeout=float(os.environ.get("WAIT", "60")))
    print(json.dumps({"status": account.status, "id": account.id}), flush=True)
    if account.status != "ACTIVE":
        raise SystemExit(1)

    if "PROXY" in os.environ:
        answer = session.proxy_execute(toolkit=toolkit, endpoint=os.environ["PROXY"], method="GET")
        print(json.dumps({"proxy_status": field(answer, "status"), "data": field(answer, "data")}), flush=True)


def field(answer, name):
    """One field of an answer that is an object in one SDK line and a mapping in the other."""
    value = answer.get(name) if isinstance(answer, dict) else getattr(answer, name, None)
    return value.model_dump() if hasattr(value, "model_dump") else value


if __name__ == "__main__":
    main()
