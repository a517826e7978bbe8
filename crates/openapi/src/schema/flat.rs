//! What one schema says, through its references and its `allOf`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::merge;
use crate::reference::Document;

/// Maximum number of references and parts of `allOf` within each other.
const MAX_LEVEL: usize = 48;

/// A schema: one of the document, or several together. Nothing of the document is copied.
#[derive(Clone, Debug)]
pub(crate) enum Node<'d> {
    /// A schema of the document.
    One(&'d Value),
    /// Fits all of them.
    All(Vec<Self>),
    /// Fits one of them.
    Any(Vec<Self>),
}

/// A type of JSON. `integer` is a type of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Object,
    Array,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "string" | "file" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "object" => Self::Object,
            "array" => Self::Array,
            _ => return None,
        })
    }

    fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        })
    }

    /// Its name in a schema.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
        }
    }
}

/// Why a schema cannot be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fail {
    /// It nests deeper than may be written; a schema around it can be written without it.
    TooDeep,
    /// No value fits it.
    Never,
    /// A reason that ends the import of the operation.
    Refused(String),
}

/// The members of an object that `properties` does not name.
#[derive(Clone, Debug)]
pub(crate) enum Additional<'d> {
    Any,
    Of(Node<'d>),
}

/// What a schema says.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "keywords, each with its own meaning")]
pub(crate) struct Flat<'d> {
    /// Types that it allows beside null; all if empty.
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) nullable: bool,
    /// It allows nothing but null.
    pub(crate) is_null: bool,
    pub(crate) description: Option<&'d str>,
    pub(crate) values: Option<Vec<&'d Value>>,
    pub(crate) format: Option<&'d str>,
    pub(crate) pattern: Option<&'d str>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) properties: BTreeMap<&'d str, Node<'d>>,
    pub(crate) required: BTreeSet<&'d str>,
    pub(crate) additional: Option<Additional<'d>>,
    pub(crate) items: Option<Node<'d>>,
    /// Lists of alternatives: a value fits one of each list.
    pub(crate) alternatives: Vec<Vec<Node<'d>>>,
    /// The property that tells alternatives apart.
    pub(crate) discriminator: Option<&'d str>,
    pub(crate) default: Option<&'d Value>,
    pub(crate) example: Option<&'d Value>,
    pub(crate) read_only: bool,
    pub(crate) write_only: bool,
    pub(crate) deprecated: bool,
    /// It has rules that cannot be written.
    pub(crate) has_more_rules: bool,
    /// It stands within itself, so that it is not written out again.
    pub(crate) is_cyclic: bool,
}

impl Flat<'_> {
    /// What it says apart from what it allows.
    pub(crate) fn words(&self) -> Self {
        Self {
            description: self.description,
            default: self.default,
            example: self.example,
            read_only: self.read_only,
            write_only: self.write_only,
            deprecated: self.deprecated,
            ..Self::default()
        }
    }

    /// Whether it only restricts what others say.
    pub(crate) fn is_only_rules(&self) -> bool {
        self.kinds.iter().all(|kind| *kind == Kind::Object)
            && self.values.is_none()
            && self.properties.is_empty()
            && self.additional.is_none()
            && self.alternatives.is_empty()
            && (!self.required.is_empty() || self.has_more_rules)
    }
}

/// Gathers what schemas of a document say.
#[derive(Debug)]
pub(crate) struct Flattener<'d> {
    pub(crate) document: &'d Document,
    /// Number of schemas that may still be looked at.
    pub(crate) work: usize,
}

impl<'d> Flattener<'d> {
    /// What a schema says. `around` are the references that lead to it; `own` gets those that it has itself.
    pub(crate) fn flatten(
        &mut self,
        node: &Node<'d>,
        around: &[&'d str],
        own: &mut Vec<&'d str>,
        level: usize,
    ) -> Result<Flat<'d>, Fail> {
        self.work = self.work.checked_sub(1).ok_or_else(|| Fail::Refused("its schemas are too many".to_owned()))?;
        if level > MAX_LEVEL {
            return Err(Fail::Refused(format!("schemas refer to each other more than {MAX_LEVEL} deep")));
        }
        match node {
            Node::One(Value::Object(schema)) => self.of_schema(schema, around, own, level),
            Node::One(Value::Bool(false)) => Err(Fail::Never),
            Node::One(_) => Ok(Flat::default()),
            Node::Any(nodes) => Ok(Flat { alternatives: vec![nodes.clone()], ..Flat::default() }),
            Node::All(nodes) => {
                let mut all = Flat::default();
                for node in nodes {
                    all = merge::both(all, self.flatten(node, around, own, level + 1)?)?;
                }
                Ok(all)
            }
        }
    }

    fn of_schema(
        &mut self,
        schema: &'d Map<String, Value>,
        around: &[&'d str],
        own: &mut Vec<&'d str>,
        level: usize,
    ) -> Result<Flat<'d>, Fail> {
        let mut flat = keywords(schema);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.referred(reference, around, own, level)?;
            flat = merge::both(flat, target)?;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            flat = merge::both(flat, self.flatten(&Node::One(part), around, own, level + 1)?)?;
        }
        Ok(flat)
    }

    fn referred(
        &mut self,
        reference: &'d str,
        around: &[&'d str],
        own: &mut Vec<&'d str>,
        level: usize,
    ) -> Result<Flat<'d>, Fail> {
        let target = self.document.look_up(reference, 16).map_err(|error| Fail::Refused(error.to_string()))?;
        let is_cyclic = own.contains(&reference) || around.iter().filter(|known| **known == reference).count() > 1;
        if !is_cyclic {
            own.push(reference);
            return self.flatten(&Node::One(target), around, own, level + 1);
        }
        let wording = target.as_object().map(keywords).unwrap_or_default();
        let kinds = if wording.kinds.is_empty() { BTreeSet::from([Kind::Object]) } else { wording.kinds };
        Ok(Flat {
            kinds,
            nullable: wording.nullable,
            description: wording.description,
            is_cyclic: true,
            ..Flat::default()
        })
    }
}

