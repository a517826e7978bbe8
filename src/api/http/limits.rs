//! Rate limits at the edge: what counts for a key and what for an address, and what the answer says
//! of it (R86, contract section 1.4).
//!
//! A request with a valid key counts for the key, wherever it comes from: no flood of bad keys locks
//! a good one out. Everything else counts for the client's address: before it is looked at where no
//! key came with it, and a key once it was refused. Health checks do not count.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::ClientAddress;
use super::edge::RequestId;
use super::error::ApiError;
use super::parameters::Routed;
use crate::api::operations::Keys;
use crate::app::App;
use crate::app::base::rate_limits::{Exceeded, Standing};
use crate::client_address::Peer;
use crate::pages;

const KEY: &str = "your API key (`rate_limit_per_key_per_minute`)";
const ADDRESS: &str = "your address and requests without a valid key (`rate_limit_per_address_per_minute`)";

/// Marks the answer to a request whose key was accepted.
#[derive(Clone, Copy, Debug)]
struct Keyed;

/// What a request is, before anybody has looked at its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Health.
    Unlimited,
    /// Takes a key, and one came with it.
    WithKey,
    /// For people or for nobody in particular; or a key is missing.
    WithoutKey,
}

/// Counts every request that no key is counted for.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let kind = kind(&request);
    if kind == Kind::Unlimited {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().copied();
    let address = app.core.settings.trusted_proxies.client(peer, request.headers());
    // A key may be limited to addresses; the check of keys looks here.
    request.extensions_mut().insert(ClientAddress(address));
    if kind == Kind::WithKey {
        let mut response = next.run(request).await;
        if response.extensions().get::<Keyed>().is_some() {
            return response;
        }
        return match app.limits.count_address(address) {
            Ok(standing) => {
                describe(response.headers_mut(), standing);
                response
            }
            // What was done is told; only a refusal gives way to another.
            Err(_) if response.status().is_success() => response,
            Err(exceeded) => refusal(exceeded, ADDRESS),
        };
    }
    match app.limits.count_address(address) {
        Ok(standing) => {
            let mut response = next.run(request).await;
            describe(response.headers_mut(), standing);
            response
        }
        Err(exceeded) if pages::is_page(request.uri().path()) => {
            let id = request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0)).unwrap_or_default();
            let mut response = pages::too_many(&app, &exceeded.error(ADDRESS), &id);
            describe(response.headers_mut(), Some(Standing { limit: exceeded.limit, remaining: 0 }));
            response
        }
        Err(exceeded) => refusal(exceeded, ADDRESS),
    }
}

/// Runs the handler of a request whose key was accepted, unless the key has asked too often.
pub async fn with_key(app: &App, key_id: &str, handler: impl Future<Output = Response>) -> Response {
    let mut response = match app.limits.count_key(key_id) {
        Ok(standing) => {
            let mut response = handler.await;
            describe(response.headers_mut(), standing);
            response
        }
        Err(exceeded) => refusal(exceeded, KEY),
    };
    response.extensions_mut().insert(Keyed);
    response
}

fn kind(request: &Request) -> Kind {
    let path = request.uri().path();
    if matches!(path, "/livez" | "/readyz") {
        return Kind::Unlimited;
    }
    let is_open = request.extensions().get::<Routed>().is_some_and(|routed| routed.operation.keys == Keys::Nobody);
    let takes_key =
        (path.starts_with("/api/") || path.starts_with("/tool_router/")) && !pages::is_page(path) && !is_open;
    let has_key = super::auth::CREDENTIALS.iter().any(|(name, _)| request.headers().contains_key(*name));
    if takes_key && has_key { Kind::WithKey } else { Kind::WithoutKey }
}

fn refusal(exceeded: Exceeded, whose: &str) -> Response {
    let mut response = ApiError(exceeded.error(whose)).into_response();
    describe(response.headers_mut(), Some(Standing { limit: exceeded.limit, remaining: 0 }));
    response
}

/// What is left, on every answer. Nothing where there is no limit.
fn describe(headers: &mut HeaderMap, standing: Option<Standing>) {
    let Some(Standing { limit, remaining }) = standing else { return };
    headers.insert("x-ratelimit", HeaderValue::from(limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(remaining));
    headers.insert("x-ratelimit-window-size", HeaderValue::from_static("60s"));
}
