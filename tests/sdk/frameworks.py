"""The provider packages of composio's Python SDK, unmodified, each with the framework that it is for, against a server
and the scripted model of tests/sdk/model; one JSON line per case.

Environment: BASE_URL (origin of the server), KEY (project API key), MODEL_URL (origin of the model), PUBLIC_FILES (the
server gives files at a public address, and has the toolkit of file-toolkits; optional).
Arguments: words of which a case's name must have one. A line is {"name", "outcome", "note", "ms"}; outcome is works or
failed. Exits 1 when a case failed."""

import atexit
import itertools
import json
import os
import shutil
import ssl
import sys
import tempfile
import time
import traceback
import urllib.request
import warnings

# Read when the SDK is imported: nothing may be sent or cached outside of this run.
os.environ["TELEMETRY_DISABLED"] = os.environ["COMPOSIO_DISABLE_TELEMETRY"] = "true"
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["COMPOSIO_CACHE_DIR"] = tempfile.mkdtemp(prefix="composio-cache-")
atexit.register(shutil.rmtree, os.environ["COMPOSIO_CACHE_DIR"], ignore_errors=True)
warnings.simplefilter("ignore")

from anthropic import Anthropic  # noqa: E402
from composio import Composio  # noqa: E402
from composio_anthropic import AnthropicProvider  # noqa: E402
from composio_client import NotFoundError  # noqa: E402
from composio_langchain import LangchainProvider  # noqa: E402
from composio_openai import OpenAIProvider, OpenAIResponsesProvider  # noqa: E402
from langchain.agents import create_agent  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from openai import OpenAI  # noqa: E402

from person import Person  # noqa: E402

BASE, KEY, MODEL = (os.environ[name].rstrip("/") for name in ("BASE_URL", "KEY", "MODEL_URL"))
META_TOOLS = [
    "COMPOSIO_SEARCH_TOOLS",
    "COMPOSIO_GET_TOOL_SCHEMAS",
    "COMPOSIO_MANAGE_CONNECTIONS",
    "COMPOSIO_MULTI_EXECUTE_TOOL",
]
SANDBOX = [
    "SANDBOX_CREATE_NOTE",
    "SANDBOX_DELETE_NOTE",
    "SANDBOX_GET_PROFILE",
    "SANDBOX_GET_WORKSPACE_SUMMARY",
    "SANDBOX_LIST_NOTES",
    "SANDBOX_LIST_WORKSPACES",
]
PUBLIC_FILES = bool(os.environ.get("PUBLIC_FILES"))
# No proxy of the environment, and the certificates that the SDK trusts.
OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))),
)
# A list longer than this is refused by OpenAI.
MOST_TOOLS = 128
USERS = itertools.count(1)


def text_of(result):
    """A tool's result as an application sends it to a model."""
    return json.dumps(result)


def results_of(calls, handle):
    """What becomes of the calls of one answer. An error of the API is an exception, which the model is told."""
    try:
        return [text_of(result) for result in handle()]
    except Exception as error:
        return [str(error) for _ in calls]


class ChatCompletions:
    """`composio_openai` and the chat completions of `openai`."""

    package, provider = "composio_openai", OpenAIProvider

    def __init__(self, composio, url, tools, target):
        self.client, self.tools = OpenAI(api_key="sk-test", base_url=url), tools
        self.composio, self.target = composio, target
        self.messages = [{"role": "system", "content": "You keep notes."}]

    def ask(self, text):
        self.messages.append({"role": "user", "content": text})
        while True:
            answer = self.client.chat.completions.create(model="gpt-4o", messages=self.messages, tools=self.tools)
            message = answer.choices[0].message
            self.messages.append(message)
            if not message.tool_calls:
                return message.content
            results = results_of(
                message.tool_calls, lambda: self.composio.provider.handle_tool_calls(response=answer, **self.target)
            )
            for call, result in zip(message.tool_calls, results, strict=True):
                self.messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


class Responses:
    """`composio_openai` and the responses of `openai`."""

    package, provider = "composio_openai responses", OpenAIResponsesProvider

    def __init__(self, composio, url, tools, target):
        self.client, self.tools = OpenAI(api_key="sk-test", base_url=url), tools
        self.composio, self.target, self.items = composio, target, []

    def ask(self, text):
        self.items.append({"role": "user", "content": text})
        while True:
            answer = self.client.responses.create(model="gpt-4o", input=self.items, tools=self.tools)
            self.items += answer.output
            calls = [it for it in answer.output if it.type == "function_call"]
            if not calls:
                return answer.output_text
            results = results_of(calls, lambda: self.composio.provider.handle_tool_calls(response=answer, **self.target))
            for call, result in zip(calls, results, strict=True):
                self.items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})


