//! What all handlers share.

use std::sync::Arc;

use crate::config::{Clock, SandboxConfig};
use crate::store::Store;

/// State of every handler.
pub(crate) struct App {
    pub config: SandboxConfig,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
}

impl App {
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}
