//! Finds tools by what they are for.
//!
//! An [`Index`] holds the words of [`Document`]s, one for each tool, in six fields (`document.rs`). [`search`] ranks the
//! documents of one or several indexes with BM25F: a word counts more in a name than in a description, and more the fewer
//! documents have it. `words.rs` makes terms of texts, the same way for tools and for searches; `vocabulary.rs` has the
//! synonyms, which only searches use. An index is immutable. What is added later, such as the tools of a project, is an
//! index of its own that is searched together with the other.
//!
//! Nothing here reads files or knows a provider, and equal input gives an equal order.

mod builder;
mod document;
mod index;
mod query;
mod rank;
mod set;
mod vocabulary;
mod words;

pub use builder::IndexBuilder;
pub use document::{Document, Effect};
pub use index::Index;
pub use rank::{Found, Hit, Search, Source, search};
pub use set::DocumentSet;
