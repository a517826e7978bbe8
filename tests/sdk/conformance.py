"""Every method of composio's Python SDK, unmodified, against a server; one JSON line per case.

Environment: BASE_URL (origin of the server), KEY (project API key), RECORDER (where the requests of a case are counted;
optional), ORG_KEY and USER_KEY (keys of an organisation and of a person; optional), PUBLIC_FILES (the server gives files
at a public address), LINE (a word of the SDK line).
Arguments: words of which a case's name must have one. The server needs the toolkits `sandbox` and tests/sdk/toolkits.
A line is {"name", "methods", "operations", "outcome", "note", "ms"}; outcome is works, 501, absent or failed.
Exits 1 when a case failed."""

import atexit
import hashlib
import itertools
import os
import shutil
import ssl
import sys
import tempfile
import time
import urllib.request
import warnings

# Read when the SDK is imported: nothing may be sent or cached outside of this run.
os.environ["TELEMETRY_DISABLED"] = os.environ["COMPOSIO_DISABLE_TELEMETRY"] = "true"
os.environ["COMPOSIO_CACHE_DIR"] = tempfile.mkdtemp(prefix="composio-cache-")
atexit.register(shutil.rmtree, os.environ["COMPOSIO_CACHE_DIR"], ignore_errors=True)
warnings.simplefilter("ignore")

import composio_client  # noqa: E402
from composio import Composio, exceptions  # noqa: E402

from person import Person, query  # noqa: E402
from suite import Absent, Seen, case, fails, methods_of, not_built, run, status  # noqa: E402

BASE, KEY = os.environ["BASE_URL"].rstrip("/"), os.environ["KEY"]
LINE = os.environ.get("LINE", "python")
PUBLIC_FILES = bool(os.environ.get("PUBLIC_FILES"))
# No proxy of the environment, and the certificates that the SDK trusts.
OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))),
)
NUMBERS = itertools.count(1)
plain = Composio(api_key=KEY, base_url=BASE, allow_tracking=False)
composio = Seen(plain, "")
NEWER = hasattr(composio_client, "ProjectAuth")


def low_level(kind="ProjectAuth", key=KEY):
    """The client package, with a key of one kind."""
    return Seen(plain_client(kind, key), "client.")


def plain_client(kind, key):
    if NEWER:
        return composio_client.Composio(auth=getattr(composio_client, kind)(key), base_url=BASE)
    header = {"OrganizationAuth": "x-org-api-key", "UserAuth": "x-user-api-key"}.get(kind)
    if header:
        return composio_client.Composio(api_key=None, base_url=BASE, default_headers={header: key})
    return composio_client.Composio(api_key=key, base_url=BASE)


client = low_level()


def new_user():
    """A user id that no other case has."""
    return f"{LINE}-{next(NUMBERS)}"


def new_session(**options):
    return composio.create(user_id=options.pop("user_id", None) or new_user(), toolkits=["sandbox"], **options)


def connected(user=None):
    """A session and an account that its user has connected at the sandbox, by OAuth."""
    session = new_session(user_id=user)
    request = session.authorize("sandbox")
    Person().follow(request.redirect_url)
    return session, request.id


def managed():
    """The id of the managed auth config of the sandbox."""
    for config in composio.auth_configs.list(toolkit_slug="sandbox").items:
        if config.is_composio_managed and config.status == "ENABLED":
            return config.id
    return composio.auth_configs.create("sandbox", {"type": "use_composio_managed_auth"}).id


def keyed_config(name="keyed"):
    """A new auth config for API keys."""
    options = {"type": "use_custom_auth", "auth_scheme": "API_KEY", "name": name, "credentials": {}}
    return composio.auth_configs.create("keyed", options).id


def keyed_account(user=None, config=None, key="key-number-one", **more):
    """An account with an API key: the id of the account."""
    state = {"auth_scheme": "API_KEY", "val": {"generic_api_key": key}}
    request = composio.connected_accounts.initiate(
        user or new_user(), config or keyed_config(), config=state, allow_multiple=True, **more
    )
    return request.id


def field(answer, name):
    """One field of an answer that is an object in one SDK line and a mapping in the other."""
    return answer[name] if isinstance(answer, dict) else getattr(answer, name)


