//! The documentation of an operation: a sentence, parameters, bodies by their Rust types.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The documentation of an operation.
#[derive(Clone, Debug)]
pub struct Docs {
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Additional information; may be empty.
    pub description: &'static str,
    /// Status of success.
    pub status: u16,
    /// Query parameters.
    pub parameters: Vec<Parameter>,
    /// The request's body.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The request may come without a body.
    pub body_optional: bool,
    /// The response's body.
    pub response: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// How an `Idempotency-Key` is handled.
    pub repetition: Repetition,
}

/// How an operation handles an `Idempotency-Key`: supported, or rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// A repeated request gets the first response and has no second effect.
    Supported,
    /// A key is rejected; says what to do instead. GET and HEAD ignore it, since they change nothing.
    Refused(&'static str),
}

/// A query parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ParameterType,
    /// What it means.
    pub description: &'static str,
    /// Older clients send it.
    pub deprecated: bool,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum ParameterType {
    /// Text.
    Text,
    /// Text, or texts by name: `key[name]=text`.
    TextOrMap,
    /// `true` or `false`.
    Flag,
    /// Items per page: at least 1. A larger number is reduced to this maximum, not rejected.
    Limit(i64),
    /// Several values, joined by commas.
    List,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Several of these words, joined by commas.
    ListOf(&'static [&'static str]),
}

impl Docs {
    /// An operation with status 200.
    pub fn ok(summary: &'static str) -> Self {
        Self {
            summary,
            description: "",
            status: 200,
            parameters: Vec::new(),
            body: None,
            body_optional: false,
            response: None,
            repetition: Repetition::Refused("Leave the header out."),
        }
    }

    /// An operation with status 201.
    pub fn created(summary: &'static str) -> Self {
        Self { status: 201, ..Self::ok(summary) }
    }

    /// Additional information for the reader.
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

    /// The type of the response's body.
    #[must_use]
    pub fn response<T: JsonSchema>(mut self) -> Self {
        self.response = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// A query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, kind: ParameterType, description: &'static str) -> Self {
        self.parameters.push(Parameter { name, kind, description, deprecated: false });
        self
    }

    /// `limit` and `cursor` of a paged list.
    #[must_use]
    pub fn paged(self, max: i64) -> Self {
        self.query("limit", ParameterType::Limit(max), "Items on a page.").query(
            "cursor",
            ParameterType::Text,
            "`next_cursor` of the previous page.",
        )
    }

    /// A deletion that may also revoke credentials at the provider.
    #[must_use]
    pub fn revokes(self) -> Self {
        let about = "Also revoke the credentials at the provider; default true.";
        self.query("revoke_on_delete", ParameterType::Flag, about)
    }

    /// Supports an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.repetition = Repetition::Supported;
        self
    }

    /// Rejects an `Idempotency-Key`, and says what to do instead.
    #[must_use]
    pub fn without_key(mut self, instead: &'static str) -> Self {
        self.repetition = Repetition::Refused(instead);
        self
    }

    /// A parameter that older clients send and that has no effect.
    #[must_use]
    pub fn deprecated(mut self, name: &'static str) -> Self {
        let description = "Sent by older clients; no effect.";
        self.parameters.push(Parameter { name, kind: ParameterType::Text, description, deprecated: true });
        self
    }
}
