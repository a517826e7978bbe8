//! Calls of tools and their outcomes as JSON: `POST /tool_router/session/{session_id}/execute` (contract section 2.11)
//! and `POST /tools/execute/{tool_slug}` (6.6).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use switchboard_tools::{ResponseOptions, ResponseShape};

use super::meta;
use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json as respond};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::tool::logged::{self, Start};
use crate::app::App;
use crate::app::approval::Question;
use crate::app::execute::context::CallContext;
use crate::app::meta::MetaTools;
use crate::app::session::Session;
use crate::app::tool::direct::DirectCall;
use crate::app::tool::outcome::Outcome;
use crate::app::tool::pages::{AllPages, MAX_CALLS, MAX_ITEMS, ResultPage};
use crate::app::tool::response::{ResultOf, shape, shape_in};
use crate::app::tool::{CallOptions, ToolCall};
use crate::error::{Code, Error, Result};

/// Body of a session's call.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ToolCall")]
pub struct SessionCall {
    /// Slug of the tool, in any case.
    #[schemars(length(min = 1))]
    tool_slug: String,
    /// The tool's arguments.
    #[schemars(with = "Option<Map<String, Value>>")]
    arguments: Option<Value>,
    /// Which of several accounts is used, by id, word id or alias; only in a session with `multi_account`.
    account: Option<String>,
    /// The position of a page of results: `page.next` of the response before, with the same tool and arguments. An
    /// extension of this server.
    page: Option<String>,
    /// Several pages of results in one response. An extension of this server.
    all_pages: Option<AllPagesBody>,
    /// Check everything and build the request, but send nothing: the result is what would be sent. An extension of this
    /// server.
    dry_run: Option<bool>,
    /// The form of the result: some of its fields, fewer items, fewer bytes, a table. An extension of this server.
    response: Option<ResponseOptions>,
    /// A result of more than 40,000 bytes becomes a file of the session; `data` has a preview of it then.
    enable_auto_workbench_offload: Option<bool>,
    /// Answers to the questions of an earlier response, by their ids: `{"action": "accept" | "decline" | "cancel",
    /// "content": {"decision": "approve" | "always_approve" | "deny"}}`.
    input_responses: Option<Map<String, Value>>,
    /// `request_state` of that response.
    request_state: Option<String>,
    /// The caller's own tools, which run in the caller's process: no effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    experimental: Option<Map<String, Value>>,
}

/// Body of a call without a session.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DirectToolCall")]
pub struct DirectBody {
    /// The account that is used; the user's newest when omitted.
    connected_account_id: Option<String>,
    /// Whose account is used.
    user_id: Option<String>,
    /// An older name of `user_id`.
    entity_id: Option<String>,
    /// `latest` or one of the tool's `available_versions`.
    version: Option<String>,
    /// The tool's arguments.
    #[schemars(with = "Option<Map<String, Value>>")]
    arguments: Option<Value>,
    /// The position of a page of results: `page.next` of the response before, with the same tool and arguments. An
    /// extension of this server.
    page: Option<String>,
    /// Several pages of results in one response. An extension of this server.
    all_pages: Option<AllPagesBody>,
    /// Check everything and build the request, but send nothing: the result is what would be sent. An extension of this
    /// server.
    dry_run: Option<bool>,
    /// The form of the result: some of its fields, fewer items, fewer bytes, a table. An extension of this server.
    response: Option<ResponseOptions>,
    // Not built: they are refused by name, so they are not documented.
    #[schemars(skip)]
    text: Option<Value>,
    #[schemars(skip)]
    custom_auth_params: Option<Value>,
    #[schemars(skip)]
    custom_connection_data: Option<Value>,
    /// No effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    allow_tracing: Option<bool>,
}

/// How many pages are wanted in one response.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "AllPages")]
#[serde(deny_unknown_fields)]
struct AllPagesBody {
    /// No further page is fetched once there are so many results: 1 to 1000, by default 1000.
    #[schemars(range(min = 1, max = 1_000))]
    max_items: Option<usize>,
    /// Pages: 1 to 10, by default 10.
    #[schemars(range(min = 1, max = 10))]
    max_calls: Option<usize>,
}