def is_error(error, kind, *words):
    """An error of the SDK of a given kind, with these words in its text."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    assert isinstance(error, kinds), f"{type(error).__name__} {status(error)}: {error}"
    for word in words:
        assert word in str(error), f"{word!r} is not in: {error}"


def not_found(error, *words):
    is_error(error, composio_client.NotFoundError, *words)
    assert status(error) == 404


# ── Sessions ────────────────────────────────────────────────────────────────────────────────────


@case("composio.create")
def _():
    session = composio.create(user_id=new_user(), toolkits=["sandbox", "keyed"])
    assert session.session_id.startswith("trs_")
    assert session.mcp.url.startswith(BASE), session.mcp.url


@case("composio.create with every option", "composio.create")
def _():
    user, config = new_user(), managed()
    account = keyed_account(user)
    session = composio.create(
        user_id=user,
        toolkits={"enable": ["sandbox", "keyed"]},
        tools={"sandbox": {"enable": ["SANDBOX_LIST_NOTES"]}},
        tags={"enable": ["readOnlyHint"], "disable": ["destructiveHint"]},
        manage_connections={"enable": True, "callback_url": "https://app.example/done"},
        auth_configs={"sandbox": config},
        connected_accounts={"keyed": account},
        multi_account={"enable": True},
        preload={"tools": []},
    )
    assert session.session_id.startswith("trs_")


@case("composio.create with mcp", "composio.create")
def _():
    session = composio.create(user_id=new_user(), toolkits=["sandbox"], mcp=True)
    assert session.mcp.url.startswith(BASE) and session.session_id in session.mcp.url
    assert {name.lower() for name in session.mcp.headers} >= {"x-api-key"}


@case("composio.create with the preset direct_tools", "composio.create")
def _():
    session = composio.create(user_id=new_user(), toolkits=["sandbox"], session_preset="direct_tools")
    assert session.session_id.startswith("trs_")


@case("composio.create without some toolkits", "composio.create")
def _():
    session = composio.create(user_id=new_user(), toolkits={"disable": ["keyed"]})
    named = lambda search: [it.slug for it in session.toolkits(search=search).items]
    assert "sandbox" in named("sandbox")
    assert named("keyed") == []
    is_error(fails(session.authorize, "keyed"), composio_client.APIStatusError, "keyed")


@case("composio.create of an unknown toolkit", "composio.create")
def _():
    error = fails(composio.create, user_id=new_user(), toolkits=["nosuchtoolkit"])
    is_error(error, composio_client.BadRequestError, "nosuchtoolkit")


@case("composio.create with a wrong key", "composio.create")
def _():
    stranger = Composio(api_key="ak_wrong", base_url=BASE, allow_tracking=False)
    is_error(fails(stranger.create, user_id="somebody"), composio_client.AuthenticationError)


@case("composio.use")
def _():
    made = new_session()
    assert composio.use(made.session_id).session_id == made.session_id


@case("composio.use with custom tools", "composio.use")
def _():
    made = new_session()

    from pydantic import BaseModel, Field

    class Greeting(BaseModel):
        name: str = Field(description="Whom to greet")

    @composio.experimental.tool(slug="GREET", name="Greet", description="Greets somebody")
    def greet(input: Greeting, ctx) -> dict:
        return {"greeting": f"hello {input.name}"}

    used = composio.use(made.session_id, custom_tools=[greet])
    assert used.session_id == made.session_id
    assert any("GREET" in it.slug for it in used.custom_tools()), used.custom_tools()


@case("composio.use of an unknown session", "composio.use")
def _():
    not_found(fails(composio.use, "trs_doesnotexist"))


@case("sessions.create")
def _():
    assert composio.sessions.create(user_id=new_user()).session_id.startswith("trs_")


@case("sessions.use")
def _():
    made = new_session()
    assert composio.sessions.use(made.session_id).session_id == made.session_id


@case("sessions.delete")
def _():
    made = new_session()
    assert field(composio.sessions.delete(made.session_id), "deleted") is True
    not_found(fails(composio.sessions.delete, made.session_id))


@case("session.delete")
def _():
    made = new_session()
    answer = made.delete()
    assert field(answer, "deleted") is True and field(answer, "session_id") == made.session_id
    not_found(fails(made.authorize, "sandbox"))


@case("session.authorize")
def _():
    session = new_session()
    request = session.authorize("sandbox", callback_url="https://app.example/done?x=1", alias="work")
    assert request.id.startswith("ca_") and request.redirect_url.startswith(BASE), request.redirect_url
    landed = Person().follow(request.redirect_url)
    assert landed.startswith("https://app.example/done"), landed
    assert query(landed)["x"] == "1" and query(landed)["status"] == "success", landed
    account = composio.connected_accounts.get(request.id)
    assert (account.status, account.alias) == ("ACTIVE", "work"), account


@case("session.authorize with an alias that is taken", "session.authorize")
def _():
    session = new_session()
    Person().follow(session.authorize("sandbox", alias="work").redirect_url)
    is_error(fails(session.authorize, "sandbox", alias="work"), composio_client.BadRequestError, "work")


@case("session.authorize of a toolkit outside of the session", "session.authorize")
def _():
    error = fails(new_session().authorize, "keyed")
    assert status(error) in (400, 403) and "keyed" in str(error), error


@case("session.authorize for a SHARED account", "session.authorize")
def _():
    session = new_session()
    shared = {"account_type": "SHARED", "acl_config_for_shared": {"allow_all_users": True}}
    request = session.authorize("sandbox", experimental=shared)
    Person().follow(request.redirect_url)
    account = composio.connected_accounts.get(request.id)
    assert account.experimental.account_type == "SHARED", account
    assert request.id not in [it.id for it in composio.connected_accounts.list(toolkit_slugs=["sandbox"]).items]
    listed = composio.connected_accounts.list(toolkit_slugs=["sandbox"], account_type="SHARED").items
    assert request.id in [it.id for it in listed]


@case("session.proxy_execute with a SHARED account of somebody else", "session.proxy_execute")
def _():
    owner, guest, stranger = new_user(), new_user(), new_user()
    shared = {"account_type": "SHARED", "acl_config_for_shared": {"allowed_user_ids": [guest]}}
    request = new_session(user_id=owner).authorize("sandbox", experimental=shared)
    Person().follow(request.redirect_url)
    pinned = {"connected_accounts": {"sandbox": [request.id]}}
    call = {"toolkit": "sandbox", "endpoint": "/me", "method": "GET"}
    answer = new_session(user_id=guest, **pinned).proxy_execute(**call)
    assert field(answer, "data")["username"] == "alice", answer

    def by_a_stranger():
        return new_session(user_id=stranger, **pinned).proxy_execute(**call)

    assert status(fails(by_a_stranger)) in (400, 403, 404)


@case("session.authorize with an access list for a PRIVATE account", "session.authorize")
def _():
    private = {"account_type": "PRIVATE", "acl_config_for_shared": {"allow_all_users": True}}
    error = fails(new_session().authorize, "sandbox", experimental=private)
    is_error(error, exceptions.ComposioAclOnlyForSharedError)


@case("connection_request.wait_for_connection")
def _():
    request = new_session().authorize("sandbox")
    Person().follow(request.redirect_url)
    account = request.wait_for_connection(timeout=10)
    assert (account.id, account.status) == (request.id, "ACTIVE")
    assert account.toolkit.slug == "sandbox"


@case("connection_request.wait_for_connection that is refused", "connection_request.wait_for_connection")
def _():
    request = new_session().authorize("sandbox")
    Person().refuse(request.redirect_url)
    is_error(fails(request.wait_for_connection, timeout=10), exceptions.SDKError, "terminal state")


@case("connection_request.wait_for_connection that nobody opens", "connection_request.wait_for_connection")
def _():
    request = new_session().authorize("sandbox")
    is_error(fails(request.wait_for_connection, timeout=0.5), exceptions.ComposioSDKTimeoutError)


@case("session.toolkits")
def _():
    session = composio.create(user_id=new_user(), toolkits=["sandbox", "keyed"])
    page = session.toolkits()
    assert {it.slug for it in page.items} == {"sandbox", "keyed"}, page.items
    assert not any(it.connection and it.connection.is_active for it in page.items)
    assert page.items[0].name and page.items[0].logo is not None, page.items[0]
    Person().follow(session.authorize("sandbox").redirect_url)
    (found,) = session.toolkits(toolkits=["sandbox"]).items
    assert found.connection.is_active and found.connection.connected_account.status == "ACTIVE"
    assert found.connection.auth_config.mode == "OAUTH2", found.connection.auth_config
    assert [it.slug for it in session.toolkits(is_connected=True).items] == ["sandbox"]
    assert [it.slug for it in session.toolkits(search="keye").items] == ["keyed"]


@case("session.toolkits page by page", "session.toolkits")
def _():
    session = composio.create(user_id=new_user(), toolkits=["sandbox", "keyed"])
    first = session.toolkits(limit=1)
    second = session.toolkits(limit=1, next_cursor=first.next_cursor)
    assert {first.items[0].slug, second.items[0].slug} == {"sandbox", "keyed"}
    assert second.next_cursor is None and first.total_pages == 2, (first, second)


@case("session.update")
def _():
    session = new_session()
    session.update(toolkits={"enable": ["sandbox", "keyed"]}, manage_connections={"enable": False})
    assert set(session.config.toolkits.enabled) == {"sandbox", "keyed"}, session.config.toolkits
    assert session.config.manage_connections.enabled is False, session.config.manage_connections
    again = composio.use(session.session_id)
    assert {it.slug for it in again.toolkits().items} == {"sandbox", "keyed"}


@case("session.update that removes", "session.update")
def _():
    session = new_session(tags={"enable": ["readOnlyHint"]}, multi_account={"enable": True})
    session.update(tags=None, multi_account=None)
    kept = client.tool_router.session.retrieve(session.session_id).config
    assert kept.tags is None and kept.multi_account is None, kept
    assert kept.toolkits.enabled == ["sandbox"], "what is left out stays"


@case("session.update conflict", "session.update")
def _():
    session = new_session()
    if not hasattr(session, "config_version"):
        raise Absent("no expected_config_version")
    version = session.config_version
    session.update(toolkits={"enable": ["sandbox", "keyed"]}, expected_config_version=version)
    assert session.config_version == version + 1
    error = fails(session.update, tags=["readOnlyHint"], expected_config_version=version)
    is_error(error, exceptions.SessionConfigConflictError)
    assert error.session_id == session.session_id and error.expected_config_version == version


@case("session.update with an unknown toolkit", "session.update")
def _():
    session = new_session()
    is_error(fails(session.update, toolkits={"enable": ["nosuch"]}), composio_client.BadRequestError, "nosuch")


@case("session.list_config_history")
def _():
    session = new_session()
    session.update(toolkits={"enable": ["keyed"]})
    session.update(toolkits={"enable": ["sandbox", "keyed"]})
    page = session.list_config_history(limit=2)
    assert [it.is_current for it in page.items] == [True, False], page
    assert page.items[0].version == page.items[1].version + 1
    last = session.list_config_history(limit=2, cursor=page.next_cursor)
    assert len(last.items) == 1 and last.next_cursor is None, last


@case("session.proxy_execute")
def _():
    session, _account = connected()
    parameters = [{"name": "accept", "value": "application/json", "type": "header"}]
    answer = session.proxy_execute(toolkit="sandbox", endpoint="/me", method="GET", parameters=parameters)
    assert field(answer, "status") == 200 and field(answer, "data")["username"] == "alice", answer


@case("session.proxy_execute with the account that the session names", "session.proxy_execute")
def _():
    user, account = new_user(), None
    for name in ("alice", "bob"):
        request = new_session(user_id=user).authorize("sandbox", alias=name)
        Person(name).follow(request.redirect_url)
        account = request.id
    session = new_session(user_id=user, connected_accounts={"sandbox": [account]})
    answer = session.proxy_execute(toolkit="sandbox", endpoint="/me", method="GET")
    assert field(answer, "data")["username"] == "bob", answer


@case("session.proxy_execute without an account", "session.proxy_execute")
def _():
    session = new_session()
    error = fails(session.proxy_execute, toolkit="sandbox", endpoint="/me", method="GET")
    assert 400 <= (status(error) or 0) < 500, error


META_TOOLS = [
    "COMPOSIO_SEARCH_TOOLS",
    "COMPOSIO_GET_TOOL_SCHEMAS",
    "COMPOSIO_MANAGE_CONNECTIONS",
    "COMPOSIO_MULTI_EXECUTE_TOOL",
]


@case("session.tools")
def _():
    assert [tool["function"]["name"] for tool in new_session().tools()] == META_TOOLS, "nothing is preloaded"
    session = new_session(preload={"tools": ["SANDBOX_LIST_NOTES", "SANDBOX_CREATE_NOTE"]})
    tools = {tool["function"]["name"]: tool["function"] for tool in session.tools()}
    assert sorted(tools) == sorted([*META_TOOLS, "SANDBOX_CREATE_NOTE", "SANDBOX_LIST_NOTES"]), tools
    assert tools["SANDBOX_CREATE_NOTE"]["parameters"]["required"] == ["text"], tools


@case("session.search")
def _():
    found = new_session().search(query="list my notes")
    assert found.success and found.error is None, found
    assert found.results[0].primary_tool_slugs[0] == "SANDBOX_LIST_NOTES", found
    assert found.tool_schemas["SANDBOX_LIST_NOTES"].input_schema["type"] == "object", found
    (status_,) = [it for it in found.toolkit_connection_statuses if it.toolkit == "sandbox"]
    assert not status_.has_active_connection and "/link" in status_.status_message, status_
    session, _account = connected()
    statuses = session.search(query="list my notes").toolkit_connection_statuses
    assert [it.has_active_connection for it in statuses if it.toolkit == "sandbox"] == [True], statuses


@case("session.search that finds nothing", "session.search")
def _():
    found = new_session().search(query="xylophone zzyzx")
    assert not found.success and found.results[0].error.startswith("No tool fits."), found


@case("session.execute")
def _():
    session, _account = connected()
    made = session.execute("SANDBOX_CREATE_NOTE", arguments={"text": "from Python"})
    assert made.error is None and field(made, "data")["text"] == "from Python", made
    assert made.log_id.startswith("log_"), made
    notes = field(session.execute("SANDBOX_LIST_NOTES", arguments={}), "data")["notes"]
    assert field(made, "data")["id"] in [note["id"] for note in notes], notes
    gone = session.execute("SANDBOX_DELETE_NOTE", arguments={"note_id": "note_999999"})
    assert "404" in gone.error, gone


@case("session.execute with a wrong argument", "session.execute")
def _():
    session, _account = connected()
    error = fails(session.execute, "SANDBOX_CREATE_NOTE", arguments={"txt": "x"})
    assert status(error) == 400, error


@case("session.execute without an account", "session.execute")
def _():
    needed = new_session().execute("SANDBOX_LIST_NOTES", arguments={})
    assert "/link/lt_" in needed.error and "/link/lt_" in field(needed, "data")["redirect_url"], needed


@case("session.execute_meta")
def _():
    linked = new_session().execute_meta("COMPOSIO_MANAGE_CONNECTIONS", arguments={"toolkits": ["sandbox"]})
    assert "/link/lt_" in field(linked, "data")["results"]["sandbox"]["redirect_url"], linked


# ── Files ───────────────────────────────────────────────────────────────────────────────────────
# The SDK sends and fetches the bytes of files at public addresses only. Where the server has none (PUBLIC_FILES is not
# set), these cases see that refusal, and move the bytes themselves.


def put(url, content):
    request = urllib.request.Request(url, data=content, method="PUT", headers={"content-type": "text/plain"})
    with OPENER.open(request, timeout=10) as answer:
        assert answer.status == 200, answer.status


def fetched(url):
    with OPENER.open(url, timeout=10) as answer:
        return answer.read()


def is_refused(error):
    assert "non-public address" in str(error), f"{type(error).__name__}: {error}"


def session_with_file():
    """A session that keeps `out/a.txt`."""
    session = new_session()
    made = client.tool_router.session.files.create_upload_url(
        "files", session_id=session.session_id, mount_relative_path="out/a.txt", mimetype="text/plain"
    )
    assert made.mount_relative_path == "out/a.txt" and made.sandbox_mount_prefix == "/mnt/files", made
    put(made.upload_url, b"text")
    return session


@case("session.experimental.files.list")
def _():
    assert new_session().experimental.files.list().items == []
    page = session_with_file().experimental.files.list(path="/", limit=10)
    assert [(it.mount_relative_path, it.size) for it in page.items] == [("out/a.txt", 4)], page
    assert not page.next_cursor, page


@case("session.experimental.files.download")
def _():
    session = session_with_file()
    file = session.experimental.files.download("/out/a.txt")
    assert file.filename == "a.txt" and file.expires_at.endswith("Z")
    if PUBLIC_FILES:
        assert file.text() == "text"
    else:
        is_refused(fails(file.buffer))
        assert fetched(file.download_url) == b"text"
    not_found(fails(session.experimental.files.download, "none.txt"))


@case("session.experimental.files.delete")
def _():
    session = session_with_file()
    assert session.experimental.files.delete("/out/a.txt").mount_relative_path == "out/a.txt"
    assert session.experimental.files.list().items == []
    assert status(fails(session.experimental.files.delete, "../a.txt")) == 400


@case("session.experimental.files.upload")
def _():
    session = new_session()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"text")
        file.flush()
        if not PUBLIC_FILES:
            return is_refused(fails(session.experimental.files.upload, file.name))
        remote = session.experimental.files.upload(file.name, remote_path="out/b.txt", mimetype="text/plain")
        assert (remote.mount_relative_path, remote.buffer()) == ("out/b.txt", b"text")


def logged():
    """A call of a tool that failed, in the log; its id."""
    session = new_session()
    made = client.tool_router.session.execute(session.session_id, tool_slug="SANDBOX_GET_PROFILE", arguments={})
    for _ in range(100):
        try:
            client.logs.tools.retrieve(made.log_id)
            return made.log_id
        except composio_client.NotFoundError:
            time.sleep(0.05)
    raise AssertionError(f"{made.log_id} is not in the log")


@case("client.logs.create_tool_execution")
def _():
    id_ = logged()
    page = client.logs.create_tool_execution(filters=[{"field": "log_id", "operator": "==", "value": id_}], limit=5)
    assert [(log.id, log.status, log.level) for log in page.logs] == [(id_, "failed", "error")], page


@case("client.logs.retrieve_tool_execution")
def _():
    log = client.logs.retrieve_tool_execution(logged())
    assert log.message == "no_active_connection", log
    not_found(fails(client.logs.retrieve_tool_execution, "log_x"))


@case("client.logs.tools.list")
def _():
    logged()
    page = client.logs.tools.list(cursor=None, limit=1)
    assert len(page.data) == 1, page


@case("client.logs.tools.retrieve")
def _():
    id_ = logged()
    log = client.logs.tools.retrieve(id_)
    assert log.action_log_id == id_ and log.action_id == "SANDBOX_GET_PROFILE", log


@case("client.logs.tools.list_fields")
def _():
    assert "tool_slug" in [field.id for field in client.logs.tools.list_fields().fields["tool_execution"]]


@case("logs.search")
def _():
    id_ = logged()
    page = composio.logs.search(filters=[{"field": "log_id", "operator": "==", "value": id_}])
    assert [log.id for log in page.logs] == [id_], page


@case("logs.get")
def _():
    id_ = logged()
    assert composio.logs.get(id_).id == id_


@case("experimental.usage.summary")
def _():
    assert "tool_calls" in composio.experimental.usage.summary().entities


@case("experimental.usage.breakdown")
def _():
    assert composio.experimental.usage.breakdown("tool_calls", group_by="tool_slug").entity_type == "tool_calls"


@case("client.project.usage.retrieve_summary")
def _():
    assert client.project.usage.retrieve_summary().entities["tool_calls"].unit == "call"


@case("client.project.usage.retrieve")
def _():
    usage = client.project.usage.retrieve("tool_calls", group_by="user_id", limit=1)
    assert usage.entity_type == "tool_calls" and len(usage.groups) <= 1, usage


@case("client.org.usage.retrieve_summary")
def _():
    assert organization().org.usage.retrieve_summary().entities["proxy_calls"].unit == "call"


@case("client.org.usage.retrieve")
def _():
    assert organization().org.usage.retrieve("tool_calls", group_by="project_id").entity_type == "tool_calls"


@case("client.files.create_presigned_url")
def _():
    digest = hashlib.md5(b"text").hexdigest()
    made = client.files.create_presigned_url(
        toolkit_slug="sandbox", tool_slug="SANDBOX_LIST_NOTES", filename="a.txt", mimetype="text/plain", md5=digest
    )
    assert made.key.startswith(made.id) and made.type == "new" and made.metadata.storage_backend == "s3", made
    put(made.new_presigned_url, b"text")


@case("client.files.list")
def _():
    page = client.files.list(toolkit_slug="sandbox", limit=1)
    assert page.total_items >= 0 and page.current_page == 1, page


@case("client.tool_router.session.files.create_upload_url")
def _():
    session_with_file()


@case("client.tool_router.session.files.create_download_url")
def _():
    made = session_with_file().session_id
    answer = client.tool_router.session.files.create_download_url(
        "files", session_id=made, mount_relative_path="out/a.txt"
    )
    assert fetched(answer.download_url) == b"text"


@case("client.tool_router.session.files.list")
def _():
    made = session_with_file().session_id
    page = client.tool_router.session.files.list("files", session_id=made, mount_relative_prefix="out/", limit=1)
    assert [it.mount_relative_path for it in page.items] == ["out/a.txt"], page


@case("client.tool_router.session.files.delete")
def _():
    made = session_with_file().session_id
    answer = client.tool_router.session.files.delete("files", session_id=made, mount_relative_path="out")
    assert answer.sandbox_mount_prefix == "/mnt/files", answer


# ── Connected accounts ──────────────────────────────────────────────────────────────────────────


@case("connected_accounts.get")
def _():
    _session, account = connected()
    got = composio.connected_accounts.get(account)
    assert (got.id, got.status, got.toolkit.slug) == (account, "ACTIVE", "sandbox")
    assert got.auth_config.is_composio_managed is True and got.state.auth_scheme == "OAUTH2", got
    assert got.state.val.access_token == "REDACTED", "a managed account shows no token"


@case("connected_accounts.get of an unknown account", "connected_accounts.get")
def _():
    not_found(fails(composio.connected_accounts.get, "ca_doesnotexist"), "ca_doesnotexist")


@case("connected_accounts.list")
def _():
    user, config = new_user(), keyed_config()
    ids = {keyed_account(user, config) for _ in range(3)}
    other = keyed_account(new_user(), config)
    listed = composio.connected_accounts.list
    assert {it.id for it in listed(user_ids=[user], statuses=["ACTIVE"], toolkit_slugs=["keyed", "sandbox"]).items} == ids
    assert {it.id for it in listed(auth_config_ids=[config]).items} == ids | {other}
    assert {it.id for it in listed(connected_account_ids=list(ids)).items} == ids
    assert listed(user_ids=[user], statuses=["FAILED", "EXPIRED"]).items == []
    assert listed(user_ids=["nobody"]).items == []
    up = listed(user_ids=[user], order_by="created_at", order_direction="asc").items
    assert [it.id for it in reversed(up)] == [it.id for it in listed(user_ids=[user]).items]


@case("connected_accounts.list page by page", "connected_accounts.list")
def _():
    user, config = new_user(), keyed_config()
    ids = {keyed_account(user, config) for _ in range(3)}
    found, cursor = [], None
    for _ in range(3):
        page = composio.connected_accounts.list(user_ids=[user], limit=1, **({"cursor": cursor} if cursor else {}))
        found += [it.id for it in page.items]
        cursor = page.next_cursor
    assert set(found) == ids and len(found) == 3 and cursor is None


@case("connected_accounts.list with a cursor of nobody's", "connected_accounts.list")
def _():
    error = fails(composio.connected_accounts.list, cursor="not-a-cursor")
    is_error(error, composio_client.BadRequestError)


@case("connected_accounts.link")
def _():
    user, config = new_user(), managed()
    request = composio.connected_accounts.link(user, config, callback_url="https://app.example/done", alias="home")
    landed = Person().follow(request.redirect_url)
    assert query(landed)["status"] == "success", landed
    account = request.wait_for_connection(timeout=10)
    assert (account.alias, account.auth_config.id) == ("home", config)


@case("connected_accounts.link a second time", "connected_accounts.link")
def _():
    user = new_user()
    _session, account = connected(user)
    config = composio.connected_accounts.get(account).auth_config.id
    error = fails(composio.connected_accounts.link, user, config)
    is_error(error, exceptions.ComposioMultipleConnectedAccountsError)
    assert composio.connected_accounts.link(user, config, allow_multiple=True).redirect_url


@case("connected_accounts.link with an access list for a PRIVATE account", "connected_accounts.link")
def _():
    private = {"account_type": "PRIVATE", "acl_config_for_shared": {"allow_all_users": True}}
    error = fails(composio.connected_accounts.link, new_user(), managed(), experimental=private)
    is_error(error, exceptions.ComposioAclOnlyForSharedError)


@case("connected_accounts.link with an unknown auth config", "connected_accounts.link")
def _():
    error = fails(composio.connected_accounts.link, new_user(), "ac_doesnotexist")
    assert status(error) in (400, 404) and "ac_doesnotexist" in str(error), error


@case("connected_accounts.initiate")
def _():
    user, config = new_user(), managed()
    request = composio.connected_accounts.initiate(user, config, callback_url="https://app.example/done")
    assert request.status in ("INITIATED", "INITIALIZING") and request.redirect_url, vars(request)
    Person().follow(request.redirect_url)
    assert request.wait_for_connection(timeout=10).status == "ACTIVE"


@case("connected_accounts.initiate with an API key", "connected_accounts.initiate")
def _():
    user, config = new_user(), keyed_config()
    state = {"auth_scheme": "API_KEY", "val": {"generic_api_key": "key-number-one"}}
    request = composio.connected_accounts.initiate(user, config, config=state, alias="mine")
    assert request.status == "ACTIVE", vars(request)
    account = request.wait_for_connection(timeout=5)
    assert account.status == "ACTIVE" and account.alias == "mine" and account.state.auth_scheme == "API_KEY", account


@case("connected_accounts.initiate without the key", "connected_accounts.initiate")
def _():
    config = keyed_config()
    error = fails(composio.connected_accounts.initiate, new_user(), config, config={"auth_scheme": "API_KEY", "val": {}})
    is_error(error, composio_client.BadRequestError, "Missing required fields: API key")


@case("connected_accounts.wait_for_connection")
def _():
    _session, account = connected()
    assert composio.connected_accounts.wait_for_connection(account, timeout=5).id == account


@case("connected_accounts.update")
def _():
    account = keyed_account()
    answer = composio.connected_accounts.update(account, alias="renamed")
    assert answer.success is True and answer.id == account and answer.status == "ACTIVE", answer
    assert composio.connected_accounts.get(account).alias == "renamed"
    state = {"auth_scheme": "API_KEY", "val": {"generic_api_key": "another-key-two"}}
    assert composio.connected_accounts.update(account, connection={"state": state}).success is True
    assert str(composio.connected_accounts.get(account).state.val.generic_api_key).startswith("anot")


@case("connected_accounts.update with an alias that is taken", "connected_accounts.update")
def _():
    user = new_user()
    config = keyed_config()
    keyed_account(user, config, alias="first")
    second = keyed_account(user, config)
    error = fails(composio.connected_accounts.update, second, alias="first")
    is_error(error, composio_client.BadRequestError, "first")


@case("connected_accounts.update_acl")
def _():
    shared = {"account_type": "SHARED", "acl_config_for_shared": {"allowed_user_ids": ["ann"]}}
    account = composio.connected_accounts.link(new_user(), managed(), experimental=shared).id
    answer = composio.connected_accounts.update_acl(account, allow_all_users=True, not_allowed_user_ids=["bob"])
    assert answer.success is True
    got = composio.connected_accounts.get(account).model_dump()["experimental"]
    acl = got.get("acl_config_for_shared") or got.get("acl") or got
    assert "bob" in str(acl) and "ann" in str(acl), got


@case("connected_accounts.update_acl of a PRIVATE account", "connected_accounts.update_acl")
def _():
    account = keyed_account()
    error = fails(composio.connected_accounts.update_acl, account, allow_all_users=True)
    is_error(error, exceptions.ComposioAclOnlyForSharedError)


@case("experimental.update_acl")
def _():
    shared = {"account_type": "SHARED"}
    account = composio.connected_accounts.link(new_user(), managed(), experimental=shared).id
    assert composio.experimental.update_acl(account, allowed_user_ids=["ann"]).success is True


@case("connected_accounts.disable")
def _():
    account = keyed_account()
    assert composio.connected_accounts.disable(account).success is True
    got = composio.connected_accounts.get(account)
    assert got.status == "INACTIVE" and got.is_disabled is True, got


@case("connected_accounts.enable")
def _():
    account = keyed_account()
    composio.connected_accounts.disable(account)
    assert composio.connected_accounts.enable(account).success is True
    assert composio.connected_accounts.get(account).status == "ACTIVE"


@case("connected_accounts.update_status")
def _():
    account = keyed_account()
    assert composio.connected_accounts.update_status(account, enabled=False).success is True
    assert composio.connected_accounts.get(account).status == "INACTIVE"


@case("connected_accounts.refresh")
def _():
    _session, account = connected()
    answer = composio.connected_accounts.refresh(account)
    assert answer.id == account and answer.status in ("INITIATED", "INITIALIZING", "ACTIVE"), answer
    if answer.redirect_url:
        Person().follow(answer.redirect_url)
    assert composio.connected_accounts.get(account).status == "ACTIVE"


@case("connected_accounts.revoke")
def _():
    _session, account = connected()
    answer = composio.connected_accounts.revoke(account)
    assert answer.connected_account.status == "REVOKED" and "access_token" in answer.revoked_tokens, answer
    assert composio.connected_accounts.get(account).status == "REVOKED"
    assert composio.connected_accounts.revoke(account).revoked_tokens == []


@case("connected_accounts.revoke where the toolkit cannot", "connected_accounts.revoke")
def _():
    account = keyed_account()
    error = fails(composio.connected_accounts.revoke, account)
    is_error(error, exceptions.ComposioConnectedAccountRevocationNotSupportedError)


@case("connected_accounts.revoke of an account that is not active", "connected_accounts.revoke")
def _():
    account = new_session().authorize("sandbox").id
    error = fails(composio.connected_accounts.revoke, account)
    is_error(error, exceptions.ComposioConnectedAccountNotRevokableError)


@case("connected_accounts.complete_auth")
def _():
    error = fails(composio.connected_accounts.complete_auth, user_id="somebody", session_uri="nothing-like-it")
    assert status(error) in (400, 404), error


def confirmed():
    """A connection that waits for the application's word: the SDK of its project, the user, what the browser brought."""
    config = {"oauth_callback_verifier_url": "https://app.example/verify"}
    create = organization().org.owner.project.create
    made = create(name=f"made-{new_user()}", should_create_api_key=True, config=config)
    theirs, user = Seen(Composio(api_key=made.api_key, base_url=BASE, allow_tracking=False), ""), new_user()
    request = theirs.create(user_id=user, toolkits=["sandbox"]).authorize("sandbox")
    landed = Person().follow(request.redirect_url)
    assert landed.startswith("https://app.example/verify") and theirs.connected_accounts.get(request.id).status != "ACTIVE"
    return theirs, made.api_key, user, request.id, query(landed)["session_uri"]


