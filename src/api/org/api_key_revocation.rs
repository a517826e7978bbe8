//! `POST /api_key_revocation`: anyone who finds a leaked key may revoke it (R60).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::http::body::{JsonBody, json};
use crate::api::http::edge::RequestId;
use crate::api::http::error::ApiError;
use crate::app::App;
use crate::error::Error;

/// Maximum keys per request.
const MAX_KEYS: usize = 100;

/// Leaked keys.
#[derive(Deserialize, JsonSchema)]
pub struct LeakedKeys {
    /// 1 to 100 keys of any kind; strings that are not keys are ignored.
    #[schemars(length(min = 1, max = 100))]
    api_keys: Vec<String>,
}

/// The same response for every request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevocationReceipt {
    /// True.
    received: bool,
}

crate::redacted_debug!(LeakedKeys);

/// `POST /api_key_revocation` → 200, whether the keys exist or not; 503 when the revocation could not
/// be stored.
pub async fn revoke(
    State(app): State<Arc<App>>,
    request_id: RequestId,
    body: JsonBody<LeakedKeys>,
) -> Result<Response, ApiError> {
    let keys = &body.value.api_keys;
    if !(1..=MAX_KEYS).contains(&keys.len()) {
        return Err(Error::field("api_keys", format!("must have 1 to {MAX_KEYS} entries")).into());
    }
    app.keys.revoke_leaked(keys, &request_id.0).await?;
    Ok(json(StatusCode::OK, &RevocationReceipt { received: true })?)
}
