//! Keys about the versions of a toolkit's tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is new in a version.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VersionNote {
    /// `YYYYMMDD_NN`.
    pub version: String,
    /// One line for developers who use the tools.
    pub text: String,
}

/// A version that is not run any more.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// `YYYYMMDD_NN`, an earlier version than the file's own.
    pub version: String,
    /// One line on why, for developers.
    pub reason: String,
    /// The version to use instead. By default the file's own.
    pub replacement: Option<String>,
    /// Slugs of the tools that are concerned. All of the version when omitted.
    #[serde(default)]
    pub tools: Vec<String>,
}