@case("connected_accounts.complete_auth of a connection that waits for it", "connected_accounts.complete_auth")
def _():
    theirs, _key, user, account, uri = confirmed()
    answer = theirs.connected_accounts.complete_auth(user_id=user, session_uri=uri)
    assert (answer.connected_account_id, answer.toolkit_slug) == (account, "sandbox"), answer
    assert theirs.connected_accounts.get(account).status == "ACTIVE"


@case("connected_accounts.complete_auth by another user", "connected_accounts.complete_auth")
def _():
    theirs, _key, _user, account, uri = confirmed()
    assert 400 <= status(fails(theirs.connected_accounts.complete_auth, user_id="another", session_uri=uri)) < 500
    assert theirs.connected_accounts.get(account).status != "ACTIVE"


@case("connected_accounts.delete")
def _():
    account = keyed_account()
    assert composio.connected_accounts.delete(account).success is True
    not_found(fails(composio.connected_accounts.get, account))
    not_found(fails(composio.connected_accounts.delete, account))


@case("connected_accounts.delete with revocation", "connected_accounts.delete")
def _():
    _session, account = connected()
    assert composio.connected_accounts.delete(account, revoke_on_delete=True).success is True
    not_found(fails(composio.connected_accounts.get, account))


# ── Auth configs ────────────────────────────────────────────────────────────────────────────────


