//! What is asked of a provider with an account's credential: proof, identity, where its data is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Capture;
use crate::scheme::Scheme;

/// A request made with the account's credential. Choose one that changes nothing and that every
/// credential may make.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// `GET` (default) or `POST`.
    #[serde(default = "get")]
    pub method: String,
    /// Relative to `base_url` (`/me`), or absolute on one of `hosts`; a template.
    pub url: String,
    /// More headers; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body of a `POST`, sent as it is: `{ query = "{ viewer { id } }" }`. Not a template.
    pub json: Option<serde_json::Value>,
    /// With `ok_value`, besides a 2xx status: for providers that report errors with status 200.
    pub ok_pointer: Option<String>,
    /// The value at `ok_pointer` that means success.
    pub ok_value: Option<serde_json::Value>,
}

/// Who an account is: a request, and where its answer holds what. The e-mail address is shown and
/// never identifies (R32).
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The request. Left out, the answer to the last token request says who it is.
    pub request: Option<Probe>,
    /// Pointer to an identifier that never changes, not to a name or an address.
    pub id: String,
    /// Pointer to an e-mail address.
    pub email: Option<String>,
    /// Pointer to a name that people recognise.
    pub name: Option<String>,
    /// Pointer to the URL of a picture.
    pub avatar: Option<String>,
    /// Pointer to the identifier of the workspace, site or organisation that the account is in.
    pub tenant: Option<String>,
    /// Pointer to its name.
    pub tenant_name: Option<String>,
    /// Schemes that it is for: `["OAUTH2", "API_KEY"]`. Left out, all. Not in a scheme's own `identity`.
    #[serde(default)]
    pub schemes: Vec<Scheme>,
}

/// A request made once after connecting; what it finds is kept with the account, and templates use
/// it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostConnect {
    /// The request; its host must be in `hosts`.
    pub request: Probe,
    /// Pointer to a list of things of which one is meant; `""` when the answer itself is the list.
    /// Left out, the answer is the one thing.
    pub items: Option<String>,
    /// What to keep of it; pointers into the thing.
    pub capture: Vec<Capture>,
    /// How a person tells one from another when there are several; needed with `items`.
    pub choose: Option<Choice>,
    /// Which of the things count; all of these must hold. Needs `items`.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// Schemes whose accounts are asked: `["OAUTH2"]`. Left out, all.
    #[serde(default)]
    pub schemes: Vec<Scheme>,
}

/// A member that a thing must have.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Pointer to it; of a list, one must fit.
    pub at: String,
    /// The values that fit; `*` at the beginning or end stands for anything.
    pub is: Vec<String>,
}

/// A choice among several things that an account reaches.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The question: "Which site?"
    pub title: String,
    /// Pointer to what identifies a thing.
    pub id: String,
    /// Pointer to its name.
    pub label: String,
    /// Pointer to a second line, such as its address.
    pub detail: Option<String>,
}

/// How a provider says "too many requests". All conditions that are given must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Its status.
    pub status: u16,
    /// A header that such an answer has …
    pub header: Option<String>,
    /// … with this value.
    pub header_value: Option<String>,
    /// A text in its body.
    pub body_contains: Option<String>,
    /// The header that says when to try again, besides `Retry-After`.
    pub reset_header: Option<String>,
    /// What that header's number is.
    #[serde(default)]
    pub reset_unit: RateLimitUnit,
}

/// What a reset header's number is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitUnit {
    /// Seconds from now.
    #[default]
    Seconds,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMilliseconds,
}

/// A dated change at the provider that somebody has to act on.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sunset {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// What happens then and what to do before.
    pub message: String,
    /// The page that says so.
    pub source: String,
}

fn get() -> String {
    "GET".to_owned()
}
