//! The provider of the refresh wave. Its token endpoint rotates refresh tokens, accepts each once, and
//! derives the account's expiry from the token itself. Its API accepts only valid access tokens.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::listen;

/// Lifetime of a refreshed token in seconds.
const TOKEN_LIFETIME: u64 = 86_400;

/// Counters of the provider.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Seen {
    /// Refresh requests.
    pub requests: u64,
    /// Of these, with a token used before.
    pub repeated: u64,
    /// Of these, after the access token had expired.
    pub late: u64,
    /// API calls with an invalid token.
    pub unauthorized: u64,
    /// Refresh requests by second since 1970.
    pub by_second: BTreeMap<u64, u64>,
}

impl Seen {
    /// Whether refreshes happened during the `span` that began at `at`, in milliseconds since 1970.
    pub fn lasted(&self, at: u128, span: Duration) -> bool {
        let (Some(first), Some(last)) = (self.by_second.keys().next(), self.by_second.keys().next_back()) else {
            return false;
        };
        let end = at + span.as_millis();
        u128::from(*first) * 1_000 < end && at < (u128::from(*last) + 1) * 1_000
    }
}

#[derive(Default)]
struct Ledger {
    seen: Seen,
    tokens: HashSet<String>,
}

/// The refresh token of an account whose access token expires at `end`, in milliseconds since 1970.
pub fn refresh_token(account: usize, end: u128) -> String {
    format!("rt-{account}-{end}")
}

/// The access token of the same account.
pub fn access_token(account: usize, end: u128) -> String {
    format!("at-{account}-{end}")
}

/// The expiry of a token, derived from it.
fn end_of(token: &str) -> u128 {
    token.rsplit('-').next().and_then(|end| end.parse().ok()).unwrap_or(0)
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "two processes of a benchmark share the machine's clock")]
pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// State shared by the handlers.
#[derive(Clone)]
struct Provider {
    ledger: Arc<Mutex<Ledger>>,
    delay: Duration,
    me: Arc<str>,
}

/// Serves `/token` with a delay, `/me` with 1 KiB, and `/seen`.
pub fn run(delay: Duration) -> Result<()> {
    let body = json!({ "id": "user-1", "note": "x".repeat(1_000) }).to_string();
    let provider = Provider { ledger: Arc::default(), delay, me: body.into() };
    listen::run(async {
        Ok(Router::new()
            .route("/token", post(token))
            .route(
                "/seen",
                get(|State(provider): State<Provider>| async move {
                    json_response(StatusCode::OK, json!(lock(&provider.ledger).seen).to_string())
                }),
            )
            .route("/me", get(me))
            .with_state(provider))
    })
}

/// A JSON response.
type JsonResponse = (StatusCode, [(HeaderName, &'static str); 1], String);

fn json_response(status: StatusCode, answer: String) -> JsonResponse {
    (status, [(CONTENT_TYPE, "application/json")], answer)
}

async fn me(State(provider): State<Provider>, headers: HeaderMap) -> JsonResponse {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if bearer.is_some_and(|token| now() <= end_of(token)) {
        return json_response(StatusCode::OK, provider.me.to_string());
    }
    lock(&provider.ledger).seen.unauthorized += 1;
    json_response(StatusCode::UNAUTHORIZED, json!({ "error": "invalid_token" }).to_string())
}

async fn token(State(provider): State<Provider>, body: String) -> JsonResponse {
    let shown = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap_or_default();
    let now = now();
    let (number, is_new) = {
        let mut ledger = lock(&provider.ledger);
        ledger.seen.requests += 1;
        ledger.seen.late += u64::from(now > end_of(shown));
        let second = u64::try_from(now / 1_000).unwrap_or(0);
        *ledger.seen.by_second.entry(second).or_default() += 1;
        let is_new = ledger.tokens.insert(shown.to_owned());
        ledger.seen.repeated += u64::from(!is_new);
        (ledger.seen.requests, is_new)
    };
    tokio::time::sleep(provider.delay).await;
    if !is_new {
        return json_response(StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }).to_string());
    }
    let end = now + u128::from(TOKEN_LIFETIME) * 1_000;
    let answer = json!({
        "access_token": format!("renewed-access-token-{number}-{end}"), "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME, "refresh_token": format!("renewed-{number}-{end}"),
    });
    json_response(StatusCode::OK, answer.to_string())
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
