//! Credentials at rest: where secrets are sealed and opened, the OAuth client of an auth config, the hosts that a
//! secret may be sent to, and what is kept beside the first token.

pub mod client;
pub mod fields;
pub mod seals;
pub(in crate::app) mod secret_addresses;
pub mod unread;

use std::sync::Arc;

use switchboard_vault::KeyRing;

use crate::app::base::core::Core;
use crate::app::project::Projects;

/// Sealing and opening of secrets, and where each may be sent.
pub struct Credentials {
    core: Arc<Core>,
    projects: Arc<Projects>,
    ring: KeyRing,
}

crate::redacted_debug!(Credentials);

impl Credentials {
    /// With the services that it calls.
    pub fn new(core: Arc<Core>, projects: Arc<Projects>, ring: KeyRing) -> Self {
        Self { core, projects, ring }
    }
}
