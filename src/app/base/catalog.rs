//! The catalog in force. Toolkit files are reloaded while the server runs. Each caller gets the current catalog
//! and keeps it for the whole operation.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use switchboard_catalog::{Catalog, Changes, Folders};

use crate::app::base::core::Core;
use crate::error::{Error, Result};

/// A catalog that is replaced when files change.
pub struct CurrentCatalog {
    current: RwLock<Arc<Catalog>>,
    /// The catalog that the folders overlay.
    base: Catalog,
    folders: Mutex<Folders>,
}

impl fmt::Debug for CurrentCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCatalog").field("toolkits", &self.get().len()).finish_non_exhaustive()
    }
}

impl CurrentCatalog {
    /// Overlays the toolkits of the folders on a base catalog.
    pub fn new(base: Catalog, folders: Folders) -> Self {
        Self { current: RwLock::new(Arc::new(folders.overlay(&base))), base, folders: Mutex::new(folders) }
    }

    /// The current catalog.
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reloads the files that changed. Valid files take effect at once; for an invalid file the previous
    /// toolkit stays in use. Operations that have begun finish with the catalog that they have.
    pub fn reload(&self) -> Changes {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = folders.reload();
        if changes.is_effective() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(folders.overlay(&self.base));
        }
        changes
    }

    /// Whether there are folders to watch.
    pub fn has_folders(&self) -> bool {
        !self.folders.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Reloads the toolkit files that changed and logs the changes. Returns how many files changed.
pub(in crate::app) async fn reload(core: &Arc<Core>) -> Result<usize> {
    let reading = Arc::clone(core);
    let changes = core.files.run(move || reading.catalog.reload()).await.map_err(Error::internal)?;
    log(&changes);
    Ok(changes.loaded.len() + changes.removed.len() + changes.problems.len())
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
            "toolkit file rejected; the previous version stays in use"
        );
    }
}
