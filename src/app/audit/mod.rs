//! Audit events. Every mutation writes its event in the same unit (R92). A background job, never the write
//! path, seals the events in segments:
//!
//! - `facts.rs`: the details of an event of an account;
//! - `canon.rs`: the bytes that hashes and authentication codes are computed over;
//! - `seal.rs`: creating segments;
//! - `retention.rs`: dropping old segments;
//! - `head.rs`: the newest segment, recorded outside the database;
//! - `check.rs`: finding changed, missing and unsealed events.

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
    /// Creates the service.
    pub fn new(core: Arc<Core>, ring: KeyRing, head_file: PathBuf) -> Self {
        Self { core, ring, head_file }
    }

    /// The file outside the database that names the newest segment.
    pub fn head_file(&self) -> &Path {
        &self.head_file
    }
}
