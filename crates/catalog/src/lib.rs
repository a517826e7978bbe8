//! Toolkit files: providers as data. Loading, validation, JSON Schema.
//!
//! A toolkit file describes a provider's endpoints, how its users authenticate and how it deviates from the
//! RFCs. This crate parses such files ([`Catalog`]) and expands their [`template`]s. It rejects files that
//! cannot work or could leak a credential, and names file, line and key ([`CatalogError`]). It makes no
//! connections; reading folders is its only I/O.
//!
//! The format is documented for authors in `docs/toolkit-format.md`.

mod builtin;
mod catalog;
mod error;
mod field;
mod folders;
mod host;
mod implied;
pub mod model;
mod overview;
mod parse;
mod path;
mod plain_http;
mod schema;
mod scheme;
pub mod template;
mod tool;
mod trust;
mod validate;

pub use catalog::Catalog;
pub use error::{CatalogError, Problem};
pub use folders::{Changes, Folders};
pub use model::{
    Argument, Assertion, BasicScheme, BodyFormat, Call, CallFormat, Callback, Capture, Choice, ClientAssertion,
    ClientAuthentication, Condition, Effect, Escape, Expiry, ExtraToken, FailureRule, Field, FieldFormat, FieldOption,
    FieldText, Filter, Identity, KeyScheme, LimitHeaders, Location, NoAuth, OAuth1, OAuth2, Paging, PagingStyle, Pkce,
    Placement, PostConnect, Probe, QueryEncoding, RateLimit, RateLimitUnit, Reach, Refresh, RefreshToken, Sign,
    SignatureMethod, SigningAlgorithm, Style, Sunset, TimeUnit, TokenErrors, TokenName, TokenRequestFormat,
    TokenResponse, TokenScheme, Tool, ToolMethod, Toolkit, VersionNote, Withdrawn,
};
pub use overview::overview;
pub use plain_http::PlainHttp;
pub use schema::{json_schema, key_reference, tools_json_schema, tools_key_reference};
pub use scheme::{Scheme, UnknownScheme};
pub use tool::{CALL_ID, ITEM, Release, Template, TextPart, ToolRow, parse_text as parse_template_text, tool_of};