/// What the keywords of a schema say, apart from `$ref` and `allOf`.
fn keywords(schema: &Map<String, Value>) -> Flat<'_> {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let holds = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let size = |key: &str| schema.get(key).and_then(Value::as_u64);
    let mut flat = Flat {
        nullable: holds("nullable") || holds("x-nullable"),
        description: text("description").or_else(|| text("title")).filter(|text| !text.trim().is_empty()),
        format: text("format")
            .or_else(|| text("contentEncoding").filter(|encoding| *encoding == "base64").map(|_| "byte")),
        pattern: text("pattern"),
        min_length: size("minLength"),
        max_length: size("maxLength"),
        min_items: size("minItems"),
        max_items: size("maxItems"),
        discriminator: schema.get("discriminator").and_then(|found| found.get("propertyName")?.as_str()),
        default: schema.get("default"),
        example: schema.get("example").or_else(|| schema.get("examples")?.as_array()?.first()),
        read_only: holds("readOnly"),
        write_only: holds("writeOnly"),
        deprecated: holds("deprecated"),
        has_more_rules: ["not", "if", "dependentRequired", "dependentSchemas", "contains", "propertyNames"]
            .iter()
            .any(|key| schema.contains_key(*key)),
        ..Flat::default()
    };
    bounds(&mut flat, schema);
    types(&mut flat, schema);
    if text("contentMediaType").is_some() && flat.format.is_none() && text("contentEncoding").is_none() {
        flat.format = Some("binary");
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        flat.properties = properties.iter().map(|(name, property)| (name.as_str(), Node::One(property))).collect();
    }
    let required = schema.get("required").and_then(Value::as_array);
    flat.required = required.into_iter().flatten().filter_map(Value::as_str).collect();
    flat.additional = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) | None => schema.contains_key("patternProperties").then_some(Additional::Any),
        Some(other @ Value::Object(members)) if !members.is_empty() => Some(Additional::Of(Node::One(other))),
        Some(_) => Some(Additional::Any),
    };
    flat.items = match (schema.get("items"), schema.get("prefixItems").and_then(Value::as_array)) {
        (Some(Value::Array(first)), _) | (_, Some(first)) => Some(Node::Any(first.iter().map(Node::One).collect())),
        (Some(items), _) => Some(Node::One(items)),
        (None, None) => None,
    };
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array).filter(|options| !options.is_empty()) {
            flat.alternatives.push(options.iter().map(Node::One).collect());
        }
    }
    flat
}

/// `minimum` and `maximum`, exclusive ones in both forms.
fn bounds(flat: &mut Flat<'_>, schema: &Map<String, Value>) {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let is_whole = schema.get("type").is_some_and(|kind| kind == "integer");
    let exclusive = |bound: &str, flag: &str, by: f64| match schema.get(flag) {
        Some(Value::Bool(true)) => number(bound).map(|limit| limit + by),
        Some(Value::Number(limit)) => limit.as_f64().map(|limit| limit + by).or_else(|| number(bound)),
        _ => number(bound),
    };
    let step = if is_whole { 1.0 } else { 0.0 };
    flat.minimum = exclusive("minimum", "exclusiveMinimum", step);
    flat.maximum = exclusive("maximum", "exclusiveMaximum", -step);
}

/// The types and the values of `enum` and `const`.
fn types<'d>(flat: &mut Flat<'d>, schema: &'d Map<String, Value>) {
    let mut add = |name: &str| match Kind::of(name) {
        Some(kind) => {
            flat.kinds.insert(kind);
        }
        None => flat.nullable |= name == "null",
    };
    match schema.get("type") {
        Some(Value::String(name)) => add(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(add),
        _ => {}
    }
    let is_null = |value: &Value| {
        value == "null" || value.as_array().is_some_and(|names| names.iter().all(|name| name == "null"))
    };
    flat.is_null = schema.get("type").is_some_and(is_null);
    let values = schema.get("enum").and_then(Value::as_array).map(|values| values.iter().collect::<Vec<_>>());
    if let Some(values) = values.or_else(|| schema.get("const").map(|value| vec![value])) {
        flat.nullable |= values.iter().any(|value| value.is_null());
        let values: Vec<&Value> = values.into_iter().filter(|value| !value.is_null()).collect();
        if flat.kinds.is_empty() {
            flat.kinds = values.iter().filter_map(|value| Kind::of_value(value)).collect();
        }
        flat.is_null |= values.is_empty() && flat.nullable;
        flat.values = Some(values).filter(|values| !values.is_empty());
    }
    if flat.kinds.is_empty() && !schema.contains_key("type") {
        let has = |keys: &[&str]| keys.iter().any(|key| schema.contains_key(*key));
        let guessed = if has(&["properties", "additionalProperties", "patternProperties"]) {
            Some(Kind::Object)
        } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
            Some(Kind::Array)
        } else if has(&["pattern", "minLength", "maxLength", "contentMediaType", "contentEncoding"]) {
            Some(Kind::String)
        } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
            Some(Kind::Number)
        } else {
            None
        };
        flat.kinds.extend(guessed);
    }
}
