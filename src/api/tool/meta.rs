//! Calls of meta tools: `POST /tool_router/session/{session_id}/execute_meta` (contract section 2.12), and `execute` with
//! the slug of one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::execute::{ToolExecution, arguments};
use crate::api::http::auth::Caller;
use crate::api::http::body::JsonBody;
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::tool::logged::{self, Start};
use crate::app::App;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::execute::context::CallContext;
use crate::app::meta::definitions::{MetaKind, MetaTool};
use crate::app::meta::{MetaOptions, MetaTools};
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

/// Body of a call of a meta tool.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MetaToolCall")]
pub struct MetaCall {
    /// Slug of the meta tool, in any case: `COMPOSIO_…`
    #[schemars(length(min = 1))]
    slug: String,
    /// Its arguments.
    #[schemars(with = "Option<Map<String, Value>>")]
    arguments: Option<Value>,
    /// Answers to the questions of an earlier response, by their ids: `{"action": "accept" | "decline" | "cancel",
    /// "content": {"decision": "approve" | "always_approve" | "deny"}}`.
    input_responses: Option<Map<String, Value>>,
    /// `request_state` of that response.
    request_state: Option<String>,
    /// The caller's own tools, which run in the caller's process: no effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    experimental: Option<Map<String, Value>>,
}

crate::redacted_debug!(MetaCall);

/// `POST /tool_router/session/{session_id}/execute_meta` → 200, also when the tool fails.
pub async fn execute_meta(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<MetaCall>,
) -> std::result::Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let JsonBody { value: body, idempotency, .. } = body;
    if !MetaTools::is_meta(&body.slug) {
        return Err(Error::field("slug", "must be the slug of a meta tool, which begins with COMPOSIO_")
            .fix("Call a tool of an app with POST …/execute.")
            .into());
    }
    let responses = body.input_responses.unwrap_or_default();
    app.approvals.answer(&session, body.request_state.as_deref(), &responses, &caller.actor()).await?;
    let call = (body.slug, arguments(body.arguments)?);
    Ok(execute(app, &caller, session, call, idempotency).await?)
}

/// Runs a meta tool and answers 200 with its outcome.
pub(super) async fn execute(
    app: Arc<App>,
    caller: &Caller,
    session: Arc<Session>,
    (slug, arguments): (String, Map<String, Value>),
    key: Option<IdempotencyKey>,
) -> Result<Response> {
    let kind = MetaTool::find(&slug).map(|tool| tool.kind);
    check_key(caller, kind)?;
    // Several calls have a key each. Any other meta tool makes at most one call.
    let (own_key, key_of_parts) = if kind == Some(MetaKind::MultiExecute) { (None, key) } else { (key, None) };
    let logged = match logged::start(&app, caller.actor(), own_key).await? {
        Start::Call(logged) => logged,
        Start::Replayed(response) => return Ok(response),
        Start::Lost(row) => return Err(crate::app::call_log::outcome_unknown(&row)),
    };
    let is_repeatable = key_of_parts.is_some();
    let work = {
        let app = Arc::clone(&app);
        let context = CallContext::of_proxy(Arc::clone(&logged));
        async move {
            let options = MetaOptions { key: key_of_parts.as_ref(), ..MetaOptions::default() };
            let outcome = app.meta_tools.execute(&session, &slug, arguments, &context, options).await?;
            logged::respond(&context.call, &ToolExecution::new((&app, &session), outcome, context.call.id())).await
        }
    };
    if is_repeatable {
        // A repeated request gets the results, even if the caller of this one has gone.
        return app.core.tasks.spawn(work).await.map_err(Error::internal)?;
    }
    logged::finish(&app, logged, Box::pin(work)).await
}

/// A raw API call needs a key that may make one, whichever tool makes it.
pub(in crate::api) fn check_key(caller: &Caller, kind: Option<MetaKind>) -> Result<()> {
    if kind != Some(MetaKind::ProxyExecute) || caller.makes_raw_calls {
        return Ok(());
    }
    let reason = "This API key lacks the permission proxy_execute:write, which this tool needs";
    Err(Error::of(Code::Forbidden, &[("reason", &reason)])
        .fix("Use a key with proxy_execute:write, or one without a scope."))
}