/// Where the results of a response are in their list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolResultPage")]
struct PageView {
    /// `page` of the call for the next page; null on the last one.
    next: Option<String>,
    /// Whether there are further results.
    has_more: bool,
    /// Number of results in this response.
    count: usize,
}

/// The outcome of a session's call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolExecution {
    /// `completed`; `failed` with `error`; or `input_required` with `input_requests` and, for clients that do not know them,
    /// `error`.
    result_type: ResultType,
    /// The result. For `failed`: `error_code`, and the provider's status and answer if there is one.
    data: Map<String, Value>,
    /// What went wrong and what to do; null for `completed`.
    error: Option<String>,
    /// Id of this call, for the logs.
    log_id: String,
    /// Where the results are in their list; absent if the tool has no pages. An extension of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageView>,
    /// What a person has to be asked before the call is made, by the id of the approval. Answer with the same call,
    /// `input_responses` and `request_state`, or with the operation that answers an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_requests: Option<Map<String, Value>>,
    /// Sent back with the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_state: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ToolResultType")]
enum ResultType {
    Completed,
    Failed,
    InputRequired,
}

/// The outcome of a call without a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DirectToolExecution {
    /// The result. For a failure: `error_code`, and the provider's status and answer if there is one.
    data: Map<String, Value>,
    /// What went wrong and what to do; null for a success.
    error: Option<String>,
    /// Whether the tool did what it does.
    successful: bool,
    /// Id of this call, for the logs.
    log_id: String,
    /// Where the results are in their list; absent if the tool has no pages. An extension of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageView>,
}

/// `POST /tool_router/session/{session_id}/execute` → 200, also when the tool fails.
pub async fn in_session(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<SessionCall>,
) -> std::result::Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let JsonBody { value: body, idempotency, .. } = body;
    if let Some(responses) = &body.input_responses {
        app.approvals.answer(&session, body.request_state.as_deref(), responses, &caller.actor()).await?;
    }
    if MetaTools::is_meta(&body.tool_slug) {
        let call = (body.tool_slug, arguments(body.arguments)?);
        return Ok(meta::execute(app, &caller, session, call, idempotency).await?);
    }
    let call = ToolCall {
        arguments: arguments(body.arguments)?,
        account: body.account,
        options: options(body.page, body.all_pages, body.dry_run)?,
    };
    let shape = shape_in(&session, body.response, "response")?;
    // A dry run shows the request as it is.
    let shape = if call.options.dry_run { ResponseShape::default() } else { shape };
    let logged = match logged::start(&app, caller.actor(), idempotency).await? {
        Start::Call(logged) => logged,
        Start::Replayed(response) => return Ok(response),
        Start::Lost(row) => {
            return Ok(respond(
                StatusCode::OK,
                &ToolExecution::new((&app, &session), app.tools.lost_outcome(&row), &row.id),
            )?);
        }
    };
    let work = {
        let app = Arc::clone(&app);
        let context = CallContext::of_tool(Arc::clone(&logged));
        async move {
            let outcome = app.tools.execute(&session, &body.tool_slug, call, &context).await?;
            let of = ResultOf { session: &session, tool: &body.tool_slug, log_id: context.call.id() };
            let outcome = match body.enable_auto_workbench_offload {
                Some(true) => app.tools.shaped_or_off_loaded(outcome, of, &shape).await,
                _ => app.tools.shaped(outcome, of.tool, &shape),
            };
            logged::respond(&context.call, &ToolExecution::new((&app, &session), outcome, context.call.id())).await
        }
    };
    Ok(logged::finish(&app, logged, Box::pin(work)).await?)
}