@case("auth_configs.create")
def _():
    made = composio.auth_configs.create("sandbox", {"type": "use_composio_managed_auth", "name": "managed"})
    assert made.id.startswith("ac_") and made.is_composio_managed is True and made.auth_scheme == "OAUTH2"


@case("auth_configs.create with a client of one's own", "auth_configs.create")
def _():
    secret = "client-secret-of-our-own"
    options = {
        "type": "use_custom_auth",
        "auth_scheme": "OAUTH2",
        "name": "our own",
        "credentials": {"client_id": "client-of-ours", "client_secret": secret, "scopes": ["notes:read"]},
    }
    made = composio.auth_configs.create("sandbox", options)
    assert made.is_composio_managed is False
    shown = composio.auth_configs.get(made.id).model_dump()
    assert shown["credentials"]["client_id"] == "client-of-ours" and secret not in str(shown), shown
    # No user can connect with it, and later links would take the newest.
    composio.auth_configs.delete(made.id)


@case("auth_configs.create for an unknown toolkit", "auth_configs.create")
def _():
    error = fails(composio.auth_configs.create, "nosuchtoolkit", {"type": "use_composio_managed_auth"})
    assert status(error) in (400, 404) and "nosuchtoolkit" in str(error), error


@case("auth_configs.create where nothing is managed", "auth_configs.create")
def _():
    error = fails(composio.auth_configs.create, "github", {"type": "use_composio_managed_auth"})
    is_error(error, composio_client.BadRequestError)


