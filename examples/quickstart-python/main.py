"""Connects one user's account and acts with it, with composio's own SDK.

    pip install composio
    export COMPOSIO_BASE_URL=http://127.0.0.1:8080 COMPOSIO_API_KEY=ak_...
    python main.py [TOOLKIT [ENDPOINT]]

There is nothing about this server below: the SDK takes its address and the key from the environment."""

import sys

from composio import Composio

TOOLKIT = sys.argv[1] if len(sys.argv) > 1 else "sandbox"
ENDPOINT = sys.argv[2] if len(sys.argv) > 2 else "/me"
USER = "quickstart-user"

composio = Composio()

# What can be connected, and what it needs.
toolkit = composio.toolkits.get(TOOLKIT)
print(f"{toolkit.name} connects with {', '.join(it.mode for it in toolkit.auth_config_details)}")

# A session is one user's view: these toolkits, this user's accounts.
session = composio.create(user_id=USER, toolkits=[TOOLKIT])
print(f"session {session.session_id}")

# Is something connected already? Otherwise the user gets a link, and this waits for them.
(state,) = session.toolkits(toolkits=[TOOLKIT]).items
if state.connection and state.connection.is_active:
    print(f"already connected: {state.connection.connected_account.id}")
else:
    request = session.authorize(TOOLKIT)
    print(f"open {request.redirect_url}", flush=True)
    account = request.wait_for_connection(timeout=120)
    print(f"connected: {account.id}")

# All accounts of this user.
for account in composio.connected_accounts.list(user_ids=[USER], statuses=["ACTIVE"]).items:
    print(f"account {account.id} of {account.toolkit.slug} is {account.status}")

# A call to the provider's own API with the user's account.
answer = session.proxy_execute(toolkit=TOOLKIT, endpoint=ENDPOINT, method="GET")
answer = answer if isinstance(answer, dict) else answer.model_dump()
print(f"{ENDPOINT} answered {answer['status']}: {answer['data']}")

# The same session again, elsewhere: only its id has to be kept.
print(f"used again: {composio.use(session.session_id).session_id}")
