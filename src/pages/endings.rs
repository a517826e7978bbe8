//! The end of a flow: back to the app, or a page that says what happened and what to do next.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use switchboard_types::ProjectId;
use url::Url;

use super::policy::{cookie, set_cookie};
use super::render::{BRAND, page, short};
use super::words::{Words, words};
use crate::api::http::edge::RequestId;
use crate::api::http::error::status;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::connect::{Ending, Finished, link_cookie_name};
use crate::app::project::callback_url;
use crate::error::{Code, Error, Result};

#[derive(Serialize)]
struct Context<'a> {
    brand: &'a str,
    project_name: Option<&'a str>,
    toolkit: Option<ToolkitContext>,
    result: &'a str,
    title: String,
    message: String,
    next: &'a str,
    reference: Option<&'a str>,
    return_url: Option<String>,
    return_label: Option<String>,
}

/// A toolkit on a page.
#[derive(Debug, Serialize)]
pub struct ToolkitContext {
    name: String,
    logo_url: String,
    app_url: Option<String>,
}

impl ToolkitContext {
    /// From a slug; none for an unknown toolkit.
    pub fn of(app: &App, slug: &str) -> Option<Self> {
        let toolkit = app.core.toolkit(slug)?;
        let app_url = toolkit.app_url.clone().filter(|url| url.starts_with("https://"));
        Some(Self { name: short(&toolkit.name), logo_url: format!("/assets/toolkits/{}.svg", toolkit.slug), app_url })
    }
}

/// Redirects the browser, or shows how the flow ended. `attempt_id` is the attempt of a browser that
/// has proven to have started it and may retry.
pub async fn finish(app: &App, finished: Finished, attempt_id: Option<&str>, request_id: &str) -> Response {
    if let Some(url) = &finished.verify_url {
        return see_other(url);
    }
    if let Some(url) = &finished.choose_url {
        return see_other(url);
    }
    let toolkit = finished.toolkit.as_deref().and_then(|slug| app.core.toolkit(slug));
    let name = toolkit.as_ref().map_or("the provider", |toolkit| toolkit.name.as_str());
    let app_outcome = outcome(&finished, name);
    if let (Some((status, error)), Some(url), Some(account), Some(project)) =
        (&app_outcome, &finished.callback_url, &finished.account_id, &finished.project_id)
        && let Some(mode) = return_mode(app, project, url).await
        && let Some(to) = callback_url::with_outcome(url, status, account, error.as_deref())
    {
        let response = match (mode, &finished.link) {
            (ReturnMode::Direct, _) => see_other(to.as_str()),
            (ReturnMode::Confirm, Some((link, _))) => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("link", link).append_pair("status", status);
                query.extend_pairs(error.iter().map(|error| ("error", error)));
                see_other(&format!("{}/link/return?{}", app.core.settings.public_url, query.finish()))
            }
            (ReturnMode::Confirm, None) => return_page(app, &to, finished.ending, finished.toolkit.as_deref()),
        };
        return with_link_cookie(app, response, &finished);
    }
    if let (Ending::Success, Some((link, _))) = (finished.ending, &finished.link) {
        // A page of its own, so that reloading does not repeat the callback.
        let response = see_other(&format!("{}/link/done?link={link}", app.core.settings.public_url));
        return with_link_cookie(app, response, &finished);
    }
    let back = match (finished.ending, finished.account_id.as_ref(), finished.project_id.as_ref()) {
        (Ending::Connected, Some(account), Some(project)) => app_button(app, &finished, project, account).await,
        _ => None,
    };
    let again = attempt_id.filter(|_| finished.may_retry && back.is_none());
    let again = again.map(|attempt| (format!("/link/{attempt}"), retry_label(finished.ending).to_owned()));
    let response = ending_page_with(app, &finished, back.or(again), Some(request_id));
    if finished.ending == Ending::Connected { with_link_cookie(app, response, &finished) } else { response }
}

/// How a browser returns to the app.
enum ReturnMode {
    /// Directly.
    Direct,
    /// Through a page that shows the destination: the URL is not registered (R08).
    Confirm,
}

/// None for a URL that the project may have removed from its list since the visit began (R08).
async fn return_mode(app: &App, project: &ProjectId, url: &str) -> Option<ReturnMode> {
    callback_url::check(url).ok()?;
    let registered = app.projects.settings(project).await.ok()?.callback_urls;
    let is_registered = callback_url::is_registered(url, &registered);
    if !is_registered && !registered.is_empty() {
        return None;
    }
    Some(if is_registered || callback_url::is_loopback(url) { ReturnMode::Direct } else { ReturnMode::Confirm })
}

/// URL and label of the button for an account that is already connected.
async fn app_button(app: &App, finished: &Finished, project: &ProjectId, account: &str) -> Option<(String, String)> {
    let url = finished.callback_url.as_deref()?;
    return_mode(app, project, url).await?;
    let to = callback_url::with_outcome(url, "success", account, None)?;
    Some((to.to_string(), format!("Return to {}", to.host_str().unwrap_or("the app"))))
}

fn retry_label(ending: Ending) -> &'static str {
    if ending == Ending::AccountMismatch { "Try with another account" } else { "Try again" }
}