@case("auth_configs.get")
def _():
    made = keyed_config("to be read")
    got = composio.auth_configs.get(made)
    assert (got.id, got.name, got.status, got.toolkit.slug) == (made, "to be read", "ENABLED", "keyed"), got
    assert got.no_of_connections == 0 and got.created_at, got


@case("auth_configs.get of an unknown one", "auth_configs.get")
def _():
    not_found(fails(composio.auth_configs.get, "ac_doesnotexist"), "ac_doesnotexist")


@case("auth_configs.list")
def _():
    mark = new_user()
    ids = {keyed_config(f"{mark} {number}") for number in range(3)}
    listed = composio.auth_configs.list
    assert {it.id for it in listed(search=mark).items} == ids
    assert ids <= {it.id for it in listed(toolkit_slug="keyed", limit=200).items}
    assert all(it.is_composio_managed for it in listed(is_composio_managed=True).items)
    first = listed(search=mark, limit=2)
    rest = listed(search=mark, limit=2, cursor=first.next_cursor)
    assert {it.id for it in first.items + rest.items} == ids and rest.next_cursor is None


@case("auth_configs.update")
def _():
    made = keyed_config()
    # The method hands on credentials, this switch and the access to tools, and no name.
    answer = composio.auth_configs.update(made, options={"type": "custom", "is_enabled_for_tool_router": False})
    assert field(answer, "success") is True, answer
    assert composio.auth_configs.get(made).is_enabled_for_tool_router is False


