//! The subset of JSON Schema that a tool may use, made for the tool interfaces of `OpenAI`, Anthropic, Gemini and Bedrock
//! and for the official SDKs: one bad schema makes a vendor refuse the whole list.

use serde_json::{Map, Value};

use crate::path::Path;
use crate::validate::Finding;

/// The types, one word each.
const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];
/// The formats that `OpenAI` accepts. Any other belongs into the description.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];
/// Keywords of any schema.
const COMMON: [&str; 4] = ["type", "description", "enum", "default"];
/// Maximum length of a property's description, in characters.
const MAX_DESCRIPTION: usize = 300;
/// Maximum depth of nested schemas.
const MAX_DEPTH: usize = 6;
/// Maximum number of alternatives of `anyOf`, and how deep they may nest.
const MAX_ALTERNATIVES: (usize, usize) = (8, 2);
/// Maximum length of a pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// Checks schemas of one tool.
pub(super) struct Profile<'f> {
    pub(super) findings: &'f mut Vec<Finding>,
}

impl Profile<'_> {
    fn report(&mut self, path: &Path, message: impl Into<String>) {
        self.findings.push(Finding { path: path.clone(), message: message.into() });
    }

    /// Checks the name and the schema of a property.
    pub(super) fn property(&mut self, path: &Path, name: &str, schema: &Map<String, Value>, depth: usize) {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            self.report(
                path,
                "a name has 1 to 64 letters, digits, `_`, `.` and `-`; use `as` for another one at the provider",
            );
        }
        match schema.get("description").and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => {}
            _ => self.report(path, "needs a `description`"),
        }
        self.schema(path, schema, depth, 0);
    }

    /// Checks a schema. `alternatives` is how deep it is in `anyOf`.
    pub(super) fn schema(&mut self, path: &Path, schema: &Map<String, Value>, depth: usize, alternatives: usize) {
        if depth > MAX_DEPTH {
            self.report(path, format!("schemas nest at most {MAX_DEPTH} deep"));
            return;
        }
        self.description(path, schema);
        if schema.contains_key("anyOf") {
            self.any_of(path, schema, depth, alternatives);
            return;
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if !TYPES.contains(&kind) {
            self.report(&path.key("type"), format!("must be one of {}", TYPES.join(", ")));
            return;
        }
        self.keywords(path, schema, kind);
        self.values(path, schema, kind);
        match kind {
            "array" => match schema.get("items") {
                Some(Value::Object(items)) => self.schema(&path.key("items"), items, depth + 1, alternatives),
                _ => self.report(&path.key("items"), "a list needs the schema of its items"),
            },
            "object" => self.object(path, schema, depth, alternatives),
            _ => {}
        }
    }

    fn description(&mut self, path: &Path, schema: &Map<String, Value>) {
        let Some(description) = schema.get("description") else { return };
        let is_short = description.as_str().is_some_and(|text| text.chars().count() <= MAX_DESCRIPTION);
        if !is_short || description.as_str().is_some_and(|text| text.chars().any(char::is_control)) {
            self.report(
                &path.key("description"),
                format!("must be a text of at most {MAX_DESCRIPTION} characters, on one line"),
            );
        }
    }

    fn any_of(&mut self, path: &Path, schema: &Map<String, Value>, depth: usize, alternatives: usize) {
        let at = path.key("anyOf");
        if schema.keys().any(|key| !["anyOf", "description"].contains(&key.as_str())) {
            self.report(&at, "stands alone, beside a `description` at most");
        }
        let (limit, deepest) = MAX_ALTERNATIVES;
        let Some(options) =
            schema.get("anyOf").and_then(Value::as_array).filter(|options| (1..=limit).contains(&options.len()))
        else {
            self.report(&at, format!("must be a list of 1 to {limit} schemas"));
            return;
        };
        if alternatives == deepest {
            self.report(&at, format!("alternatives nest at most {deepest} deep"));
            return;
        }
        for (index, option) in options.iter().enumerate() {
            match option {
                Value::Object(option) if option.get("type").is_some_and(|kind| kind == "null") && option.len() == 1 => {
                }
                Value::Object(option) => self.schema(&at.index(index), option, depth + 1, alternatives + 1),
                _ => self.report(&at.index(index), "must be a schema"),
            }
        }
    }

    /// Refuses keywords that the type does not have here.
    fn keywords(&mut self, path: &Path, schema: &Map<String, Value>, kind: &str) {
        let own: &[&str] = match kind {
            "string" => &["format", "pattern", "minLength", "maxLength", "file_uploadable", "file_downloadable"],
            "integer" | "number" => &["minimum", "maximum"],
            "array" => &["items", "minItems", "maxItems"],
            "object" => &["properties", "required", "additionalProperties", "file_uploadable", "file_downloadable"],
            _ => &[],
        };
        for key in schema.keys().filter(|key| !COMMON.contains(&key.as_str()) && !own.contains(&key.as_str())) {
            let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
            self.report(&path.key(key), format!("not accepted by all models for a {kind}; use {}", known.join(", ")));
        }
    }

    /// Checks the values of keywords.
    fn values(&mut self, path: &Path, schema: &Map<String, Value>, kind: &str) {
        if let Some(values) = schema.get("enum") {
            let texts = values.as_array().filter(|values| {
                !values.is_empty() && values.iter().all(|value| value.as_str().is_some_and(|text| !text.is_empty()))
            });
            if kind != "string" || texts.is_none() {
                self.report(&path.key("enum"), "must be a list of texts that are not empty, of a string");
            }
        }
        if let Some(default) = schema.get("default") {
            let fits = match kind {
                "string" => default.is_string(),
                "integer" => default.is_i64() || default.is_u64(),
                "number" => default.is_number(),
                "boolean" => default.is_boolean(),
                _ => false,
            };
            if !fits {
                self.report(&path.key("default"), "must be a text, a number or a boolean of the schema's type");
            }
        }
        if let Some(format) = schema.get("format")
            && !format.as_str().is_some_and(|format| FORMATS.contains(&format))
        {
            self.report(
                &path.key("format"),
                format!("must be one of {}; say any other in the description", FORMATS.join(", ")),
            );
        }
        if let Some(pattern) = schema.get("pattern") {
            let is_plain = |pattern: &str| {
                let is_short = pattern.len() <= MAX_PATTERN && !pattern.contains("(?");
                is_short && regex_lite::Regex::new(pattern).is_ok()
            };
            if !pattern.as_str().is_some_and(is_plain) {
                self.report(
                    &path.key("pattern"),
                    format!("must be a regular expression of at most {MAX_PATTERN} bytes, without groups that begin with `(?`"),
                );
            }
        }
        for key in ["minLength", "maxLength", "minItems", "maxItems"] {
            if schema.get(key).is_some_and(|value| !value.is_u64()) {
                self.report(&path.key(key), "must be a whole number");
            }
        }
        for key in ["minimum", "maximum"] {
            if schema.get(key).is_some_and(|value| !value.is_number()) {
                self.report(&path.key(key), "must be a number");
            }
        }
    }

    fn object(&mut self, path: &Path, schema: &Map<String, Value>, depth: usize, alternatives: usize) {
        let nothing = Map::new();
        let properties = match schema.get("properties") {
            Some(Value::Object(properties)) => properties,
            None if schema.get("additionalProperties").is_some_and(|more| *more != false) => &nothing,
            _ => {
                self.report(&path.key("properties"), "an object needs its `properties`, or `additionalProperties`");
                return;
            }
        };
        for (name, property) in properties {
            let at = path.key("properties").key(name);
            match property {
                Value::Object(property) => self.property(&at, name, property, depth + 1),
                _ => self.report(&at, "must be a schema"),
            }
        }
        let required = schema.get("required").map(|names| names.as_array().map(Vec::as_slice));
        for name in required.flatten().unwrap_or_default() {
            if !name.as_str().is_some_and(|name| properties.contains_key(name)) {
                self.report(&path.key("required"), format!("{name} is none of the properties"));
            }
        }
        if required.is_some_and(|names| names.is_none()) {
            self.report(&path.key("required"), "must be a list of names");
        }
        match schema.get("additionalProperties") {
            None | Some(Value::Bool(_)) => {}
            Some(Value::Object(more)) => self.schema(&path.key("additionalProperties"), more, depth + 1, alternatives),
            Some(_) => self.report(&path.key("additionalProperties"), "must be true, false or a schema"),
        }
    }
}
