//! Files that are arguments.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use bytes::Bytes;

/// The files of a call, by argument.
pub type Files = BTreeMap<String, File>;

/// A file that is sent. `Debug` shows its size only.
#[derive(Clone)]
pub struct File {
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What is in it.
    pub bytes: Bytes,
}

impl Debug for File {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("size", &self.bytes.len()).finish_non_exhaustive()
    }
}
