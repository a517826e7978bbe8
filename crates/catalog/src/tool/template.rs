//! The body of a tool as a template: JSON with arguments in braces.
//!
//! - A text that is one placeholder, `"{count}"`, is the argument itself, of any type. In a longer text it is written
//!   into it. `{a.b}` is a member of an object, and `{{` a brace.
//! - What has no value is left out: a text with a missing argument, and an object or list in which everything is
//!   missing. So a template says what is sent if all arguments are there.
//! - `{call_id}` is a text that is different in each call, for APIs that ask for one.
//! - An object whose first key begins with `$` is computed, see [`Template`].

use serde_json::{Map, Value};

use crate::model::Tool;

/// A part of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// A number, a boolean, null, or a text without placeholders.
    Constant(Value),
    /// An argument.
    Argument(Vec<String>),
    /// A text with arguments.
    Text(Vec<TextPart>),
    /// An object.
    Object(Vec<(String, Self)>),
    /// A list.
    List(Vec<Self>),
    /// `{"$each": "to", "item": …}`: for each item of the argument `to`, with the item as `{item}`.
    Each {
        /// The list.
        list: Vec<String>,
        /// What is written for each item.
        item: Box<Self>,
    },
    /// `{"$choose": "is_html", "true": "HTML", "false": "Text"}`: by the argument's value. `else` is for any other.
    Choose {
        /// Decides.
        by: Vec<String>,
        /// By the text of its value.
        options: Vec<(String, Self)>,
    },
    /// `{"$base64": …}`: a text in base64.
    Base64(Box<Self>),
    /// `{"$mime": {"to": …, "subject": …, "text": …}}`: a message of RFC 5322 in base64url. Its keys are [`MIME_KEYS`].
    Mime(Vec<(String, Self)>),
    /// `{"$after": {"start": …, "hours": …, "minutes": …}}`: a local time (RFC 3339 without offset, or with the one of
    /// `start`), later by some hours and minutes.
    After(Vec<(String, Self)>),
}

/// A piece of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TextPart {
    /// As it is.
    Literal(String),
    /// An argument, as text.
    Argument(Vec<String>),
}

/// Keys of `$mime`. `html` replaces `text` if `is_html` is true.
pub const MIME_KEYS: [&str; 10] =
    ["from", "to", "cc", "bcc", "subject", "text", "is_html", "in_reply_to", "references", "attachment"];
/// Keys of `$after`.
pub const AFTER_KEYS: [&str; 3] = ["start", "hours", "minutes"];
/// The name of an item within `$each`.
pub const ITEM: &str = "item";
/// The name of the call's own id in a template: a text that is different in each call.
pub const CALL_ID: &str = "call_id";
/// Maximum depth of a template.
const MAX_DEPTH: usize = 16;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong, for the author of the file.
    pub fn parse(value: &Value) -> Result<Self, String> {
        parse(value, 0)
    }

    /// Calls `visit` with the first name of each argument that it uses, except items of lists.
    pub fn arguments<'t>(&'t self, visit: &mut dyn FnMut(&'t str)) {
        self.placeholders(&mut |path| {
            if let Some(first) = path.first().filter(|first| *first != ITEM) {
                visit(first);
            }
        });
    }

    /// Calls `visit` with each placeholder.
    pub fn placeholders<'t>(&'t self, visit: &mut dyn FnMut(&'t [String])) {
        match self {
            Self::Constant(_) => {}
            Self::Argument(path) => visit(path),
            Self::Text(parts) => {
                for part in parts {
                    if let TextPart::Argument(path) = part {
                        visit(path);
                    }
                }
            }
            Self::Object(members) | Self::Mime(members) | Self::After(members) => {
                for (_, member) in members {
                    member.placeholders(visit);
                }
            }
            Self::List(items) => {
                for item in items {
                    item.placeholders(visit);
                }
            }
            Self::Each { list, item } => {
                visit(list);
                item.placeholders(visit);
            }
            Self::Choose { by, options } => {
                visit(by);
                for (_, option) in options {
                    option.placeholders(visit);
                }
            }
            Self::Base64(text) => text.placeholders(visit),
        }
    }
}

impl Tool {
    /// The template of the body, if it has one. Checked when the file was read.
    pub fn body_template(&self) -> Option<Template> {
        Template::parse(self.template.as_ref()?).ok()
    }
}

