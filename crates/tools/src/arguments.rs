//! Checks the arguments of a call.

use std::fmt::Write;
use std::ops::Deref;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};
use switchboard_catalog::{CALL_ID, Tool};

use crate::{Mistake, nearest};

/// Whole numbers below this are exact in floating point (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// Maximum length of a caller's name in a message, in characters.
const MAX_SHOWN: usize = 64;
/// Maximum number of names in a message.
const MAX_NAMES: usize = 8;
/// Maximum number of mistakes that are reported.
const MAX_MISTAKES: usize = 8;

/// The compiled schema of a tool's arguments.
#[derive(Debug)]
pub struct ArgumentCheck(Validator);

/// Arguments that fit the tool's schema, with its defaults.
#[derive(Clone, Default)]
pub struct Arguments(Map<String, Value>);

impl Deref for Arguments {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Arguments {
    /// The same with the id of the call, which templates may use.
    #[must_use]
    pub fn with_call_id(mut self, id: &str) -> Self {
        self.0.entry(CALL_ID).or_insert_with(|| id.into());
        self
    }
}

impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl ArgumentCheck {
    /// Compiles the schema of a tool's arguments.
    ///
    /// # Errors
    /// The schema cannot be compiled; a check of the toolkit file finds that.
    pub fn new(tool: &Tool) -> Result<Self, String> {
        let mut schema = Value::Object(tool.input_schema());
        close(&mut schema);
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let options = options.with_pattern_options(PatternOptions::regex());
        options.build(&schema).map(Self).map_err(|error| error.to_string())
    }

    /// The arguments of a call, with the defaults of those that are missing.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, tool: &Tool, given: Map<String, Value>) -> Result<Arguments, Vec<Mistake>> {
        let mut arguments = Map::with_capacity(given.len());
        let mut mistakes = Vec::new();
        for (name, value) in given {
            match tool.input.get(&name) {
                Some(argument) => {
                    if let Some(value) = usable(&argument.schema, value) {
                        arguments.insert(name, value);
                    }
                }
                None if mistakes.len() < MAX_MISTAKES => mistakes.push(unknown(tool, &name)),
                None => {}
            }
        }
        for (name, argument) in &tool.input {
            if let Some(default) = argument.schema.get("default").filter(|_| !arguments.contains_key(name)) {
                arguments.insert(name.clone(), default.clone());
            }
        }
        let arguments = Value::Object(arguments);
        mistakes.extend(self.0.iter_errors(&arguments).take(MAX_MISTAKES).map(|error| mistake(&error)));
        mistakes.truncate(MAX_MISTAKES);
        match arguments {
            Value::Object(arguments) if mistakes.is_empty() => Ok(Arguments(arguments)),
            _ => Err(mistakes),
        }
    }
}

/// Objects take no other properties than those that they name. It is not in the schema that clients get, since some
/// models refuse the keyword.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A value as it was meant: models write null for what they leave out, lists and objects as JSON text, whole numbers
/// with a point, and numbers for texts.
fn usable(schema: &Map<String, Value>, value: Value) -> Option<Value> {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_file = schema.get("file_uploadable") == Some(&Value::Bool(true));
    match (value, kind) {
        (Value::Null, Some(_)) => None,
        (Value::String(text), _) if is_file && text.is_empty() => None,
        (Value::String(text), Some("array" | "object")) => {
            let is_meant = |parsed: &Value| if kind == Some("array") { parsed.is_array() } else { parsed.is_object() };
            let parsed = serde_json::from_str(&text).ok().filter(is_meant);
            Some(parsed.map_or(Value::String(text), |parsed| with_integers(schema, parsed)))
        }
        // Ids that look like numbers, and switches that an API takes as text. A fraction may have lost digits.
        (value @ (Value::Number(_) | Value::Bool(_)), Some("string")) if !value.is_f64() => {
            Some(Value::String(value.to_string()))
        }
        (value, _) => Some(with_integers(schema, value)),
    }
}

/// Whole numbers without a point, at any depth.
fn with_integers(schema: &Map<String, Value>, value: Value) -> Value {
    let schema_of = |key: &str| schema.get(key).and_then(Value::as_object);
    match value {
        Value::Number(number) if schema.get("type").is_some_and(|kind| kind == "integer") => {
            let integer = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MAX_EXACT);
            match integer {
                #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small")]
                Some(integer) if number.is_f64() => (integer as i64).into(),
                _ => Value::Number(number),
            }
        }
        Value::Array(items) => match schema_of("items") {
            Some(schema) => items.into_iter().map(|item| with_integers(schema, item)).collect(),
            None => Value::Array(items),
        },
        Value::Object(members) => {
            let properties = schema_of("properties");
            let member = |(name, value): (String, Value)| {
                let schema = properties.and_then(|properties| properties.get(&name)).and_then(Value::as_object);
                let value = match schema {
                    Some(schema) => with_integers(schema, value),
                    None => value,
                };
                (name, value)
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        value => value,
    }
}

/// A caller's name in a message.
fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN).filter(|letter| !letter.is_control()).collect()
}

fn unknown(tool: &Tool, name: &str) -> Mistake {
    let shown = shown(name);
    let known = || tool.input.keys().map(String::as_str);
    let message = match nearest(name, known()) {
        Some(nearest) => format!("is no argument of this tool; did you mean `{nearest}`?"),
        None if tool.input.is_empty() => "is no argument of this tool, which has none".to_owned(),
        None => format!("is no argument of this tool, which has {}", known().collect::<Vec<_>>().join(", ")),
    };
    Mistake::new(shown, message)
}

/// The mistake that an error of the schema is. It quotes no value.
fn mistake(error: &ValidationError<'_>) -> Mistake {
    let at = shown(&name_of(&error.instance_path().to_string()));
    let message = match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let missing = if at.is_empty() { property.to_owned() } else { format!("{at}.{property}") };
            return Mistake::new(missing, "is required");
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().take(MAX_NAMES).map(|name| shown(name)).collect();
            format!("has members that it cannot have: {}", names.join(", "))
        }
        ValidationErrorKind::Type { kind } => {
            let expected = format!("{kind:?}");
            let expected = expected.trim_start_matches("Single(").trim_end_matches(')').to_lowercase();
            format!("must be of type {expected}, not {}", kind_of(error.instance()))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
            format!("must be one of {}", options.join(", "))
        }
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        ValidationErrorKind::Format { format } => format!("must have the format {format}"),
        ValidationErrorKind::AnyOf { .. } => "fits none of the forms that it may have".to_owned(),
        _ => "does not fit its schema".to_owned(),
    };
    Mistake::new(at, message)
}

/// `labels[0].name` for the pointer `/labels/0/name`.
fn name_of(pointer: &str) -> String {
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !name.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            let _ = write!(name, "[{part}]");
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&part);
        }
    }
    name
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
