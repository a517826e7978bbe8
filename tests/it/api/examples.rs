//! The examples of the reference are answers of this server: each is driven against it, with ids,
//! times and tokens made equal, and compared with the recorded one.
//!
//! `UPDATE_EXAMPLES=1 cargo test -p switchboard --test it api::examples` writes them anew; a new
//! operation gets a step here and a name in `src/api/openapi/examples.rs`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use switchboard::api::openapi;
use switchboard::api::operations::{self, Operation, State};

use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;
use crate::support::tools::root;

/// Working operations that have no example, and why.
const WITHOUT_EXAMPLE: &[(&str, &str)] = &[];

/// One scripted world, and what was said in it.
struct World {
    server: TestServer,
    equal: Equaliser,
    recorded: BTreeMap<String, Value>,
}

/// A call of the script.
#[derive(Default)]
struct Step<'a> {
    path: &'a [(&'a str, &'a str)],
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
}

impl World {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let equal = Equaliser::new(&server);
        Self { server, equal, recorded: BTreeMap::new() }
    }

    /// Calls an operation as its key's owner and records request and answer.
    async fn call(&mut self, id: &str, step: Step<'_>) -> Value {
        let operation = operations::all().find(|it| it.id() == id).unwrap_or_else(|| panic!("no operation {id}"));
        let State::Works { docs, .. } = operation.state else { panic!("{id} is not built") };
        let reply = self.send(&self.server.api.clone(), operation, &step).await;
        let answer = reply.expect(docs().status);
        self.record(id, &step, &answer);
        answer
    }

    async fn send(&self, api: &Api, operation: &Operation, step: &Step<'_>) -> Reply {
        let mut path = operation.path.to_owned();
        for (name, value) in step.path {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        if !step.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(step.query).finish();
            path = format!("{path}?{query}");
        }
        let body = step.body.as_ref().map(Value::to_string).unwrap_or_default();
        api.call(operation.method, &path, body).await
    }

    fn record(&mut self, name: &str, step: &Step<'_>, answer: &Value) {
        let mut example = Map::new();
        for (key, pairs) in [("path", step.path), ("query", step.query)] {
            if !pairs.is_empty() {
                let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
                example.insert(key.to_owned(), Value::Object(pairs));
            }
        }
        if let Some(body) = &step.body {
            example.insert("request".to_owned(), body.clone());
        }
        example.insert("response".to_owned(), answer.clone());
        let example = self.equal.value(&Value::Object(example));
        assert!(self.recorded.insert(name.to_owned(), example).is_none(), "{name} is recorded once");
    }
}

/// Puts the same words wherever a run differs from the next: origins, ids, tokens, times.
struct Equaliser {
    origins: Vec<(String, &'static str)>,
    ids: BTreeMap<String, String>,
}

const PREFIXES: [&str; 11] = ["trs_", "ca_", "ac_", "lt_", "req_", "pr_", "key_", "st_", "evt_", "org_", "log_"];

impl Equaliser {
    fn new(server: &TestServer) -> Self {
        Self {
            origins: vec![
                (server.url.clone(), "https://switchboard.example.com"),
                (server.sandbox_url.clone(), "https://sandbox.example.com"),
            ],
            ids: BTreeMap::new(),
        }
    }

    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        // A few words by chance; a header of the day.
                        ("word_id", Value::String(_)) => "sandbox_quiet-river".into(),
                        ("date", Value::String(_)) => "Thu, 15 Jan 2026 09:30:00 GMT".into(),
                        _ => self.value(value),
                    };
                    (key.clone(), value)
                });
                Value::Object(entries.collect())
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if is_time(text) {
            return "2026-01-15T09:30:00.000Z".to_owned();
        }
        let mut text = text.to_owned();
        for (origin, neutral) in &self.origins {
            text = text.replace(origin, neutral);
            let host = |url: &str| url.split_once("://").unwrap().1.to_owned();
            text = text.replace(&host(origin), &host(neutral));
        }
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words: Vec<&str> = text.split(|letter: char| !is_word(letter)).collect();
        let mut shown = text.clone();
        for word in words {
            if let Some(prefix) = PREFIXES.iter().find(|prefix| word.starts_with(**prefix))
                && word.len() >= prefix.len() + 20
            {
                let equal = self.id(prefix, word);
                shown = shown.replace(word, &equal);
            }
        }
        shown
    }

    /// The same id for the same thing: `trs_1example…`, `trs_2example…`, and as long as it was.
    fn id(&mut self, prefix: &str, id: &str) -> String {
        let count = self.ids.values().filter(|known| known.starts_with(prefix)).count() + 1;
        let made = || {
            let filler = "0000000000Example".chars().cycle();
            let rest: String = filler.take(id.len() - prefix.len() - 1).collect();
            format!("{prefix}{count}{rest}")
        };
        self.ids.entry(id.to_owned()).or_insert_with(made).clone()
    }
}

