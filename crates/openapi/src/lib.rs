//! `OpenAPI` documents as toolkits: [`read`] reads a document, [`import`] makes a toolkit's folder of it: `toolkit.toml`,
//! `tools.toml` and a lock file. No I/O.
//!
//! The document stays a JSON value, because documents of real providers do not fit the types of the standard. Each
//! operation becomes a tool or is named in the [`Report`] with the reason why not; a tool is never half imported. What is
//! written passes the checks of `switchboard_catalog`, which every server makes.
//!
//! - `read.rs`, `yaml.rs`: JSON and YAML within limits; `bundle.rs` joins a document with files that it refers to;
//!   `discovery.rs` turns Google's discovery documents into `OpenAPI`;
//! - `reference.rs`: `$ref`; `schema/`: schemas as models take them;
//! - `server.rs`, `security.rs`: base URL, hosts and schemes of the toolkit;
//! - `operation.rs`, `parameter.rs`, `body.rs`, `answer.rs`, `effect.rs`, `name.rs`: parts of a tool, which `tool.rs` joins;
//! - `import.rs`: the steps; `lock.rs`, `diff.rs`: what a later import keeps and changes; `write.rs`: TOML.

mod answer;
mod body;
mod bundle;
mod diff;
mod discovery;
mod effect;
mod import;
mod lock;
mod name;
mod operation;
mod options;
mod parameter;
mod read;
mod reference;
mod report;
mod schema;
mod security;
mod server;
mod text;
mod tool;
mod write;
mod yaml;

pub use bundle::bundle;
pub use diff::{Changes, ToolChange};
pub use import::{Import, ImportError, Previous, import};
pub use options::{Auth, Options};
pub use read::{MAX_BYTES, ReadError, read};
pub use report::{Finding, Imported, Renamed, Report, Size, Skipped};
