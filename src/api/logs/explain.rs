//! `GET /logs/tool_execution/{id}/explain`: what happened in a call, and what to do. An extension of this server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::explain::{CallExplanation, CallStep, Ended};
use crate::time::iso;

/// What happened in a call.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CallExplanation")]
pub struct Answer {
    /// `log_…`.
    log_id: String,
    /// `sent` while it is being made, `completed`, `failed`, or `unknown` if it may have had its effect.
    state: &'static str,
    /// How it went, in one sentence.
    summary: String,
    /// What to do; null if there is nothing to do.
    fix: Option<String>,
    /// What happened, in order.
    timeline: Vec<StepItem>,
}

/// A step of a call.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CallStep")]
struct StepItem {
    /// A word for programs: `received`, `allowed`, `account`, `sent`, `answered`, `mapped`, `off_loaded`, `idempotency` or
    /// `ended`.
    step: &'static str,
    /// When; absent if the time is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
    /// Its outcome.
    outcome: ExplainedOutcome,
    /// One line for people.
    title: String,
    /// Details for people; those of `mapped` are the provider's own words and untrusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The outcome of an event.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplainedOutcome {
    /// Succeeded.
    Ok,
    /// Waiting for something else.
    Waiting,
    /// Failed.
    Failed,
}

/// `GET /logs/tool_execution/{id}/explain` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let explanation = app.explanations.of_call(&caller.project_id, &id).await?;
    Ok(json(StatusCode::OK, &Answer::from(explanation))?)
}

impl From<CallExplanation> for Answer {
    fn from(explanation: CallExplanation) -> Self {
        Self {
            log_id: explanation.log_id,
            state: explanation.state.as_str(),
            summary: explanation.summary,
            fix: explanation.fix,
            timeline: explanation.timeline.into_iter().map(StepItem::from).collect(),
        }
    }
}

impl From<CallStep> for StepItem {
    fn from(step: CallStep) -> Self {
        Self {
            step: step.step,
            at: step.at.map(iso),
            outcome: step.outcome.into(),
            title: step.title,
            detail: step.detail,
        }
    }
}

impl From<Ended> for ExplainedOutcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Ok => Self::Ok,
            Ended::Waiting => Self::Waiting,
            Ended::Failed => Self::Failed,
        }
    }
}
