//! The body of an operation's request as arguments of a tool.

use serde_json::{Map, Value, json};

use crate::operation::Operation;
use crate::parameter::{Field, Location, Shape, WireStyle, Writing};
use crate::reference::Document;
use crate::schema::{Emitter, Fail, Flat, Kind, Node, free_object};
use crate::text::{clean, clip, described};

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Body<'d> {
    /// The value of `body`.
    pub(crate) format: &'static str,
    pub(crate) content_type: Option<String>,
    pub(crate) fields: Vec<Field<'d>>,
    /// JSON pointer of the object that has the arguments.
    pub(crate) wrap: Option<String>,
    /// The one argument is the body itself.
    pub(crate) is_one: bool,
    /// Takes members that are not named.
    pub(crate) is_open: bool,
}

impl Body<'_> {
    /// A request without one.
    pub(crate) fn none() -> Self {
        Self { format: "none", content_type: None, fields: Vec::new(), wrap: None, is_one: false, is_open: false }
    }
}

/// Media types in the order in which they are preferred.
fn rank(media_type: &str) -> Option<usize> {
    let is_file = |media_type: &str| {
        ["image/", "audio/", "video/", "font/"].iter().any(|start| media_type.starts_with(start))
            || ["application/octet-stream", "application/pdf", "application/zip", "application/gzip"]
                .contains(&media_type)
    };
    Some(match media_type {
        "application/json" => 0,
        "application/merge-patch+json" => 1,
        _ if media_type.ends_with("+json") || media_type == "text/json" => 2,
        "*/*" | "application/*" => 3,
        "application/x-www-form-urlencoded" => 4,
        "multipart/form-data" => 5,
        _ if is_file(media_type) => 6,
        _ if media_type.ends_with("xml") => return None,
        _ if media_type.starts_with("text/") => 7,
        _ if media_type.starts_with("message/") => 8,
        _ => return None,
    })
}

/// The media type without parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The body of an operation.
///
/// # Errors
/// Why the operation cannot be called.
pub(crate) fn body<'d>(
    document: &'d Document,
    operation: &Operation<'d>,
    emitter: &mut Emitter<'d>,
) -> Result<Body<'d>, Fail> {
    let refused = |reason: String| Fail::Refused(reason);
    let Some(body) = operation.value.get("requestBody") else { return Ok(Body::none()) };
    let body = document.resolve(body).map_err(|error| refused(error.to_string()))?.value;
    let is_required = body.get("required").and_then(Value::as_bool);
    if operation.method == "GET" {
        return if is_required == Some(true) { Err(refused("a GET with a body".to_owned())) } else { Ok(Body::none()) };
    }
    let Some(content) = body.get("content").and_then(Value::as_object).filter(|content| !content.is_empty()) else {
        return Ok(Body::none());
    };
    let known = content.iter().filter_map(|(name, media)| Some((rank(&essence(name))?, essence(name), media)));
    let Some((rank, media_type, media)) = known.min_by_key(|(rank, ..)| *rank) else {
        let names: Vec<String> = content.keys().take(3).map(|name| clean(name)).collect();
        return Err(refused(format!("the body is {}", names.join(", "))));
    };
    let schema = media.get("schema");
    // Most documents that do not say so mean that a body is needed.
    let is_required = is_required.unwrap_or(operation.method != "DELETE");
    let mut reader = Reader { media, emitter, is_required };
    match rank {
        3 if schema.is_none_or(|schema| is_binary(document, schema)) => Ok(file(None, media, document)),
        0..=3 => {
            let content_type = (1..=2).contains(&rank).then_some(media_type);
            Ok(Body { content_type, ..reader.object("json", schema)? })
        }
        4 => reader.object("form", schema),
        5 => reader.object("multipart", schema),
        6 if media_type.starts_with("image/") && !schema.is_none_or(|schema| is_binary(document, schema)) => {
            // A picture in base64, such as Spotify's.
            Ok(text(media_type))
        }
        6 => Ok(file(Some(media_type).filter(|media_type| !media_type.ends_with("/*")), media, document)),
        8 => Ok(file(Some(media_type), media, document)),
        _ => Ok(text(media_type)),
    }
}

