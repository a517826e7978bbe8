//! `…/explain`: what became of a connection, and why. Ours, not published.

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
use crate::app::App;
use crate::app::explain::{Ended, Entry, Explanation, LinkStatus, Next};
use crate::time::iso;

/// What became of a connection.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Explanation")]
pub struct Answer {
    /// `ca_…`.
    pub connected_account_id: String,
    /// The link that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<ExplainedLink>,
    /// Status of the account.
    pub status: AccountStatusWord,
    /// A word for programs; `docs/connecting.md` lists them.
    pub code: &'static str,
    /// Where it stands.
    pub summary: String,
    /// Why; null where nothing is wrong.
    pub cause: Option<String>,
    /// What to do; null where there is nothing to do.
    pub fix: Option<String>,
    /// The provider's own words, where they are why: cleaned, shortened, and not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<ExplainedEvent>,
    /// What will go wrong sooner or later, in words; absent where nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The oldest events are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// What comes next, and when.
    pub next: ExplainedNext,
}

/// A link and how far it got.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedLink {
    /// `lt_…`, the public part of the link token.
    pub id: String,
    /// How far it got.
    pub status: ExplainedLinkStatus,
}

/// How far a link got.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedLinkStatus {
    /// Nobody pressed Continue.
    Offered,
    /// One browser did, and only that one may go on.
    Claimed,
    /// The account was connected through it.
    Succeeded,
    /// It ended without a connection.
    Failed,
    /// Nobody finished in time.
    Expired,
    /// A newer link took its place.
    Replaced,
}

/// Something that happened.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedEvent {
    /// When; the first time where it happened several times in a row.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The last time, where it happened several times in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,
    /// How many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<usize>,
    /// A word for programs, such as `refresh_failed`.
    pub event: String,
    /// How it ended.
    pub outcome: ExplainedOutcome,
    /// One line for people.
    pub title: String,
    /// More for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The provider's own words: cleaned, shortened, and not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_message: Option<String>,
    /// The provider's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// HTTP status of the provider's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The link that it is about.
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

/// How an event ended.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedOutcome {
    /// As it should.
    Ok,
    /// Something else must happen first.
    Waiting,
    /// It did not.
    Failed,
}

/// What comes next, and when; what is not known is left out.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExplainedNext {
    /// From then on the token is refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub refresh_due_at: Option<String>,
    /// No refresh is tried before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub retry_at: Option<String>,
    /// A refresh is under way, until then at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub lease: Option<String>,
    /// When the access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Until when the open link can be continued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub link_expires_at: Option<String>,
}

/// `GET /connected_accounts/{id}/explain` → 200.
pub async fn account(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let explanation = app.explanations.of_account(&caller.project_id, &id).await?;
    Ok(json(StatusCode::OK, &Answer::from(explanation))?)
}

/// `GET /links/{id}/explain` → 200. The id is the public part of the link token: the token itself is
/// a secret, and addresses are written down by whoever carries them.
pub async fn link(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let explanation = app.explanations.of_link(&caller.project_id, &id).await?;
    Ok(json(StatusCode::OK, &Answer::from(explanation))?)
}

impl From<Explanation> for Answer {
    fn from(it: Explanation) -> Self {
        Self {
            connected_account_id: it.account_id,
            link: it.link.map(|(id, status)| ExplainedLink { id, status: status.into() }),
            status: it.status.into(),
            code: it.finding.code(),
            summary: it.summary,
            cause: it.cause,
            fix: it.fix,
            provider_message: it.provider_message,
            timeline: it.timeline.into_iter().map(Into::into).collect(),
            warnings: it.warnings,
            is_cut: it.is_cut,
            next: it.next.into(),
        }
    }
}

impl From<Entry> for ExplainedEvent {
    fn from(it: Entry) -> Self {
        Self {
            at: iso(it.at),
            until: it.repeated.map(|(until, _)| iso(until)),
            times: it.repeated.map(|(_, times)| times),
            event: it.event,
            outcome: match it.outcome {
                Ended::Ok => ExplainedOutcome::Ok,
                Ended::Waiting => ExplainedOutcome::Waiting,
                Ended::Failed => ExplainedOutcome::Failed,
            },
            title: it.title,
            detail: it.detail,
            provider_message: it.provider_message,
            provider_code: it.provider_code,
            http_status: it.http_status,
            link_id: it.link_id,
            request_id: it.request_id,
            caller_request_id: it.caller_request_id,
            actor: it.actor,
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
    fn from(it: Next) -> Self {
        Self {
            refresh_due_at: it.refresh_due_at.map(iso),
            retry_at: it.retry_at.map(iso),
            lease: it.leased_until.map(iso),
            expires_at: it.expires_at.map(iso),
            link_expires_at: it.link_expires_at.map(iso),
        }
    }
}
