//! `…/explain`: what happened to a connection, and why. An extension of this server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::view::AccountStatusWord;
use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::logs::explain::ExplainedOutcome;
use crate::app::App;
use crate::app::explain::{Entry, Explanation, LinkStatus, Next};
use crate::time::iso;

/// What happened to a connection.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Explanation")]
pub struct Answer {
    /// `ca_…`.
    pub connected_account_id: String,
    /// The requested link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<ExplainedLink>,
    /// Status of the account.
    pub status: AccountStatusWord,
    /// A word for programs; `docs/connecting.md` lists them.
    pub code: &'static str,
    /// The state of the account in one sentence.
    pub summary: String,
    /// Why; null if nothing is wrong.
    pub cause: Option<String>,
    /// What to do; null if there is nothing to do.
    pub fix: Option<String>,
    /// The provider's own message, if it is the cause: cleaned, truncated and untrusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<ExplainedEvent>,
    /// Problems to expect, such as an upcoming expiry; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The oldest events are omitted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// What happens next, and when.
    pub next: ExplainedNext,
}

/// A link and its progress.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedLink {
    /// `lt_…`, the public part of the link token.
    pub id: String,
    /// Its progress.
    pub status: ExplainedLinkStatus,
}

/// The progress of a link.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedLinkStatus {
    /// No attempt has been started.
    Offered,
    /// A browser has started an attempt; only that browser may continue it.
    Claimed,
    /// The account was connected through it.
    Succeeded,
    /// It ended without a connection.
    Failed,
    /// Not finished in time.
    Expired,
    /// Replaced by a newer link.
    Replaced,
}

/// An event.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedEvent {
    /// When it happened; the first time if it happened several times in a row.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The last time, if it happened several times in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// How many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<usize>,
    /// A word for programs, such as `refresh_failed`.
    pub event: String,
    /// Its outcome.
    pub outcome: ExplainedOutcome,
    /// One line for people.
    pub title: String,
    /// Details for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The provider's own message: cleaned, truncated and untrusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// The provider's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// HTTP status of the provider's response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The link that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_id: Option<String>,
    /// The request that caused it, as in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The `x-request-id` that the caller sent with that request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_request_id: Option<String>,
    /// Who did it: `key_…`, `link:lt_…` for the link's visitor, `system` for the server, `cli` for the operator.
    pub actor: String,
}

/// What happens next, and when; unknown times are omitted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedNext {
    /// When the token is due for a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub refresh_due_at: Option<String>,
    /// No refresh is attempted before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub retry_at: Option<String>,
    /// A refresh is in progress, until this time at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub lease: Option<String>,
    /// When the access token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// When the open link expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub link_expires_at: Option<String>,
}

/// `GET /connected_accounts/{id}/explain` → 200.
pub async fn account(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let explanation = app.explanations.of_account(&caller.project_id, &id.as_str().into()).await?;
    Ok(json(StatusCode::OK, &Answer::from(explanation))?)
}

/// `GET /links/{id}/explain` → 200. The id is the public part of the link token. The token itself is a
/// secret, and URLs end up in logs.
pub async fn link(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let explanation = app.explanations.of_link(&caller.project_id, &id.as_str().into()).await?;
    Ok(json(StatusCode::OK, &Answer::from(explanation))?)
}

impl From<Explanation> for Answer {
    fn from(explanation: Explanation) -> Self {
        Self {
            connected_account_id: explanation.account_id.into(),
            link: explanation.link.map(|(id, status)| ExplainedLink { id: id.into(), status: status.into() }),
            status: explanation.status.into(),
            code: explanation.finding.code(),
            summary: explanation.summary,
            cause: explanation.cause,
            fix: explanation.fix,
            provider_message: explanation.provider_message,
            timeline: explanation.timeline.into_iter().map(Into::into).collect(),
            warnings: explanation.warnings,
            is_cut: explanation.is_truncated,
            next: explanation.next.into(),
        }
    }
}

impl From<Entry> for ExplainedEvent {
    fn from(entry: Entry) -> Self {
        Self {
            at: iso(entry.at),
            until: entry.repeated.map(|(until, _)| iso(until)),
            times: entry.repeated.map(|(_, times)| times),
            event: entry.event,
            outcome: entry.outcome.into(),
            title: entry.title,
            detail: entry.detail,
            provider_message: entry.provider_message,
            provider_code: entry.provider_code,
            http_status: entry.http_status,
            link_id: entry.link_id,
            request_id: entry.request_id,
            caller_request_id: entry.caller_request_id,
            actor: entry.actor,
        }
    }
}

impl From<LinkStatus> for ExplainedLinkStatus {
    fn from(status: LinkStatus) -> Self {
        match status {
            LinkStatus::Offered => Self::Offered,
            LinkStatus::Claimed => Self::Claimed,
            LinkStatus::Succeeded => Self::Succeeded,
            LinkStatus::Failed => Self::Failed,
            LinkStatus::Expired => Self::Expired,
            LinkStatus::Replaced => Self::Replaced,
        }
    }
}

impl From<Next> for ExplainedNext {
    fn from(next: Next) -> Self {
        Self {
            refresh_due_at: next.refresh_due_at.map(iso),
            retry_at: next.retry_at.map(iso),
            lease: next.leased_until.map(iso),
            expires_at: next.expires_at.map(iso),
            link_expires_at: next.link_expires_at.map(iso),
        }
    }
}