/// Whether a schema is that of a file.
fn is_binary(document: &Document, schema: &Value) -> bool {
    let Some(schema) = document.value(schema) else { return false };
    let has = |key: &str, value: &str| schema.get(key).is_some_and(|found| found == value);
    let is_text = has("type", "string");
    schema.as_object().is_some_and(Map::is_empty)
        || has("type", "file")
        || has("format", "binary")
        || is_text && schema.get("contentMediaType").is_some()
        || is_text && schema.get("format").is_none() && schema.get("contentEncoding").is_none()
}

fn file_schema(wording: &str) -> Map<String, Value> {
    let wording = if wording.is_empty() { "The file.".to_owned() } else { clip(wording, 300) };
    json!({ "type": "string", "description": wording, "file_uploadable": true })
        .as_object()
        .cloned()
        .unwrap_or_default()
}

fn file<'d>(content_type: Option<String>, media: &Value, document: &Document) -> Body<'d> {
    let wording = media.get("schema").and_then(|schema| document.value(schema)?.get("description")?.as_str());
    let shape = Shape::Written(file_schema(&wording.map(clean).unwrap_or_default()));
    let fields = vec![Field::new(Location::Body, "file", true, shape, Writing::Plain)];
    Body { format: "file", content_type, fields, ..Body::none() }
}

fn text<'d>(media_type: String) -> Body<'d> {
    let wording = format!("The body, as {media_type}.");
    let schema = json!({ "type": "string", "description": wording }).as_object().cloned().unwrap_or_default();
    let fields = vec![Field::new(Location::Body, "content", true, Shape::Written(schema), Writing::Plain)];
    let content_type = Some(media_type).filter(|media_type| !media_type.ends_with("/*"));
    Body { format: "file", content_type, fields, ..Body::none() }
}

/// An object within a body: its name, what it says, and the references that lead to it.
type Inner<'d> = (&'d str, Flat<'d>, Vec<&'d str>);

struct Reader<'a, 'd> {
    media: &'d Value,
    emitter: &'a mut Emitter<'d>,
    is_required: bool,
}

