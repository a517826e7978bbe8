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
    /// Query parameters.
    pub parameters: Vec<Parameter>,
    /// The request's body.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The request may come without a body.
    pub body_optional: bool,
    /// The answer's body.
    pub answer: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// What becomes of an `Idempotency-Key`.
    pub repetition: Repetition,
}

/// What an operation does with an `Idempotency-Key`: a promise about repetition is kept or not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// A repeated request gets the first one's answer and has no second effect.
    Kept,
    /// A key is refused; this says what to do instead. On GET and HEAD it is ignored: they do nothing.
    Refused(&'static str),
}

/// A query parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterType,
    /// What it means.
    pub description: &'static str,
    /// Older clients send it.
    pub deprecated: bool,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum ParameterType {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// Items on a page: at least 1. More than this many are cut to it, not refused.
    Limit(i64),
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
            repetition: Repetition::Refused("Leave the header out."),
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
        self.parameters.push(Parameter { name, kind, description, deprecated: false });
        self
    }

    /// `limit` and `cursor` of a paged list.
    #[must_use]
    pub fn paged(self, most: i64) -> Self {
        self.query("limit", ParameterType::Limit(most), "Items on a page.").query(
            "cursor",
            ParameterType::Text,
            "`next_cursor` of the page before.",
        )
    }

    /// A deletion that may revoke at the provider, too.
    #[must_use]
    pub fn revokes(self) -> Self {
        let about = "Ask the provider to forget the credentials, too; default true.";
        self.query("revoke_on_delete", ParameterType::Flag, about)
    }

    /// It keeps an `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.repetition = Repetition::Kept;
        self
    }

    /// It refuses an `Idempotency-Key`, and says what to do instead.
    #[must_use]
    pub fn without_key(mut self, instead: &'static str) -> Self {
        self.repetition = Repetition::Refused(instead);
        self
    }

    /// A parameter that older clients send and that means nothing any more.
    #[must_use]
    pub fn deprecated(mut self, name: &'static str) -> Self {
        let description = "Of older clients; changes nothing.";
        self.parameters.push(Parameter { name, kind: ParameterType::Text, description, deprecated: true });
        self
    }
}
