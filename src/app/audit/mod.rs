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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use switchboard_vault::KeyRing;

use crate::app::base::core::Core;

pub use facts::Facts;
pub(in crate::app) use seal::INTERVAL as SEAL_INTERVAL;
pub use seal::Sealer;

/// The audit log: sealing, checking and dropping its segments.
pub struct AuditLog {
    core: Arc<Core>,
    ring: KeyRing,
    head_file: PathBuf,
}

crate::redacted_debug!(AuditLog);

impl AuditLog {
    /// With the services that it calls.
    pub fn new(core: Arc<Core>, ring: KeyRing, head_file: PathBuf) -> Self {
        Self { core, ring, head_file }
    }

    /// The file that names the newest segment, outside the database.
    pub fn head_file(&self) -> &Path {
        &self.head_file
    }
}