class Messages:
    """`composio_anthropic` and `anthropic`."""

    package, provider = "composio_anthropic", AnthropicProvider

    def __init__(self, composio, url, tools, target):
        self.client, self.tools = Anthropic(api_key="sk-ant-test", base_url=url.removesuffix("/v1")), tools
        self.composio, self.target, self.messages = composio, target, []

    def ask(self, text):
        self.messages.append({"role": "user", "content": text})
        while True:
            answer = self.client.messages.create(
                model="claude-opus-4-1", max_tokens=1024, messages=self.messages, tools=self.tools
            )
            self.messages.append({"role": "assistant", "content": answer.content})
            calls = [it for it in answer.content if it.type == "tool_use"]
            if not calls:
                return answer.content[0].text
            results = results_of(calls, lambda: self.composio.provider.handle_tool_calls(response=answer, **self.target))
            blocks = [
                {"type": "tool_result", "tool_use_id": call.id, "content": result}
                for call, result in zip(calls, results, strict=True)
            ]
            self.messages.append({"role": "user", "content": blocks})


class LangchainAgent:
    """`composio_langchain` and an agent of `langchain`, which runs the tools itself."""

    package, provider = "composio_langchain", LangchainProvider
    # An error of the API ends the agent, as any exception of a tool does.
    raises = True

    def __init__(self, _composio, url, tools, _target):
        model = ChatOpenAI(model="gpt-4o", api_key="sk-test", base_url=url)
        self.agent, self.messages = create_agent(model, tools), []

    def ask(self, text):
        self.messages.append({"role": "user", "content": text})
        self.messages = self.agent.invoke({"messages": self.messages})["messages"]
        return self.messages[-1].content


class LangchainModel:
    """`composio_langchain` and `bind_tools`: the application runs the tools."""

    package, provider, raises = "composio_langchain bind_tools", LangchainProvider, True
    # Definitions are those of the agent.
    without = {"definitions_of_all_tools"}

    def __init__(self, _composio, url, tools, _target):
        self.model = ChatOpenAI(model="gpt-4o", api_key="sk-test", base_url=url).bind_tools(tools)
        self.tools, self.messages = {tool.name: tool for tool in tools}, []

    def ask(self, text):
        self.messages.append({"role": "user", "content": text})
        while True:
            answer = self.model.invoke(self.messages)
            self.messages.append(answer)
            if not answer.tool_calls:
                return answer.content
            self.messages += [self.tools[call["name"]].invoke(call) for call in answer.tool_calls]


FRAMEWORKS = [ChatCompletions, Responses, Messages, LangchainAgent, LangchainModel]


def model_url(script, framework, *words):
    """A base URL of the model, and where it keeps the record of this run."""
    run = "-".join([framework.__name__, *words, str(os.getpid())])
    return f"{MODEL}/{script}/{run}/v1", f"{MODEL}/{script}/{run}"