impl<'d> Reader<'_, 'd> {
    /// A body of members: its properties are arguments.
    fn object(&mut self, format: &'static str, schema: Option<&'d Value>) -> Result<Body<'d>, Fail> {
        let empty = Body { format, ..Body::none() };
        let Some(schema) = schema else { return Ok(self.one(empty, Shape::Written(free_object()))) };
        let node = Node::One(schema);
        let mut parts = self.emitter.parts(&node, &[])?;
        let is_object = parts.by_kind.len() == 1 && parts.by_kind.contains_key(&Kind::Object);
        let Some(flat) = parts.by_kind.remove(&Kind::Object).filter(|flat| is_object && !flat.properties.is_empty())
        else {
            if format != "json" && !is_object && !parts.by_kind.is_empty() {
                return Err(Fail::Refused(format!("the {format} body is no object")));
            }
            return Ok(self.one(empty, Shape::Schema(node)));
        };
        if format == "json"
            && let Some((name, inner, own)) = self.wrapped(&flat, &parts.own)?
        {
            let wrap = Some(format!("/{name}"));
            return self.members(Body { wrap, ..empty }, &inner, &own);
        }
        self.members(empty, &flat, &parts.own)
    }

    /// The only property of a body, if it is an object with properties.
    fn wrapped(&mut self, flat: &Flat<'d>, own: &[&'d str]) -> Result<Option<Inner<'d>>, Fail> {
        let mut visible = Vec::new();
        for (name, node) in &flat.properties {
            let parts = match self.emitter.parts(node, own) {
                Err(Fail::Never | Fail::TooDeep) => continue,
                parts => parts?,
            };
            if !parts.base.read_only && !parts.by_kind.values().all(|flat| flat.read_only) {
                visible.push((*name, parts));
            }
            if visible.len() > 1 {
                return Ok(None);
            }
        }
        let is_plain =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let Some((name, mut parts)) = visible.pop().filter(|(name, _)| is_plain(name)) else { return Ok(None) };
        let only = parts.by_kind.len() == 1;
        let inner = parts.by_kind.remove(&Kind::Object).filter(|inner| {
            only && !inner.is_cyclic
                && !inner.properties.is_empty()
                && inner.properties.keys().all(|name| !name.contains('.'))
        });
        Ok(inner.map(|inner| (name, inner, own.iter().copied().chain(parts.own).collect())))
    }

    fn members(&mut self, body: Body<'d>, flat: &Flat<'d>, own: &[&'d str]) -> Result<Body<'d>, Fail> {
        let mut fields = Vec::new();
        for (name, node) in &flat.properties {
            let required = self.is_required && flat.required.contains(name);
            let mut field = Field::new(
                Location::Body,
                name,
                required,
                Shape::Schema(node.clone()),
                self.writing(body.format, name),
            );
            field.around = own.to_vec();
            if body.format == "multipart"
                && let Some(wording) = self.file(name, node, own)?
            {
                field.shape = Shape::Written(file_schema(&wording));
                field.writing = Writing::Plain;
            } else if body.format == "multipart" && field.writing == Writing::Json && self.is_list(node, own)? {
                field.writing = Writing::Style(WireStyle::Form, true);
            }
            fields.push(field);
        }
        Ok(Body { fields, is_open: flat.additional.is_some(), ..body })
    }

    /// How a property of a form or a part is written (`OpenAPI`, Encoding Object).
    fn writing(&self, format: &str, name: &str) -> Writing {
        if format == "json" {
            return Writing::Plain;
        }
        let encoding = self.media.get("encoding").and_then(|encoding| encoding.get(name));
        let style = encoding.and_then(|encoding| encoding.get("style")).and_then(Value::as_str);
        let explode = encoding.and_then(|encoding| encoding.get("explode")).and_then(Value::as_bool);
        match style {
            Some("deepObject") => Writing::Style(WireStyle::DeepObject, true),
            Some("spaceDelimited") => Writing::Style(WireStyle::Spaces, explode.unwrap_or(false)),
            Some("pipeDelimited") => Writing::Style(WireStyle::Pipes, explode.unwrap_or(false)),
            Some(_) => Writing::Style(WireStyle::Form, explode.unwrap_or(true)),
            None if explode.is_some() => Writing::Style(WireStyle::Form, explode == Some(true)),
            None => Writing::Json,
        }
    }

    fn is_list(&mut self, node: &Node<'d>, own: &[&'d str]) -> Result<bool, Fail> {
        Ok(self.emitter.parts(node, own)?.by_kind.contains_key(&Kind::Array))
    }

    /// The description of a part that is a file.
    fn file(&mut self, name: &str, node: &Node<'d>, own: &[&'d str]) -> Result<Option<String>, Fail> {
        let is_file = |flat: &Flat<'_>| matches!(flat.format, Some("binary")) && flat.kinds.contains(&Kind::String);
        let parts = match self.emitter.parts(node, own) {
            Err(Fail::Never | Fail::TooDeep) => return Ok(None),
            parts => parts?,
        };
        let wording = parts.base.description.map_or_else(|| described(name), clean);
        let encoding = self.media.get("encoding").and_then(|encoding| encoding.get(name)?.get("contentType")?.as_str());
        let is_media = encoding.is_some_and(|media_type| matches!(rank(&essence(media_type)), Some(6)));
        if parts.by_kind.get(&Kind::String).is_some_and(|flat| is_file(flat) || is_media) {
            return Ok(Some(wording));
        }
        let items = parts.by_kind.get(&Kind::Array).and_then(|flat| flat.items.clone());
        let of_files = match items {
            Some(items) => self.emitter.parts(&items, own)?.by_kind.get(&Kind::String).is_some_and(is_file),
            None => false,
        };
        Ok(of_files.then(|| format!("{} One file.", crate::text::sentence(&clip(&wording, 280)))))
    }

    /// The body as one argument.
    fn one(&self, body: Body<'d>, shape: Shape<'d>) -> Body<'d> {
        let shape = match shape {
            Shape::Written(mut schema) => {
                schema.insert("description".to_owned(), "The body.".into());
                Shape::Written(schema)
            }
            shape @ Shape::Schema(_) => shape,
        };
        let writing = if body.format == "json" { Writing::Plain } else { Writing::Style(WireStyle::Form, true) };
        let fields = vec![Field::new(Location::Body, "body", self.is_required, shape, writing)];
        Body { fields, is_one: true, ..body }
    }
}
