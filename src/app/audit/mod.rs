//! Audit events: every mutation carries one in its own unit (R92). Afterwards, and never in the
//! write path, a job seals them in segments:
//!
//! - `facts.rs`: what an event of an account says, beside its name;
//! - `canon.rs`: what a segment's hash and authentication codes are made of;
//! - `seal.rs`: making segments;
//! - `retention.rs`: dropping them when they are past their time;
//! - `head.rs`: the newest segment, written outside the database;
//! - `check.rs`: what was changed, is missing, or is not yet sealed.

mod canon;
pub mod check;
mod facts;
pub mod head;
mod retention;
mod seal;

pub use facts::{Facts, missing_scopes};
pub use seal::run;

use serde_json::Value;
use switchboard_store::Statement;
use switchboard_store::audit::{self, AuditEvent};

use super::{Actor, App};
use crate::id::Kind;

impl App {
    /// The statement that records `action` on `object`. `detail` never holds a secret.
    pub fn audit(&self, actor: &Actor, action: &str, object: &str, outcome: &str, detail: Option<&Value>) -> Statement {
        audit::insert(AuditEvent {
            id: self.mint(Kind::AuditEvent),
            project_id: (!actor.project_id.is_empty()).then(|| actor.project_id.clone()),
            at: self.now(),
            actor: actor.name.clone(),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: outcome.to_owned(),
            request_id: actor.request_id.clone(),
            caller_request_id: actor.caller_request_id.clone(),
            detail: detail.map(Value::to_string),
        })
    }
}