/// `POST /tools/execute/{tool_slug}` → 200, also when the tool fails.
pub async fn direct(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(slug): Id,
    body: JsonBody<DirectBody>,
) -> std::result::Result<Response, ApiError> {
    let JsonBody { value: body, idempotency, .. } = body;
    for (name, value) in [
        ("text", &body.text),
        ("custom_auth_params", &body.custom_auth_params),
        ("custom_connection_data", &body.custom_connection_data),
    ] {
        if value.as_ref().is_some_and(|value| !value.is_null()) {
            return Err(Error::new(Code::NotImplemented, format!("{name} is not built yet"))
                .fix(format!("Leave {name} out; connect an account and give arguments."))
                .into());
        }
    }
    let call = DirectCall {
        slug: slug.into(),
        arguments: arguments(body.arguments)?,
        user_id: body.user_id.or(body.entity_id),
        account: body.connected_account_id,
        version: body.version,
        options: options(body.page, body.all_pages, body.dry_run)?,
    };
    let shape = shape(&body.response.unwrap_or_default(), "response")?;
    let shape = if call.options.dry_run { ResponseShape::default() } else { shape };
    let tool = call.slug.clone();
    let logged = match logged::start(&app, caller.actor(), idempotency).await? {
        Start::Call(logged) => logged,
        Start::Replayed(response) => return Ok(response),
        Start::Lost(row) => {
            return Ok(respond(StatusCode::OK, &DirectToolExecution::new(app.tools.lost_outcome(&row), &row.id))?);
        }
    };
    let work = {
        let app = Arc::clone(&app);
        let context = CallContext::of_tool(Arc::clone(&logged));
        async move {
            let outcome = app.tools.execute_directly(call, &context).await?;
            let outcome = app.tools.shaped(outcome, &tool, &shape);
            logged::respond(&context.call, &DirectToolExecution::new(outcome, context.call.id())).await
        }
    };
    Ok(logged::finish(&app, logged, Box::pin(work)).await?)
}

impl ToolExecution {
    pub(super) fn new((app, session): (&App, &Session), outcome: Outcome, log_id: &str) -> Self {
        let page = page_of(&outcome);
        let (input_requests, request_state) = match &outcome {
            Outcome::NeedsApproval(questions) => {
                (Some(input_requests(questions)), Some(app.approvals.state(session, questions)))
            }
            _ => (None, None),
        };
        let (data, error) = outcome.into_answer();
        let result_type = match (&error, &input_requests) {
            (None, _) => ResultType::Completed,
            (Some(_), None) => ResultType::Failed,
            (Some(_), Some(_)) => ResultType::InputRequired,
        };
        Self { result_type, data, error, log_id: log_id.to_owned(), page, input_requests, request_state }
    }
}

impl DirectToolExecution {
    fn new(outcome: Outcome, log_id: &str) -> Self {
        let page = page_of(&outcome);
        let (data, error) = outcome.into_answer();
        Self { data, successful: error.is_none(), error, log_id: log_id.to_owned(), page }
    }
}

/// Questions in the form of the contract.
fn input_requests(questions: &[Question]) -> Map<String, Value> {
    let request = |question: &Question| {
        json!({
            "type": "elicitation",
            "mode": "form",
            "message": question.message,
            "requested_schema": Question::schema(),
        })
    };
    questions.iter().map(|question| (question.id.to_string(), request(question))).collect()
}

/// How a call is made.
fn options(page: Option<String>, all_pages: Option<AllPagesBody>, dry_run: Option<bool>) -> Result<CallOptions> {
    let within = |name: &str, given: Option<usize>, max: usize| match given {
        Some(number) if !(1..=max).contains(&number) => {
            Err(Error::field(&format!("all_pages.{name}"), format!("must be a number from 1 to {max}")))
        }
        given => Ok(given.unwrap_or(max)),
    };
    let all_pages = match all_pages {
        Some(AllPagesBody { max_items, max_calls }) => Some(AllPages {
            max_items: within("max_items", max_items, MAX_ITEMS)?,
            max_calls: within("max_calls", max_calls, MAX_CALLS)?,
        }),
        None => None,
    };
    Ok(CallOptions { page, all_pages, dry_run: dry_run.unwrap_or(false), is_unasked: false })
}

fn page_of(outcome: &Outcome) -> Option<PageView> {
    match outcome {
        Outcome::Completed { page: Some(ResultPage { next, count }), .. } => {
            Some(PageView { next: next.clone(), has_more: next.is_some(), count: *count })
        }
        _ => None,
    }
}

/// The arguments of a call: an object, or its JSON text, which some models write.
pub(in crate::api) fn arguments(given: Option<Value>) -> Result<Map<String, Value>> {
    let given = match given {
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        given => given.unwrap_or(Value::Null),
    };
    match given {
        Value::Null => Ok(Map::new()),
        Value::Object(arguments) => Ok(arguments),
        _ => Err(Error::field("arguments", "must be an object")),
    }
}

crate::redacted_debug!(SessionCall, DirectBody);
