//! Security schemes of a document as schemes of a toolkit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use url::Url;

use crate::options::Auth;
use crate::reference::Document;
use crate::text::{clean, clip, words};

/// How a toolkit authenticates.
#[derive(Debug, Default)]
pub(crate) struct Security {
    /// Tables of the toolkit's file, by their name.
    pub(crate) tables: Map<String, Value>,
    /// Parameters that carry the credential: place and name.
    pub(crate) credentials: BTreeSet<(&'static str, String)>,
    /// Names of the document's schemes whose scopes are those of `[oauth2]`.
    pub(crate) scoped: BTreeSet<String>,
    /// What was decided, for the report.
    pub(crate) notes: Vec<String>,
}

impl Security {
    /// The schemes of a document, or the one of the options. None if the document has none that can be used.
    pub(crate) fn of(document: &Document, requirements: &[&Value], auth: Option<&Auth>, base_url: &str) -> Self {
        let mut security = Self::default();
        if let Some(auth) = auth {
            security.given(auth);
        }
        let schemes = document.root.pointer("/components/securitySchemes").and_then(Value::as_object);
        let schemes: BTreeMap<&str, &Value> = schemes
            .into_iter()
            .flatten()
            .filter_map(|(name, scheme)| Some((name.as_str(), document.value(scheme)?)))
            .collect();
        security.keys_in_parameters(schemes.values().copied());
        if auth.is_some() {
            return security;
        }
        let named: BTreeSet<&str> = requirements
            .iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .flat_map(|alternative| alternative.as_object().into_iter().flat_map(Map::keys))
            .map(String::as_str)
            .collect();
        // What no operation asks for is not offered, unless nothing says what is asked for.
        let used: Vec<(&str, &Value)> =
            schemes.into_iter().filter(|(name, _)| named.is_empty() || named.contains(name)).collect();
        for (name, scheme) in &used {
            security.scheme(name, scheme, base_url);
        }
        security.api_keys(&used, requirements);
        security
    }

    /// Parameters of key schemes carry the credential, whichever scheme is used.
    fn keys_in_parameters<'d>(&mut self, schemes: impl Iterator<Item = &'d Value>) {
        for scheme in schemes.filter(|scheme| text(scheme, "type") == "apiKey") {
            if let Some(place) = place(scheme) {
                self.credentials.insert((place, text(scheme, "name").to_ascii_lowercase()));
            }
        }
    }

    fn given(&mut self, auth: &Auth) {
        let key = |place: &'static str, name: &str| key_table(&[(place, name, "generic_api_key", String::new())]);
        match auth {
            Auth::None => drop(self.tables.insert("no_auth".to_owned(), json!({}))),
            Auth::Bearer => drop(self.tables.insert("bearer_token".to_owned(), bearer(""))),
            Auth::Basic => drop(self.tables.insert("basic".to_owned(), json!({}))),
            Auth::Header(name) => {
                self.credentials.insert(("header", name.to_ascii_lowercase()));
                self.tables.insert("api_key".to_owned(), key("header", name));
            }
            Auth::Query(name) => {
                self.credentials.insert(("query", name.to_ascii_lowercase()));
                self.tables.insert("api_key".to_owned(), key("query", name));
            }
        }
    }

    /// A scheme that is no key.
    fn scheme(&mut self, name: &str, scheme: &Value, base_url: &str) {
        let shown = clean(name);
        match (text(scheme, "type"), text(scheme, "scheme").to_ascii_lowercase().as_str()) {
            ("apiKey", _) => {}
            ("http", "basic") => drop(self.tables.entry("basic".to_owned()).or_insert_with(|| json!({}))),
            ("http", "bearer") => self.bearer(scheme),
            ("oauth2", _) => self.oauth2(name, scheme, base_url),
            ("openIdConnect", _) if text(scheme, "openIdConnectUrl").starts_with("https://") => {
                self.scoped.insert(name.to_owned());
                let table = json!({ "discovery_url": literal(text(scheme, "openIdConnectUrl")) });
                self.tables.entry("oauth2".to_owned()).or_insert(table);
            }
            (kind, of) => self.notes.push(format!(
                "the security scheme `{shown}` ({} {}) is not supported",
                clean(kind),
                clean(of)
            )),
        }
    }

