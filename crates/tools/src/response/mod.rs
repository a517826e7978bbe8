//! The form in which a caller wants a result: some of its fields, fewer items, fewer bytes, a table.
//!
//! [`ResponseOptions`] is what callers and sessions say, [`ResponseShape`] is checked and ready. In this order: fields are
//! selected (`project.rs`), empty ones dropped, texts of other people marked (`fence.rs`), lists made shorter
//! (`limit.rs`), lists written as tables (`table.rs`). What is missing afterwards is in the member [`NOTE`].

mod fence;
mod limit;
mod note;
mod project;
mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Mistake;

use limit::Budget;
pub use note::NOTE;
use note::Note;
use project::Projection;
pub use project::{check_path, is_singular};

/// Maximum number of paths.
pub const MAX_FIELDS: usize = 20;
/// Maximum of `max_items`.
pub const MAX_ITEMS: usize = 10_000;
/// Minimum of `max_bytes`: what is missing has to be said within it.
pub const MIN_BYTES: usize = 1_000;
/// Maximum of `max_bytes`.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The form of a result. Whatever is left out changes nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseOptions {
    /// Only these parts: JSONPath (RFC 9535) into `data`, such as `$.items[*].id`. The form of the result stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub fields: Option<Vec<String>>,
    /// No list has more items: 1 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_items: Option<usize>,
    /// `data` has at most so many bytes of JSON: 1,000 to 2,097,152. Lists are made shorter first, then texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1_000, max = 2_097_152))]
    pub max_bytes: Option<usize>,
    /// `json`, or without empty fields, or with lists as tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ResponseFormat>,
    /// Mark the texts that other people wrote: each is `{"untrusted_text": …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<bool>,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResponseFormat {
    /// As it is.
    #[default]
    Json,
    /// Without fields that are null or empty.
    Compact,
    /// Lists of objects as CSV (RFC 4180).
    Csv,
}

/// A form of results, checked. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub struct ResponseShape {
    projection: Option<Projection>,
    max_items: Option<usize>,
    max_bytes: Option<usize>,
    format: ResponseFormat,
    fence: bool,
}

/// A result in the form that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shaped {
    /// The result, with the member [`NOTE`] if something is missing that the caller did not leave out.
    pub data: Map<String, Value>,
    /// Whether lists or texts are shorter than in the result.
    pub is_truncated: bool,
}

impl ResponseOptions {
    /// These options, and those of `default` for what they leave out.
    #[must_use]
    pub fn or(self, default: &Self) -> Self {
        Self {
            fields: self.fields.or_else(|| default.fields.clone()),
            max_items: self.max_items.or(default.max_items),
            max_bytes: self.max_bytes.or(default.max_bytes),
            format: self.format.or(default.format),
            fence: self.fence.or(default.fence),
        }
    }
}

impl ResponseShape {
    /// Checks options.
    ///
    /// # Errors
    /// A number is out of range, or a path cannot be used. The mistake names the option, such as `fields[0]`.
    pub fn parse(options: &ResponseOptions) -> Result<Self, Mistake> {
        Ok(Self {
            projection: options.fields.as_deref().map(Projection::parse).transpose()?,
            max_items: within("max_items", options.max_items, 1, MAX_ITEMS)?,
            max_bytes: within("max_bytes", options.max_bytes, MIN_BYTES, MAX_BYTES)?,
            format: options.format.unwrap_or_default(),
            fence: options.fence.unwrap_or(false),
        })
    }

    /// Whether it leaves every result as it is.
    pub fn is_plain(&self) -> bool {
        let Self { projection, max_items, max_bytes, format, fence } = self;
        projection.is_none() && max_items.is_none() && max_bytes.is_none() && *format == ResponseFormat::Json && !*fence
    }

    /// Whether it limits the bytes of results.
    pub fn is_bounded(&self) -> bool {
        self.max_bytes.is_some()
    }

    /// The form that marks what this one marks, and changes nothing else.
    #[must_use]
    pub fn marks_alone(&self) -> Self {
        Self { fence: self.fence, ..Self::default() }
    }

    /// A result in this form. `untrusted` are JSON pointers of texts that other people wrote, with `*` for every item.
    pub fn apply(&self, data: Map<String, Value>, untrusted: &[String]) -> Shaped {
        if self.is_plain() {
            return Shaped { data, is_truncated: false };
        }
        let mut note = Note::default();
        let mut data = match &self.projection {
            Some(projection) => projection.apply(data, &mut note),
            None => data,
        };
        if self.format == ResponseFormat::Compact {
            data = without_empty(data);
        }
        if self.fence {
            fence::mark(&mut data, untrusted);
        }
        let budget = Budget { items: self.max_items, bytes: self.max_bytes };
        budget.apply(&data, &note, |data| match self.format {
            ResponseFormat::Csv => table::with_tables(data),
            ResponseFormat::Json | ResponseFormat::Compact => data,
        })
    }
}

/// A number in its range.
fn within(name: &str, given: Option<usize>, min: usize, max: usize) -> Result<Option<usize>, Mistake> {
    match given {
        Some(number) if !(min..=max).contains(&number) => {
            Err(Mistake::new(name, format!("must be a number from {min} to {max}")))
        }
        given => Ok(given),
    }
}

/// The same without members that are null or empty. Items of lists keep their places.
fn without_empty(members: Map<String, Value>) -> Map<String, Value> {
    let kept = members.into_iter().map(|(name, value)| (name, compacted(value)));
    kept.filter(|(_, value)| !is_empty(value)).collect()
}

fn compacted(value: Value) -> Value {
    match value {
        Value::Object(members) => without_empty(members).into(),
        Value::Array(items) => items.into_iter().map(compacted).collect(),
        value => value,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