@case("auth_configs.update of the tools that accounts may run", "auth_configs.update")
def _():
    made = composio.auth_configs.create("sandbox", {"type": "use_composio_managed_auth", "name": "limited"}).id
    session = new_session(auth_configs={"sandbox": made})
    Person().follow(session.authorize("sandbox").redirect_url)

    def limit(tool):
        access = {"tools_available_for_execution": [tool]}
        composio.auth_configs.update(made, options={"type": "default", "tool_access_config": access})

    try:
        limit("SANDBOX_LIST_NOTES")
        error = fails(session.execute, "SANDBOX_CREATE_NOTE", arguments={"text": "x"})
        assert status(error) == 403 and "auth config" in str(error), error
        assert field(session.execute("SANDBOX_LIST_NOTES", arguments={}), "error") is None
        assert status(fails(limit, "SANDBOX_LIST_NOTE")) == 400
    finally:
        composio.auth_configs.delete(made)


@case("auth_configs.update of a managed one", "auth_configs.update")
def _():
    made = composio.auth_configs.create("sandbox", {"type": "use_composio_managed_auth", "name": "before"}).id
    composio.auth_configs.update(made, options={"type": "default", "is_enabled_for_tool_router": False})
    got = composio.auth_configs.get(made)
    assert got.is_enabled_for_tool_router is False and got.name == "before", got
    composio.auth_configs.delete(made)


@case("auth_configs.disable")
def _():
    made = keyed_config()
    account = keyed_account(config=made)
    assert field(composio.auth_configs.disable(made), "success") is True
    assert composio.auth_configs.get(made).status == "DISABLED"
    assert composio.connected_accounts.get(account).auth_config.is_disabled is True
    assert made not in [it.id for it in composio.auth_configs.list(toolkit_slug="keyed", limit=200).items]
    assert made in [it.id for it in composio.auth_configs.list(toolkit_slug="keyed", limit=200, show_disabled=True).items]


@case("auth_configs.enable")
def _():
    made = keyed_config()
    composio.auth_configs.disable(made)
    assert field(composio.auth_configs.enable(made), "success") is True
    assert composio.auth_configs.get(made).status == "ENABLED"


@case("auth_configs.delete")
def _():
    made = keyed_config()
    account = keyed_account(config=made)
    assert composio.auth_configs.delete(made).success is True
    not_found(fails(composio.auth_configs.get, made))
    not_found(fails(composio.connected_accounts.get, account))


# ── Toolkits ────────────────────────────────────────────────────────────────────────────────────


@case("toolkits.list")
def _():
    page = composio.toolkits.list(limit=2, sort_by="alphabetically")
    assert len(page.items) == 2 and page.items[0].name.lower() <= page.items[1].name.lower()
    rest = composio.toolkits.list(limit=2, sort_by="alphabetically", cursor=page.next_cursor)
    assert not {it.slug for it in page.items} & {it.slug for it in rest.items}
    assert [it.slug for it in composio.toolkits.list(category="testing").items] == ["keyed"]


@case("toolkits.get")
def _():
    toolkit = composio.toolkits.get("sandbox")
    assert toolkit.slug == "sandbox" and toolkit.name == "Sandbox"
    assert {it.mode for it in toolkit.auth_config_details} == {"OAUTH2", "API_KEY", "BASIC"}
    assert toolkit.meta.categories[0].slug == "developer-tools", toolkit.meta
    slugs = [it.slug for it in composio.toolkits.get(query={"category": "testing"})]
    assert slugs == ["keyed"], slugs


@case("toolkits.get of an unknown one", "toolkits.get")
def _():
    not_found(fails(composio.toolkits.get, "nosuchtoolkit"), "nosuchtoolkit")


@case("toolkits.get_many")
def _():
    assert {it.slug for it in composio.toolkits.get_many(["sandbox", "keyed"])} == {"sandbox", "keyed"}


@case("toolkits.changelog")
def _():
    items = composio.toolkits.changelog().items
    (sandbox,) = [it for it in items if it.slug == "sandbox"]
    assert sandbox.versions[0].version, sandbox


@case("toolkits.list_categories")
def _():
    assert "developer-tools" in {it.id for it in composio.toolkits.list_categories()}


@case("toolkits.authorize")
def _():
    managed()
    user = new_user()
    # It takes the newest auth config of the toolkit.
    request = composio.toolkits.authorize(user_id=user, toolkit="sandbox")
    assert request.redirect_url and request.status in ("INITIATED", "INITIALIZING"), vars(request)


@case("toolkits.get_auth_config_creation_fields")
def _():
    fields = composio.toolkits.get_auth_config_creation_fields("sandbox", "OAUTH2")
    assert {"client_id", "client_secret"} <= {it.name for it in fields}, fields
    required = composio.toolkits.get_auth_config_creation_fields("sandbox", "OAUTH2", required_only=True)
    assert {it.name for it in required} <= {it.name for it in fields}
    is_error(fails(composio.toolkits.get_auth_config_creation_fields, "keyed", "OAUTH2"), exceptions.InvalidParams)


@case("toolkits.get_connected_account_initiation_fields")
def _():
    fields = composio.toolkits.get_connected_account_initiation_fields("keyed", "API_KEY", required_only=True)
    assert [it.name for it in fields] == ["generic_api_key"], fields


# ── The client package ──────────────────────────────────────────────────────────────────────────


@case("client.tool_router.session.create")
def _():
    made = client.tool_router.session.create(user_id=new_user(), toolkits={"enable": ["sandbox"]})
    assert made.session_id.startswith("trs_") and made.config_version == 1 and made.mcp.url.startswith(BASE)


@case("client.tool_router.session.retrieve")
def _():
    made = new_session().session_id
    got = client.tool_router.session.retrieve(made)
    assert got.session_id == made and got.config.toolkits.enabled == ["sandbox"], got


@case("client.tool_router.session.patch")
def _():
    made = new_session().session_id
    answer = client.tool_router.session.patch(made, toolkits={"enable": ["keyed"]}, tags=["readOnlyHint"])
    assert answer.config.toolkits.enabled == ["keyed"] and answer.config_version == 2, answer
    assert client.tool_router.session.patch(made, multi_account={"enable": True}).config_version == 3


@case("client.tool_router.session.attach")
def _():
    made = new_session().session_id
    tool = {"slug": "GREET", "name": "Greet", "description": "Greets", "input_schema": {"type": "object", "properties": {}}}
    answer = client.tool_router.session.attach(made, experimental={"custom_tools": [tool]})
    assert answer.session_id == made, answer


@case("client.tool_router.session.config_history")
def _():
    made = new_session().session_id
    items = client.tool_router.session.config_history(made, limit=5).items
    assert [it.version for it in items] == [1] and items[0].is_current is True, items


@case("client.tool_router.session.toolkits")
def _():
    made = new_session().session_id
    page = client.tool_router.session.toolkits(made, toolkits=["sandbox"], is_connected=False, limit=5)
    assert [it.slug for it in page.items] == ["sandbox"] and page.total_pages == 1, page


@case("client.tool_router.session.search")
def _():
    made = new_session().session_id
    found = client.tool_router.session.search(made, queries=[{"use_case": "list my notes"}])
    assert found.results[0].primary_tool_slugs[0] == "SANDBOX_LIST_NOTES", found


@case("client.tool_router.session.execute_meta")
def _():
    made = new_session().session_id
    arguments = {"toolkits": ["sandbox"]}
    linked = client.tool_router.session.execute_meta(made, slug="COMPOSIO_MANAGE_CONNECTIONS", arguments=arguments)
    assert "/link/lt_" in field(linked, "data")["results"]["sandbox"]["redirect_url"], linked


@case("client.tool_router.session.tools")
def _():
    made = new_session(preload={"tools": ["SANDBOX_LIST_NOTES"]}).session_id
    assert [it.slug for it in client.tool_router.session.tools(made).items] == ["SANDBOX_LIST_NOTES", *META_TOOLS]


@case("client.tool_router.session.execute")
def _():
    session, _account = connected()
    answer = client.tool_router.session.execute(session.session_id, tool_slug="SANDBOX_GET_PROFILE", arguments={})
    assert answer.error is None and field(answer, "data")["username"] == "alice", answer


