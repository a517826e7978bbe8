//! `dev` with providers around it, and a record of every secret and every answer.

use std::fs::File;

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::super::echo::{API_KEY, BASIC, BEARER, Echo};
use super::super::needles::files_under;
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address, run};
use crate::support::providers::Provider;
use crate::support::wait::until;

/// An answer of the server, headers and all.
pub struct Answer {
    pub what: String,
    pub bytes: Vec<u8>,
    /// Names of the secrets that it hands out on purpose.
    pub may: &'static [&'static str],
}

/// A link that was made.
pub struct Link {
    pub url: String,
}

/// Everything of one run.
pub struct World {
    pub dev: Dev,
    pub api: Api,
    pub mock: Provider,
    pub echo: Echo,
    pub secrets: Vec<(String, String)>,
    pub answers: Vec<Answer>,
    folder: TempDir,
    /// Where the metrics are.
    metrics: String,
}

/// A tool of the provider that repeats what it is sent.
const TOOL: &str = r#"
[[tools]]
slug = "SLUG_WRITE"
title = "Write"
description = "Writes a thing."
use_cases = ["Write the thing.", "Make a thing."]
effect = "create"
method = "POST"
path = "/echo"

[[tools]]
slug = "SLUG_SEND"
title = "Send"
description = "Sends a text and a file."
use_cases = ["Send the text.", "Send the file."]
effect = "create"
method = "POST"
path = "/quiet"
body = "multipart"
[tools.input]
text = { type = "string", description = "The text.", required = true, maxLength = 100 }
number = { type = "integer", description = "A number." }
kind = { type = "string", description = "A kind.", enum = ["a", "b"] }
file = { type = "string", description = "The file.", file_uploadable = true }
"#;

impl World {
    pub async fn start(log_format: &str, managed_secret: &str) -> Self {
        let (mock, echo) = (Provider::mock(&[]), Echo::start().await);
        let folder = tempfile::tempdir().unwrap();
        let revocation = format!("revocation_url = \"{}\"", mock.text("revocation_endpoint"));
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let engine = super::engine::toolkits(&mock.origin());
        for (slug, text) in [
            ("mock", mock.toolkit("mock", &revocation)),
            ("mockmanaged", mock.toolkit("mockmanaged", "")),
            ("echokey", echo.toolkit("echokey", API_KEY)),
            ("echobearer", echo.toolkit("echobearer", BEARER)),
            ("echobasic", echo.toolkit("echobasic", BASIC)),
        ]
        .into_iter()
        .chain(engine)
        {
            std::fs::create_dir_all(folder.path().join("toolkits").join(slug)).unwrap();
            std::fs::write(folder.path().join("toolkits").join(slug).join("toolkit.toml"), text).unwrap();
            if slug.starts_with("echo") {
                let tools = TOOL.replace("SLUG", &slug.to_ascii_uppercase());
                std::fs::write(folder.path().join("toolkits").join(slug).join("tools.toml"), tools).unwrap();
            }
        }
        let metrics = own_address();
        let settings = format!(
            "metrics_listen = \"{metrics}\"\n[managed.mockmanaged]\nclient_id = \"managed-client\"\nclient_secret = \"{managed_secret}\"\nprojects = [\"*\"]\n"
        );
        std::fs::write(path("switchboard.toml"), settings).unwrap();
        let log = File::create(path("log")).unwrap();
        let arguments = [
            "--config",
            &path("switchboard.toml"),
            "--toolkits",
            &path("toolkits"),
            "--log",
            "trace",
            "--log-format",
            log_format,
        ];
        let dev = Dev::start_on("127.0.0.1:0", &folder.path().join("data"), &arguments, log);
        let mut world =
            Self { api: dev.api(), dev, mock, echo, secrets: Vec::new(), answers: Vec::new(), folder, metrics };
        let key = world.api.key.clone();
        world.secret("project key", &key);
        let master = std::fs::read_to_string(world.folder.path().join("data/master.key")).unwrap();
        world.secret("master key", master.split_whitespace().last().unwrap());
        world
    }

    pub fn secret(&mut self, name: &str, secret: &str) {
        self.secrets.push((name.to_owned(), secret.to_owned()));
    }

