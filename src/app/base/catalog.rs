//! The catalog that is in force. Toolkit files are read again while the server runs: whoever asks
//! gets the catalog of that moment and keeps it for as long as the work takes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use switchboard_catalog::{Catalog, Changes, Folders};

use crate::app::base::core::Core;
use crate::error::{Error, Result};

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
        Self { current: RwLock::new(Arc::new(folders.overlay(&base))), base, folders: Mutex::new(folders) }
    }

    /// What is in force now.
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files that changed. Valid ones count from now on; of a broken one the toolkit that
    /// it was goes on. Work that has begun ends with what it has.
    pub fn reload(&self) -> Changes {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = folders.reload();
        if changes.is_effective() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(folders.overlay(&self.base));
        }
        changes
    }

    /// Whether there are folders to look at.
    pub fn has_folders(&self) -> bool {
        !self.folders.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Reads toolkit files that changed, and logs what that changes. Returns how many files did.
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
            "toolkit file not taken; what it said before goes on"
        );
    }
}
