//! Folders of toolkit files that are read again when they change. A file that is broken leaves the
//! toolkit that it was as it is; one that is gone takes its toolkit with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::catalog::{self, Catalog};
use crate::error::{CatalogError, Problem};
use crate::model::Toolkit;
use crate::parse;
use crate::plain_http::PlainHttp;

/// What tells one state of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// Folders of toolkit files and what was read of them.
#[derive(Debug, Default)]
pub struct Folders {
    dirs: Vec<PathBuf>,
    /// Hosts that files may name with `http`.
    plain: PlainHttp,
    files: BTreeMap<PathBuf, File>,
    /// Folders that could not be read when they were last looked at.
    unreadable: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct File {
    /// None while there is no such file.
    stamp: Option<Stamp>,
    /// As it was when it was last valid.
    toolkit: Option<Arc<Toolkit>>,
}

/// What differs since the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// Files that were read and their toolkits, which now count.
    pub loaded: Vec<(PathBuf, Arc<Toolkit>)>,
    /// Files whose folder is gone, and the slugs of their toolkits.
    pub removed: Vec<(PathBuf, String)>,
    /// What is wrong with files that changed. Each is told once, until the file changes again.
    pub problems: Vec<Problem>,
}

impl Changes {
    /// Whether another catalog comes of it.
    pub fn is_effective(&self) -> bool {
        !self.loaded.is_empty() || !self.removed.is_empty()
    }
}

impl Folders {
    /// Reads all files for the first time. They may name the hosts of `plain` with `http`.
    ///
    /// # Errors
    /// All problems of all files.
    pub fn open(dirs: &[PathBuf], plain: PlainHttp) -> Result<Self, CatalogError> {
        let mut folders = Self { dirs: dirs.to_vec(), plain, ..Self::default() };
        let changes = folders.look();
        if changes.problems.is_empty() { Ok(folders) } else { Err(CatalogError::new(changes.problems)) }
    }

    /// Whether there is anything to look at.
    pub fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Reads what has changed since the last look.
    pub fn look(&mut self) -> Changes {
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
                    // Not "all toolkits are gone": a mount may be away for a moment.
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
        let stamp = stamp(path);
        let is_new = !self.files.contains_key(path);
        let file = self.files.entry(path.to_owned()).or_default();
        if !is_new && file.stamp == stamp {
            return;
        }
        file.stamp = stamp;
        match read(path, &self.plain) {
            Ok(toolkit) => {
                let toolkit = Arc::new(toolkit);
                file.toolkit = Some(Arc::clone(&toolkit));
                changes.loaded.push((path.to_owned(), toolkit));
            }
            Err(error) => changes.problems.extend(error.into_problems()),
        }
    }

    /// The toolkits of the folders over those of a catalog; a later folder's over an earlier one's.
    pub fn over(&self, base: &Catalog) -> Catalog {
        let mut whole = base.clone();
        for dir in &self.dirs {
            for (_, file) in self.files.iter().filter(|(path, _)| path.starts_with(dir)) {
                if let Some(toolkit) = &file.toolkit {
                    whole.insert(Arc::clone(toolkit));
                }
            }
        }
        whole
    }
}

/// None where there is no file.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}

fn read(path: &Path, plain: &PlainHttp) -> Result<Toolkit, CatalogError> {
    let file_name = path.display().to_string();
    parse::toolkit(&file_name, &catalog::read(path, &file_name)?, plain)
}
