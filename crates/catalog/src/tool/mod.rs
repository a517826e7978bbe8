//! Tools: requests of a toolkit's API, described for a model. They stand beside the toolkit, in `tools.toml`, whose keys
//! are in `model/tool.rs`.
//!
//! - `check.rs`: the rules of a tool;
//! - `definition.rs`: one tool of a program that makes tools;
//! - `profile.rs`: the subset of JSON Schema that all model vendors accept;
//! - `release.rs`: the tools of one version of a toolkit, as they are stored;
//! - `rows.rs`: tools with the bytes that clients get;
//! - `scopes.rs`: the rules of their scopes;
//! - `template.rs`: bodies as JSON with arguments in braces;
//! - `emit.rs`: the schemas that clients get.

mod check;
mod definition;
mod emit;
mod profile;
mod release;
mod rows;
mod scopes;
mod template;

pub(crate) use check::findings;
pub use definition::tool_of;
pub use release::Release;
pub(crate) use rows::{PackedTools, unpacked};
pub use rows::{ToolRow, Tools};
pub(crate) use scopes::are_scopes;
pub use template::{CALL_ID, ITEM, Template, TextPart, parse_text};
