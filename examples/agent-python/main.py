"""An agent that keeps a user's notes: a model of OpenAI, and tools of composio.

    pip install -r requirements.txt
    export COMPOSIO_BASE_URL=http://127.0.0.1:8080 COMPOSIO_API_KEY=ak_... OPENAI_API_KEY=sk-...
    python main.py ["What the agent should do"]

There is nothing about this server below: the SDK takes its address and the key from the environment."""

import json
import sys

from composio import Composio
from openai import OpenAI

USER = "agent-user"
MODEL = "gpt-4o"
TOOLS = ["SANDBOX_CREATE_NOTE", "SANDBOX_LIST_NOTES", "SANDBOX_DELETE_NOTE", "SANDBOX_GET_PROFILE"]
TASK = "Write a note that says hello, show me all my notes, and delete the new one again."
# A model that never stops calling tools costs money.
MAX_ANSWERS = 20

composio = Composio()
openai = OpenAI()

# A session is one user's view. `preload` names the tools that the model gets.
session = composio.create(user_id=USER, toolkits=["sandbox"], preload={"tools": TOOLS})

# Is the user connected? Otherwise they get a link, and this waits for them.
(state,) = session.toolkits(toolkits=["sandbox"]).items
if not (state.connection and state.connection.is_active):
    request = session.authorize("sandbox")
    print(f"open {request.redirect_url}", flush=True)
    request.wait_for_connection(timeout=120)
print("connected")


def run(call):
    """One call of the model: what it gets to read about it. A tool that fails says why in `error`."""
    try:
        return composio.provider.execute_tool_call(session=session, tool_call=call)
    except Exception as error:
        # Such as an argument that the tool does not have. The model can correct itself.
        return {"data": {}, "successful": False, "error": str(error)}


messages = [
    {"role": "system", "content": "You keep the user's notes. If a tool asks for a link to be opened, pass it on."},
    {"role": "user", "content": sys.argv[1] if len(sys.argv) > 1 else TASK},
]
tools = session.tools()
for _ in range(MAX_ANSWERS):
    message = openai.chat.completions.create(model=MODEL, messages=messages, tools=tools).choices[0].message
    messages.append(message)
    if not message.tool_calls:
        break
    for call in message.tool_calls:
        result = run(call)
        print(f"{call.function.name} {call.function.arguments}: {result['error'] or 'ok'}")
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})

print(f"agent: {message.content}")
