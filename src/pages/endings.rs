//! How it ended: back to the app, or a page that says what happened and what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::render::{BRAND, page, short};
use crate::api::error::status;
use crate::app::connect::{Ending, Finished};
use crate::app::{App, callback_url};
use crate::error::{Code, Error};

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
    return_url: Option<&'a str>,
    return_label: Option<&'a str>,
}

/// A toolkit as pages show it.
#[derive(Debug, Serialize)]
pub struct ToolkitContext {
    name: String,
    logo_url: String,
    app_url: Option<String>,
}

impl ToolkitContext {
    /// Of a known toolkit.
    pub fn of(app: &App, slug: &str) -> Option<Self> {
        let toolkit = app.toolkit(slug)?;
        let app_url = toolkit.app_url.clone().filter(|url| url.starts_with("https://"));
        Some(Self { name: short(&toolkit.name), logo_url: format!("/assets/toolkits/{}.svg", toolkit.slug), app_url })
    }
}

/// Sends the browser on, or shows how it ended.
pub async fn finish(app: &App, finished: Finished, project: Option<&str>, request_id: &str) -> Response {
    if let Some(url) = finished.verify_url.as_ref().or(finished.choose_url.as_ref()) {
        return see_other(url);
    }
    let toolkit = finished.toolkit.as_deref().and_then(|slug| app.toolkit(slug));
    let name = toolkit.as_ref().map_or("the provider", |it| it.name.as_str());
    if let (Some((status, error)), Some(url), Some(account), Some(project)) =
        (outcome(&finished, name), &finished.callback_url, &finished.account_id, project)
    {
        // Checked again: the project may have taken the URL off its list since (R08).
        let is_allowed =
            callback_url::check(url).is_ok() && app.check_registered(project, url, "callback_url").await.is_ok();
        if is_allowed && let Some(url) = callback_url::with_outcome(url, status, account, error.as_deref()) {
            return see_other(url.as_str());
        }
    }
    if finished.ending == Ending::Success {
        // A page of its own, so that reloading does not repeat the callback.
        let slug = finished.toolkit.as_deref().unwrap_or_default();
        return see_other(&format!("{}/link/done?toolkit={slug}", app.settings.public_url));
    }
    ending_page(app, finished.ending, finished.toolkit.as_deref(), finished.detail.as_deref(), Some(request_id))
}

/// What the app is told; none where the visitor must stay and read.
fn outcome(finished: &Finished, name: &str) -> Option<(&'static str, Option<String>)> {
    let failed = |text: String| Some(("failed", Some(text)));
    match finished.ending {
        Ending::Success => Some(("success", None)),
        Ending::Denied => failed(format!("Access was denied at {name}")),
        Ending::ContextMismatch => failed(format!("The answer did not come from {name}")),
        Ending::ProviderError => {
            failed(finished.detail.clone().unwrap_or_else(|| format!("{name} did not complete the connection")))
        }
        _ => None,
    }
}

