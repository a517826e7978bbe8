//! Fills a template with arguments.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, NaiveDateTime};
use serde_json::{Map, Value};
use switchboard_catalog::{ITEM, Template, TextPart};

use crate::mime;
use crate::style::text;
use crate::{File, Files, Mistake};

/// The values of a template's placeholders.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    arguments: &'a Map<String, Value>,
    files: &'a Files,
    /// The item of the list that is being written.
    item: Option<&'a Value>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(arguments: &'a Map<String, Value>, files: &'a Files) -> Self {
        Self { arguments, files, item: None }
    }

    /// The file that a template names.
    fn file(&self, template: &Template) -> Option<&'a File> {
        match template {
            Template::Argument(path) => self.files.get(path.first()?),
            _ => None,
        }
    }

    fn get(&self, path: &[String]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        let value = match self.item {
            Some(item) if first == ITEM => item,
            _ => self.arguments.get(first)?,
        };
        rest.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
    }
}

/// The template with its arguments. None if nothing of it has a value.
///
/// # Errors
/// An argument cannot be computed with.
pub(crate) fn render(template: &Template, values: &Values<'_>) -> Result<Option<Value>, Mistake> {
    Ok(match template {
        Template::Constant(value) => Some(value.clone()),
        Template::Argument(path) => values.get(path).cloned(),
        Template::Text(parts) => render_text(parts, values).map(Value::String),
        Template::Object(members) => {
            let rendered = render_members(members, values)?;
            (!rendered.is_empty() || members.is_empty()).then_some(Value::Object(rendered))
        }
        Template::List(items) => {
            let mut rendered = Vec::with_capacity(items.len());
            for item in items {
                rendered.extend(render(item, values)?);
            }
            (!rendered.is_empty() || items.is_empty()).then_some(Value::Array(rendered))
        }
        Template::Each { list, item } => match values.get(list) {
            None => None,
            Some(list) => Some(render_each(list, item, values)?),
        },
        Template::Choose { by, options } => {
            let value = values.get(by).map(text);
            let option = |name: &str| options.iter().find(|(option, _)| option == name);
            match value.as_deref().and_then(option).or_else(|| option("else")) {
                Some((_, option)) => render(option, values)?,
                None => None,
            }
        }
        Template::Base64(inner) => match values.file(inner) {
            Some(file) => Some(STANDARD.encode(&file.bytes).into()),
            None => render(inner, values)?.map(|inner| STANDARD.encode(text(&inner)).into()),
        },
        Template::Mime(members) => {
            let attachment = members.iter().find(|(name, _)| name == "attachment");
            let attachment = attachment.and_then(|(_, template)| values.file(template));
            Some(mime::message(&render_members(members, values)?, attachment)?.into())
        }
        Template::After(members) => after(&render_members(members, values)?)?.map(Value::String),
    })
}

/// The body of a template. Constants of an object are sent even if no argument is.
///
/// # Errors
/// As for [`render`].
pub(crate) fn render_body(template: &Template, values: &Values<'_>) -> Result<Option<Value>, Mistake> {
    let Template::Object(members) = template else { return render(template, values) };
    let mut body = Map::new();
    for (name, member) in members {
        if let Some(value) = render(member, values)? {
            body.insert(name.clone(), value);
        }
    }
    Ok(Some(Value::Object(body)))
}

/// Members that have a value. An object of constants alone counts as one; constants beside arguments that are all
/// missing do not.
fn render_members(members: &[(String, Template)], values: &Values<'_>) -> Result<Map<String, Value>, Mistake> {
    let mut rendered = Map::new();
    let (mut needs_argument, mut has_argument) = (false, false);
    for (name, member) in members {
        let uses_arguments = uses_arguments(member);
        needs_argument |= uses_arguments;
        if let Some(value) = render(member, values)? {
            has_argument |= uses_arguments;
            rendered.insert(name.clone(), value);
        }
    }
    Ok(if needs_argument && !has_argument { Map::new() } else { rendered })
}

fn uses_arguments(template: &Template) -> bool {
    let mut uses = false;
    template.placeholders(&mut |_| uses = true);
    uses
}

fn render_each(list: &Value, item: &Template, values: &Values<'_>) -> Result<Value, Mistake> {
    let items = match list {
        Value::Array(items) => items.as_slice(),
        // A single value where a list is allowed.
        single => std::slice::from_ref(single),
    };
    let mut rendered = Vec::with_capacity(items.len());
    for value in items {
        let values = Values { item: Some(value), ..*values };
        rendered.extend(render(item, &values)?);
    }
    Ok(Value::Array(rendered))
}

/// A text with its arguments. None if one is missing.
pub(crate) fn render_text(parts: &[TextPart], values: &Values<'_>) -> Option<String> {
    let mut rendered = String::new();
    for part in parts {
        match part {
            TextPart::Literal(literal) => rendered.push_str(literal),
            TextPart::Argument(path) => rendered.push_str(&text(values.get(path)?)),
        }
    }
    Some(rendered)
}

/// A time some hours and minutes after another.
fn after(members: &Map<String, Value>) -> Result<Option<String>, Mistake> {
    let Some(start) = members.get("start").and_then(Value::as_str) else { return Ok(None) };
    let number = |name: &str| members.get(name).and_then(Value::as_i64).unwrap_or(0);
    if !members.contains_key("hours") && !members.contains_key("minutes") {
        return Ok(None);
    }
    let wrong = || Mistake::new("", "the start must be a time such as 2026-12-31T09:30:00, and the duration shorter");
    let length = Duration::try_hours(number("hours")).zip(Duration::try_minutes(number("minutes")));
    let (hours, minutes) = length.ok_or_else(wrong)?;
    if let Ok(start) = DateTime::parse_from_rfc3339(start) {
        let end = start.checked_add_signed(hours).and_then(|end| end.checked_add_signed(minutes));
        return end.map(|end| Some(end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))).ok_or_else(wrong);
    }
    let start =
        ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"].iter().find_map(|form| NaiveDateTime::parse_from_str(start, form).ok());
    let end = start.and_then(|start| start.checked_add_signed(hours)?.checked_add_signed(minutes));
    end.map(|end| Some(end.format("%Y-%m-%dT%H:%M:%S").to_string())).ok_or_else(wrong)
}
