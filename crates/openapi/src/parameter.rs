//! Parameters of an operation as arguments of a tool.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::operation::Operation;
use crate::schema::Node;
use crate::security::Security;
use crate::text::clean;

/// Headers that belong to the connection, or to the credential.
const OWN_HEADERS: [&str; 15] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Parameters of every operation of Google's APIs, which say how the answer is written or carry a credential.
const GOOGLE: [&str; 13] = [
    "$.xgafv",
    "access_token",
    "alt",
    "callback",
    "key",
    "oauth_token",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "userIp",
    "bearer_token",
    "pp",
];
/// Names that always carry a credential.
const CREDENTIALS: [&str; 8] =
    ["access_token", "accesstoken", "oauth_token", "api_key", "apikey", "api-key", "x-api-key", "auth_token"];

/// Where an argument goes, in the order in which names are given.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Location {
    Path,
    Query,
    Header,
    Body,
}

impl Location {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Body => "body",
        }
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Writing {
    /// As a member of a JSON body, or as a text.
    Plain,
    /// As JSON text.
    Json,
    /// By a style and `explode` of the standard.
    Style(WireStyle, bool),
}

/// A style of the standard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WireStyle {
    Simple,
    Form,
    Spaces,
    Pipes,
    DeepObject,
}

/// What an argument may be.
#[derive(Clone, Debug)]
pub(crate) enum Shape<'d> {
    Schema(Node<'d>),
    /// Written already, such as that of a file.
    Written(Map<String, Value>),
}

/// An argument before its name and its schema are decided.
#[derive(Clone, Debug)]
pub(crate) struct Field<'d> {
    pub(crate) place: Location,
    pub(crate) wire_name: String,
    pub(crate) required: bool,
    pub(crate) shape: Shape<'d>,
    pub(crate) writing: Writing,
    /// References that lead to its schema.
    pub(crate) around: Vec<&'d str>,
}

/// The arguments of parameters, and the path as far as they change it.
#[derive(Debug)]
pub(crate) struct Parameters<'d> {
    pub(crate) fields: Vec<Field<'d>>,
    /// Texts before path parameters, by their name: `.` or `;id=`.
    pub(crate) path_prefixes: Vec<(String, String)>,
}

/// The fields of an operation's parameters.
///
/// # Errors
/// Why the operation cannot be called.
pub(crate) fn fields<'d>(operation: &Operation<'d>, security: &Security) -> Result<Parameters<'d>, String> {
    let mut found = Parameters { fields: Vec::new(), path_prefixes: Vec::new() };
    let parameters = operation.parameters.as_ref().map_err(Clone::clone)?;
    let names: BTreeSet<&str> = parameters.iter().map(|parameter| text(parameter, "name")).collect();
    let is_google = names.contains("$.xgafv") || names.contains("prettyPrint");
    let in_path = path_names(operation.path);
    for parameter in parameters {
        let name = text(parameter, "name");
        let place = match text(parameter, "in") {
            "path" if in_path.contains(&name) => Location::Path,
            "query" => Location::Query,
            "header" => Location::Header,
            "cookie"
                if parameter.get("required") == Some(&Value::Bool(true)) && !is_credential(parameter, security) =>
            {
                return Err(format!("it needs the cookie `{}`", clean(name)));
            }
            _ => continue,
        };
        let is_own = place == Location::Header && OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let is_common = is_google && place == Location::Query && GOOGLE.contains(&name);
        if name.is_empty() || is_own || is_common || place != Location::Path && is_credential(parameter, security) {
            continue;
        }
        found.add(parameter, place, name)?;
    }
    for name in in_path {
        let is_there = found.fields.iter().any(|field| field.place == Location::Path && field.wire_name == name);
        if !is_there {
            // The path has it, whatever the parameters say.
            let schema = json!({ "type": "string", "description": crate::text::described(name) });
            let shape = Shape::Written(schema.as_object().cloned().unwrap_or_default());
            found.fields.push(Field::new(Location::Path, name, true, shape, Writing::Plain));
        }
    }
    Ok(found)
}

impl<'d> Field<'d> {
    pub(crate) fn new(place: Location, wire_name: &str, required: bool, shape: Shape<'d>, writing: Writing) -> Self {
        Self { place, wire_name: wire_name.to_owned(), required, shape, writing, around: Vec::new() }
    }
}

