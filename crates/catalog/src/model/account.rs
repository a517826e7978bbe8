//! Requests made with an account's credential: verification, identity, location of its data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Capture;
use crate::scheme::Scheme;

/// A request made with the account's credential. Choose one that changes nothing and that every credential
/// may make.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// `GET` (default) or `POST`.
    #[serde(default = "get")]
    pub method: String,
    /// Relative to `base_url` (`/me`), or absolute on one of `hosts`; a template.
    pub url: String,
    /// Additional headers; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body of a `POST`, sent as it is: `{ query = "{ viewer { id } }" }`. Not a template.
    pub json: Option<serde_json::Value>,
    /// With `ok_value`, in addition to a 2xx status: for providers that report errors with status 200.
    pub ok_pointer: Option<String>,
    /// The value at `ok_pointer` that means success.
    pub ok_value: Option<serde_json::Value>,
}

/// Identifies an account: a request, and the locations of values in its response. The e-mail address is
/// displayed but never identifies an account (R32).
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The request. If omitted, the response to the last token request is used.
    pub request: Option<Probe>,
    /// Pointer to an identifier that never changes, so not a name or an address.
    pub id: String,
    /// Pointer to an e-mail address.
    pub email: Option<String>,
    /// Pointer to a name that people recognise.
    pub name: Option<String>,
    /// Pointer to the URL of a picture.
    pub avatar: Option<String>,
    /// Pointer to the identifier of the account's workspace, site or organisation.
    pub tenant: Option<String>,
    /// Pointer to the name of that workspace, site or organisation.
    pub tenant_name: Option<String>,
    /// Schemes that it applies to: `["OAUTH2", "API_KEY"]`. If omitted, all. Not in a scheme's own
    /// `identity`.
    #[serde(default)]
    pub schemes: Vec<Scheme>,
    /// Scopes that the request needs, as alternatives: `[["read_user"], ["api"]]`. A link that asks only for the
    /// scopes of some tools asks for these, too. Not needed for scopes of `scopes` that no tool names: these are
    /// always asked for.
    #[serde(default)]
    pub scopes: Vec<Vec<String>>,
}

/// A request made once after connecting. The values it finds are stored with the account and available to
/// templates.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostConnect {
    /// The request; its host must be in `hosts`.
    pub request: Probe,
    /// Pointer to a list of items of which one is chosen; `""` if the response itself is the list. If
    /// omitted, the response is the only item.
    pub items: Option<String>,
    /// Values to store; pointers into the item.
    pub capture: Vec<Capture>,
    /// How the user tells several items apart; required with `items`.
    pub choose: Option<Choice>,
    /// Conditions that an item must meet; all of them must hold. Requires `items`.
    #[serde(default)]
    pub filter: Vec<Filter>,
    /// Schemes that it applies to: `["OAUTH2"]`. If omitted, all.
    #[serde(default)]
    pub schemes: Vec<Scheme>,
}

/// A condition on a member of an item.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Pointer to the member; in a list, one element must match.
    pub at: String,
    /// The matching values; `*` at the beginning or end matches anything.
    pub is: Vec<String>,
}

/// A choice among several items that an account can access.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The question: "Which site?"
    pub title: String,
    /// Pointer to the identifier of an item.
    pub id: String,
    /// Pointer to its name.
    pub label: String,
    /// Pointer to a second line, such as its address.
    pub detail: Option<String>,
}

/// How the provider reports "too many requests". All given conditions must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The status.
    pub status: u16,
    /// A header of such a response …
    pub header: Option<String>,
    /// … with this value.
    pub header_value: Option<String>,
    /// Text in the body.
    pub body_contains: Option<String>,
    /// The header with the time of the next retry, besides `Retry-After`.
    pub reset_header: Option<String>,
    /// Unit of that header's number.
    #[serde(default)]
    pub reset_unit: RateLimitUnit,
}

/// The provider's own names for the headers of a limit, if they are not `X-RateLimit-Limit`, `-Remaining` and `-Reset`,
/// `RateLimit` or `Retry-After`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// The header with the number of calls in a window.
    pub limit: Option<String>,
    /// The header with the number of calls that are left in it.
    pub remaining: Option<String>,
    /// The header with both, as `32/40`: calls made, and calls possible.
    pub used: Option<String>,
    /// The header with the end of the window.
    pub reset: Option<String>,
    /// Unit of that header's number.
    #[serde(default)]
    pub reset_unit: RateLimitUnit,
    /// Length of a window in seconds, if no header says when it ends.
    pub window: Option<u32>,
    /// Calls that become possible again in a second, where there are no windows.
    pub refill: Option<u32>,
}

/// Unit of a reset header's number.
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

/// A dated change at the provider that requires action.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sunset {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// What changes and what to do before.
    pub message: String,
    /// The page that announces it.
    pub source: String,
}

fn get() -> String {
    "GET".to_owned()
}