fn parse(value: &Value, depth: usize) -> Result<Template, String> {
    if depth > MAX_DEPTH {
        return Err(format!("nests more than {MAX_DEPTH} deep"));
    }
    let deeper = |value| parse(value, depth + 1);
    Ok(match value {
        Value::String(text) => parse_text(text)?,
        Value::Array(items) => Template::List(items.iter().map(deeper).collect::<Result<_, _>>()?),
        Value::Object(members) => match members.keys().find(|key| key.starts_with('$')) {
            Some(key) => computed(key, members, depth)?,
            None => Template::Object(parse_members(members, depth)?),
        },
        other => Template::Constant(other.clone()),
    })
}

fn parse_members(members: &Map<String, Value>, depth: usize) -> Result<Vec<(String, Template)>, String> {
    members.iter().map(|(name, member)| Ok((name.clone(), parse(member, depth + 1)?))).collect()
}

/// An object with a key that begins with `$`.
fn computed(key: &str, members: &Map<String, Value>, depth: usize) -> Result<Template, String> {
    let only = |allowed: &[&str]| match members.keys().find(|name| *name != key && !allowed.contains(&name.as_str())) {
        Some(name) => Err(format!("`{name}` does not belong beside `{key}`")),
        None => Ok(()),
    };
    let argument = || {
        let name = members[key].as_str().ok_or_else(|| format!("`{key}` is the name of an argument"))?;
        parse_name(name).ok_or_else(|| format!("`{name}` is not the name of an argument"))
    };
    let named = |allowed: &[&str]| {
        only(&[])?;
        let Some(inner) = members[key].as_object() else { return Err(format!("`{key}` is an object")) };
        if let Some(name) = inner.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(format!("`{name}` is none of {}", allowed.join(", ")));
        }
        parse_members(inner, depth)
    };
    match key {
        "$each" => {
            only(&[ITEM])?;
            let item = members.get(ITEM).ok_or("`$each` needs `item`")?;
            Ok(Template::Each { list: argument()?, item: Box::new(parse(item, depth + 1)?) })
        }
        "$choose" => {
            let options = members.iter().filter(|(name, _)| *name != key);
            let options = options.map(|(name, option)| Ok((name.clone(), parse(option, depth + 1)?)));
            Ok(Template::Choose { by: argument()?, options: options.collect::<Result<_, String>>()? })
        }
        "$base64" => {
            only(&[])?;
            Ok(Template::Base64(Box::new(parse(&members[key], depth + 1)?)))
        }
        "$mime" => Ok(Template::Mime(named(&MIME_KEYS)?)),
        "$after" => Ok(Template::After(named(&AFTER_KEYS)?)),
        _ => Err(format!("`{key}` is unknown; use $each, $choose, $base64, $mime or $after")),
    }
}

/// Reads a text with placeholders.
///
/// # Errors
/// A brace that is not closed, or no name in braces.
pub fn parse_text(text: &str) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        literal.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        if let Some(escaped) = after.strip_prefix('{') {
            literal.push('{');
            rest = escaped;
            continue;
        }
        let (name, after) =
            after.split_once('}').ok_or("a `{` is not closed (a literal brace is written `{{`)".to_owned())?;
        let path = parse_name(name).ok_or_else(|| format!("`{{{name}}}` is not the name of an argument"))?;
        if !literal.is_empty() {
            parts.push(TextPart::Literal(std::mem::take(&mut literal)));
        }
        parts.push(TextPart::Argument(path));
        rest = after;
    }
    literal.push_str(rest);
    if parts.is_empty() {
        return Ok(Template::Constant(literal.into()));
    }
    if !literal.is_empty() {
        parts.push(TextPart::Literal(literal));
    }
    Ok(match <[TextPart; 1]>::try_from(parts) {
        Ok([TextPart::Argument(path)]) => Template::Argument(path),
        Ok(parts) => Template::Text(parts.into()),
        Err(parts) => Template::Text(parts),
    })
}

/// The names of `a.b`, if they are names.
fn parse_name(name: &str) -> Option<Vec<String>> {
    let is_name =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    name.split('.').all(is_name).then(|| name.split('.').map(str::to_owned).collect())
}
