//! The location of a value in a toolkit file: a path of keys, written `oauth2.apply[0].value`.

use std::fmt;

/// One step from a table or array to a member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Into a table, by key.
    Key(String),
    /// Into an array, from 0.
    Index(usize),
}

/// The path from the file's root to a value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    /// A key of the root table.
    pub(crate) fn root(key: &str) -> Self {
        Self::default().key(key)
    }

    /// A key of the table at this path.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.and(Step::Key(key.to_owned()))
    }

    /// An element of the array at this path.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.and(Step::Index(index))
    }

    /// The steps, from the root.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    fn and(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => write!(out, "{key}")?,
                Step::Key(key) => write!(out, ".{key}")?,
                Step::Index(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}
