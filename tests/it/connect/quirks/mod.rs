//! The quirk matrix: each key of a toolkit file that changes what is sent or what is read is used here by a
//! fixture and proven by the request that the provider recorded, or by what the account then says.

mod account;
mod coverage;
mod keys;
mod life;
mod oauth2;
mod schemes;

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::support::browser::Browser;
use crate::support::http::{Http, Reply};
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// One fixture and what it leads to. `$ORIGIN` and `$HOST` are the provider's.
pub struct Case {
    /// What it proves, as `Type.key`.
    pub keys: &'static [&'static str],
    /// Keys of the toolkit that stand before its tables.
    pub top: &'static str,
    /// The tables of the toolkit, without the two endpoints that `[oauth2]` always has.
    pub tables: &'static str,
    /// Which of the tables is used, if it is not the first.
    pub scheme: &'static str,
    /// More members of the auth config's credentials.
    pub credentials: &'static str,
    /// What is typed into the connect form of a scheme that is not OAuth 2.0.
    pub form: &'static [(&'static str, &'static str)],
    /// The query of the provider's callback, besides `state`.
    pub callback: &'static str,
    /// What the provider answers: path and body, or `times path` for the first answers only.
    /// A line `Name: value` before the body is a header, a number is a status.
    pub answers: &'static [(&'static str, &'static str)],
    /// A place and a text in it; `!` before the text: not in it. Places are `authorize` (the URL that the
    /// browser is sent to), `page` (where it ends), `account`, `link`, and the paths of recorded requests.
    pub expect: &'static [(&'static str, &'static str)],
}

impl Case {
    pub const PLAIN: Self = Self {
        keys: &[],
        top: "",
        tables: "[oauth2]",
        scheme: "",
        credentials: "{}",
        form: &[],
        callback: "code=the-code",
        answers: &[],
        expect: &[],
    };
}

/// What a provider answers that has no quirk.
const TOKEN: &str = r#"{"access_token":"AT1","refresh_token":"RT1","token_type":"Bearer","expires_in":600}"#;

