//! Rate limits: what counts for a key and what for an address, and the rate limit headers of responses
//! (R86, contract section 1.4).
//!
//! A request with a valid key counts for the key, from any address, so a flood of invalid keys cannot
//! lock out a valid one. All other requests count for the client's address: before handling if they
//! have no key, after authentication if the key was rejected. Health checks do not count.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::edge::{Handled, RequestInfo};
use super::error::ApiError;
use crate::api::operations::Keys;
use crate::app::App;
use crate::app::base::rate_limits::{Exceeded, RateLimitStatus};
use crate::client_address::Peer;
use crate::pages;

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static WINDOW: HeaderName = HeaderName::from_static("x-ratelimit-window-size");

const KEY: &str = "your API key (`rate_limit_per_key_per_minute`)";
const ADDRESS: &str = "your address and requests without a valid key (`rate_limit_per_address_per_minute`)";

/// The kind of a request, before authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A health check.
    Unlimited,
    /// The operation requires a key, and the request has one.
    WithKey,
    /// A page or a public operation; or the key is missing.
    WithoutKey,
}

/// Counts every request that is not counted for a key.
pub(super) async fn guard<F: Future<Output = Handled>>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Handled {
    let kind = kind(&request);
    let peer = request.extensions().get::<Peer>().copied();
    let address = app.core.settings.trusted_proxies.client(peer, request.headers());
    // A key may be restricted to addresses; authentication reads this.
    if let Some(info) = request.extensions_mut().get_mut::<RequestInfo>() {
        info.client = Some(address);
    }
    let mut standing = None;
    if kind == Kind::WithoutKey {
        match app.limits.count_address(address) {
            Ok(counted) => standing = counted,
            Err(exceeded) => return Handled::without_key(refuse(app, &request, exceeded)),
        }
    }
    let mut handled = next(request).await;
    if kind == Kind::WithKey && handled.key_id.is_none() {
        match app.limits.count_address(address) {
            Ok(counted) => standing = counted,
            // A successful response is kept; only an error is replaced by the 429.
            Err(_) if handled.response.status().is_success() => {}
            Err(exceeded) => return Handled::without_key(refusal(exceeded, ADDRESS)),
        }
    }
    describe(handled.response.headers_mut(), standing);
    handled
}

/// Refuses a request without a key: as a page where its response would be one.
fn refuse(app: &App, request: &Request, exceeded: Exceeded) -> Response {
    if !pages::is_page(request.uri().path()) {
        return refusal(exceeded, ADDRESS);
    }
    let id = RequestInfo::of(request).map(|info| info.id.as_str()).unwrap_or_default();
    let mut response = pages::rate_limited(app, &exceeded.error(ADDRESS), id);
    describe(response.headers_mut(), Some(RateLimitStatus { limit: exceeded.limit, remaining: 0 }));
    response
}

/// Runs the handler of a request with an accepted key, unless the key is over its limit.
pub(super) async fn with_key(app: &App, key_id: &str, handler: impl Future<Output = Response>) -> Response {
    match app.limits.count_key(key_id) {
        Ok(standing) => {
            let mut response = handler.await;
            describe(response.headers_mut(), standing);
            response
        }
        Err(exceeded) => refusal(exceeded, KEY),
    }
}

fn kind(request: &Request) -> Kind {
    let path = request.uri().path();
    if matches!(path, "/livez" | "/readyz") {
        return Kind::Unlimited;
    }
    let is_open = RequestInfo::of(request)
        .and_then(|info| info.target.operation)
        .is_some_and(|routed| routed.operation.keys == Keys::Public);
    let takes_key =
        (path.starts_with("/api/") || path.starts_with("/tool_router/")) && !pages::is_page(path) && !is_open;
    let has_key = super::auth::CREDENTIALS.iter().any(|(name, _)| request.headers().contains_key(*name));
    if takes_key && has_key { Kind::WithKey } else { Kind::WithoutKey }
}

fn refusal(exceeded: Exceeded, whose: &str) -> Response {
    let mut response = ApiError(exceeded.error(whose)).into_response();
    describe(response.headers_mut(), Some(RateLimitStatus { limit: exceeded.limit, remaining: 0 }));
    response
}

/// Adds the rate limit headers; none where there is no limit.
fn describe(headers: &mut HeaderMap, standing: Option<RateLimitStatus>) {
    let Some(RateLimitStatus { limit, remaining }) = standing else { return };
    headers.insert(LIMIT.clone(), HeaderValue::from(limit));
    headers.insert(REMAINING.clone(), HeaderValue::from(remaining));
    headers.insert(WINDOW.clone(), HeaderValue::from_static("60s"));
}
