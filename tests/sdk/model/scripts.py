"""What the scripted model says. A script gets the conversation so far, checks the results that it was sent, and
returns text or calls as (tool, arguments)."""

import json

from rules import require
from talk import data, failure

TEXT = "written by a model"


def definitions(talk):
    """Only the definitions of the tools count; they were checked when they came in."""
    require(talk.tools, "no tools")
    return f"{len(talk.tools)} tools"


def notes(talk):
    """Creates, lists and deletes a note, and deletes it once more, which fails at the provider."""
    step = len(talk.rounds)
    if step == 0:
        return [("SANDBOX_CREATE_NOTE", {"text": TEXT}), ("SANDBOX_GET_PROFILE", {})]
    first = {name: text for name, _given, text in talk.rounds[0]}
    require(data(first["SANDBOX_GET_PROFILE"])["username"] == "alice", first)
    made = data(first["SANDBOX_CREATE_NOTE"])
    require(made["text"] == TEXT and made["id"].startswith("note_"), made)
    if step == 1:
        return [("SANDBOX_LIST_NOTES", {})]
    last = talk.results()
    if step == 2:
        require(made in data(last["SANDBOX_LIST_NOTES"])["notes"], f"{made} is not in {last}")
    if step in (2, 3):
        if step == 3:
            data(last["SANDBOX_DELETE_NOTE"])
        return [("SANDBOX_DELETE_NOTE", {"note_id": made["id"]})]
    if step == 4:
        error, detail = failure(last["SANDBOX_DELETE_NOTE"])
        require("404" in error, error)
        require((detail["error_code"], detail["http_status"]) == ("provider_error", 404), detail)
        return [("SANDBOX_LIST_NOTES", {})]
    left = data(last["SANDBOX_LIST_NOTES"])["notes"]
    require(made["id"] not in [note["id"] for note in left], left)
    return f"created and deleted {made['id']}"


def link(talk):
    """The user has not connected: the model passes the link on, and lists the notes when the user is back."""
    if not talk.rounds:
        return [("SANDBOX_LIST_NOTES", {})]
    text = talk.results()["SANDBOX_LIST_NOTES"]
    if len(talk.user_texts) > 1:
        return f"{len(data(text)['notes'])} notes"
    error, detail = failure(text)
    require(detail["error_code"] == "no_active_connection", detail)
    url = detail["redirect_url"]
    require("/link/lt_" in url and url in error, f"no link in: {error}")
    return f"Please open {url}"


def no_account(talk):
    """The same without a session, where the server answers with an error. The SDK for TypeScript says only which tool
    failed."""
    if not talk.rounds:
        return [("SANDBOX_LIST_NOTES", {})]
    text = talk.results()["SANDBOX_LIST_NOTES"]
    expected = ("No connected account found for user ID", "Error executing the tool SANDBOX_LIST_NOTES")
    require(any(words in text for words in expected), text)
    return "Please connect the sandbox."


def wrong_argument(talk):
    """The model misspells an argument, reads so, and corrects itself. Some frameworks check arguments themselves;
    LangChain for Python does not say which one is wrong."""
    if not talk.rounds:
        return [("SANDBOX_CREATE_NOTE", {"txt": TEXT})]
    text = talk.results()["SANDBOX_CREATE_NOTE"]
    if len(talk.rounds) > 1:
        require(data(text)["text"] == TEXT, text)
        return "corrected"
    require("note_" not in text, f"the call was made: {text}")
    require("txt" in text or "text" in text or text == "Tool input validation error", f"what is wrong? {text}")
    return [("SANDBOX_CREATE_NOTE", {"text": TEXT})]


def chat(talk):
    """Over MCP, nothing is connected: the model makes a link, waits until the user has opened it, and creates a note."""
    step = len(talk.rounds)
    if len(talk.user_texts) == 1:
        if step == 0:
            return [(named(talk, "COMPOSIO_MANAGE_CONNECTIONS"), {"toolkits": ["sandbox"]})]
        made = of_mcp(talk)["results"]["sandbox"]
        require(made["status"] == "initiated" and "/link/lt_" in made["redirect_url"], made)
        return f"Please open {made['redirect_url']}"
    if step == 0:
        return [(named(talk, "COMPOSIO_WAIT_FOR_CONNECTIONS"), {"toolkits": ["sandbox"], "mode": "all"})]
    if step == 1:
        waited = of_mcp(talk)["results"]["sandbox"]
        require(waited["status"] == "ACTIVE", waited)
        return [(named(talk, "SANDBOX_CREATE_NOTE"), {"text": TEXT})]
    made = of_mcp(talk)
    require(made["text"] == TEXT and made["id"].startswith("note_"), made)
    return f"created {made['id']}"


def named(talk, name):
    """The name under which a tool is offered: some clients of MCP put the name of the server before it."""
    found = [tool["name"] for tool in talk.tools if tool["name"].endswith(name)]
    require(len(found) == 1, f"{name} is offered as {found}")
    return found[0]


def of_mcp(talk):
    """The data of the only call of the last round. Clients of MCP hand on the text of a result, its parts, or all of it."""
    (text,) = talk.results().values()
    value = json.loads(text)
    if isinstance(value, list):
        value = {"content": value}
    if "content" in value:
        text = value["content"][0]["text"]
    return data(text)


def files(talk):
    """Sends the file that the user names with the last word, fetches it again, and says where it is."""
    step = len(talk.rounds)
    if step == 0:
        return [("DRIVE_SAVE_FILE", {"file": talk.user_texts[-1].split()[-1]})]
    if step == 1:
        require(data(talk.results()["DRIVE_SAVE_FILE"])["size"] > 0, talk.results())
        return [("DRIVE_FETCH_FILE", {})]
    file = data(talk.results()["DRIVE_FETCH_FILE"])["file"]
    # An SDK that moves files by itself puts a path in its place; otherwise it can be fetched.
    return f"It is at {file if isinstance(file, str) else file['s3url']}"


SCRIPTS = {it.__name__: it for it in (definitions, notes, link, no_account, wrong_argument, chat, files)}