    pub fn note(&mut self, what: &str, reply: &Reply, may: &'static [&'static str]) {
        let mut bytes = Vec::new();
        for (name, value) in &reply.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&reply.body);
        self.answers.push(Answer { what: format!("the answer to {what}"), bytes, may });
    }

    /// The cookie that an answer sets is a secret.
    pub fn cookie_of(&mut self, reply: &Reply) {
        let cookie = reply.header("set-cookie").unwrap().split_once('=').unwrap().1;
        self.secret("browser cookie", cookie.split(';').next().unwrap());
    }

    pub async fn session(&mut self, toolkit: &str, auth_config: Option<(&str, &str)>) -> String {
        let mut body = json!({ "user_id": "canary-user", "toolkits": { "enable": [toolkit] } });
        if let Some((toolkit, id)) = auth_config {
            body["auth_configs"] = json!({ toolkit: id });
        }
        let reply = self.api.post("/tool_router/session", &body).await;
        self.note("session create", &reply, &[]);
        reply.expect(201)["session_id"].as_str().unwrap().to_owned()
    }

    pub async fn auth_config(&mut self, toolkit: &str, client_secret: &str, other: &str) -> String {
        let body = |credentials: Value| {
            json!({ "toolkit": { "slug": toolkit }, "auth_config": {
            "type": "use_custom_auth", "authScheme": "OAUTH2", "name": "canary", "credentials": credentials } })
        };
        let mut credentials = json!({ "client_id": "custom-client", "client_secret": client_secret });
        let good = body(credentials.clone());
        // One that the scheme has no use for is refused, and not repeated.
        credentials["verification_token"] = other.into();
        let reply = self.api.post("/auth_configs", &body(credentials)).await;
        self.note("auth config create with a surplus credential", &reply, &[]);
        assert_eq!(reply.status, 400, "{}", reply.text());
        let reply = self.api.post("/auth_configs", &good).await;
        self.note("auth config create", &reply, &[]);
        reply.expect(201)["auth_config"]["id"].as_str().unwrap().to_owned()
    }

    /// A link and a browser that has looked at its page.
    pub async fn link(&mut self, session: &str, toolkit: &str) -> (Link, Browser) {
        let path = format!("/tool_router/session/{session}/link");
        let reply = self.api.post(&path, &json!({ "toolkit": toolkit })).await;
        self.note("link create", &reply, &["link token"]);
        let link = reply.expect(201);
        self.secret("link token", link["link_token"].as_str().unwrap());
        let url = link["redirect_url"].as_str().unwrap().to_owned();
        let mut browser = Browser::new("alice");
        let page = browser.get(&url).await;
        self.note("connect page", &page, &["link token"]);
        assert_eq!(page.status, 200, "{}", page.text());
        (Link { url }, browser)
    }

    /// Presses Continue; the state and the provider's URL.
    pub async fn press(&mut self, link: &Link, browser: &mut Browser) -> (String, Url) {
        let reply = browser.submit(&link.url, &[]).await;
        self.note("Continue", &reply, &["state", "browser cookie"]);
        assert_eq!(reply.status, 303, "{}", reply.text());
        self.cookie_of(&reply);
        let url = Url::parse(reply.header("location").unwrap()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        self.secret("state", &state);
        (state, url)
    }

    /// A whole flow; `fault` makes the provider's token answer from the code.
    pub async fn oauth(&mut self, session: &str, toolkit: &str, fault: impl Fn(&str) -> Value) {
        let (link, mut browser) = self.link(session, toolkit).await;
        let (_, url) = self.press(&link, &mut browser).await;
        let landing = browser.follow(url.as_str(), |url| url.path().contains("/toolkits/auth/callback/")).await;
        let code = landing.url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        self.secret("code", &code);
        let fault = fault(&code);
        if !fault.is_null() {
            self.mock.fault(&fault).await;
        }
        let reply = browser.get(landing.url.as_str()).await;
        self.note(&format!("{toolkit} callback"), &reply, &[]);
        let is_page = fault["headers"]["content-type"] == "text/html";
        let expected = if fault["status"] == 400 || is_page { 502 } else { 303 };
        assert_eq!(reply.status, expected, "{}", reply.text());
    }

    /// Uses the account until the provider has seen so many refreshes.
    pub async fn proxy_until_refreshed(&mut self, session: &str, toolkit: &str, refreshes: usize) {
        until("a refresh", async || {
            if self.mock.grants("refresh_token").await >= refreshes {
                return true;
            }
            let reply = self.api.proxy_get(session, toolkit, "/api/me").await;
            self.note(&format!("{toolkit} proxy"), &reply, &[]);
            false
        })
        .await;
    }

    /// Tokens of the sandbox, which only a client of it gets to see: its published one.
    pub async fn sandbox_tokens(&mut self) {
        let line = self.dev.printed.lines().find(|line| line.starts_with("Sandbox")).unwrap().to_owned();
        let sandbox = line.split_whitespace().nth(1).unwrap().to_owned();
        let redirect_uri = format!("{}/api/v3.1/toolkits/auth/callback/own", self.dev.url);
        // RFC 7636 appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("response_type", "code"), ("client_id", "sandbox-client"), ("redirect_uri", &redirect_uri)])
            .extend_pairs([("state", "x"), ("code_challenge", challenge), ("code_challenge_method", "S256")])
            .finish();
        let mut browser = Browser::new("bob");
        let landing =
            browser.follow(&format!("{sandbox}/oauth/authorize?{query}"), |url| url.path().ends_with("/own")).await;
        let code = landing.url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &redirect_uri)])
            .append_pair("code_verifier", verifier)
            .finish();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            // sandbox-client:sandbox-secret, as the walk-through publishes them.
            ("authorization", "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1zZWNyZXQ="),
        ];
        let tokens = self.api.http.send("POST", &format!("{sandbox}/oauth/token"), &headers, form).await.expect(200);
        self.secret("code", &code);
        for name in ["access_token", "refresh_token"] {
            self.secret(name, tokens[name].as_str().unwrap());
        }
    }

    /// Every answer that shows accounts or auth configs.
    pub async fn read_everything(&mut self) {
        let reply = self.api.http.send("GET", &format!("http://{}/metrics", self.metrics), &[], "").await;
        assert!(
            reply.status == 200 && reply.text().contains("tool_router/session/{session_id}/execute"),
            "{}",
            reply.text()
        );
        self.note("metrics", &reply, &[]);
        let mut paths = vec!["/connected_accounts?limit=100".to_owned(), "/auth_configs?limit=100".to_owned()];
        for list in paths.clone() {
            let items = self.api.get(&list).await.expect(200)["items"].clone();
            let kind = list.split('?').next().unwrap();
            paths.extend(
                items.as_array().unwrap().iter().map(|item| format!("{kind}/{}", item["id"].as_str().unwrap())),
            );
        }
        assert!(paths.len() > 10, "{paths:?}");
        let accounts = paths.iter().filter(|path| path.starts_with("/connected_accounts/"));
        let mut explained: Vec<String> = accounts.map(|path| format!("{path}/explain")).collect();
        let tokens = self.secrets.iter().filter(|(name, _)| name == "link token");
        explained.extend(tokens.map(|(_, token)| format!("/links/{}/explain", &token[..23])));
        for path in explained {
            let reply = self.api.get(&path).await;
            self.note(&path, &reply, &[]);
            // The account of a link may be deleted by now.
            assert!(reply.status == 200 || path.starts_with("/links/"), "{path}: {}", reply.text());
        }
        for path in paths {
            let reply = self.api.get(&path).await;
            self.note(&path, &reply, &[]);
            assert_eq!(reply.status, 200, "{path}");
        }
    }

    /// A second key from the command line: used, listed, revoked.
    pub async fn keys(&mut self) {
        let data = self.folder.path().join("data");
        let data = data.to_str().unwrap();
        let (_, projects, _) = run(&["project", "list", "--json", "--data-dir", data]);
        let projects: Value = serde_json::from_str(&projects).unwrap();
        let project = projects["items"][0]["project_id"].as_str().unwrap();
        let (_, made, _) = run(&["key", "create", "--json", "--project", project, "--data-dir", data]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let key = made["api_key"].as_str().unwrap();
        self.secret("project key", key);
        let reply = Api::new(&self.dev.url, key).get("/toolkits").await;
        self.note("toolkits with the second key", &reply, &[]);
        let id = made["key_id"].as_str().unwrap();
        for command in [vec!["list"], vec!["revoke", id]] {
            let arguments =
                [&["key"], command.as_slice(), &["--json", "--project", project, "--data-dir", data]].concat();
            let (code, stdout, stderr) = run(&arguments);
            assert_eq!(code, Some(0), "{stderr}");
            assert!(!stdout.contains(key) && !stderr.contains(key));
        }
    }

    /// Keys of a member and of the organisation: used, sent in a wrong header, and revoked without
    /// a key, together with the key of a project that the organisation made.
    pub async fn keys_beyond_a_project(&mut self) {
        let data = self.folder.path().join("data");
        let made = |owner: &[&str]| {
            let (code, made, stderr) =
                run(&[&["key", "create", "--json", "--data-dir", data.to_str().unwrap()], owner].concat());
            assert_eq!(code, Some(0), "{stderr}");
            let made: Value = serde_json::from_str(&made).unwrap();
            made["api_key"].as_str().unwrap().to_owned()
        };
        let (owner, member) = (made(&["--organization"]), made(&["--user", "ada@example.com"]));
        self.secret("organisation key", &owner);
        self.secret("user key", &member);
        let url = |path: &str| format!("{}/api/v3.1{path}", self.dev.url);
        let (new, list, revocation) = (url("/org/owner/project/new"), url("/org/list"), url("/api_key_revocation"));
        let http = self.api.http.clone();
        let body = json!({ "name": "canary", "should_create_api_key": true }).to_string();
        let reply = http.send("POST", &new, &[("x-org-api-key", &owner)], body).await;
        let key = reply.expect(200)["api_key"].as_str().unwrap().to_owned();
        self.secret("project key", &key);
        self.note("project create", &reply, &["project key"]);
        for (header, key, status) in
            [("x-user-api-key", &member, 200), ("x-org-api-key", &owner, 401), ("x-api-key", &member, 401)]
        {
            let reply = http.send("GET", &list, &[(header, key)], "").await;
            assert_eq!(reply.status, status, "{}", reply.text());
            self.note("organisations", &reply, &[]);
        }
        for body in [json!({ "api_keys": [owner, member, key] }), json!({ "api_keys": { "key": owner } })] {
            let reply = http.send("POST", &revocation, &[], body.to_string()).await;
            self.note("revocation of keys", &reply, &[]);
        }
        assert_eq!(http.send("GET", &list, &[("x-user-api-key", &member)], "").await.status, 401);
    }

    /// Kills the server, so that all its files stay as they are: the log, and the files of the data
    /// folder.
    pub fn end(&mut self) -> (String, Vec<(String, Vec<u8>)>) {
        self.dev.kill();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        (log, files_under(&self.folder.path().join("data")))
    }
}
