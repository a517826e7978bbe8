//! Compiled schemas of arguments, made when a tool is first called.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use switchboard_catalog::ToolRow;
use switchboard_tools::ArgumentCheck;

use crate::error::{Error, Result};

/// Number of compiled schemas. Each is some ten times as large as its schema.
const CAPACITY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(511);

/// The compiled schemas that were used last, by the digest of the tool.
pub(super) struct Checks(Mutex<LruCache<String, Arc<ArgumentCheck>>>);

impl Default for Checks {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Checks {
    /// The compiled schema of a tool.
    pub(super) fn of(&self, row: &ToolRow) -> Result<Arc<ArgumentCheck>> {
        if let Some(check) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&row.digest) {
            return Ok(Arc::clone(check));
        }
        // A schema that cannot be compiled is refused when the file is read.
        let check = Arc::new(ArgumentCheck::new(row).map_err(Error::internal)?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(row.digest.clone(), Arc::clone(&check));
        Ok(check)
    }
}
