"""Published clients of MCP, unmodified, against the endpoint of a session: each lists the tools, gets a link for the
user, waits until the user has connected, and calls a tool. Frameworks of agents do so with the scripted model of
tests/sdk/model. One JSON line per client.

Environment: BASE_URL (origin of the server), KEY (project API key), MODEL_URL (origin of the model). The arguments name
the clients, since not all can be installed together. A line is {"name", "outcome", "note", "ms"}; outcome is works or
failed. Exits 1 when a client failed."""

import asyncio
import itertools
import json
import os
import sys
import time
import traceback
import urllib.request
import warnings
from pathlib import Path

# Read when packages are imported: nothing may be sent outside of this run.
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).parent.parent / "sdk"))

from person import Person  # noqa: E402

BASE, KEY, MODEL = (os.environ[name].rstrip("/") for name in ("BASE_URL", "KEY", "MODEL_URL"))
HEADERS = {"x-api-key": KEY}
MANAGE, WAIT, CREATE = "COMPOSIO_MANAGE_CONNECTIONS", "COMPOSIO_WAIT_FOR_CONNECTIONS", "SANDBOX_CREATE_NOTE"
# A wait lasts up to 50 seconds.
TIMEOUT = 60
USERS = itertools.count(1)


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, HEADERS | {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def new_session():
    """The URL of the endpoint of a new session, whose user has connected nothing."""
    body = {
        "user_id": f"mcp-{os.getpid()}-{next(USERS)}",
        "toolkits": {"enable": ["sandbox"]},
        "preload": {"tools": [CREATE]},
        "manage_connections": {"enable": True, "enable_wait_for_connections": True},
    }
    return fetch(f"{BASE}/api/v3.1/tool_router/session", body)["mcp"]["url"]


async def by_hand(tools, call):
    """What an application does that has no model. `call` returns the text of the result."""

    async def data(name, arguments):
        answer = json.loads(await call(name, arguments))
        assert answer["successful"] is True and answer["error"] is None, answer
        return answer["data"]

    names = [tool.name for tool in tools]
    assert names[0] == CREATE and {MANAGE, WAIT} < set(names), names
    link = await data(MANAGE, {"toolkits": ["sandbox"]})
    opening = asyncio.create_task(asyncio.to_thread(Person().follow, link["results"]["sandbox"]["redirect_url"]))
    waited = await data(WAIT, {"toolkits": ["sandbox"]})
    assert waited["results"]["sandbox"]["status"] == "ACTIVE", waited
    made = await data(CREATE, {"text": "written by hand"})
    assert made["text"] == "written by hand" and made["id"].startswith("note_"), made
    await opening


def text_of(result):
    (part,) = result.content
    return part.text


async def mcp_1():
    """`mcp` 1, which knows revisions with a handshake."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(new_session(), headers=HEADERS) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        hello = await session.initialize()
        assert hello.protocolVersion == "2025-11-25", hello

        async def call(name, arguments):
            result = await session.call_tool(name, arguments)
            assert not result.isError, result
            return text_of(result)

        await by_hand((await session.list_tools()).tools, call)


async def mcp_2():
    """`mcp` 2, which asks for the newest revision first."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    async with create_mcp_http_client(headers=HEADERS) as http:
        async with Client(streamable_http_client(new_session(), http_client=http)) as client:
            assert client.protocol_version == "2026-07-28", client.protocol_version

            async def call(name, arguments):
                result = await client.call_tool(name, arguments)
                assert not result.is_error, result
                return text_of(result)

            await by_hand((await client.list_tools()).tools, call)


async def with_model(name, ask):
    """What a user of an agent sees. `ask` says something and returns what the model answers."""
    answer = await ask("Keep a note.")
    assert answer.startswith("Please open "), answer
    opening = asyncio.create_task(asyncio.to_thread(Person().follow, answer.removeprefix("Please open ")))
    answer = await ask("I am opening it. Go on.")
    assert answer.startswith("created note_"), answer
    await opening
    found = fetch(f"{MODEL}/chat/{name}")
    assert found["requests"] == 5 and not found["refused"], found


def model_url(name):
    return f"{MODEL}/chat/{name}/v1"


async def langchain_mcp_adapters():
    """`langchain-mcp-adapters` with an agent of `langchain`."""
    from langchain.agents import create_agent
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_openai import ChatOpenAI

    connection = {"transport": "streamable_http", "url": new_session(), "headers": HEADERS}
    tools = await MultiServerMCPClient({"switchboard": connection}).get_tools()
    model = ChatOpenAI(model="gpt-4o", api_key="sk-test", base_url=model_url("langchain"), max_retries=0)
    agent, messages = create_agent(model, tools), []

    async def ask(text):
        messages.append({"role": "user", "content": text})
        messages[:] = (await agent.ainvoke({"messages": messages}))["messages"]
        return messages[-1].content

    await with_model("langchain", ask)


async def openai_agents():
    """`openai-agents`."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner
    from agents.mcp import MCPServerStreamableHttp
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key="sk-test", base_url=model_url("openai-agents"), max_retries=0)
    params = {"url": new_session(), "headers": HEADERS, "timeout": TIMEOUT}
    async with client, MCPServerStreamableHttp(params, client_session_timeout_seconds=TIMEOUT) as server:
        model = OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client)
        agent, items = Agent(name="notes", instructions="You keep notes.", model=model, mcp_servers=[server]), []

        async def ask(text):
            items.append({"role": "user", "content": text})
            result = await Runner.run(agent, items)
            items[:] = result.to_input_list()
            return result.final_output

        await with_model("openai-agents", ask)


async def pydantic_ai():
    """`pydantic-ai-slim`, whose client of MCP is that of `fastmcp`."""
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(api_key="sk-test", base_url=model_url("pydantic-ai"))
    toolset = MCPToolset(new_session(), headers=HEADERS, read_timeout=TIMEOUT)
    agent, history = Agent(OpenAIChatModel("gpt-4o", provider=provider), toolsets=[toolset]), []

    async def ask(text):
        result = await agent.run(text, message_history=history)
        history[:] = result.all_messages()
        return result.output

    async with agent:
        await with_model("pydantic-ai", ask)


CLIENTS = {
    "mcp 1": mcp_1,
    "mcp 2": mcp_2,
    "langchain-mcp-adapters": langchain_mcp_adapters,
    "openai-agents": openai_agents,
    "pydantic-ai-slim": pydantic_ai,
}


def main():
    failed = 0
    for name in sys.argv[1:]:
        started, outcome, note = time.time(), "works", ""
        try:
            asyncio.run(CLIENTS[name]())
        except BaseException as error:
            failed, outcome, note = failed + 1, "failed", "".join(traceback.format_exception(error))[-3000:]
        line = {"name": name, "outcome": outcome, "note": note}
        print(json.dumps({**line, "ms": round((time.time() - started) * 1000)}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
