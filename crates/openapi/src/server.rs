//! Servers of a document as base URL, hosts and connection fields of a toolkit.

use serde_json::{Map, Value, json};
use url::{Host, Url};

use crate::text::{capitalized, clean, words};

/// Where the API of a toolkit is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Base {
    /// A template, without `/` at the end.
    pub(crate) url: String,
    /// The host in it.
    pub(crate) host: String,
    /// Connection fields for its variables.
    pub(crate) fields: Vec<Value>,
    /// What was decided, for the report.
    pub(crate) notes: Vec<String>,
}

/// Why a server cannot be used.
pub(crate) type Unusable = String;

/// The first usable one of a list of servers.
///
/// # Errors
/// Why each of them cannot be used.
pub(crate) fn base(servers: &[Value], source: Option<&Url>) -> Result<Base, Unusable> {
    let mut reasons = Vec::new();
    for server in servers {
        match of_server(server, source, true) {
            Ok(mut base) => {
                if servers.len() > 1 {
                    base.notes.push(format!("{} of {} servers is used: {}", 1, servers.len(), base.url));
                }
                return Ok(base);
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() {
        reasons.push("the document names no server".to_owned());
    }
    reasons.dedup();
    Err(reasons.join("; "))
}

/// The base of a URL with variables, such as `https://{subdomain}.example.com/v1`.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn of_template(url: &str) -> Result<Base, Unusable> {
    of_server(&json!({ "url": url }), None, false)
}

fn of_server(server: &Value, source: Option<&Url>, is_public: bool) -> Result<Base, Unusable> {
    let text = server.get("url").and_then(Value::as_str).unwrap_or_default().trim();
    let nothing = Map::new();
    let variables = server.get("variables").and_then(Value::as_object).unwrap_or(&nothing);
    let mut base = Base::default();
    let text = absolute(text, source)?;
    let text = filled(&text, variables, &mut base)?;
    let shown = clean(&text);
    let rest = text.strip_prefix("https://").ok_or_else(|| match text.strip_prefix("http://") {
        Some(rest) => format!(
            "the server {shown} is not https; if it also answers https, give the base URL https://{}",
            clean(rest)
        ),
        None => format!("the server `{shown}` is not absolute; give the base URL"),
    })?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let sample = replaced(host, "sample");
    if let Some(reason) = unusable_host(&sample, is_public) {
        return Err(format!("the server {shown} {reason}; give the base URL"));
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\%\"<>^`|".contains(&byte);
    if !path.bytes().all(is_plain) || path.contains("//") {
        return Err(format!("the path of the server {shown} cannot be used; give the base URL"));
    }
    base.host = host.to_ascii_lowercase();
    base.url = format!("https://{}{path}", base.host);
    Ok(base)
}

/// A server's URL with a scheme. Relative ones are below the document's own URL (`OpenAPI`, Server Object).
fn absolute(text: &str, source: Option<&Url>) -> Result<String, Unusable> {
    if text.contains("://") || text.starts_with('{') && !text.starts_with("{base") {
        return Ok(text
            .strip_prefix("{scheme}://")
            .or_else(|| text.strip_prefix("{protocol}://"))
            .map_or_else(|| text.to_owned(), |rest| format!("https://{rest}")));
    }
    if let Some(rest) = text.strip_prefix("//") {
        return Ok(format!("https://{rest}"));
    }
    match source.map(|source| source.join(text)) {
        Some(Ok(url)) => Ok(url.to_string().replace("%7B", "{").replace("%7D", "}")),
        _ => Err(format!("the server `{}` is relative, and the document has no URL; give the base URL", clean(text))),
    }
}

/// Replaces variables that cannot be entered by their default, and makes fields of the others.
fn filled(text: &str, variables: &Map<String, Value>, base: &mut Base) -> Result<String, Unusable> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        filled.push_str(before);
        let Some((name, after)) = after[1..].split_once('}') else {
            return Err(format!("the server `{}` has a brace that is not closed", clean(text)));
        };
        let variable = variables.get(name).cloned().unwrap_or_default();
        let place = place(&filled, after);
        if let Some(field) = field(name, &variable, place, text) {
            filled.push('{');
            filled.push_str(field["name"].as_str().unwrap_or_default());
            filled.push('}');
            base.fields.push(field);
        } else {
            let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
            if default.is_empty() && place != UrlPart::Path {
                return Err(format!(
                    "the server `{}` has a variable without a default; give the base URL",
                    clean(text)
                ));
            }
            base.notes.push(format!("the variable `{}` of the server is always `{}`", clean(name), clean(default)));
            filled.push_str(default);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Where a variable stands in a URL.
#[derive(Clone, Copy, PartialEq)]
enum UrlPart {
    Scheme,
    /// The whole host.
    Host,
    /// A label of the host.
    Label,
    Port,
    Path,
}

fn place(before: &str, after: &str) -> UrlPart {
    let Some((_, authority)) = before.split_once("://") else { return UrlPart::Scheme };
    if authority.contains('/') {
        return UrlPart::Path;
    }
    if authority.ends_with(':') {
        return UrlPart::Port;
    }
    let ends = after.is_empty() || after.starts_with(['/', ':']);
    if authority.is_empty() && ends { UrlPart::Host } else { UrlPart::Label }
}

/// The connection field of a variable; none if it is better replaced by its default.
fn field(name: &str, variable: &Value, place: UrlPart, url: &str) -> Option<Value> {
    let values: Vec<&str> =
        variable.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let is_segment = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
            && !text.trim_matches('.').is_empty()
    };
    let is_host = |text: &str| {
        text.contains('.')
            && text.split('.').all(is_label)
            && !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let (format, fits): (&str, &dyn Fn(&str) -> bool) = match place {
        UrlPart::Scheme | UrlPart::Port => return None,
        UrlPart::Host => ("hostname", &is_host),
        UrlPart::Label => ("dns_label", &is_label),
        UrlPart::Path => ("path_segment", &is_segment),
    };
    // A value that is always the same, or that no one could enter.
    let is_fixed = values.len() == 1 || !values.iter().all(|value| fits(value));
    if is_fixed
        || !default.is_empty() && !fits(default)
        || values.is_empty() && place == UrlPart::Path && !default.is_empty()
    {
        return None;
    }
    let field_name = words(name).join("_");
    if field_name.is_empty() || !field_name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return None;
    }
    let wording = variable.get("description").and_then(Value::as_str).map(clean).unwrap_or_default();
    let wording = if wording.is_empty() { format!("`{name}` in {}.", clean(url)) } else { wording };
    let mut field = json!({
        "name": field_name,
        "display_name": capitalized(&words(name).join(" ")),
        "description": wording,
        "format": format,
    });
    let is_example = default.contains("your") || default.contains("example");
    if values.is_empty() {
        if !default.is_empty() {
            field[if is_example { "example" } else { "default" }] = default.into();
        }
    } else {
        field["options"] = values.iter().map(|value| json!({ "value": value, "label": value })).collect();
        let first = if values.contains(&default) { default } else { values.first().copied().unwrap_or_default() };
        field["default"] = first.into();
    }
    Some(field)
}

/// Why a host is no address of an API: it stands for another one, or is not public.
fn unusable_host(host: &str, is_public: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(&format!("https://{host}/")) else { return Some("has no host that can be used") };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user name in it");
    }
    match url.host() {
        _ if !is_public => None,
        Some(Host::Domain(name)) => {
            let stands_for =
                ["your", "example.com", "example.org", "example.net", "localhost", "my-", "<", "placeholder"];
            let is_local = [".local", ".localhost", ".invalid", ".test", ".internal", ".example"];
            if stands_for.iter().any(|part| name.contains(part)) || is_local.iter().any(|end| name.ends_with(end)) {
                Some("stands for another one")
            } else if !name.contains('.') {
                Some("is not public")
            } else {
                None
            }
        }
        _ => Some("is an address, not a name"),
    }
}

fn replaced(text: &str, sample: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        replaced.push_str(before);
        // A variable that is the whole host is a name with a dot.
        replaced.push_str(if replaced.is_empty() && after.ends_with('}') && !after.contains('.') {
            "sample.sample-host.com"
        } else {
            sample
        });
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    replaced + rest
}