@case("client.tool_router.session.link")
def _():
    made = new_session().session_id
    answer = client.tool_router.session.link(
        made, toolkit="sandbox", callback_url="https://app.example/done", experimental={"account_type": "PRIVATE"}
    )
    assert answer.link_token.startswith("lt_") and answer.redirect_url and answer.connected_account_id, answer


@case("client.tool_router.session.proxy_execute")
def _():
    session, _account = connected()
    call = {"toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET"}
    assert client.tool_router.session.proxy_execute(session.session_id, **call).status == 200


@case("client.tool_router.session.delete")
def _():
    made = new_session().session_id
    assert client.tool_router.session.delete(made).deleted is True


@case("client.link.create")
def _():
    config = managed()
    answer = client.link.create(auth_config_id=config, user_id=new_user(), callback_url="https://app.example/done")
    assert answer.link_token.startswith("lt_") and answer.expires_at, answer
    Person().follow(answer.redirect_url)
    assert client.connected_accounts.retrieve(answer.connected_account_id).status == "ACTIVE"


@case("client.connected_accounts.create")
def _():
    config = keyed_config()
    state = {"auth_scheme": "API_KEY", "val": {"status": "ACTIVE", "generic_api_key": "key-number-one"}}
    answer = client.connected_accounts.create(
        auth_config={"id": config}, connection={"user_id": new_user(), "state": state}
    )
    assert answer.status == "ACTIVE" and answer.connection_data.val.status == "ACTIVE", answer


@case("client.connected_accounts.retrieve")
def _():
    account = keyed_account()
    assert client.connected_accounts.retrieve(account).id == account


@case("client.connected_accounts.list")
def _():
    user = new_user()
    account = keyed_account(user)
    assert [it.id for it in client.connected_accounts.list(user_ids=[user]).items] == [account]


@case("client.connected_accounts.patch")
def _():
    account = keyed_account()
    assert client.connected_accounts.patch(account, alias="renamed").success is True
    assert client.connected_accounts.patch(account, alias="").success is True
    assert not getattr(client.connected_accounts.retrieve(account), "alias", None)


@case("client.connected_accounts.update_status")
def _():
    account = keyed_account()
    assert client.connected_accounts.update_status(account, enabled=False).success is True


@case("client.connected_accounts.refresh")
def _():
    account = keyed_account()
    error = fails(client.connected_accounts.refresh, account)
    is_error(error, composio_client.BadRequestError)


@case("client.connected_accounts.revoke")
def _():
    _session, account = connected()
    assert client.connected_accounts.revoke(account).connected_account.status == "REVOKED"


@case("client.connected_accounts.complete_auth")
def _():
    _theirs, key, user, account, uri = confirmed()
    answer = low_level(key=key).connected_accounts.complete_auth(user_id=user, session_uri=uri)
    assert answer.connected_account_id == account
    error = fails(client.connected_accounts.complete_auth, user_id="somebody", session_uri="nothing-like-it")
    assert status(error) in (400, 404), error


@case("client.connected_accounts.delete")
def _():
    account = keyed_account()
    assert client.connected_accounts.delete(account).success is True


@case("client.auth_configs.create")
def _():
    made = client.auth_configs.create(
        toolkit={"slug": "keyed"}, auth_config={"type": "use_custom_auth", "auth_scheme": "API_KEY", "credentials": {}}
    )
    assert made.toolkit.slug == "keyed" and made.auth_config.id.startswith("ac_"), made


@case("client.auth_configs.retrieve")
def _():
    made = keyed_config()
    assert client.auth_configs.retrieve(made).id == made


@case("client.auth_configs.list")
def _():
    made = keyed_config()
    assert made in [it.id for it in client.auth_configs.list(toolkit_slug="keyed", limit=200).items]


@case("client.auth_configs.update")
def _():
    made = keyed_config()
    assert field(client.auth_configs.update(made, type="custom", name="after"), "success") is True


@case("client.auth_configs.update_status")
def _():
    made = keyed_config()
    assert field(client.auth_configs.update_status("DISABLED", nanoid=made), "success") is True


@case("client.auth_configs.delete")
def _():
    made = keyed_config()
    assert client.auth_configs.delete(made).success is True


@case("client.auth_configs.delete with revocation", "client.auth_configs.delete")
def _():
    made = composio.auth_configs.create("sandbox", {"type": "use_composio_managed_auth", "name": "to be deleted"}).id
    request = composio.connected_accounts.link(new_user(), made)
    Person().follow(request.redirect_url)
    assert client.auth_configs.delete(made, revoke_on_delete=True).success is True
    not_found(fails(client.connected_accounts.retrieve, request.id))


@case("client.toolkits.list")
def _():
    page = client.toolkits.list(search="keye", managed_by="all")
    assert [it.slug for it in page.items] == ["keyed"] and page.total_items == 1, page


@case("client.toolkits.retrieve")
def _():
    assert client.toolkits.retrieve("sandbox").composio_managed_auth_schemes == ["OAUTH2"]


@case("client.toolkits.retrieve_categories")
def _():
    assert "testing" in {it.id for it in client.toolkits.retrieve_categories().items}


@case("client.toolkits.retrieve_multi")
def _():
    page = client.toolkits.retrieve_multi(toolkits=["sandbox", "keyed"], limit=1, sort_by="alphabetically")
    assert [it.slug for it in page.items] == ["keyed"] and page.total_items == 2 and page.next_cursor, page


@case("client.toolkits.retrieve_changelog")
def _():
    assert {"sandbox", "keyed"} <= {it.slug for it in client.toolkits.retrieve_changelog().items}


@case("low-level errors", "client.connected_accounts.retrieve")
def _():
    not_found(fails(client.connected_accounts.retrieve, "ca_doesnotexist"))
    is_error(fails(low_level(key="ak_wrong").toolkits.list), composio_client.AuthenticationError)


# ── Organisation, projects and keys ─────────────────────────────────────────────────────────────


def with_key(kind, variable):
    if variable not in os.environ:
        raise Absent(f"the server has no key for it: {variable}")
    return low_level(kind, os.environ[variable])


KEYS = {"OrganizationAuth": "ORG_KEY", "UserAuth": "USER_KEY"}


def organization():
    return with_key("OrganizationAuth", "ORG_KEY")


def person():
    return with_key("UserAuth", "USER_KEY")


def new_project():
    """A project and its first key."""
    made = organization().org.owner.project.create(name=f"made-{new_user()}", should_create_api_key=True)
    assert made.id.startswith("pr_") and made.api_key.startswith("ak_"), made
    return made


def opens(key):
    """A project key is good."""
    assert low_level(key=key).toolkits.list(limit=1).items


def opens_no_more(key):
    is_error(fails(low_level(key=key).toolkits.list), composio_client.AuthenticationError)


@case("client.auth.session.retrieve_info")
def _():
    info = client.auth.session.retrieve_info()
    assert info.project.id.startswith("pr_") and info.org_member.id, info
    info = organization().auth.session.retrieve_info()
    assert info.org_member.role, info
    is_error(fails(low_level(key="ak_wrong").auth.session.retrieve_info), composio_client.AuthenticationError)


@case("client.org.owner.project.create")
def _():
    opens(new_project().api_key)
    is_error(fails(organization().org.owner.project.create, name="no spaces please"), composio_client.BadRequestError)


@case("client.org.owner.project.create with a scoped key", "client.org.owner.project.create")
def _():
    grants = [{"preset": "toolkits", "access": "read"}]
    create = organization().org.owner.project.create
    made = create(name=f"scoped-{new_user()}", should_create_api_key=True, api_key_permissions=grants)
    opens(made.api_key)
    error = fails(low_level(key=made.api_key).tool_router.session.create, user_id="somebody")
    is_error(error, composio_client.PermissionDeniedError)


@case("client.org.owner.project.create with a project's key", "client.org.owner.project.create")
def _():
    error = fails(client.org.owner.project.create, name="by-a-project")
    assert status(error) in (401, 403), error


