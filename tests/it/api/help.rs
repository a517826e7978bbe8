//! What the API tests share: a provider that plays any bytes and remembers what it was sent, the
//! toolkit file of such a provider, connecting an account in one call, a look into the database.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use switchboard::config::Layer;
use switchboard::id::Kind;
use switchboard_vault::SystemEntropy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::support::browser::Browser;
use crate::support::connected::announce_change;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;
use crate::support::tools::tool;

/// The key that tests connect with, unless they say otherwise.
pub const KEY: &str = "key-canary-4f9c2b7d";

/// Tools of the provider `up`.
pub const TOOLS: &str = r#"
[[tools]]
slug = "UP_CREATE_NOTE"
title = "Create a note"
description = "Creates a note in a folder and returns it."
use_cases = ["Write down that the meeting is on Friday.", "Remember the milk."]
effect = "create"
verify_with = "UP_LIST_NOTES"
method = "POST"
path = "/folders/{folder}/notes"
idempotency_header = "X-Key"
query = { source = "agent" }
wrap = "/note"
result = "/note"
[tools.input]
folder = { type = "string", description = "Name of the folder.", required = true }
text = { type = "string", description = "Text of the note.", required = true, maxLength = 20 }
labels = { type = "array", description = "Labels.", items = { type = "string" } }
pinned = { type = "boolean", description = "Shown first.", default = false }

[[tools]]
slug = "UP_DELETE_NOTE"
title = "Delete a note"
description = "Deletes a note. It cannot be undone."
use_cases = ["Throw the note away.", "Delete my oldest note."]
effect = "destructive"
idempotent = true
method = "DELETE"
path = "/notes/{id}"
[tools.input]
id = { type = "integer", description = "Id of the note.", required = true }

[[tools]]
slug = "UP_LIST_NOTES"
title = "List notes"
description = "Lists the notes of the user, newest first."
use_cases = ["What did I write down?", "Is there a note about milk?"]
effect = "read"
method = "GET"
path = "/notes"
error_when = { pointer = "/ok", equals = false, message = "/error" }
[tools.input]
labels = { type = "array", description = "Only with these labels.", items = { type = "string" }, style = "commas" }
"#;

/// A provider of raw bytes. It closes every connection after one answer.
pub struct Upstream {
    pub host: String,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    answers: Arc<Mutex<VecDeque<Vec<u8>>>>,
    held: Arc<Mutex<Option<Held>>>,
}

/// Who is told of a request, and who lets it be answered.
type Held = (oneshot::Sender<()>, oneshot::Receiver<()>);

impl Upstream {
    /// Answers `200 {}` until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let first = http("200 OK", "content-type: application/json\r\n", b"{}");
        let answers = Arc::new(Mutex::new(VecDeque::from([first])));
        let held: Arc<Mutex<Option<Held>>> = Arc::default();
        let (log, play, stop) = (Arc::clone(&seen), Arc::clone(&answers), Arc::clone(&held));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, play, stop) = (Arc::clone(&log), Arc::clone(&play), Arc::clone(&stop));
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    log.lock().unwrap().push(request);
                    let held = stop.lock().unwrap().take();
                    if let Some((asked, release)) = held {
                        let _ = asked.send(());
                        let _ = release.await;
                    }
                    let answer = {
                        let mut answers = play.lock().unwrap();
                        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
                    };
                    let answer = answer.unwrap_or_default();
                    // The service may hang up first, for example when an answer is too large.
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { host, seen, answers, held }
    }

    /// Holds the answer to the next request. The first end says that the request has come, the second one lets it be
    /// answered.
    pub fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((asked, come), (release, go)) = (oneshot::channel(), oneshot::channel());
        *self.held.lock().unwrap() = Some((asked, go));
        (come, release)
    }

    /// Plays these bytes from now on.
    pub fn play(&self, answer: impl Into<Vec<u8>>) {
        *self.answers.lock().unwrap() = [answer.into()].into();
    }

    /// Plays these one after the other, and the last one from then on.
    pub fn play_in_turn(&self, answers: impl IntoIterator<Item = Vec<u8>>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    /// Every request so far, as bytes; then forgets them.
    pub fn take_bytes(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The same as texts.
    pub fn take(&self) -> Vec<String> {
        let taken = self.take_bytes();
        taken.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// The only request since the last look.
    #[track_caller]
    pub fn only(&self) -> String {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    /// A toolkit file for this provider: one API key in `Authorization`, nothing is verified.
    pub fn toolkit(&self, slug: &str) -> String {
        keyed(slug, &format!("http://{}/base", self.host), &self.host)
    }
}

/// An answer with a length.
pub fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A toolkit file without authentication sections.
pub fn bare(slug: &str, base: &str, host: &str) -> String {
    format!(
        "slug = \"{slug}\"\nname = \"Test {slug}\"\ndescription = \"A provider of raw bytes\"\n\
         categories = [\"testing\"]\ncolor = \"#336699\"\nversion = \"20261122_00\"\n\
         base_url = \"{base}\"\nhosts = [\"{host}\"]\n"
    )
}

/// A toolkit file with an API key.
pub fn keyed(slug: &str, base: &str, host: &str) -> String {
    format!(
        "{}[[api_key.fields]]\nname = \"generic_api_key\"\ndisplay_name = \"API key\"\nsecret = true\n\
         [[api_key.apply]]\nheader = \"Authorization\"\nvalue = \"Key {{generic_api_key}}\"\n",
        bare(slug, base, host)
    )
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16_384];
    loop {
        let head = bytes.windows(4).position(|it| it == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return bytes;
            }
        }
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return bytes,
        }
    }
}

