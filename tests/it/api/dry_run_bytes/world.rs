//! A server with accounts of any scheme, whose dry runs are compared with what a provider receives.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchboard_catalog::{Field, Scheme, Toolkit};
use switchboard_store::Unit;
use switchboard_store::accounts::{self, Activation};
use switchboard_toolkit_tests::placeholders::Placeholders;
use switchboard_types::{AccountId, AccountParams};
use switchboard_vault::{Secret, Secrets};

use super::super::help::{Upstream, text};
use crate::support::server::TestServer;

/// What every secret begins with.
const CANARY: &str = "c4nary";
/// Headers that follow from the URL, the body and the connection.
const FRAMING: [&str; 3] = ["host", "content-length", "connection"];

/// A request as a provider received it.
struct Received {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    /// `scheme` is that of the URL, which the request does not say.
    fn parse(bytes: &[u8], scheme: &str) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut start = lines.next().unwrap().split(' ');
        let (method, target) = (start.next().unwrap().to_owned(), start.next().unwrap());
        let mut headers = BTreeMap::new();
        for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
            assert!(headers.insert(name.to_owned(), value.to_owned()).is_none(), "{name} is sent twice");
        }
        let url = format!("{scheme}://{}{target}", headers["host"]);
        headers.retain(|name, _| !FRAMING.contains(&name.as_str()));
        Self { method, url, headers, body: bytes[end + 4..].to_vec() }
    }
}

/// An account to run tools with.
pub struct TestAccount {
    id: String,
    marker: String,
}

/// Whether a text is the expected one, with anything where the expected one has a marker.
fn fits(received: &str, expected: &str, marker: &str) -> bool {
    let mut parts = expected.split(marker);
    let Some(mut rest) = parts.next().and_then(|first| received.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last) && rest.len() > last.len()
}

/// A mail in a body has the time at which it was made, and an id.
fn without_time_of_mails(body: &str) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => {
                let mail = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().and_then(|mail| String::from_utf8(mail).ok());
                if let Some(mail) = mail.filter(|mail| mail.contains("Message-ID: ")) {
                    let lines =
                        mail.lines().filter(|line| !line.starts_with("Message-ID: ") && !line.starts_with("Date: "));
                    *text = lines.collect::<Vec<_>>().join("\n");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(members) => members.values_mut().for_each(walk),
            _ => {}
        }
    }
    match serde_json::from_str::<Value>(body) {
        // Equal texts stay equal: the keys are sorted before and after.
        Ok(mut json) if !body.contains("«") => {
            walk(&mut json);
            json.to_string()
        }
        _ => body.to_owned(),
    }
}

/// What differs between a dry run and what was received.
fn difference(planned: &Value, log_id: &str, received: &Received, real_log_id: &str, marker: &str) -> Option<String> {
    let request = &planned["request"];
    let neutral = |text: &str| text.replace(log_id, "log_").replace(real_log_id, "log_");
    let expected = |value: &Value| neutral(value.as_str().unwrap_or_default());
    if request["method"] != received.method.as_str() {
        return Some(format!("method {} {}", request["method"], received.method));
    }
    let url = expected(&request["url"]);
    if !fits(&neutral(&received.url), &url, marker) {
        return Some(format!("URL\n  {url}\n  {}", received.url));
    }
    let headers: BTreeMap<&str, String> =
        request["headers"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), expected(value))).collect();
    let ours: BTreeSet<&str> = headers.keys().copied().collect();
    let theirs: BTreeSet<&str> = received.headers.keys().map(String::as_str).collect();
    if ours != theirs {
        return Some(format!("headers\n  {ours:?}\n  {theirs:?}"));
    }
    for (name, value) in &headers {
        let is_same = match *name {
            // The time of a signature.
            "x-amz-date" => true,
            // Of a body with the id of the call.
            "x-amz-content-sha256" => {
                *value == HEXLOWER.encode(&Sha256::digest(request["body"].as_str().unwrap_or_default()))
            }
            name => fits(&neutral(&received.headers[name]), value, marker),
        };
        if !is_same {
            return Some(format!("header {name}\n  {value}\n  {}", received.headers[*name]));
        }
    }
    let same = match &request["body"] {
        Value::Null => received.body.is_empty(),
        Value::String(body) => {
            let body = without_time_of_mails(&neutral(body));
            fits(&without_time_of_mails(&neutral(&String::from_utf8_lossy(&received.body))), &body, marker)
        }
        binary => {
            binary["base64"] == STANDARD.encode(&received.body)
                && binary["content_type"].as_str() == received.headers.get("content-type").map(String::as_str)
        }
    };
    (!same).then(|| format!("body\n  {}\n  {}", request["body"], String::from_utf8_lossy(&received.body)))
}

/// The canary in a text, as it is or in base64.
fn leak(text: &str) -> Option<String> {
    let forms = (0..3).map(|shift| {
        let encoded = STANDARD_NO_PAD.encode([vec![0; shift], CANARY.into()].concat());
        let start = [0, 2, 3][shift];
        encoded[start..(shift + CANARY.len()) * 8 / 6].to_owned()
    });
    forms.chain([CANARY.to_owned()]).find(|form| text.contains(form.as_str()))
}

/// The server, the provider, and what was found.
pub struct World {
    pub server: TestServer,
    upstream: Upstream,
    /// Calls that were compared.
    pub compared: usize,
    /// What differs.
    pub wrong: Vec<String>,
}