/// `2026-01-15T09:30:00.000Z`.
fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T' && text.as_bytes()[19] == b'.'
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Everything a developer does on a first afternoon, then the other operations.
async fn script(world: &mut World) {
    let body = json!({
        "user_id": "user-42",
        "toolkits": { "enable": ["sandbox"] },
        "manage_connections": { "callback_url": "https://app.example.com/connected" },
    });
    let session = world.call("post_tool_router_session", Step { body: Some(body), ..Step::default() }).await;
    let session = text(&session["session_id"]);
    let in_session = [("session_id", session.as_str())];
    let step = || Step { path: &in_session, ..Step::default() };
    world.call("get_tool_router_session_session_id", step()).await;

    let body = json!({ "toolkit": "sandbox", "alias": "work" });
    let link = world.call("post_tool_router_session_session_id_link", Step { body: Some(body), ..step() }).await;
    let account = text(&link["connected_account_id"]);
    let browser_ends_here = finish(&world.server.api.clone(), &link, &account).await;
    assert_eq!(browser_ends_here, "ACTIVE");
    world.call("get_connected_accounts", Step { query: &[("user_ids", "user-42")], ..Step::default() }).await;
    let of_account = [("id", account.as_str())];
    world.call("get_connected_accounts_id", Step { path: &of_account, ..Step::default() }).await;
    let body = json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET" });
    world.call("post_tool_router_session_session_id_proxy_execute", Step { body: Some(body), ..step() }).await;

    world.call("get_toolkits", Step { query: &[("search", "sandbox")], ..Step::default() }).await;
    world.call("get_toolkits_slug", Step { path: &[("slug", "sandbox")], ..Step::default() }).await;

    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "API_KEY", "name": "Sandbox by key", "credentials": {},
    }});
    let config = world.call("post_auth_configs", Step { body: Some(body), ..Step::default() }).await;
    let config = text(&config["auth_config"]["id"]);
    let of_config = [("id", config.as_str())];
    world.call("get_auth_configs", Step { query: &[("toolkit_slug", "sandbox")], ..Step::default() }).await;
    world.call("get_auth_configs_id", Step { path: &of_config, ..Step::default() }).await;

    world.call("delete_auth_configs_id", Step { path: &of_config, ..Step::default() }).await;
    world.call("delete_connected_accounts_id", Step { path: &of_account, ..Step::default() }).await;
    world.call("delete_tool_router_session_session_id", step()).await;
    let gone = world.server.api.get(&format!("/tool_router/session/{session}")).await;
    world.record("error", &Step::default(), &gone.expect(404));
}

/// The user agrees at the provider; the account's status then. (The app of the callback is nobody's.)
async fn finish(api: &Api, link: &Value, account: &str) -> String {
    use crate::support::browser::Browser;
    let url = text(&link["redirect_url"]);
    Browser::new("alice").follow(&url, |url| url.host_str() == Some("app.example.com")).await;
    api.status(account).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_reference_is_an_answer_of_this_server() {
    let mut world = World::start().await;
    script(&mut world).await;
    let folder = root().join("src/api/openapi/examples");
    let update = std::env::var_os("UPDATE_EXAMPLES").is_some();
    let mut wrong = Vec::new();
    for (name, example) in &world.recorded {
        let file = folder.join(format!("{name}.json"));
        let now = serde_json::to_string_pretty(example).unwrap() + "\n";
        if update {
            std::fs::write(&file, now).unwrap();
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(&now) {
            wrong.push(format!("{name} answers differently now:\n{now}"));
        } else if openapi::example(name).is_none() {
            wrong.push(format!("{name} is not listed in src/api/openapi/examples.rs"));
        }
    }
    for operation in operations::all().filter(|operation| operation.works_here()) {
        let (id, method, path) = (operation.id(), operation.method, operation.path);
        let is_excepted = WITHOUT_EXAMPLE.iter().any(|(name, _)| *name == id);
        if world.recorded.contains_key(&id) == is_excepted {
            wrong.push(format!("{method} {path} ({id}) needs a step in this test, or an entry in WITHOUT_EXAMPLE"));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_EXAMPLES=1 and read the difference:\n{}", wrong.join("\n"));
}