impl<'d> Parameters<'d> {
    fn add(&mut self, parameter: &'d Value, place: Location, name: &str) -> Result<(), String> {
        let required = place == Location::Path || parameter.get("required") == Some(&Value::Bool(true));
        let content = parameter.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let (schema, writing) = match content {
            Some((media_type, content)) if media_type.contains("json") => (content.get("schema"), Writing::Json),
            Some((_, content)) => (content.get("schema"), self.style(parameter, place, name)?),
            None => (parameter.get("schema"), self.style(parameter, place, name)?),
        };
        // A parameter has the same words for description, example and deprecation as a schema.
        let nodes = [Some(parameter), schema].into_iter().flatten().map(Node::One).collect();
        self.fields.push(Field::new(place, name, required, Shape::Schema(Node::All(nodes)), writing));
        Ok(())
    }

    /// The style of a parameter, with the defaults of the standard (`OpenAPI`, Parameter Object).
    fn style(&mut self, parameter: &Value, place: Location, name: &str) -> Result<Writing, String> {
        let default = if place == Location::Query { "form" } else { "simple" };
        let style = parameter.get("style").and_then(Value::as_str).unwrap_or(default);
        let explode = parameter.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
        let unknown = || format!("the style {} of `{}` is not supported", clean(style), clean(name));
        Ok(match (place, style) {
            (Location::Path, "label" | "matrix") if !explode => {
                let prefix = if style == "label" { ".".to_owned() } else { format!(";{name}=") };
                self.path_prefixes.push((name.to_owned(), prefix));
                Writing::Style(WireStyle::Simple, false)
            }
            (Location::Path | Location::Header, "simple") => Writing::Style(WireStyle::Simple, explode),
            (Location::Query, "form") => Writing::Style(WireStyle::Form, explode),
            (Location::Query, "spaceDelimited") => Writing::Style(WireStyle::Spaces, explode),
            (Location::Query, "pipeDelimited") => Writing::Style(WireStyle::Pipes, explode),
            (Location::Query, "deepObject") => Writing::Style(WireStyle::DeepObject, true),
            _ => return Err(unknown()),
        })
    }
}

/// The `style` of a tool's argument, by what its schema allows.
///
/// # Errors
/// The format of tools cannot say it.
pub(crate) fn style(writing: Writing, schema: &Map<String, Value>, name: &str) -> Result<Option<&'static str>, String> {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let options = schema.get("anyOf").and_then(Value::as_array);
    let may_be = |wanted: &str| {
        kind == wanted || options.is_some_and(|options| options.iter().any(|option| option["type"] == wanted))
    };
    let (list, object) = (may_be("array"), may_be("object"));
    if !list && !object {
        return Ok(None);
    }
    Ok(Some(match writing {
        Writing::Plain => return Ok(None),
        Writing::Json => "json",
        Writing::Style(WireStyle::Simple, true) if object && !list => "assignments",
        Writing::Style(WireStyle::Simple, _) | Writing::Style(WireStyle::Form, false) => "commas",
        Writing::Style(WireStyle::DeepObject, _) if list => "brackets",
        Writing::Style(WireStyle::DeepObject, _) => "deep_object",
        Writing::Style(WireStyle::Form | WireStyle::Spaces | WireStyle::Pipes, true) if list => "repeated",
        Writing::Style(WireStyle::Form, true) => "members",
        Writing::Style(WireStyle::Spaces, _) if list => "spaces",
        Writing::Style(WireStyle::Pipes, _) if list => "pipes",
        Writing::Style(WireStyle::Spaces | WireStyle::Pipes, _) => {
            return Err(format!("the object `{}` has a style of lists", clean(name)));
        }
    }))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a parameter carries the credential, which the connection adds.
fn is_credential(parameter: &Value, security: &Security) -> bool {
    let name = text(parameter, "name").to_ascii_lowercase();
    let place = ["header", "query", "cookie"].into_iter().find(|place| *place == text(parameter, "in"));
    if place.is_some_and(|place| security.credentials.contains(&(place, name.clone()))) {
        return true;
    }
    let wording = text(parameter, "description").to_ascii_lowercase();
    let is_said = ["authentication token", "access token", "api token", "auth token", "bearer"]
        .iter()
        .any(|word| wording.contains(word));
    CREDENTIALS.contains(&name.as_str())
        || matches!(name.as_str(), "token" | "private-token" | "private_token") && is_said
}

/// The names in braces of a path, each once.
pub(crate) fn path_names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        if !names.contains(&name) {
            names.push(name);
        }
        rest = after;
    }
    names
}