/// A server with one such provider, as toolkit `up`.
pub async fn with_upstream() -> (TestServer, Upstream) {
    with_upstream_and(Layer::default()).await
}

/// The same with further settings.
pub async fn with_upstream_and(layer: Layer) -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).layer(layer).start().await;
    (server, upstream)
}

/// Connects a user by filling in the form of a new link; session and account.
pub async fn connect(api: &Api, user: &str, toolkit: &str, form: &[(&str, &str)]) -> (String, String) {
    let session = api.session(user, toolkit).await;
    let link = api.link(&session, toolkit).await;
    (session, finish(api, &link, form).await)
}

/// Connects with [`KEY`].
pub async fn connect_key(api: &Api, user: &str, toolkit: &str) -> (String, String) {
    connect(api, user, toolkit, &[("generic_api_key", KEY)]).await
}

/// Completes a link with a form; the account, which is then ACTIVE.
pub async fn finish(api: &Api, link: &Value, form: &[(&str, &str)]) -> String {
    let page = Browser::new("visitor").submit(link["redirect_url"].as_str().unwrap(), form).await;
    assert!(page.status < 400, "{} {}", page.status, page.text());
    let account = text(link, "connected_account_id");
    assert_eq!(api.status(&account).await, "ACTIVE");
    account
}

/// Completes a link of the sandbox as alice, by OAuth.
pub async fn finish_oauth(api: &Api, link: &Value) -> String {
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = text(link, "connected_account_id");
    assert_eq!(api.status(&account).await, "ACTIVE", "{landing:?}");
    account
}

/// A custom auth config; its id.
pub async fn auth_config(api: &Api, toolkit: &str, scheme: &str) -> String {
    let body = json!({ "toolkit": { "slug": toolkit }, "auth_config": {
        "type": "use_custom_auth", "authScheme": scheme, "credentials": {}, "name": format!("{toolkit} {scheme}"),
    }});
    text(&api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id")
}

/// POST to a session's operation.
pub async fn on_session(api: &Api, session: &str, operation: &str, body: &Value) -> Reply {
    api.post(&format!("/tool_router/session/{session}/{operation}"), body).await
}

/// A proxied call.
pub async fn proxy(api: &Api, session: &str, body: &Value) -> Reply {
    on_session(api, session, "proxy_execute", body).await
}

/// A member that is a string.
#[track_caller]
pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// How many accounts of any type a project has.
pub async fn accounts(api: &Api) -> i64 {
    api.get("/connected_accounts?account_type=ALL").await.expect(200)["total_items"].as_i64().unwrap()
}

/// An id that is well-formed and unknown.
pub fn unknown(kind: Kind) -> String {
    kind.mint(switchboard::time::Clock::now(&switchboard::time::SystemClock), &SystemEntropy).into()
}

/// Runs SQL on the server's database from another process; the rows as JSON.
/// Servers on the database see a change at once, as one that they make themselves.
pub fn sql(database: &Path, statement: &str) -> Value {
    let script = "import sys,json,sqlite3\n\
        c=sqlite3.connect(sys.argv[1],timeout=10)\n\
        rows=[[v.hex() if isinstance(v,bytes) else v for v in r] for r in c.execute(sys.argv[2])]\n\
        c.commit()\nprint(json.dumps(rows))";
    let python = tool("providers-python/bin/python");
    let output = Command::new(python).args(["-c", script]).arg(database).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    announce_change(database);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A path with an unknown id in each place of an id.
pub fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "trs_LX9uJKBinWWr" } else { part });
    parts.collect::<Vec<&str>>().join("/")
}

/// How many events the audit log has.
pub fn events(database: &Path) -> i64 {
    sql(database, "SELECT COUNT(*) FROM audit_events")[0][0].as_i64().unwrap()
}
