//! Toolkit files: what a provider is, as data; load, validate, JSON Schema.
//!
//! A toolkit file says where a provider's endpoints are, how its users authenticate and how it
//! deviates from the RFCs. This crate reads such files ([`Catalog`]), refuses the ones that could
//! not work or would leak a credential, naming file, line and key ([`CatalogError`]), and expands
//! their [`template`]s. It makes no connection; reading a folder is its only I/O.
//!
//! The format is explained for authors in `docs/toolkit-format.md`.

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
mod trust;
mod validate;

pub use catalog::Catalog;
pub use error::{CatalogError, Problem};
pub use folders::{Changes, Folders};
pub use model::{
    Assertion, BasicScheme, Call, CallFormat, Callback, Capture, Choice, ClientAssertion, ClientAuthentication,
    Condition, Escape, Expiry, ExtraToken, Field, FieldFormat, FieldOption, FieldText, Filter, Identity, KeyScheme,
    NoAuth, OAuth1, OAuth2, Pkce, Placement, PostConnect, Probe, QueryEncoding, RateLimit, RateLimitUnit, Reach,
    Refresh, RefreshToken, Sign, SignatureMethod, SigningAlgorithm, Sunset, TimeUnit, TokenErrors, TokenName,
    TokenRequestFormat, TokenResponse, TokenScheme, Toolkit,
};
pub use overview::overview;
pub use plain_http::PlainHttp;
pub use schema::{json_schema, key_reference};
pub use scheme::{Scheme, UnknownScheme};
