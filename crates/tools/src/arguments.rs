//! Checks the arguments of a call.

use std::ops::Deref;

use serde_json::{Map, Value};
use switchboard_catalog::{CALL_ID, Tool};

use crate::schema::{Checker, MAX_MISTAKES, Patterns, compile, shown};
use crate::{Mistake, nearest};

/// Whole numbers below this are exact in floating point (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The compiled schema of a tool's arguments.
#[derive(Debug)]
pub struct ArgumentCheck {
    schema: Map<String, Value>,
    patterns: Patterns,
}

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
    /// The same with another value of an argument: one that fits the tool's schema.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

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
        Self::of_schema(tool.input_schema())
    }

    /// Compiles a schema of arguments: that of an object with `properties`.
    ///
    /// # Errors
    /// A pattern in it is none.
    pub fn of_schema(schema: Map<String, Value>) -> Result<Self, String> {
        let mut patterns = Patterns::new();
        schema.values().try_for_each(|member| compile(member, &mut patterns))?;
        Ok(Self { schema, patterns })
    }

    /// The schemas of the arguments, by name.
    fn properties(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().filter_map(|(name, schema)| Some((name, schema.as_object()?)))
    }

    fn property(&self, name: &str) -> Option<&Map<String, Value>> {
        self.schema.get("properties")?.get(name)?.as_object()
    }

    /// The arguments of a call, with the defaults of those that are missing.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, given: Map<String, Value>) -> Result<Arguments, Vec<Mistake>> {
        let mut arguments = Map::with_capacity(given.len());
        let mut mistakes = Vec::new();
        for (name, value) in given {
            match self.property(&name) {
                Some(schema) => {
                    if let Some(value) = usable(schema, value) {
                        arguments.insert(name, value);
                    }
                }
                None if mistakes.len() < MAX_MISTAKES => mistakes.push(self.unknown(&name)),
                None => {}
            }
        }
        for (name, schema) in self.properties() {
            if let Some(default) = schema.get("default").filter(|_| !arguments.contains_key(name)) {
                arguments.insert(name.clone(), default.clone());
            }
        }
        let mut checker = Checker { patterns: &self.patterns, mistakes };
        checker.object("", &self.schema, &arguments);
        if checker.mistakes.is_empty() { Ok(Arguments(arguments)) } else { Err(checker.mistakes) }
    }

    fn unknown(&self, name: &str) -> Mistake {
        let known = || self.properties().map(|(name, _)| name.as_str());
        let message = match nearest(name, known()) {
            Some(nearest) => format!("is no argument of this tool; did you mean `{nearest}`?"),
            None if known().next().is_none() => "is no argument of this tool, which has none".to_owned(),
            None => format!("is no argument of this tool, which has {}", known().collect::<Vec<_>>().join(", ")),
        };
        Mistake::new(shown(name), message)
    }
}

/// A value as it was meant: models write null for what they leave out, lists and objects as JSON text, whole numbers
/// with a point, and numbers for texts.
fn usable(schema: &Map<String, Value>, value: Value) -> Option<Value> {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_file = schema.get("file_uploadable") == Some(&Value::Bool(true));
    match (value, kind) {
        (Value::Null, Some(_)) => None,
        (value, _) if is_file && is_no_file(&value) => None,
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

/// Whether the value of a file argument means that there is no file: null, a blank text, or an object with nothing but
/// these, which SDKs and models send for what is left out.
pub fn is_no_file(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(members) => members.values().all(is_no_file),
        _ => false,
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
