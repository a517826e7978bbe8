//! Problems of toolkit files, each with file, line and key.

use std::fmt;

/// Why toolkit files were rejected. Displays one problem per line: `toolkits/foo/toolkit.toml:12: unknown key
/// …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogError {
    problems: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file, by the name that the catalog was given.
    pub file: String,
    /// Line number from 1; `None` if the file could not be read.
    pub line: Option<usize>,
    /// The key and its allowed values.
    pub message: String,
}

impl CatalogError {
    /// The problems, ordered by file and line; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problem of an unreadable file or folder.
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