/// 303: a browser that posted a secret must not post it again (R10).
pub fn see_other(url: &str) -> Response {
    let location = HeaderValue::from_str(url).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The page of an ending.
pub fn ending_page(
    app: &App,
    ending: Ending,
    toolkit: Option<&str>,
    detail: Option<&str>,
    request_id: Option<&str>,
) -> Response {
    let toolkit = toolkit.and_then(|slug| ToolkitContext::of(app, slug));
    let name = toolkit.as_ref().map_or("the provider", |it| it.name.as_str()).to_owned();
    let (status, result, title, message, next) = words(ending, &name, detail);
    let reference = request_id.filter(|_| ending != Ending::Success);
    let context = Context {
        brand: BRAND,
        project_name: None,
        toolkit,
        result,
        title,
        message,
        next,
        reference,
        return_url: None,
        return_label: None,
    };
    page(status, "result.html", &context)
}

fn words(ending: Ending, name: &str, detail: Option<&str>) -> (StatusCode, &'static str, String, String, &'static str) {
    let start_over = "Go back to the app and start again; it will give you a new link.";
    match ending {
        Ending::Success => (
            StatusCode::OK,
            "success",
            format!("{name} is connected"),
            "Your account was connected.".to_owned(),
            "You can close this window and go back to the app.",
        ),
        Ending::Unconfirmed => (
            StatusCode::OK,
            "success",
            "Almost done".to_owned(),
            format!("The app has to confirm that it was you who connected {name}."),
            "Go back to the app.",
        ),
        Ending::Choose => (
            StatusCode::OK,
            "success",
            "One more question".to_owned(),
            format!("Your {name} account reaches several things; say which one is to be connected."),
            "Go on to the next page.",
        ),
        Ending::Denied => (
            StatusCode::OK,
            "denied",
            "Nothing was connected".to_owned(),
            format!("You did not give access at {name}."),
            "If that was a mistake, go back to the app and start again.",
        ),
        Ending::Rejected => (
            StatusCode::OK,
            "rejected",
            "Thank you for checking".to_owned(),
            "This link no longer works, and nothing was connected.".to_owned(),
            "If somebody sent you this link, be careful with anything else they send.",
        ),
        Ending::Expired => (
            StatusCode::GONE,
            "expired",
            "This link has expired".to_owned(),
            "Links work for a short time only. Nothing was connected.".to_owned(),
            start_over,
        ),
        Ending::Used => (
            StatusCode::GONE,
            "used",
            "This link was already used".to_owned(),
            "Each link works once.".to_owned(),
            "If your account is not connected yet, go back to the app and start again.",
        ),
        Ending::BrowserMismatch => (
            StatusCode::FORBIDDEN,
            "browser_mismatch",
            "This was started in another browser".to_owned(),
            "For your safety, a connection must be finished in the browser that started it. Nothing was connected."
                .to_owned(),
            "Continue in the browser where you began. If you did not begin this, close this page.",
        ),
        Ending::Invalid => (
            StatusCode::BAD_REQUEST,
            "invalid",
            "This link does not work".to_owned(),
            "It is incomplete, or it was used before.".to_owned(),
            start_over,
        ),
        Ending::ContextMismatch => (
            StatusCode::BAD_REQUEST,
            "invalid",
            "Something does not fit together".to_owned(),
            format!("The answer did not come from {name}. Nothing was connected."),
            start_over,
        ),
        Ending::ProviderError => {
            let said = detail.map(|detail| format!(" It said: {detail}")).unwrap_or_default();
            (
                StatusCode::BAD_GATEWAY,
                "provider_error",
                format!("{name} could not connect you"),
                format!("{name} did not complete the connection.{said}"),
                "Try again in a few minutes. If it happens again, tell the app's support the reference below.",
            )
        }
        Ending::CrossSite => (
            StatusCode::FORBIDDEN,
            "invalid",
            "This form came from another site".to_owned(),
            "For your safety it was not accepted. Nothing was connected.".to_owned(),
            "Open the link that the app gave you and press the button there.",
        ),
        Ending::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "limited",
            "Too many tries".to_owned(),
            "That was too often in a short time. Nothing was connected by this try.".to_owned(),
            "Wait a minute, then open the link again. It works until its time is over.",
        ),
        Ending::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here".to_owned(),
            "This is our fault. Nothing was connected.".to_owned(),
            "Try again in a few minutes. If it happens again, tell the app's support the reference below.",
        ),
    }
}

/// The page of an error: ours, or of a form that no page of ours would send.
pub fn error_page(app: &App, error: &Error, request_id: &str) -> Response {
    let status = status(error.code().class());
    if status.is_client_error() {
        let ending = if error.code() == Code::TooManyRequests { Ending::TooMany } else { Ending::Invalid };
        let mut response = ending_page(app, ending, None, None, Some(request_id));
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
    let mut response = ending_page(app, Ending::Internal, None, None, Some(request_id));
    *response.status_mut() = status;
    response
}