/// Sets the cookie by which the browser can see later how the link ended.
fn with_link_cookie(app: &App, mut response: Response, finished: &Finished) -> Response {
    let cookie = finished.link.as_ref().and_then(|(link, kept)| {
        let name = link_cookie_name(&app.core, link);
        set_cookie(&name, kept, app.core.settings.link_ttl, app.core.settings.is_https())
    });
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `GET /link/done`: the end of a successful flow without a callback URL. Shows what was connected to
/// the browser that used the link, and nothing to others.
pub async fn done(State(app): State<Arc<App>>, id: RequestId, query: Query, headers: HeaderMap) -> Response {
    let link = query.text("link").unwrap_or_default();
    match app.connector.finished_link(&link.into(), |name| cookie(&headers, name)).await {
        Ok(Some(finished)) if finished.ending == Ending::Success => ending_page_with(&app, &finished, None, None),
        Ok(_) => ending_page_with(&app, &Finished::without_link(Ending::Closed), None, None),
        Err(error) => error_page(&app, &error, &id.0),
    }
}

/// `GET /link/return`: shows the destination before the user returns to an unregistered URL.
pub async fn return_to_app(State(app): State<Arc<App>>, id: RequestId, query: Query, headers: HeaderMap) -> Response {
    match try_return_to_app(&app, &query, &headers).await {
        Ok(response) => response,
        Err(error) => error_page(&app, &error, &id.0),
    }
}

async fn try_return_to_app(app: &App, query: &Query, headers: &HeaderMap) -> Result<Response> {
    let closed = || Ok(ending_page_with(app, &Finished::without_link(Ending::Closed), None, None));
    let link = query.text("link").unwrap_or_default();
    let Some(finished) = app.connector.finished_link(&link.into(), |name| cookie(headers, name)).await? else {
        return closed();
    };
    let (Some(url), Some(account), Some(project)) =
        (&finished.callback_url, &finished.account_id, &finished.project_id)
    else {
        return closed();
    };
    if return_mode(app, project, url).await.is_none() {
        return closed();
    }
    // The status is that of the link, not of the query; the error text in the query is untrusted.
    let status = if finished.ending == Ending::Success { "success" } else { "failed" };
    let error = query.text("error").filter(|_| status == "failed").map(short);
    let Some(to) = callback_url::with_outcome(url, status, account, error.as_deref()) else { return closed() };
    Ok(return_page(app, &to, finished.ending, finished.toolkit.as_deref()))
}

fn return_page(app: &App, to: &Url, ending: Ending, toolkit: Option<&str>) -> Response {
    let toolkit = toolkit.and_then(|slug| ToolkitContext::of(app, slug));
    let name = toolkit.as_ref().map_or("the provider", |toolkit| toolkit.name.as_str()).to_owned();
    let is_connected = ending == Ending::Success;
    // Punycode, against look-alike letters.
    let host = to.host_str().unwrap_or_default().to_owned();
    let context = Context {
        brand: BRAND,
        project_name: None,
        toolkit,
        result: if is_connected { "success" } else { "failed" },
        title: if is_connected { format!("{name} is connected") } else { "Nothing was connected".to_owned() },
        message: format!("The app wants you to go on at {host}."),
        next: "Go there only if you know this address; otherwise close this window.",
        reference: None,
        return_url: Some(to.to_string()),
        return_label: Some(format!("Go to {host}")),
    };
    page(StatusCode::OK, "result.html", &context)
}

/// The outcome for the app; none where the visitor must read the page instead.
fn outcome(finished: &Finished, name: &str) -> Option<(&'static str, Option<String>)> {
    let failed = |text: String| Some(("failed", Some(text)));
    let why = || finished.detail.clone().or_else(|| finished.finding.clone());
    match finished.ending {
        Ending::Success => Some(("success", None)),
        Ending::Denied => failed(format!("Access was denied at {name}")),
        Ending::ContextMismatch => failed(format!("The answer did not come from {name}")),
        Ending::AccountMismatch => failed(why().unwrap_or_else(|| "account_mismatch".to_owned())),
        Ending::ProviderError => failed(why().unwrap_or_else(|| format!("{name} did not complete the connection"))),
        _ => None,
    }
}

/// 303: a browser that posted a secret must not post it again (R10).
pub fn see_other(url: &str) -> Response {
    let location = HeaderValue::from_str(url).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The page of an ending.
pub fn ending_page(app: &App, ending: Ending, request_id: Option<&str>) -> Response {
    ending_page_with(app, &Finished::without_link(ending), None, request_id)
}

/// The page of an ending of a known flow. `button` is its URL and label.
pub fn ending_page_with(
    app: &App,
    finished: &Finished,
    button: Option<(String, String)>,
    request_id: Option<&str>,
) -> Response {
    let toolkit = finished.toolkit.as_deref().and_then(|slug| ToolkitContext::of(app, slug));
    let name = toolkit.as_ref().map_or("the provider", |toolkit| toolkit.name.as_str()).to_owned();
    let Words { status, result, title, message, next } = words(finished, &name, button.is_some());
    let (return_url, return_label) = button.unzip();
    let context = Context {
        brand: BRAND,
        project_name: None,
        toolkit,
        result,
        title,
        message,
        next,
        reference: request_id.filter(|_| status != StatusCode::OK),
        return_url,
        return_label,
    };
    let mut response = page(status, "result.html", &context);
    if finished.ending == Ending::Busy {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// The page of an error: an internal one, or one of a form that no page of ours sends.
pub fn error_page(app: &App, error: &Error, request_id: &str) -> Response {
    let status = status(error.code().class());
    if status.is_client_error() {
        let ending = if error.code() == Code::TooManyRequests { Ending::RateLimited } else { Ending::Invalid };
        let mut response = ending_page(app, ending, Some(request_id));
        *response.status_mut() = status;
        if let Some(seconds) = error.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        return response;
    }
    tracing::error!(
        request.id = request_id,
        error.slug = error.code().slug(),
        error.message = error.message(),
        error.cause = error.causes(),
        "page failed"
    );
    let mut response = ending_page(app, Ending::Internal, Some(request_id));
    *response.status_mut() = status;
    response
}
