//! What an import did.

use serde::Serialize;

use crate::diff::Changes;

/// What an import did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Title and version of the document.
    pub document: String,
    /// Operations that became tools.
    pub imported: Vec<Imported>,
    /// Operations that did not.
    pub skipped: Vec<Skipped>,
    /// Tools whose name had to be shortened or made unlike another one.
    pub renamed: Vec<Renamed>,
    /// Tools that were kept as people have changed them.
    pub kept: Vec<String>,
    /// What people should look at.
    pub findings: Vec<Finding>,
    /// Hosts that get the credential.
    pub hosts: Vec<String>,
    /// Schemes of the toolkit.
    pub schemes: Vec<String>,
    /// Scopes that tools name.
    pub scopes: Vec<String>,
    /// Estimated tokens of the list of all tools, as models get it: bytes of JSON / 3.6.
    pub tokens: usize,
    /// The largest tools: up to ten, with bytes of their arguments' schema.
    pub largest: Vec<Size>,
    /// What is different since the last import; none at the first.
    pub changes: Option<Changes>,
}

/// An operation that became a tool.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// The tool.
    pub slug: String,
    /// Method and path.
    pub operation: String,
    /// What it does to the provider's data.
    pub effect: String,
}

/// An operation that did not become a tool.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Method and path.
    pub operation: String,
    /// Why.
    pub reason: String,
}

/// A tool whose name is not made of all words of its operation.
#[derive(Clone, Debug, Serialize)]
pub struct Renamed {
    /// The tool.
    pub slug: String,
    /// The words of its operation.
    pub words: String,
}

/// What people should look at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The tool; none for the toolkit.
    pub slug: Option<String>,
    /// What it is.
    pub message: String,
}

/// How large a tool is.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// The tool.
    pub slug: String,
    /// Bytes of the schema of its arguments.
    pub bytes: usize,
}