/// Runs cases against one provider, each with a server of its own.
pub async fn prove(cases: &[Case]) {
    let provider = Provider::mock(&[]);
    let mut wrong = Vec::new();
    for case in cases {
        provider.heal().await;
        provider.forget().await;
        for (path, answer) in case.answers.iter().copied().chain([("/token", TOKEN), ("/api/thing", "{}")]) {
            provider.fault(&scripted(path, answer, &provider)).await;
        }
        let mut run = Run::start(&provider, case).await;
        run.connect(&provider, case).await;
        run.use_it().await;
        wrong.extend(run.check(&provider, case).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A fault of the provider's front that plays an answer.
fn scripted(path: &str, answer: &str, provider: &Provider) -> Value {
    let (times, path) = path.split_once(' ').map_or((None, path), |(times, path)| (times.parse::<u32>().ok(), path));
    let mut fault = json!({ "path": path, "status": 200 });
    let mut lines: Vec<&str> = answer.split('\n').collect();
    let body = lines.pop().unwrap();
    for line in lines {
        match line.split_once(": ") {
            Some((name, value)) => fault["headers"][name] = filled(value, provider).into(),
            None => fault["status"] = line.parse::<u16>().unwrap().into(),
        }
    }
    fault["body"] = filled(body, provider).into();
    if let Some(times) = times {
        fault["times"] = times.into();
    }
    fault
}

fn filled(text: &str, provider: &Provider) -> String {
    let origin = provider.origin();
    text.replace("$ORIGIN", &origin).replace("$HOST", origin.split_once("://").unwrap().1)
}

struct Run {
    server: TestServer,
    auth_config: Option<String>,
    session: String,
    link: Value,
    authorize: String,
    page: String,
}

impl Run {
    async fn start(provider: &Provider, case: &Case) -> Self {
        let endpoints = "[oauth2]\nauthorization_url = \"$ORIGIN/authorize\"\ntoken_url = \"$ORIGIN/token\"\n";
        let text = format!(
            "slug = \"quirk\"\nname = \"Quirk\"\ndescription = \"A provider with a quirk\"\n\
             categories = [\"testing\"]\ncolor = \"#336699\"\nversion = \"20261126_00\"\n\
             base_url = \"$ORIGIN/api\"\nhosts = [\"$HOST\"]\n{}\n{}\n",
            case.top,
            case.tables.replace("[oauth2]\n", endpoints)
        );
        let text = filled(&text.replace("[oauth2]\n\n", endpoints), provider);
        let server = TestServer::builder().toolkit("quirk", &text).start().await;
        let named = Some(case.scheme.to_owned()).filter(|scheme| !scheme.is_empty());
        let scheme = named.or_else(|| text.lines().find_map(scheme_of_table));
        let scheme = scheme.unwrap_or_else(|| panic!("no scheme in {text}"));
        let auth_config = Self::auth_config(&server, &scheme, case).await;
        let session = server.api.session("user-1", "quirk").await;
        let link = server.api.link(&session, "quirk").await;
        Self { server, auth_config, session, link, authorize: String::new(), page: String::new() }
    }

    async fn auth_config(server: &TestServer, scheme: &str, case: &Case) -> Option<String> {
        let mut credentials: Value = serde_json::from_str(case.credentials).unwrap();
        if scheme == "OAUTH2" && credentials.get("client_id").is_none() {
            for (name, value) in [("client_id", "the-client"), ("client_secret", "the client secret")] {
                let all = credentials.as_object_mut().unwrap();
                all.entry(name).or_insert_with(|| value.into());
            }
        }
        let body = json!({ "toolkit": { "slug": "quirk" }, "auth_config": {
            "type": "use_custom_auth", "authScheme": scheme, "credentials": credentials } });
        let made = server.api.post("/auth_configs", &body).await.expect(201);
        made["auth_config"]["id"].as_str().map(str::to_owned)
    }

    async fn connect(&mut self, provider: &Provider, case: &Case) {
        let url = self.link["redirect_url"].as_str().unwrap().to_owned();
        let mut browser = Browser::new("alice");
        let page = if case.form.is_empty() {
            let started = browser.submit(&url, &[("action", "continue")]).await;
            if started.status != 303 {
                self.page = started.text();
                return;
            }
            started.header("location").unwrap().clone_into(&mut self.authorize);
            let state = self.state(provider).await;
            let id = self.auth_config.as_deref().unwrap();
            let back = format!("{}/toolkits/auth/callback/{id}?state={state}&{}", self.server.api.base, case.callback);
            browser.get(&back).await
        } else {
            browser.submit(&url, case.form).await
        };
        self.page = end_of(browser, page, &url).await;
    }

    /// From the URL of the provider, or of OAuth 1.0a's first request.
    async fn state(&self, provider: &Provider) -> String {
        let url = Url::parse(&self.authorize).unwrap();
        if let Some((_, state)) = url.query_pairs().find(|(name, _)| name == "state") {
            return state.into_owned();
        }
        let recorded = provider.recorded().await;
        let header = recorded[0]["headers"]["authorization"].as_str().unwrap().to_owned();
        let (_, rest) = header.split_once("state%3D").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Three requests: at once, when the token has ended, and ten seconds later.
    async fn use_it(&self) {
        let call = json!({ "toolkit_slug": "quirk", "endpoint": "/thing", "method": "POST", "body": { "a": 1 } });
        let path = format!("/tool_router/session/{}/proxy_execute", self.session);
        self.server.api.post(&path, &call).await;
        for pause in [Duration::from_mins(15), Duration::from_secs(10)] {
            self.server.clock.advance(pause);
            self.server.api.post(&path, &call).await;
        }
    }

    /// What was expected and is not so, in words.
    async fn check(&self, provider: &Provider, case: &Case) -> Vec<String> {
        let id = self.link["connected_account_id"].as_str().unwrap();
        let account = self.server.api.get(&format!("/connected_accounts/{id}")).await.expect(200).to_string();
        self.server.api.post(&format!("/connected_accounts/{id}/revoke"), &json!({})).await;
        let recorded = provider.recorded().await;
        let mut wrong = Vec::new();
        for (place, text) in case.expect {
            let found = match *place {
                "authorize" => self.authorize.clone(),
                "page" => self.page.clone(),
                "account" => account.clone(),
                path => at_path(&recorded, path),
            };
            let text = filled(text, provider);
            let holds = match text.strip_prefix('!') {
                Some(absent) => !found.contains(absent),
                None => found.contains(&text),
            };
            if !holds {
                let paths: Vec<&str> = recorded.iter().filter_map(|it| it["url"].as_str()).collect();
                wrong.push(format!(
                    "{:?}: {place} should have {text}, but is: {found}\nRequests: {paths:?}\nAccount: {account}",
                    case.keys
                ));
            }
        }
        wrong
    }
}

/// `[s2s_oauth2]` → `S2S_OAUTH2`, for tables that are schemes.
fn scheme_of_table(line: &str) -> Option<String> {
    const TABLES: [&str; 13] = [
        "api_key",
        "basic",
        "basic_with_jwt",
        "bearer_token",
        "billcom_auth",
        "cimd_oauth",
        "dcr_oauth",
        "google_service_account",
        "oauth1",
        "oauth2",
        "s2s_oauth2",
        "saml",
        "service_account",
    ];
    let name = line.trim().trim_matches(|c| c == '[' || c == ']');
    let table = name.split('.').next().unwrap_or(name);
    (line.trim().starts_with('[') && TABLES.contains(&table)).then(|| table.to_uppercase())
}

/// What the user reads in the end.
async fn end_of(mut browser: Browser, reply: Reply, from: &str) -> String {
    match reply.header("location") {
        Some(to) if reply.status == 303 => {
            let url = Url::parse(from).unwrap().join(to).unwrap();
            browser.get(url.as_str()).await.text()
        }
        _ => reply.text(),
    }
}

/// All requests of a path, or of `path#2` the second, each as text: request line, headers, body.
fn at_path(recorded: &[Value], path: &str) -> String {
    let (path, number) = path.split_once('#').map_or((path, None), |(path, n)| (path, n.parse::<usize>().ok()));
    let all: Vec<String> = recorded
        .iter()
        .filter(|it| it["url"].as_str().unwrap().split('?').next() == Some(path))
        .map(|it| {
            let headers: Vec<String> = it["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()))
                .collect();
            let text = |name: &str| it[name].as_str().unwrap().to_owned();
            format!("{} {}\n{}\n\n{}", text("method"), text("url"), headers.join("\n"), text("body"))
        })
        .collect();
    match number {
        Some(number) => all.get(number - 1).cloned().unwrap_or_default(),
        None => all.join("\n----\n"),
    }
}

impl Provider {
    /// All requests since the last [`forget`](Self::forget).
    async fn recorded(&self) -> Vec<Value> {
        let url = format!("{}/_seen?path=*", self.origin());
        Http::new().send("GET", &url, &[], "").await.expect(200).as_array().unwrap().clone()
    }

    pub async fn forget(&self) {
        Http::new().send("DELETE", &format!("{}/_seen", self.origin()), &[], "").await;
    }
}
