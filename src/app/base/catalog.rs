//! The catalog that is in force. Toolkit files are read again while the server runs: whoever asks
//! gets the catalog of that moment and keeps it for as long as the work takes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use switchboard_catalog::{Catalog, Changes, Folders};
use tokio_util::sync::CancellationToken;

use crate::app::base::core::Core;

/// Between looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// A catalog that another takes the place of when files change.
pub struct CurrentCatalog {
    current: RwLock<Arc<Catalog>>,
    /// What the folders stand over.
    base: Catalog,
    folders: Mutex<Folders>,
}

impl fmt::Debug for CurrentCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCatalog").field("toolkits", &self.get().len()).finish_non_exhaustive()
    }
}

impl CurrentCatalog {
    /// The toolkits of folders over a catalog.
    pub fn new(base: Catalog, folders: Folders) -> Self {
        Self { current: RwLock::new(Arc::new(folders.over(&base))), base, folders: Mutex::new(folders) }
    }

    /// What is in force now.
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files that changed. Valid ones count from now on; of a broken one the toolkit that
    /// it was goes on. Work that has begun ends with what it has.
    pub fn reload(&self) -> Changes {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = folders.look();
        if changes.is_effective() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(folders.over(&self.base));
        }
        changes
    }

    /// Whether there are folders to look at.
    pub fn has_folders(&self) -> bool {
        !self.folders.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Looks at the files until told to stop, and logs what that changes.
pub(in crate::app) async fn watch(core: Arc<Core>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        let reading = Arc::clone(&core);
        match core.files.run(move || reading.catalog.reload()).await {
            Ok(changes) => log(&changes),
            Err(error) => tracing::error!(%error, "looking at toolkit files failed"),
        }
    }
}

fn log(changes: &Changes) {
    for (file, toolkit) in &changes.loaded {
        tracing::info!(file = %file.display(), toolkit = %toolkit.slug, version = %toolkit.version, "toolkit reloaded");
    }
    for (file, slug) in &changes.removed {
        tracing::warn!(file = %file.display(), toolkit = %slug, "toolkit file removed");
    }
    for problem in &changes.problems {
        tracing::error!(
            file = %problem.file,
            line = problem.line,
            reason = %problem.message,
            "toolkit file not taken; what it said before goes on"
        );
    }
}
