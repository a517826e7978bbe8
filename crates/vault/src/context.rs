//! The context that a sealed value is bound to: where it is stored, its owner and where it may be sent.

use std::fmt;

/// Current layout of sealed values.
pub(crate) const LAYOUT: u8 = 2;
/// Layout of earlier versions: bound only to project, table, row and column.
pub(crate) const FIRST_LAYOUT: u8 = 1;
pub(crate) const KEY_ID: usize = 4;

/// Whether a value was sealed by an earlier version.
pub fn is_first_layout(sealed: &[u8]) -> bool {
    sealed.first() == Some(&FIRST_LAYOUT)
}

/// The context of a sealed value. It opens only with exactly the same context: the same parts, and the same
/// pairs in the same order.
///
/// This is the additional authenticated data (AAD), in one buffer: layout (1 byte) · key id (4) · project,
/// table, row and column · name and value of each pair, each with a length prefix.
#[derive(Clone)]
pub struct SealContext {
    data: Vec<u8>,
}

impl SealContext {
    /// The context of a column of a row. `project` owns the row; it is empty for the installation itself.
    /// `row` is the primary key.
    pub fn new(project: &str, table: &str, row: &str, column: &str) -> Self {
        let mut data = Vec::with_capacity(384);
        // Layout and key id are filled in on use.
        data.extend_from_slice(&[0; 1 + KEY_ID]);
        let mut context = Self { data };
        for part in [project, table, row, column] {
            context.push(part.as_bytes());
        }
        context
    }

    /// Adds a named value to the context.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.push(name.as_bytes());
        self.push(value.as_ref());
        self
    }

    fn push(&mut self, part: &[u8]) {
        self.data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.data.extend_from_slice(part);
    }

    /// The AAD for a layout and a key.
    pub(crate) fn authenticated_data(mut self, layout: u8, key_id: [u8; KEY_ID]) -> Vec<u8> {
        if let Some(head) = self.data.get_mut(..=KEY_ID) {
            head[0] = layout;
            head[1..].copy_from_slice(&key_id);
        }
        self.data
    }
}

impl fmt::Debug for SealContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealContext").finish_non_exhaustive()
    }
}
