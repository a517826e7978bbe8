//! Watches folders of toolkit files and reloads changed files. An invalid file keeps the previous toolkit; a
//! deleted one removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::catalog::{self, Catalog};
use crate::error::{CatalogError, Problem};
use crate::model::Toolkit;
use crate::plain_http::PlainHttp;

/// Modification time and size of a file.
type Stamp = (Option<SystemTime>, u64);

/// Folders of toolkit files and their loaded toolkits.
#[derive(Debug, Default)]
pub struct Folders {
    dirs: Vec<PathBuf>,
    /// Hosts that files may use with `http`.
    plain: PlainHttp,
    files: BTreeMap<PathBuf, File>,
    /// Folders that were unreadable at the last check.
    unreadable: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct File {
    /// Of the file and of the file with its tools; `None` if there is no such file.
    stamps: [Option<Stamp>; 2],
    /// The last valid version.
    toolkit: Option<Arc<Toolkit>>,
}

/// Changes since the last check.
#[derive(Debug, Default)]
pub struct Changes {
    /// Loaded files and their toolkits.
    pub loaded: Vec<(PathBuf, Arc<Toolkit>)>,
    /// Files of deleted folders, and the slugs of their toolkits.
    pub removed: Vec<(PathBuf, String)>,
    /// Problems of changed files. Each is reported once until the file changes again.
    pub problems: Vec<Problem>,
}

impl Changes {
    /// Whether the catalog changes.
    pub fn is_effective(&self) -> bool {
        !self.loaded.is_empty() || !self.removed.is_empty()
    }
}

impl Folders {
    /// Loads all files. They may use the hosts of `plain` with `http`.
    ///
    /// # Errors
    /// All problems of all files.
    pub fn open(dirs: &[PathBuf], plain: PlainHttp) -> Result<Self, CatalogError> {
        let mut folders = Self { dirs: dirs.to_vec(), plain, ..Self::default() };
        let changes = folders.reload();
        if changes.problems.is_empty() { Ok(folders) } else { Err(CatalogError::new(changes.problems)) }
    }

    /// Whether there are no folders.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Loads what has changed since the last check.
    pub fn reload(&mut self) -> Changes {
        let mut changes = Changes::default();
        let mut seen = BTreeSet::new();
        for dir in self.dirs.clone() {
            match catalog::toolkit_files(&dir) {
                Ok(files) => {
                    self.unreadable.remove(&dir);
                    for path in files {
                        self.look_at(&path, &mut changes);
                        seen.insert(path);
                    }
                }
                Err(error) => {
                    // Do not remove all toolkits: a mount may be missing for a moment.
                    seen.extend(self.files.keys().filter(|path| path.starts_with(&dir)).cloned());
                    if self.unreadable.insert(dir) {
                        changes.problems.extend(error.into_problems());
                    }
                }
            }
        }
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !seen.contains(*path)).cloned().collect();
        for path in gone {
            if let Some(toolkit) = self.files.remove(&path).and_then(|file| file.toolkit) {
                changes.removed.push((path, toolkit.slug.clone()));
            }
        }
        changes
    }

    fn look_at(&mut self, path: &Path, changes: &mut Changes) {
        let stamps = [stamp(path), stamp(&catalog::tools_file(path))];
        let is_new = !self.files.contains_key(path);
        let file = self.files.entry(path.to_owned()).or_default();
        if !is_new && file.stamps == stamps {
            return;
        }
        file.stamps = stamps;
        match catalog::load(path, &self.plain) {
            Ok(toolkit) => {
                let toolkit = Arc::new(toolkit);
                file.toolkit = Some(Arc::clone(&toolkit));
                changes.loaded.push((path.to_owned(), toolkit));
            }
            Err(error) => changes.problems.extend(error.into_problems()),
        }
    }

    /// The catalog with the toolkits of the folders added; later ones override earlier ones.
    pub fn overlay(&self, base: &Catalog) -> Catalog {
        let mut catalog = base.clone();
        for dir in &self.dirs {
            for (_, file) in self.files.iter().filter(|(path, _)| path.starts_with(dir)) {
                if let Some(toolkit) = &file.toolkit {
                    catalog.insert(Arc::clone(toolkit));
                }
            }
        }
        catalog
    }
}

/// `None` if there is no file.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}