def record(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def start(framework, **options):
    composio = Composio(provider=framework.provider(), api_key=KEY, base_url=BASE, allow_tracking=False, **options)
    return composio, f"{framework.__name__}-{os.getpid()}-{next(USERS)}"


def new_session(composio, user):
    return composio.create(user_id=user, toolkits=["sandbox"], preload={"tools": SANDBOX})


def connect(session):
    Person().follow(session.authorize("sandbox").redirect_url)


def says(answer, words):
    assert isinstance(answer, str) and words in answer, f"the model's last words: {answer!r}"


def notes_of_a_session(framework):
    """The tools of a session: create, list, delete, and a call that fails."""
    composio, user = start(framework)
    session = new_session(composio, user)
    connect(session)
    url, kept = model_url("notes", framework, "session")
    agent = framework(composio, url, session.tools(), {"session": session})
    says(agent.ask("Keep a note for a moment."), "created and deleted note_")
    found = record(kept)
    assert found["requests"] == 6 and sorted(found["tools"]) == sorted([*META_TOOLS, *SANDBOX]), found


def notes_without_a_session(framework):
    """The same with `tools.get`, for a user who has connected."""
    composio, user = start(framework)
    connect(new_session(composio, user))
    url, kept = model_url("notes", framework, "direct")
    agent = framework(composio, url, composio.tools.get(user_id=user, toolkits=["sandbox"]), {"user_id": user})
    says(agent.ask("Keep a note for a moment."), "created and deleted note_")
    found = record(kept)
    assert found["requests"] == 6 and set(SANDBOX) <= set(found["tools"]), found


def a_link_for_the_user(framework):
    """Nothing is connected: the model gets a link for the user, and lists the notes afterwards."""
    composio, user = start(framework)
    session = new_session(composio, user)
    url, kept = model_url("link", framework)
    agent = framework(composio, url, session.tools(), {"session": session})
    answer = agent.ask("List my notes.")
    says(answer, "Please open ")
    Person().follow(answer.removeprefix("Please open "))
    says(agent.ask("I have connected. Go on."), " notes")
    assert record(kept)["requests"] == 4, record(kept)


def no_account_without_a_session(framework):
    """`tools.get` for a user who has not connected."""
    composio, user = start(framework)
    url, _kept = model_url("no_account", framework)
    agent = framework(composio, url, composio.tools.get(user_id=user, toolkits=["sandbox"]), {"user_id": user})
    if not getattr(framework, "raises", False):
        return says(agent.ask("List my notes."), "Please connect")
    try:
        answer = agent.ask("List my notes.")
    except NotFoundError as error:
        assert "No connected account found for user ID" in str(error), error
        return None
    raise AssertionError(f"it went on: {answer}")


def a_wrong_argument(framework):
    """The model misspells an argument, is told so, and corrects itself."""
    composio, user = start(framework)
    session = new_session(composio, user)
    connect(session)
    url, _kept = model_url("wrong_argument", framework)
    agent = framework(composio, url, session.tools(), {"session": session})
    says(agent.ask("Keep a note."), "corrected")


def definitions_of_all_tools(framework):
    """Every tool of every toolkit, wrapped by the package and accepted by the vendor's rules."""
    composio, user = start(framework)
    toolkits = [it.slug for it in composio.toolkits.list(limit=1000).items if it.meta.tools_count]
    tools = composio.tools.get(user_id=user, toolkits=toolkits, limit=9999)
    assert len(tools) > 700, f"{len(tools)} tools of {len(toolkits)} toolkits"
    for first in range(0, len(tools), MOST_TOOLS):
        some = tools[first : first + MOST_TOOLS]
        url, _kept = model_url("definitions", framework)
        says(framework(composio, url, some, {"user_id": user}).ask("What can you do?"), f"{len(some)} tools")


def content_at(place):
    """The bytes at a path or URL."""
    if place.startswith("https://"):
        with OPENER.open(place, timeout=10) as answer:
            return answer.read()
    with open(place, "rb") as file:
        return file.read()


def files_without_a_session(framework):
    """The SDK sends the file at a path that the model names, and fetches the one that a tool returns."""
    folder = os.path.realpath(tempfile.mkdtemp(prefix="agent-files-", dir=os.environ["COMPOSIO_CACHE_DIR"]))
    options = {"dangerously_allow_auto_upload_download_files": True, "file_upload_dirs": [folder]}
    composio, user = start(framework, **options)
    path, content = os.path.join(folder, "report.txt"), f"the report of {framework.package}".encode()
    with open(path, "wb") as file:
        file.write(content)
    url, kept = model_url("files", framework, "direct")
    agent = framework(composio, url, composio.tools.get(user_id=user, toolkits=["drive"]), {"user_id": user})
    answer = agent.ask(f"Save the file {path}")
    says(answer, "It is at ")
    where = answer.removeprefix("It is at ")
    assert where != path and content_at(where) == content, answer
    assert record(kept)["requests"] == 3, record(kept)


def files_of_a_session(framework):
    """A file of the session's mount as an argument; the result says where the returned one can be fetched."""
    composio, user = start(framework)
    session = composio.create(user_id=user, toolkits=["drive"], preload={"tools": ["DRIVE_SAVE_FILE", "DRIVE_FETCH_FILE"]})
    content = f"the session's report of {framework.package}".encode()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(content)
        file.flush()
        session.experimental.files.upload(file.name, remote_path="out/report.txt", mimetype="text/plain")
    url, _kept = model_url("files", framework, "session")
    answer = framework(composio, url, session.tools(), {"session": session}).ask("Save the file /mnt/files/out/report.txt")
    says(answer, "It is at https://")
    assert content_at(answer.removeprefix("It is at ")) == content, answer


FILE_CASES = [files_without_a_session, files_of_a_session]
CASES = [
    notes_of_a_session,
    notes_without_a_session,
    a_link_for_the_user,
    no_account_without_a_session,
    a_wrong_argument,
    definitions_of_all_tools,
]


def main():
    failed = 0
    for framework in FRAMEWORKS:
        for case in FILE_CASES if PUBLIC_FILES else CASES:
            name = f"{framework.package}: {case.__name__.replace('_', ' ')}"
            if case.__name__ in getattr(framework, "without", ()):
                continue
            if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
                continue
            started, outcome, note = time.time(), "works", ""
            try:
                case(framework)
            except Exception as error:
                failed, outcome, note = failed + 1, "failed", f"{type(error).__name__}: {error}"
                if os.environ.get("TRACE"):
                    traceback.print_exc()
            line = {"name": name, "outcome": outcome, "note": note[:900]}
            print(json.dumps({**line, "ms": round((time.time() - started) * 1000)}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
