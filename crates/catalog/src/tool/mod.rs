//! Tools: requests of a toolkit's API, described for a model. They stand beside the toolkit, in `tools.toml`, whose keys
//! are in `model/tool.rs`.
//!
//! - `check.rs`: the rules of a tool;
//! - `profile.rs`: the subset of JSON Schema that all model vendors accept;
//! - `emit.rs`: the schemas that clients get.

mod check;
mod emit;
mod profile;

pub(crate) use check::findings;