@case("client.org.owner.project.list")
def _():
    ids = {new_project().id for _ in range(2)}
    listed = organization().org.owner.project.list
    assert ids <= {it.id for it in listed(limit=50).data}
    first = listed(limit=1)
    second = listed(limit=1, cursor=first.next_cursor)
    assert first.data[0].id != second.data[0].id and first.total_items >= 3, first


@case("client.org.owner.project.retrieve")
def _():
    made = new_project()
    got = organization().org.owner.project.retrieve(made.id)
    assert (got.id, got.name) == (made.id, made.name) and len(got.api_keys) == 1, got
    assert made.api_key not in str(got), "a stored key is not shown"
    not_found(fails(organization().org.owner.project.retrieve, "pr_doesnotexist"))


@case("client.org.owner.project.regenerate_api_key")
def _():
    made = new_project()
    opens(organization().org.owner.project.regenerate_api_key(made.id).api_key.key)
    opens_no_more(made.api_key)


@case("client.org.owner.project.delete")
def _():
    made = new_project()
    organization().org.owner.project.delete(made.id)
    not_found(fails(organization().org.owner.project.retrieve, made.id))
    opens_no_more(made.api_key)


@case("client.toolkits.list with a member's key", "client.toolkits.list")
def _():
    if not NEWER:
        raise Absent("this client knows project keys only")
    made, key = new_project(), os.environ["USER_KEY"]
    scope = composio_client.Scope(
        organization_id=organization().org.owner.project.retrieve(made.id).org_id, project_id=made.id
    )
    member = composio_client.Composio(auth=composio_client.UserAuth(key), scope=scope, base_url=BASE)
    assert Seen(member, "client.").toolkits.list(limit=1).items


@case("client.org.list")
def _():
    (found,) = person().org.list().organizations
    assert found.id and found.name, found


@case("client.org.project.list")
def _():
    made = new_project()
    assert made.id in [it.id for it in person().org.project.list(limit=50).data]


@case("client.api_key_revocation.create")
def _():
    made = new_project()
    assert client.api_key_revocation.create(api_keys=[made.api_key, "nothing like a key"]).received is True
    opens_no_more(made.api_key)


# ── Tools without a session ─────────────────────────────────────────────────────────────────────


@case("tools.get")
def _():
    names = {tool["function"]["name"] for tool in composio.tools.get(user_id="somebody", toolkits=["sandbox"])}
    assert {"SANDBOX_CREATE_NOTE", "SANDBOX_LIST_NOTES", "SANDBOX_DELETE_NOTE"} <= names, names
    one = composio.tools.get(user_id="somebody", tools=["SANDBOX_LIST_NOTES"])
    assert [tool["function"]["name"] for tool in one] == ["SANDBOX_LIST_NOTES"], one


@case("tools.execute")
def _():
    user, account = new_user(), None
    request = new_session(user_id=user).authorize("sandbox")
    Person("alice").follow(request.redirect_url)
    call = {"user_id": user, "dangerously_skip_version_check": True}
    made = composio.tools.execute("SANDBOX_CREATE_NOTE", arguments={"text": "without a session"}, **call)
    assert made["successful"] is True and made["error"] is None, made
    assert made["data"]["text"] == "without a session", made
    named = composio.tools.execute("SANDBOX_GET_PROFILE", arguments={}, connected_account_id=request.id, **call)
    assert named["data"]["username"] == "alice", named
    gone = composio.tools.execute("SANDBOX_DELETE_NOTE", arguments={"note_id": "note_999999"}, **call)
    assert gone["successful"] is False and "404" in gone["error"], gone


@case("tools.get_raw_composio_tools")
def _():
    tools = composio.tools.get_raw_composio_tools(toolkits=["sandbox"])
    assert {tool.toolkit.slug for tool in tools} == {"sandbox"}, tools
    assert all(tool.input_parameters["type"] == "object" for tool in tools), tools


@case("tools.proxy")
def _():
    _session, account = connected()
    answer = composio.tools.proxy(endpoint="/me", method="GET", connected_account_id=account)
    assert answer.status == 200 and field(answer, "data")["username"] == "alice", answer


@case("tools.get_raw_composio_tool_by_slug")
def _():
    tool = composio.tools.get_raw_composio_tool_by_slug("SANDBOX_LIST_NOTES")
    assert (tool.slug, tool.toolkit.slug) == ("SANDBOX_LIST_NOTES", "sandbox"), tool


@case("tools.get_raw_tool_router_meta_tools")
def _():
    session = new_session(preload={"tools": ["SANDBOX_LIST_NOTES"]})
    tools = composio.tools.get_raw_tool_router_meta_tools(session.session_id)
    assert [tool.slug for tool in tools] == ["SANDBOX_LIST_NOTES", *META_TOOLS], tools


@case("toolkits.recommend_scopes")
def _():
    answer = composio.toolkits.recommend_scopes("sandbox", tools=["SANDBOX_CREATE_NOTE"])
    assert "notes:write" in str(answer), answer


@case("toolkits.list_grant_contexts")
def _():
    assert "OAUTH2" in str(composio.toolkits.list_grant_contexts("sandbox"))


@case("client.toolkits.recommend_scopes")
def _():
    answer = client.toolkits.recommend_scopes("sandbox", tools=["SANDBOX_CREATE_NOTE"])
    assert answer.scopes.least_privilege == ["notes:write"] and answer.scopes.fewest == ["notes:write"], answer


@case("client.toolkits.retrieve_scopes_grant_context")
def _():
    answer = client.toolkits.retrieve_scopes_grant_context("sandbox")
    assert answer.auth_scheme == "OAUTH2" and answer.grant_context_dimensions == [], answer


@case("client.tools.list")
def _():
    page = client.tools.list(toolkit_slug="sandbox", limit=2)
    assert len(page.items) == 2 and page.next_cursor and page.items[0].toolkit.slug == "sandbox", page


@case("client.tools.retrieve")
def _():
    tool = client.tools.retrieve("SANDBOX_LIST_NOTES")
    assert tool.input_parameters["type"] == "object" and "readOnlyHint" in tool.tags, tool


@case("client.tools.retrieve_enum")
def _():
    assert "SANDBOX_LIST_NOTES" in str(client.tools.retrieve_enum())


@case("client.tools.retrieve_required_scopes")
def _():
    answer = client.tools.retrieve_required_scopes(tools=["SANDBOX_CREATE_NOTE"])
    assert answer.scopes_required == ["notes:write"], answer


@case("client.tools.execute")
def _():
    _session, account = connected(user := new_user())
    call = {"user_id": user, "connected_account_id": account, "arguments": {}}
    answer = client.tools.execute("SANDBOX_GET_PROFILE", **call)
    assert answer.successful is True and field(answer, "data")["username"] == "alice", answer


@case("client.tools.proxy")
def _():
    _session, account = connected()
    answer = client.tools.proxy(endpoint="/me", method="GET", connected_account_id=account)
    assert answer.status == 200 and field(answer, "data")["username"] == "alice", answer


# ── What is not built, where the SDK needs more than any arguments ──────────────────────────────


@case("triggers.create")
def _():
    return not_built(composio.triggers.create, "SANDBOX_NOTE_ADDED", connected_account_id="ca_1", trigger_config={})


@case("triggers.subscribe")
def _():
    return not_built(composio.triggers.subscribe, timeout=3)


def known():
    """Every method of this SDK line: its name, and the method of each client."""
    found = {name: [method] for name, method in methods_of(plain, "").items()}
    for name in ("create", "use"):
        found[f"composio.{name}"] = found.pop(name)
    kinds = [("ProjectAuth", KEY)] + [(kind, os.environ[it]) for kind, it in KEYS.items() if it in os.environ]
    for kind, key in kinds:
        for name, method in methods_of(plain_client(kind, key), "client.").items():
            found.setdefault(name, []).append(method)
    session = plain.create(user_id="somebody", toolkits=["sandbox"])
    for thing, prefix in ((session, "session."), (session.authorize("sandbox"), "connection_request.")):
        found |= {name: [method] for name, method in methods_of(thing, prefix).items()}
    return found


if __name__ == "__main__":
    raise SystemExit(run(known(), sys.argv[1:]))
