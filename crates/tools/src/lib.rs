//! What a tool does with arguments and answers, without I/O.
//!
//! [`ArgumentCheck`] checks the arguments of a call against the tool's schema. [`build`] makes a request of them:
//! `place.rs` says where each goes, `style.rs` how lists and objects are written outside of a JSON body, `render.rs`
//! fills a template. `example.rs` makes up arguments and answers. [`paging`] finds the next page of a list. [`read`]
//! makes a result of the provider's answer, or says why it is a failure. [`ResponseShape`] gives a result the form that its
//! caller wants.
//!
//! Differences between tools are data (`switchboard_catalog`); no provider is named here.

mod answer;
mod arguments;
mod body;
mod example;
mod file;
pub mod json;
mod mime;
mod mistake;
mod nearest;
pub mod paging;
mod place;
mod render;
mod request;
mod response;
mod schema;
mod style;

pub use answer::{Failure, ProviderAnswer, read};
pub use arguments::{ArgumentCheck, Arguments, is_no_file};
pub use body::ToolBody;
pub use example::{example_answer, example_arguments};
pub use file::{File, Files};
pub use mistake::Mistake;
pub use nearest::{nearest, nearest_of};
pub use request::{ToolRequest, build};
pub use response::{NOTE, ResponseFormat, ResponseOptions, ResponseShape, Shaped, check_path, is_singular};
