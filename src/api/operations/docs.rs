//! What the reference says of an operation: a sentence, parameters, bodies by their Rust types.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What the reference says of an operation.
#[derive(Clone, Debug)]
pub struct Docs {
    /// One line, without a full stop.
    pub summary: &'static str,
    /// What a reader needs to know besides; may be empty.
    pub description: &'static str,
    /// Status of success.
    pub status: u16,
    /// Query and header parameters.
    pub parameters: Vec<Parameter>,
    /// The request's body.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The request may come without a body.
    pub body_optional: bool,
    /// The answer's body.
    pub answer: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// It keeps an `Idempotency-Key`.
    pub idempotent: bool,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it takes.
    pub kind: ParameterType,
    /// What it means.
    pub description: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the query string.
    Query,
    /// A header.
    Header,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum ParameterType {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number within these limits.
    Number(i64, i64),
    /// Several values, joined by commas.
    List,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Several of these words, joined by commas.
    ListOf(&'static [&'static str]),
}

impl Docs {
    /// An operation that answers 200.
    pub fn ok(summary: &'static str) -> Self {
        Self {
            summary,
            description: "",
            status: 200,
            parameters: Vec::new(),
            body: None,
            body_optional: false,
            answer: None,
            idempotent: false,
        }
    }

    /// An operation that answers 201.
    pub fn created(summary: &'static str) -> Self {
        Self { status: 201, ..Self::ok(summary) }
    }

    /// What a reader needs to know besides the summary.
    #[must_use]
    pub fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The type of the request's body.
    #[must_use]
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// The request may come without a body.
    #[must_use]
    pub fn body_optional(mut self) -> Self {
        self.body_optional = true;
        self
    }

    /// The type of the answer's body.
    #[must_use]
    pub fn answer<T: JsonSchema>(mut self) -> Self {
        self.answer = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// A query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, kind: ParameterType, description: &'static str) -> Self {
        self.parameters.push(Parameter { name, place: Place::Query, kind, description });
        self
    }

    /// `limit` and `cursor` of a paged list.
    #[must_use]
    pub fn paged(self, most: i64) -> Self {
        self.query("limit", ParameterType::Number(1, most), "Items on a page; a larger number is cut.").query(
            "cursor",
            ParameterType::Text,
            "`next_cursor` of the page before.",
        )
    }

    /// It keeps an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}
