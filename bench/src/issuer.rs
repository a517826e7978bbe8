//! The provider of the refresh wave: a token endpoint that rotates, remembers every refresh token it is
//! shown, and knows from the token itself when its account would have ended.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::listen;

/// What came in so far.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Seen {
    /// Refresh requests.
    pub requests: u64,
    /// Of these, with a token that had been shown before.
    pub repeated: u64,
    /// Of these, after the account's access token had ended.
    pub late: u64,
    /// By second since 1970.
    pub by_second: BTreeMap<u64, u64>,
}

#[derive(Default)]
struct Books {
    seen: Seen,
    tokens: HashSet<String>,
}

/// The refresh token of an account whose access token ends then, in milliseconds since 1970.
pub fn refresh_token(account: usize, end: u128) -> String {
    format!("rt-{account}-{end}")
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "two processes of a benchmark share the machine's clock")]
pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// Serves `/token`, `/me` of 1 KiB, and `/seen`.
pub fn run() -> Result<()> {
    let books: Arc<Mutex<Books>> = Arc::default();
    let me = json!({ "id": "user-1", "note": "x".repeat(1_000) });
    listen::run(async {
        Ok(Router::new()
            .route("/token", post(token))
            .route(
                "/seen",
                get(|State(books): State<Arc<Mutex<Books>>>| async move { said(&json!(lock(&books).seen)) }),
            )
            .route("/me", get(move || async move { said(&me) }))
            .with_state(books))
    })
}

/// A JSON answer.
type Said = ([(HeaderName, &'static str); 1], String);

fn said(answer: &Value) -> Said {
    ([(CONTENT_TYPE, "application/json")], answer.to_string())
}

async fn token(State(books): State<Arc<Mutex<Books>>>, body: String) -> Said {
    let shown = body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap_or_default();
    let now = now();
    let end = shown.rsplit('-').next().and_then(|end| end.parse().ok()).unwrap_or(u128::MAX);
    let mut books = lock(&books);
    books.seen.requests += 1;
    books.seen.late += u64::from(now > end);
    let second = u64::try_from(now / 1_000).unwrap_or(0);
    *books.seen.by_second.entry(second).or_default() += 1;
    if !books.tokens.insert(shown.to_owned()) {
        books.seen.repeated += 1;
    }
    let number = books.seen.requests;
    said(&json!({
        "access_token": format!("renewed-access-token-{number}"), "token_type": "Bearer", "expires_in": 86_400,
        "refresh_token": format!("renewed-{number}-{}", u64::MAX),
    }))
}

fn lock(books: &Mutex<Books>) -> std::sync::MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
