//! `/tool_router/session/{session_id}/approvals`: questions to a person before calls, for apps that show them by
//! themselves. An extension of this server.

pub(in crate::api) mod operations;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_store::approvals::ApprovalState;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::{Id, TwoIds};
use crate::app::App;
use crate::app::approval::{Decision, ShownApproval};
use crate::time::iso;

/// Approvals of a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalList {
    /// The newest 100, newest first.
    items: Vec<Approval>,
}

/// A question to a person before a call, with its answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Approval {
    /// `apr_…`
    id: String,
    /// `pending`, `approved`, `denied`, `used` or `expired`. An approval for the rest of the session stays `approved`.
    state: &'static str,
    /// `once`, or `session` if further calls of the tool with the account are allowed.
    scope: &'static str,
    /// Slug of the tool.
    tool_slug: String,
    /// Slug of its toolkit.
    toolkit_slug: String,
    /// The account that is used; null if none is.
    connected_account_id: Option<String>,
    /// The session's user.
    user_id: String,
    /// The arguments of the call.
    arguments: Value,
    /// The API key that called.
    requested_by: String,
    /// When it was asked.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// Not answered or used after this.
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// When it was answered; null if it was not.
    #[schemars(extend("format" = "date-time"))]
    decided_at: Option<String>,
    /// Who answered: an API key.
    decided_by: Option<String>,
}

/// A person's answer.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ApprovalDecision {
    /// `always_approve` also allows further calls of the tool with the account, for the rest of the session.
    decision: DecisionWord,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ApprovalDecisionWord")]
enum DecisionWord {
    Approve,
    AlwaysApprove,
    Deny,
}

impl From<ShownApproval> for Approval {
    fn from(shown: ShownApproval) -> Self {
        let ShownApproval { row, is_expired, arguments } = shown;
        let is_open = matches!(row.state, ApprovalState::Pending | ApprovalState::Approved) || row.decided_at.is_none();
        Self {
            id: row.id.to_string(),
            state: if is_expired && is_open { "expired" } else { row.state.as_str() },
            scope: row.scope.as_str(),
            tool_slug: row.tool,
            toolkit_slug: row.toolkit,
            connected_account_id: row.account_id.map(|id| id.to_string()),
            user_id: row.user_id,
            arguments,
            requested_by: row.requested_by,
            created_at: iso(row.created_at),
            expires_at: iso(row.expires_at),
            decided_at: row.decided_at.map(iso),
            decided_by: row.decided_by,
        }
    }
}

/// `GET /tool_router/session/{session_id}/approvals` → 200.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, Id(session_id): Id) -> Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let items = app.approvals.list(&session).await?.into_iter().map(Approval::from).collect();
    Ok(json(StatusCode::OK, &ApprovalList { items })?)
}

/// `GET /tool_router/session/{session_id}/approvals/{approval_id}` → 200.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session_id, id): TwoIds,
) -> Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    Ok(json(StatusCode::OK, &Approval::from(app.approvals.get(&session, &id).await?))?)
}

/// `POST /tool_router/session/{session_id}/approvals/{approval_id}` → 200.
pub async fn decide(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session_id, id): TwoIds,
    body: JsonBody<ApprovalDecision>,
) -> Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let decision = match body.value.decision {
        DecisionWord::Approve => Decision::Approve,
        DecisionWord::AlwaysApprove => Decision::AlwaysApprove,
        DecisionWord::Deny => Decision::Deny,
    };
    let decided = app.approvals.decide(&session, &id, decision, &caller.actor()).await?;
    Ok(json(StatusCode::OK, &Approval::from(decided))?)
}
