//! Operations that create something, at most once per `Idempotency-Key` (R68): the service prepares the object,
//! the response is rendered here, and the service commits both in one unit.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::body::raw;
use crate::app::App;
use crate::app::base::idempotency::{Commit, IdempotencyKey, StoredResponse};
use crate::error::{Error, Result};

/// The response of an earlier request with the same key, if there is one.
pub async fn earlier(app: &App, key: Option<&IdempotencyKey>) -> Result<Option<Response>> {
    app.idempotency.replay(key).await?.map(replayed).transpose()
}

/// 201 with the new object, ready to be stored and sent.
pub fn created(object: &impl Serialize) -> Result<StoredResponse> {
    let body = serde_json::to_vec(object).map_err(Error::internal)?;
    Ok(StoredResponse { status: StatusCode::CREATED.as_u16(), body })
}

/// The response after a commit.
pub fn committed(commit: Commit, response: StoredResponse) -> Result<Response> {
    match commit {
        Commit::Stored => sent(response),
        Commit::StoredEarlier(earlier) => replayed(earlier),
    }
}

/// The response of an earlier request.
pub fn replayed(earlier: StoredResponse) -> Result<Response> {
    let mut response = sent(earlier)?;
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// A stored response, as it is sent.
pub fn sent(stored: StoredResponse) -> Result<Response> {
    let status = StatusCode::from_u16(stored.status).map_err(Error::internal)?;
    Ok(raw(status, stored.body))
}
