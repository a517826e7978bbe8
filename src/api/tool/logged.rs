//! Calls in the log, and requests that are repeated with their `Idempotency-Key`.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use switchboard_store::tool_calls::CallRow;

use crate::api::http::body::json;
use crate::api::http::once;
use crate::app::base::idempotency::{IdempotencyKey, StoredResponse};
use crate::app::call_log::{Earlier, LoggedCall};
use crate::app::{Actor, App};
use crate::error::{Error, Result};

/// How a request begins.
pub enum Start {
    /// With a call.
    Call(Arc<LoggedCall>),
    /// With the response of an earlier request.
    Replayed(Response),
    /// With a call that was sent and whose outcome is not known.
    Lost(Box<CallRow>),
}

crate::redacted_debug!(Start);

/// Begins a call, unless the request has the key of an earlier one.
///
/// # Errors
/// The key was used with another request, its call is being made, or its response was not kept.
pub async fn start(app: &App, actor: Actor, key: Option<IdempotencyKey>) -> Result<Start> {
    Ok(match (app.call_log.earlier(key.as_ref()).await?, key) {
        (Earlier::Response(response), _) => Start::Replayed(once::replayed(response)?),
        (Earlier::Unknown(row), Some(key)) if app.tools.can_repeat(&row) => {
            Start::Call(app.call_log.again(actor, key, *row).await?)
        }
        (Earlier::Unknown(row), _) => Start::Lost(row),
        (Earlier::None, key) => Start::Call(app.call_log.begin(actor, key)),
    })
}

/// 200 with the outcome of a call, kept for its key.
pub async fn respond(call: &LoggedCall, outcome: &impl Serialize) -> Result<Response> {
    if !call.has_key() {
        return json(StatusCode::OK, outcome);
    }
    let body = serde_json::to_vec(outcome).map_err(Error::internal)?;
    keep(call, body).await
}

/// 200 with these bytes, kept for the key of the call.
pub async fn keep(call: &LoggedCall, body: Vec<u8>) -> Result<Response> {
    let response = StoredResponse { status: StatusCode::OK.as_u16(), body };
    call.respond(Some(&response)).await;
    once::sent(response)
}

/// Awaits the work of a call. With a key, it goes on when its caller has gone, so that the repeated request gets its
/// response.
pub async fn finish(
    app: &App,
    call: Arc<LoggedCall>,
    work: impl Future<Output = Result<Response>> + Send + 'static,
) -> Result<Response> {
    if !call.has_key() {
        return work.await;
    }
    let work = async move {
        let done = work.await;
        if done.is_err() {
            call.respond(None).await;
        }
        done
    };
    app.core.tasks.spawn(work).await.map_err(Error::internal)?
}
