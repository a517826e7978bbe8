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
