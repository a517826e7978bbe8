//! The body of a tool's request.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchboard_catalog::{BodyFormat, Style, Tool};

use crate::render::{Values, render_body};
use crate::style::{pairs, text};
use crate::{File, Files, Mistake};

/// A body with its type.
#[derive(Clone, Debug)]
pub struct ToolBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Their media type.
    pub content_type: String,
}

/// The body of the arguments that go there. None for a request without one.
///
/// # Errors
/// An argument cannot be written.
pub(crate) fn body(
    tool: &Tool,
    placed: Vec<(String, Value)>,
    arguments: &Map<String, Value>,
    files: &Files,
) -> Result<Option<ToolBody>, Mistake> {
    if !tool.method.has_body() && placed.is_empty() && tool.template.is_none() && tool.graphql.is_none() {
        return Ok(None);
    }
    Ok(Some(match tool.body {
        BodyFormat::Json => json_body(tool, placed, &Values::new(arguments, files))?,
        BodyFormat::Form => form(tool, &placed),
        BodyFormat::Multipart => multipart(tool, &placed, files),
        BodyFormat::File => file_body(tool, placed, files)?,
        BodyFormat::None => return Ok(None),
    }))
}

fn json_body(tool: &Tool, placed: Vec<(String, Value)>, values: &Values<'_>) -> Result<ToolBody, Mistake> {
    let rendered = match tool.body_template() {
        Some(template) => render_body(&template, values)?,
        None => None,
    };
    let mut body = rendered.unwrap_or_else(|| json!({}));
    let mut members = Value::Object(Map::new());
    for (name, value) in placed {
        let Some(argument) = tool.input.get(&name) else { continue };
        insert_at(&mut members, tool.wire_name(&name, argument).split('.'), value);
    }
    let target = tool.wrap.as_deref().unwrap_or_default();
    let path = target.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>();
    if members.as_object().is_some_and(|members| !members.is_empty()) || !path.is_empty() {
        merge(object_at(&mut body, path.iter().map(String::as_str)), members);
    }
    if let Some(query) = &tool.graphql {
        body = json!({ "query": query, "variables": body });
    }
    let content_type = tool.content_type.as_deref().unwrap_or("application/json").to_owned();
    Ok(ToolBody { bytes: body.to_string().into(), content_type })
}

/// The object at a path, which is made where it is missing.
fn object_at<'v, 'p>(mut value: &'v mut Value, path: impl Iterator<Item = &'p str>) -> &'v mut Value {
    for name in path {
        if !value.is_object() {
            *value = json!({});
        }
        value = &mut value[name];
    }
    if !value.is_object() {
        *value = json!({});
    }
    value
}

fn insert_at<'p>(members: &mut Value, path: impl Iterator<Item = &'p str>, value: Value) {
    let path: Vec<&str> = path.collect();
    if let Some((last, parents)) = path.split_last() {
        object_at(members, parents.iter().copied())[*last] = value;
    }
}

/// Adds the members of one object to another.
fn merge(target: &mut Value, members: Value) {
    match (target, members) {
        (Value::Object(target), Value::Object(members)) => {
            for (name, member) in members {
                match target.get_mut(&name) {
                    Some(existing) if existing.is_object() && member.is_object() => merge(existing, member),
                    _ => drop(target.insert(name, member)),
                }
            }
        }
        (target, members) => *target = members,
    }
}

fn form(tool: &Tool, placed: &[(String, Value)]) -> ToolBody {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in placed {
        if let Some(argument) = tool.input.get(name) {
            form.extend_pairs(pairs(tool.wire_name(name, argument), value, argument.style));
        }
    }
    ToolBody { bytes: form.finish().into(), content_type: "application/x-www-form-urlencoded".to_owned() }
}

/// A part for each argument (RFC 7578).
fn multipart(tool: &Tool, placed: &[(String, Value)], files: &Files) -> ToolBody {
    let mut parts = Vec::new();
    for (name, value) in placed {
        let Some(argument) = tool.input.get(name) else { continue };
        let wire_name = tool.wire_name(name, argument);
        if let Some(file) = files.get(name) {
            parts.push(file_part(wire_name, file));
        } else {
            let pairs = pairs(wire_name, value, argument.style);
            let media_type =
                if argument.style == Some(Style::Json) { "\r\nContent-Type: application/json" } else { "" };
            let part = |(name, value): (String, String)| {
                (format!("{}{media_type}", disposition(&name, None)), value.into_bytes())
            };
            parts.extend(pairs.into_iter().map(part));
        }
    }
    // From the parts, so that the same arguments are the same bytes, and as good as never in one of them.
    let mut digest = Sha256::new();
    for (head, content) in &parts {
        digest.update(head);
        digest.update(content);
    }
    let boundary = HEXLOWER.encode(&digest.finalize()[..16]);
    let mut bytes = Vec::new();
    for (head, content) in &parts {
        bytes.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    ToolBody { bytes: bytes.into(), content_type: format!("multipart/form-data; boundary={boundary}") }
}

fn file_part(name: &str, file: &File) -> (String, Vec<u8>) {
    let head = format!("{}\r\nContent-Type: {}", disposition(name, Some(&file.name)), one_line(&file.media_type));
    (head, file.bytes.to_vec())
}

fn disposition(name: &str, file_name: Option<&str>) -> String {
    let quoted = |text: &str| one_line(text).replace('"', "%22");
    let file_name = file_name.map(|name| format!("; filename=\"{}\"", quoted(name))).unwrap_or_default();
    format!("Content-Disposition: form-data; name=\"{}\"{file_name}", quoted(name))
}

/// Without line ends, which would begin another header.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The file, or the text, of the only argument.
fn file_body(tool: &Tool, placed: Vec<(String, Value)>, files: &Files) -> Result<ToolBody, Mistake> {
    let Some((name, value)) = placed.into_iter().next() else {
        return Err(Mistake::new("", "needs a file"));
    };
    let (bytes, own_type) = match files.get(&name) {
        Some(file) => (file.bytes.clone(), one_line(&file.media_type)),
        None => (text(&value).into(), "text/plain; charset=utf-8".to_owned()),
    };
    Ok(ToolBody { bytes, content_type: tool.content_type.clone().unwrap_or(own_type) })
}
