//! `/link/choice/{token}`: the page on which the user chooses one of several options.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::callback::clear_attempt_cookie;
use super::connect::ended_page;
use super::endings::{ToolkitContext, ending_page, error_page, finish};
use super::policy::{add_form_headers, cookie, form_targets, is_own_form};
use super::render::{BRAND, page, short};
use crate::api::http::body::read;
use crate::api::http::edge::RequestId;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::connect::{Choice, ChoiceResult, Ending};
use crate::app::provider::MAX_OPTIONS;
use crate::error::Result;

/// Maximum size of a form.
const MAX_FORM: usize = 8 * 1_024;

#[derive(Serialize)]
struct Context {
    brand: &'static str,
    project_name: Option<String>,
    toolkit: Option<ToolkitContext>,
    title: String,
    action: String,
    options: Vec<OptionContext>,
    /// The number of listed options, if there may be more.
    max_options: Option<usize>,
    is_unanswered: bool,
}

#[derive(Serialize)]
struct OptionContext {
    id: String,
    label: String,
    detail: Option<String>,
}

/// `GET /link/choice/{token}`. Reads only.
pub async fn show(State(app): State<Arc<App>>, id: RequestId, Id(token): Id, headers: HeaderMap) -> Response {
    match app.connector.choice(&token, &|name: &str| cookie(&headers, name)).await {
        Ok(Ok(choice)) => choice_page(&app, &token, choice, StatusCode::OK),
        Ok(Err(finished)) if finished.ending == Ending::Connected => finish(&app, finished, None, &id.0).await,
        Ok(Err(finished)) => ended_page(&app, &finished, &id),
        Err(error) => error_page(&app, &error, &id.0),
    }
}

/// `POST /link/choice/{token}`: the visitor chose.
pub async fn submit(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(token): Id,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !is_own_form(&headers, &app.core.settings.public_url) {
        return ending_page(&app, Ending::CrossSite, Some(&id.0));
    }
    match try_submit(&app, &id, &token, &headers, body).await {
        Ok(response) => response,
        Err(error) => error_page(&app, &error, &id.0),
    }
}

async fn try_submit(app: &Arc<App>, id: &RequestId, token: &str, headers: &HeaderMap, body: Body) -> Result<Response> {
    let form = read(body, MAX_FORM).await?;
    let chosen = form_urlencoded::parse(&form).find(|(name, _)| name == "choice").map(|(_, value)| value.into_owned());
    let chosen = chosen.unwrap_or_default();
    match app.connector.choose(token, |name| cookie(headers, name), &chosen, &id.0).await? {
        ChoiceResult::NotAnOption(choice) => Ok(choice_page(app, token, choice, StatusCode::UNPROCESSABLE_ENTITY)),
        ChoiceResult::TooLate(finished) => Ok(ended_page(app, &finished, id)),
        ChoiceResult::Made { finished, attempt_id } => {
            let is_over = finished.ending != Ending::Choose && !finished.may_retry;
            let mut response = finish(app, finished, attempt_id.as_deref(), &id.0).await;
            if let Some(attempt) = attempt_id.filter(|_| is_over) {
                clear_attempt_cookie(app, &mut response, &attempt);
            }
            Ok(response)
        }
    }
}

fn choice_page(app: &App, token: &str, choice: Choice, status: StatusCode) -> Response {
    let end = choice.offer.link.callback_url.clone();
    let option = |thing: crate::app::provider::ConnectOption| OptionContext {
        id: thing.id,
        label: short(&thing.label),
        detail: thing.detail.as_deref().map(short),
    };
    let context = Context {
        brand: BRAND,
        project_name: Some(short(&choice.offer.project_name)).filter(|name| !name.is_empty()),
        toolkit: ToolkitContext::of(app, &choice.offer.toolkit.slug),
        title: choice.title,
        action: format!("/link/choice/{token}"),
        max_options: (choice.options.len() >= MAX_OPTIONS).then_some(MAX_OPTIONS),
        options: choice.options.into_iter().map(option).collect(),
        is_unanswered: status != StatusCode::OK,
    };
    let mut response = page(status, "choice.html", &context);
    // The target of the last redirect after the form.
    let targets = form_targets(None, end.as_deref());
    add_form_headers(response.headers_mut(), &targets);
    response
}
