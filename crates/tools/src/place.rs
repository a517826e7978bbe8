//! Where the arguments of a call go: path, query, headers, body.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use switchboard_catalog::{Argument, Location, Template, Tool, parse_template_text};

use crate::render::{Values, render};
use crate::style::{pairs, single, text};
use crate::{Files, Mistake};

/// What a segment of a path may hold unencoded: unreserved characters (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The arguments at their places.
pub(crate) struct Placed {
    /// Path, or the whole URL.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// The arguments of the body that no template names.
    pub(crate) body: Vec<(String, Value)>,
}

/// Puts each argument where the tool says.
///
/// # Errors
/// An argument cannot be written there.
pub(crate) fn place(tool: &Tool, arguments: &Map<String, Value>, files: &Files) -> Result<Placed, Mistake> {
    let values = Values::new(arguments, files);
    let mut placed = Placed { path: tool.path.clone(), query: Vec::new(), headers: HeaderMap::new(), body: Vec::new() };
    let mut used = BTreeSet::new();
    if let Some(template) = &tool.body_template() {
        template.arguments(&mut |name| {
            used.insert(name.to_owned());
        });
    }
    for (name, value) in &tool.query {
        if let Some(value) = fixed(value, &values, &mut used)? {
            placed.query.push((name.clone(), value));
        }
    }
    for (name, value) in &tool.headers {
        if let Some(value) = fixed(value, &values, &mut used)? {
            add_header(&mut placed.headers, "", name, &value)?;
        }
    }
    for (name, argument) in &tool.input {
        let is_placed = !used.contains(name) || tool.location(name, argument) == Location::Path;
        let Some(value) = arguments.get(name).filter(|_| is_placed) else { continue };
        placed.put(tool, (name, argument), value)?;
    }
    Ok(placed)
}

/// A fixed text with its placeholders. None if one has no value.
fn fixed(template: &str, values: &Values<'_>, used: &mut BTreeSet<String>) -> Result<Option<String>, Mistake> {
    // Checked when the file was read.
    let Ok(template) = parse_template_text(template) else { return Ok(None) };
    template.arguments(&mut |name| {
        used.insert(name.to_owned());
    });
    if let Template::Constant(value) = &template {
        return Ok(Some(text(value)));
    }
    Ok(render(&template, values)?.map(|value| text(&value)))
}

impl Placed {
    fn put(&mut self, tool: &Tool, (name, argument): (&str, &Argument), value: &Value) -> Result<(), Mistake> {
        let wire_name = tool.wire_name(name, argument);
        match tool.location(name, argument) {
            Location::Path => {
                let value = single(value, argument.style);
                // The URL of another endpoint, whatever is around it.
                if value.is_empty() || value.split(['/', '\\']).any(|segment| segment == "." || segment == "..") {
                    return Err(Mistake::new(
                        name,
                        "stands in the path: it must not be empty or have `.` or `..` between slashes",
                    ));
                }
                let encoded = utf8_percent_encode(&value, SEGMENT).to_string();
                self.path = self.path.replace(&format!("{{{name}}}"), &encoded);
            }
            Location::Query => self.query.extend(pairs(wire_name, value, argument.style)),
            Location::Header => add_header(&mut self.headers, name, wire_name, &single(value, argument.style))?,
            Location::Body => self.body.push((name.to_owned(), value.clone())),
        }
        Ok(())
    }
}

fn add_header(headers: &mut HeaderMap, argument: &str, name: &str, value: &str) -> Result<(), Mistake> {
    let wrong = || Mistake::new(argument, "goes to a header: it must be visible ASCII characters on one line");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
    Ok(())
}
