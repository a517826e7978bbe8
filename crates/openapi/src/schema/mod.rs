//! Schemas of a document as schemas that every vendor of models accepts (`crates/catalog/src/tool/profile.rs`).
//!
//! `flat.rs` gathers what one schema says, through its references and its `allOf`; `merge.rs` joins such schemas, so that
//! both hold, or so that either may hold; `emit.rs` writes the result. A schema that is written accepts what the
//! document's accepts, apart from members that the document does not name.

mod emit;
mod flat;
mod merge;

pub(crate) use emit::{At, Direction, Emitter, MAX_PROPERTIES, Parts, any_value, free_object, is_name};
pub(crate) use flat::{Fail, Flat, Kind, Node};
