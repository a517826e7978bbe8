//! A write as data: statements, arguments and required results.

use std::time::Duration;

use switchboard_types::{
    AccountId, AccountParams, AuthConfigId, CompactString, CredentialVersion, Fence, FileId, LinkId, ProjectId, Reason,
    Scheme, SessionId, Timestamp,
};

use crate::Refusal;

/// A value bound to a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// 64-bit integer: numbers, booleans (0 or 1), moments and lengths of time in milliseconds.
    Int(i64),
    /// Text: ids, enums, JSON.
    Text(CompactString),
    /// Bytes: hashes and ciphertext.
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_millis())
    }
}

/// As whole milliseconds.
impl From<Duration> for Value {
    fn from(length: Duration) -> Self {
        Self::Int(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<CompactString> for Value {
    fn from(value: CompactString) -> Self {
        Self::Text(value)
    }
}

impl From<&CompactString> for Value {
    fn from(value: &CompactString) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.as_str().into())
    }
}

macro_rules! id_values {
    ($($name:ident),*) => {$(
        impl From<&$name> for Value {
            fn from(id: &$name) -> Self {
                Self::Text(id.into())
            }
        }

        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                Self::Text(id.into())
            }
        }
    )*};
}

id_values!(AccountId, AuthConfigId, FileId, LinkId, ProjectId, SessionId);

impl From<Fence> for Value {
    fn from(fence: Fence) -> Self {
        Self::Int(fence.0)
    }
}

impl From<CredentialVersion> for Value {
    fn from(version: CredentialVersion) -> Self {
        Self::Int(version.0)
    }
}

impl From<Scheme> for Value {
    fn from(scheme: Scheme) -> Self {
        Self::Text(CompactString::const_new(scheme.as_str()))
    }
}

/// As JSON.
impl From<&AccountParams> for Value {
    fn from(params: &AccountParams) -> Self {
        Self::Text(params.to_text().into())
    }
}

impl From<AccountParams> for Value {
    fn from(params: AccountParams) -> Self {
        (&params).into()
    }
}

impl From<&Reason> for Value {
    fn from(reason: &Reason) -> Self {
        Self::Text(reason.to_stored().into())
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
    pub(crate) action: Action,
}

/// The required result of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Any number of rows. A violated constraint is a bug.
    Any,
    /// Exactly one row and no violated constraint. Otherwise the unit is refused for this reason.
    One {
        /// Another number of rows: a condition in the WHERE clause did not hold.
        rows: Refusal,
        /// A unique key already exists.
        constraint: Refusal,
    },
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Changes rows, which this also locks exclusively until the unit is committed.
    Write,
    /// Selects rows and locks them until the unit is committed. SQLite has one writer, so that a query is
    /// enough; PostgreSQL appends `FOR SHARE` or `FOR UPDATE`.
    Lock(Parent, Lock),
    /// Selects one row if a condition holds.
    Check,
    /// Keeps other units from writing to a table. SQLite skips it.
    LockTable,
}

/// What a unit locks. Units lock in this order, so that two of them rarely wait for each other. Nothing locks a
/// session, which would stand between auth config and account: its history is guarded by its primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Parent {
    Project,
    Session,
    AuthConfig,
    Account,
    Link,
    Revocation,
}

/// The strength of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// The row must stay as it is while the unit adds a child. Other units may do the same.
    Share,
    /// No other unit may change the row, or add a child, while this one checks and changes it.
    Exclusive,
}

impl Parent {
    /// Its table.
    #[cfg(debug_assertions)]
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Project => "projects",
            Self::Session => "sessions",
            Self::AuthConfig => "auth_configs",
            Self::Account => "connected_accounts",
            Self::Link => "links",
            Self::Revocation => "revocations",
        }
    }
}

impl Statement {
    /// A statement that may change any number of rows.
    pub(crate) fn any(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: Expect::Any, action: Action::Write }
    }

    /// A statement that must change exactly one row; otherwise the unit is refused with `refusal`.
    pub(crate) fn one(refusal: Refusal, sql: &'static str, args: Vec<Value>) -> Self {
        Self::one_unless(refusal, refusal, sql, args)
    }

    /// The same, with different refusals for a failed condition and for an existing key.
    pub(crate) fn one_unless(rows: Refusal, constraint: Refusal, sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: Expect::One { rows, constraint }, action: Action::Write }
    }

    /// Locks one row of a parent. `sql` is a `SELECT` without a subquery that must find it; otherwise the unit is
    /// refused with `refusal`.
    pub(crate) fn lock(refusal: Refusal, parent: Parent, lock: Lock, sql: &'static str, args: Vec<Value>) -> Self {
        Self { action: Action::Lock(parent, lock), ..Self::one(refusal, sql, args) }
    }

    /// Locks exclusively all rows that `sql` finds, also none.
    pub(crate) fn lock_all(parent: Parent, sql: &'static str, args: Vec<Value>) -> Self {
        Self { action: Action::Lock(parent, Lock::Exclusive), ..Self::any(sql, args) }
    }

    /// Requires a condition over rows that an earlier statement of the unit locked. `sql` is a `SELECT` that
    /// returns one row if the condition holds; otherwise the unit is refused with `refusal`.
    pub(crate) fn check(refusal: Refusal, sql: &'static str, args: Vec<Value>) -> Self {
        Self { action: Action::Check, ..Self::one(refusal, sql, args) }
    }

    /// Waits for all units that write to a table, and keeps others from it. `sql` is PostgreSQL's statement.
    pub(crate) fn lock_table(sql: &'static str) -> Self {
        Self { action: Action::LockTable, ..Self::any(sql, Vec::new()) }
    }
}

/// Statements that are applied atomically. What a unit guarantees on any engine:
///
/// - **Atomic and durable.** All of it is committed and on disk when [`crate::Store::apply`] returns, or nothing.
/// - **In order.** A statement sees what was committed before it began, and what earlier statements of the unit
///   wrote.
/// - **Refused by name.** The first statement without its required result refuses the unit with its own
///   [`Refusal`]; later statements do not run. A violated unique key is reported by the statement that violates it,
///   which names its own refusal for that. In a statement without a refusal it is a bug, not a refusal.
/// - **READ COMMITTED is enough.** A condition on the changed row itself is checked again when the statement has
///   waited for another unit's change of the row. A condition over *other* rows is not: it needs a *guard*, which is
///   a unique key, or a lock that an earlier statement of the unit takes. The SQL names it in a comment,
///   `guarded by`. `guard.rs` has the kinds; debug builds refuse a unit without the guard that its SQL names.
/// - **Locks.** Adding a child locks its parent shared. Deleting or emptying a parent locks it exclusively, by a
///   change of its row or a lock statement. Lock statements come in the order project, auth config, account, link,
///   revocation.
/// - **Deadlocks.** Writes lock rows in other orders, too. An engine that ends a unit for a deadlock applies it again:
///   nothing of it was written, and a unit is data that need not be computed again.
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

    /// Appends the statements of another unit in place.
    pub fn extend(&mut self, other: Self) {
        self.statements.extend(other.statements);
    }
}
