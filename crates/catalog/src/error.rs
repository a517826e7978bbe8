//! What is wrong with a toolkit file: every problem with its file, line and key.

use std::fmt;

/// Why toolkit files were refused. Displays one problem a line:
/// `toolkits/foo/toolkit.toml:12: unknown key …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogError {
    problems: Vec<Problem>,
}

/// One thing to correct.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file, as it was named to the catalog.
    pub file: String,
    /// Line from 1; absent when the file could not be read at all.
    pub line: Option<usize>,
    /// The key and what is allowed there.
    pub message: String,
}

impl CatalogError {
    /// The problems, in the order of the files and their lines; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// A file or folder that could not be read.
    pub(crate) fn unreadable(file: &str, message: String) -> Self {
        Self::new(vec![Problem { file: file.to_owned(), line: None, message }])
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl std::error::Error for CatalogError {}

impl fmt::Display for CatalogError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(out, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.file, self.message),
            None => write!(out, "{}: {}", self.file, self.message),
        }
    }
}
