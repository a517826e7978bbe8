//! `/revoke_jobs`: receipts of revocations at providers. An extension of this server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::revocation::RevokeJob;

/// Maximum credentials per page, and the default.
pub const PAGE: i64 = 1_000;

/// `GET /revoke_jobs/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, PAGE, PAGE)?;
    let (found, counts) = app.revocations.revoke_job(&caller.project_id, &id, page.store_query()).await?;
    let page = page.envelope(found.rows, counts.total, found.next.as_ref());
    let job = RevokeJob {
        id: id.into(),
        status: if counts.pending > 0 { "pending" } else { "finished" },
        total: counts.total,
        revoked: counts.revoked,
        not_supported: counts.not_supported,
        failed: counts.failed,
        kept: counts.kept,
        pending: counts.pending,
        items: page.items,
        next_cursor: page.info.next_cursor,
    };
    Ok(json(StatusCode::OK, &job)?)
}
