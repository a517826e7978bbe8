//! Credentials at rest: sealing and opening secrets, the OAuth client of an auth config, and the hosts that a
//! secret may be sent to.

pub mod client;
pub mod fields;
pub mod seals;
pub(in crate::app) mod secret_addresses;
pub mod unread;

use std::sync::Arc;

use switchboard_vault::KeyRing;

use crate::app::base::core::Core;
use crate::app::project::Projects;

/// Seals and opens secrets, and checks where each may be sent.
pub struct Credentials {
    core: Arc<Core>,
    projects: Arc<Projects>,
    ring: KeyRing,
}

crate::redacted_debug!(Credentials);

impl Credentials {
    /// Creates the service.
    pub fn new(core: Arc<Core>, projects: Arc<Projects>, ring: KeyRing) -> Self {
        Self { core, projects, ring }
    }
}
