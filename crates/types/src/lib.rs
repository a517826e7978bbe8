//! Types that rows, toolkits and services share. They are here, and not in the store, because the toolkit
//! catalog and the services need them without a database.

mod account_params;
mod audit_action;
mod call_state;
mod ids;
mod link_outcome;
mod reason;
mod scheme;
mod timestamp;
mod tool_access;
mod words;

pub use compact_str::{CompactString, format_compact};

pub use account_params::{AccountIdentity, AccountParams, missing_scopes};
pub use audit_action::{AuditAction, AuditOutcome, AuditResult};
pub use call_state::{CallEffect, CallState};
pub use ids::{AccountId, AuthConfigId, CredentialVersion, Fence, FileId, LinkId, ProjectId, SessionId};
pub use link_outcome::LinkOutcome;
pub use reason::{Reason, ReasonCode};
pub use scheme::{Scheme, UnknownScheme};
pub use timestamp::Timestamp;
pub use tool_access::{AllowedTools, ToolAccessConfig};
pub use words::Stored;
