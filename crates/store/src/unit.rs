//! A write as data: statements, arguments and required results.

use switchboard_types::{Reason, Scheme};

use crate::Refusal;

/// A value bound to a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// 64-bit integer: numbers, booleans (0 or 1), times in milliseconds.
    Int(i64),
    /// Text: ids, enums, JSON.
    Text(String),
    /// Bytes: hashes and ciphertext.
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Scheme> for Value {
    fn from(scheme: Scheme) -> Self {
        Self::Text(scheme.as_str().to_owned())
    }
}

impl From<&Reason> for Value {
    fn from(reason: &Reason) -> Self {
        Self::Text(reason.to_stored())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl From<[u8; 32]> for Value {
    fn from(value: [u8; 32]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One SQL statement of a unit.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) args: Vec<Value>,
    pub(crate) expect: Expect,
}

/// The required result of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Any number of rows. A violated constraint is a bug.
    Any,
    /// Exactly one row and no violated constraint. Otherwise the unit is refused for this reason.
    One {
        /// Another number of rows: a condition in the WHERE clause did not hold, or a required value that the
        /// statement looks up does not exist.
        rows: Refusal,
        /// A unique key already exists.
        constraint: Refusal,
    },
}

impl Statement {
    /// A statement that may change any number of rows.
    pub(crate) fn any(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: Expect::Any }
    }

    /// A statement that must change exactly one row; otherwise the unit is refused with `refusal`.
    pub(crate) fn one(refusal: Refusal, sql: &'static str, args: Vec<Value>) -> Self {
        Self::one_unless(refusal, refusal, sql, args)
    }

    /// The same, with different refusals for a failed condition and for an existing key.
    pub(crate) fn one_unless(rows: Refusal, constraint: Refusal, sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: Expect::One { rows, constraint } }
    }
}

/// Statements that are applied atomically.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    pub(crate) statements: Vec<Statement>,
}

impl Unit {
    /// An empty unit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement.
    #[must_use]
    pub fn with(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }

    /// Appends the statements of another unit.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.statements.extend(other.statements);
        self
    }

    /// Adds a statement in place.
    pub fn push(&mut self, statement: Statement) {
        self.statements.push(statement);
    }
}
