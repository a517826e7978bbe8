//! Reads requests as the standard says they are written, from the document alone. It shares no code with the importer and
//! with the builder of requests.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// What a reference leads to.
pub fn resolve<'d>(root: &'d Value, mut value: &'d Value) -> &'d Value {
    for _ in 0..20 {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = percent_decode_str(reference.trim_start_matches('#')).decode_utf8().unwrap().into_owned();
        value = root.pointer(&pointer).unwrap_or_else(|| panic!("{reference} names nothing"));
    }
    panic!("references in a circle");
}

/// The operation of a method and a path, with its parameters resolved: those of the path first.
pub fn operation<'d>(root: &'d Value, key: &str) -> (&'d Value, Vec<&'d Value>) {
    let (method, path) = key.split_once(' ').unwrap();
    let item = resolve(root, &root["paths"][path]);
    let operation = resolve(root, &item[method.to_ascii_lowercase()]);
    let mut parameters: Vec<&Value> = Vec::new();
    for list in [&item["parameters"], &operation["parameters"]] {
        for parameter in list.as_array().into_iter().flatten() {
            let parameter = resolve(root, parameter);
            parameters.retain(|known| known["name"] != parameter["name"] || known["in"] != parameter["in"]);
            parameters.push(parameter);
        }
    }
    (operation, parameters)
}

/// The values of placeholders in a path, decoded; none if the path is another one.
pub fn path_values(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    let (mut template, mut rest) = (template, path);
    while let Some((literal, after)) = template.split_once('{') {
        rest = rest.strip_prefix(literal)?;
        let (name, after) = after.split_once('}')?;
        let next = after.split('{').next().unwrap();
        // Values are encoded, so that what follows a placeholder is found by its first characters.
        let end = if next.is_empty() { rest.find('/').unwrap_or(rest.len()) } else { rest.find(next)? };
        values.push((name.to_owned(), percent_decode_str(&rest[..end]).decode_utf8().ok()?.into_owned()));
        rest = &rest[end..];
        template = after;
    }
    (template == rest).then_some(values)
}

/// A value with texts in place of numbers and booleans, as they are written outside of JSON.
pub fn texts(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), texts(member))).collect(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub style: &'a str,
    pub explode: bool,
    /// As JSON text, by a media type.
    pub is_json: bool,
}

impl<'a> Written<'a> {
    /// How a parameter is written, with the defaults of the standard.
    pub fn of_parameter(parameter: &'a Value) -> Self {
        let default = if matches!(parameter["in"].as_str(), Some("query" | "cookie")) { "form" } else { "simple" };
        let style = parameter["style"].as_str().unwrap_or(default);
        let explode = parameter["explode"].as_bool().unwrap_or(style == "form");
        Self { style, explode, is_json: parameter["content"].is_object() }
    }

    /// How a member of a form is written.
    pub fn of_member(encoding: &'a Value) -> Self {
        let has_style = encoding["style"].is_string() || encoding["explode"].is_boolean();
        let style = encoding["style"].as_str().unwrap_or("form");
        Self { style, explode: encoding["explode"].as_bool().unwrap_or(style == "form"), is_json: !has_style }
    }

    /// The value in the pairs of a query or a form, which are taken out. `like` says what kind of value it is.
    pub fn read_pairs(&self, name: &str, pairs: &mut Vec<(String, String)>, like: &Value) -> Value {
        let mut take = |wanted: &dyn Fn(&str) -> bool| {
            let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(pairs).into_iter().partition(|(key, _)| wanted(key));
            *pairs = left;
            taken
        };
        let one =
            |taken: Vec<(String, String)>| taken.into_iter().next().map_or(Value::Null, |(_, value)| value.into());
        match (like, self.style, self.explode) {
            (Value::Array(_) | Value::Object(_), ..) if self.is_json => one(take(&|key| key == name))
                .as_str()
                .map_or(Value::Null, |text| texts(&serde_json::from_str(text).unwrap())),
            (Value::Array(_), "deepObject", _) => {
                let prefix = format!("{name}[");
                let taken = take(&|key| key.starts_with(&prefix));
                taken.into_iter().map(|(_, value)| Value::from(value)).collect()
            }
            (Value::Array(_), _, true) => {
                take(&|key| key == name).into_iter().map(|(_, value)| Value::from(value)).collect()
            }
            (Value::Array(_), style, false) => {
                let separator = match style {
                    "spaceDelimited" => ' ',
                    "pipeDelimited" => '|',
                    _ => ',',
                };
                one(take(&|key| key == name)).as_str().unwrap_or_default().split(separator).map(Value::from).collect()
            }
            (Value::Object(_), "deepObject", _) => {
                let prefix = format!("{name}[");
                let mut object = json!({});
                for (key, value) in take(&|key| key.starts_with(&prefix)) {
                    let path: Vec<&str> = key[name.len()..].split(['[', ']']).filter(|part| !part.is_empty()).collect();
                    let is_list = key.ends_with("[]");
                    let mut place = &mut object;
                    for part in path {
                        place = &mut place[part];
                    }
                    match place {
                        Value::Array(items) => items.push(value.into()),
                        place if is_list => *place = json!([value]),
                        place => *place = value.into(),
                    }
                }
                object
            }
            (Value::Object(members), _, true) => {
                let taken = take(&|key| members.contains_key(key));
                let mut object = Map::new();
                for (key, value) in taken {
                    match object.get_mut(&key) {
                        Some(Value::Array(items)) => items.push(value.into()),
                        Some(first) => *first = json!([first.clone(), value]),
                        None if members[&key].is_array() => drop(object.insert(key, json!([value]))),
                        None => drop(object.insert(key, value.into())),
                    }
                }
                object.into()
            }
            (Value::Object(_), _, false) => alternating(one(take(&|key| key == name)).as_str().unwrap_or_default()),
            _ => one(take(&|key| key == name)),
        }
    }

    /// The value in a path or a header.
    pub fn read_text(&self, text: &str, like: &Value) -> Value {
        let text = match self.style {
            "label" => text.strip_prefix('.').unwrap(),
            "matrix" => text.split_once('=').unwrap().1,
            _ => text,
        };
        match like {
            Value::Array(_) | Value::Object(_) if self.is_json => texts(&serde_json::from_str(text).unwrap()),
            Value::Array(_) => text.split(',').map(Value::from).collect(),
            Value::Object(_) if self.explode => text
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect(),
            Value::Object(_) => alternating(text),
            _ => text.into(),
        }
    }
}

/// `R,100,G,200`.
fn alternating(text: &str) -> Value {
    let parts: Vec<&str> = text.split(',').collect();
    parts.chunks_exact(2).map(|pair| (pair[0].to_owned(), Value::from(pair[1]))).collect()
}

/// Whether the standard says how a value is written outside of JSON: not for lists and objects within lists.
pub fn is_defined(value: &Value, style: &str) -> bool {
    let is_scalar = |value: &Value| !value.is_array() && !value.is_object();
    match value {
        Value::Array(items) => items
            .iter()
            .all(|item| is_scalar(item) && !item.as_str().is_some_and(|text| text.contains([',', ' ', '|']))),
        Value::Object(members) if style == "deepObject" => members.values().all(|member| match member {
            Value::Object(inner) => !inner.is_empty() && is_defined(member, style),
            Value::Array(items) => !items.is_empty() && items.iter().all(is_scalar),
            _ => true,
        }),
        Value::Object(members) => members.values().all(|member| {
            is_scalar(member) || member.as_array().is_some_and(|items| items.iter().all(is_scalar) && style == "form")
        }),
        _ => true,
    }
}