impl World {
    pub fn new(server: TestServer, upstream: Upstream) -> Self {
        Self { server, upstream, compared: 0, wrong: Vec::new() }
    }

    /// An ACTIVE account with a made-up credential: what connecting it would have stored.
    pub async fn account(&self, toolkit: &Toolkit, scheme: Scheme, own: &[(&str, &str)]) -> TestAccount {
        let client = match scheme {
            Scheme::OAuth2 => json!({ "client_id": "client", "client_secret": format!("{CANARY}-client") }),
            Scheme::OAuth1 => json!({ "consumer_key": "consumer", "consumer_secret": format!("{CANARY}-consumer") }),
            _ => json!({}),
        };
        let body = json!({ "toolkit": { "slug": toolkit.slug }, "auth_config": {
            "type": "use_custom_auth", "authScheme": scheme.as_str(), "credentials": client,
            "name": format!("{} {scheme}", toolkit.slug) } });
        let config = text(&self.server.api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id");
        let body = json!({ "auth_config_id": config, "user_id": "u" });
        let link = self.server.api.post("/connected_accounts/link", &body).await.expect(201);
        let id = text(&link, "connected_account_id");
        let (params, secrets) = credential(toolkit, scheme, own);
        let (store, project) = (&self.server.app.core.store, &self.server.project_id);
        let account_id = AccountId::from(id.as_str());
        let row = store.account(project, &account_id).await.unwrap().unwrap();
        let sealed = self.server.app.credentials.seal_credential(&(&row).into(), &params, &secrets);
        let activation = Activation {
            credential: Some(sealed),
            params,
            identity: None,
            expires_at: None,
            refresh_due_at: None,
            now: self.server.app.core.now(),
        };
        store.apply(Unit::new().with(accounts::activate(project, &account_id, activation))).await.unwrap();
        TestAccount { marker: format!("«account:{id}»"), id }
    }

    /// Makes a dry run and then the call, and compares them.
    pub async fn compare(
        &mut self,
        slug: &str,
        url_scheme: &str,
        account: &TestAccount,
        arguments: &Map<String, Value>,
    ) {
        let mut body = json!({ "user_id": "u", "connected_account_id": account.id, "arguments": arguments });
        let path = format!("/tools/execute/{slug}");
        let real = self.server.api.post(&path, &body).await;
        let received = self.upstream.take_bytes();
        body["dry_run"] = true.into();
        let planned = self.server.api.post(&path, &body).await;
        assert!(self.upstream.take_bytes().is_empty(), "{slug}: a dry run sends something");
        if let Some(leak) = leak(&planned.text()) {
            self.wrong.push(format!("{slug}: {leak} is in {}", planned.text()));
        }
        assert_eq!((real.status, planned.status), (200, 200), "{slug}: {} {}", real.text(), planned.text());
        assert_eq!(received.len(), 1, "{slug}: {}", real.text());
        let received = Received::parse(&received[0], url_scheme);
        if !planned.text().contains(&account.marker) {
            self.wrong.push(format!("{slug}: no credential is in {}", planned.text()));
        }
        let (real, planned) = (real.expect(200), planned.expect(200));
        assert_eq!(planned["successful"], true, "{planned}");
        let (log_id, real_log_id) = (text(&planned, "log_id"), text(&real, "log_id"));
        let found = difference(&planned["data"], &log_id, &received, &real_log_id, &account.marker);
        self.wrong.extend(found.map(|found| format!("{slug}: {found}")));
        self.compared += 1;
    }
}

/// What an account has stored: fields, values of the provider, and secrets that are all canaries.
fn credential(toolkit: &Toolkit, scheme: Scheme, own: &[(&str, &str)]) -> (AccountParams, Secrets) {
    let placeholders = Placeholders::new(toolkit, scheme);
    let mut secrets = Secrets::new();
    let mut put = |name: &str| secrets.insert(name, Secret::new(format!("{CANARY}-{name}-0123456789")));
    let mut params = AccountParams::default();
    match scheme {
        Scheme::Basic => ["username", "password"].into_iter().for_each(&mut put),
        Scheme::OAuth1 => ["oauth_token", "oauth_token_secret"].into_iter().for_each(&mut put),
        Scheme::ApiKey | Scheme::BearerToken => {}
        _ => ["access_token", "refresh_token"].into_iter().for_each(&mut put),
    }
    if let Some(oauth) = toolkit.oauth(scheme) {
        oauth.tokens.iter().for_each(|token| put(&format!("{}_access_token", token.name)));
    }
    for field in toolkit.connection_fields(scheme) {
        if field.secret {
            put(&field.name);
        } else if !["username", "password"].contains(&field.name.as_str()) {
            params.fields.insert(field.name.clone(), plain_value(&field, &placeholders));
        }
    }
    for (name, value) in own {
        secrets.insert(name, Secret::from(*value));
    }
    for (name, value) in placeholders.secrets().iter() {
        if secrets.get(name).is_none() && !params.fields.contains_key(name) && !name.starts_with("sandbox_") {
            params.captured.insert(name.to_owned(), value.expose().to_owned());
        }
    }
    (params, secrets)
}

fn plain_value(field: &Field, placeholders: &Placeholders) -> String {
    let option = field.options.first().map(|option| option.value.clone());
    field.default.clone().or(option).unwrap_or_else(|| placeholders.text(&field.name))
}