    fn bearer(&mut self, scheme: &Value) {
        self.tables.entry("bearer_token".to_owned()).or_insert_with(|| bearer(&description(scheme)));
    }

    fn oauth2(&mut self, name: &str, scheme: &Value, base_url: &str) {
        let nothing = Value::Null;
        let flow = |name: &str| scheme.pointer(&format!("/flows/{name}")).unwrap_or(&nothing);
        let url = |flow: &Value, key: &str| absolute(text(flow, key), base_url);
        let scopes = |flow: &Value| -> Vec<String> {
            let names = flow.get("scopes").and_then(Value::as_object).into_iter().flat_map(Map::keys);
            names.filter(|scope| !scope.is_empty() && !scope.contains(char::is_whitespace)).cloned().collect()
        };
        let code = flow("authorizationCode");
        if let (Some(authorization), Some(token)) = (url(code, "authorizationUrl"), url(code, "tokenUrl")) {
            self.scoped.insert(name.to_owned());
            let table = self.tables.entry("oauth2".to_owned()).or_insert_with(
                || json!({ "authorization_url": literal(&authorization), "token_url": literal(&token), "available_scopes": [] }),
            );
            let mut known: BTreeSet<String> = table["available_scopes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|scope| scope.as_str().map(str::to_owned))
                .collect();
            known.extend(scopes(code));
            table["available_scopes"] = json!(known);
            if let Some(refresh) = url(code, "refreshUrl").filter(|refresh| *refresh != token) {
                table["refresh_url"] = literal(&refresh).into();
            }
        } else if let Some(token) = url(flow("clientCredentials"), "tokenUrl") {
            let table = json!({
                "fields": [
                    { "name": "client_id", "display_name": "Client ID" },
                    { "name": "client_secret", "display_name": "Client secret", "secret": true },
                ],
                "steps": [{
                    "url": literal(&token),
                    "client_authentication": "client_secret_basic",
                    "parameters": { "grant_type": "client_credentials" },
                }],
            });
            self.tables.entry("s2s_oauth2".to_owned()).or_insert(table);
        } else {
            let message = format!("the flows of `{}` are not supported; a token can be entered", clean(name));
            self.notes.push(message);
            self.bearer(scheme);
        }
    }

    /// The keys: one scheme with several fields where several are sent together, else the best of them.
    fn api_keys(&mut self, used: &[(&str, &Value)], requirements: &[&Value]) {
        let keys: BTreeMap<&str, &Value> = used
            .iter()
            .copied()
            .filter(|(_, scheme)| text(scheme, "type") == "apiKey" && place(scheme).is_some())
            .collect();
        let alternatives =
            requirements.iter().flat_map(|list| list.as_array().into_iter().flatten()).filter_map(Value::as_object);
        let together = alternatives
            .filter(|alternative| {
                alternative.len() > 1 && alternative.keys().all(|name| keys.contains_key(name.as_str()))
            })
            .max_by_key(|found| found.len());
        let chosen: Vec<&str> = if let Some(names) = together {
            names.keys().map(String::as_str).collect()
        } else {
            let rank =
                |scheme: &Value| ["header", "query", "cookie"].iter().position(|known| Some(*known) == place(scheme));
            keys.iter().min_by_key(|(_, scheme)| rank(scheme)).map(|(name, _)| *name).into_iter().collect()
        };
        if chosen.is_empty() {
            return;
        }
        for name in keys.keys().filter(|name| !chosen.contains(name)) {
            self.notes.push(format!("the key `{}` is not used, because another one is", clean(name)));
        }
        let mut fields = Vec::new();
        for (index, name) in chosen.iter().enumerate() {
            let scheme = keys[name];
            let own = words(name).join("_");
            let field = match own.as_str() {
                _ if index == 0 => "generic_api_key".to_owned(),
                "" => format!("api_key_{}", index + 1),
                // Names with a meaning in toolkit files.
                "access_token" | "refresh_token" | "token" | "assertion" | "state" => format!("api_{own}"),
                _ => own,
            };
            fields.push((place(scheme).unwrap_or_default(), text(scheme, "name"), field, description(scheme)));
        }
        let fields: Vec<(&str, &str, &str, String)> = fields
            .iter()
            .map(|(place, name, field, wording)| (*place, *name, field.as_str(), wording.clone()))
            .collect();
        self.tables.insert("api_key".to_owned(), key_table(&fields));
    }

    /// The alternatives of scopes of an operation: one is enough, of which all are needed.
    pub(crate) fn scopes(&self, requirement: Option<&Value>) -> Vec<Vec<String>> {
        let mut alternatives: Vec<Vec<String>> = Vec::new();
        let mut works_without = false;
        for alternative in requirement.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            works_without |= alternative.is_empty();
            let lists: Vec<&Value> =
                alternative.iter().filter(|(name, _)| self.scoped.contains(*name)).map(|(_, scopes)| scopes).collect();
            if lists.is_empty() {
                continue;
            }
            let names: BTreeSet<String> = lists
                .into_iter()
                .flat_map(|scopes| scopes.as_array().into_iter().flatten())
                .filter_map(Value::as_str)
                .filter(|scope| !scope.is_empty() && !scope.contains(' '))
                .map(str::to_owned)
                .collect();
            let scopes: Vec<String> = names.into_iter().collect();
            works_without |= scopes.is_empty();
            if !scopes.is_empty() && !alternatives.contains(&scopes) {
                alternatives.push(scopes);
            }
        }
        if works_without && !alternatives.is_empty() {
            alternatives.push(Vec::new());
        }
        alternatives
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn place(scheme: &Value) -> Option<&'static str> {
    let is_name = !text(scheme, "name").is_empty();
    ["header", "query", "cookie"].into_iter().find(|place| *place == text(scheme, "in") && is_name)
}

fn description(scheme: &Value) -> String {
    clip(&clean(text(scheme, "description")), 300)
}

fn bearer(wording: &str) -> Value {
    json!({
        "fields": [{ "name": "token", "display_name": "Access token", "description": wording, "secret": true }],
        "apply": [{ "header": "Authorization", "value": "Bearer {token}" }],
    })
}

/// `[api_key]` with a field for each place, name, field and description.
fn key_table(keys: &[(&str, &str, &str, String)]) -> Value {
    let field = |(_, name, field, wording): &(&str, &str, &str, String)| {
        let label = if keys.len() == 1 { "API key".to_owned() } else { clean(name) };
        json!({ "name": field, "display_name": label, "description": wording, "secret": true })
    };
    let apply = |(place, name, field, _): &(&str, &str, &str, String)| {
        let mut placement = Map::new();
        placement.insert((*place).to_owned(), (*name).into());
        placement.insert("value".to_owned(), format!("{{{field}}}").into());
        Value::Object(placement)
    };
    json!({ "fields": keys.iter().map(field).collect::<Vec<_>>(), "apply": keys.iter().map(apply).collect::<Vec<_>>() })
}

/// The https URL of an endpoint, which may be relative to the API.
fn absolute(url: &str, base_url: &str) -> Option<String> {
    if url.is_empty() {
        return None;
    }
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(_) if !base_url.contains('{') => Url::parse(&format!("{base_url}/")).ok()?.join(url).ok()?,
        Err(_) => return None,
    };
    (url.scheme() == "https" && url.fragment().is_none()).then(|| url.to_string())
}

/// A text as a template without variables.
fn literal(text: &str) -> String {
    text.replace('{', "{{")
}
