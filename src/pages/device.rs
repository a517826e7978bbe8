//! `/link/device/{token}`: the code that a user enters at the provider (RFC 8628).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use url::Url;

use super::callback::clear_attempt_cookie;
use super::connect::ended_page;
use super::endings::{ToolkitContext, error_page, finish};
use super::policy::{cookie, csp, form_targets};
use super::render::{BRAND, page, short};
use crate::api::http::edge::RequestId;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::connect::{DeviceCode, DevicePage, Ending};

#[derive(Serialize)]
struct Context {
    brand: &'static str,
    project_name: Option<String>,
    toolkit: Option<ToolkitContext>,
    /// What the user enters; none once the provider has issued tokens.
    user_code: Option<String>,
    /// Where to enter it, for display.
    host: Option<String>,
    /// Where to enter it, with the code filled in if the provider supports it.
    verification_uri: Option<String>,
    is_filled_in: bool,
    action: String,
    /// The user has submitted the page, but the provider has not confirmed the code.
    is_early: bool,
}

/// `GET /link/device/{token}`. Reads only. With `done`, waits for the provider.
pub async fn show(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(token): Id,
    query: Query,
    headers: HeaderMap,
) -> Response {
    let wait = query.text("done").is_some();
    match app.connector.device_page(&token, |name| cookie(&headers, name), wait).await {
        Ok(DevicePage::Code(code)) => code_page(&app, &token, *code, wait),
        Ok(DevicePage::Rejected(finished)) if finished.ending == Ending::Connected => {
            finish(&app, finished, None, &id.0).await
        }
        Ok(DevicePage::Rejected(finished)) => ended_page(&app, &finished, &id),
        Ok(DevicePage::Ended { finished, attempt_id }) => {
            let is_over = !finished.may_retry;
            let mut response = finish(&app, finished, Some(&attempt_id), &id.0).await;
            if is_over {
                clear_attempt_cookie(&app, &mut response, &attempt_id);
            }
            response
        }
        Err(error) => error_page(&app, &error, &id.0),
    }
}

fn code_page(app: &App, token: &str, shown: DeviceCode, is_early: bool) -> Response {
    let DeviceCode { code, offer } = shown;
    let url = code
        .as_ref()
        .map(|code| code.verification_uri_complete.clone().unwrap_or_else(|| code.verification_uri.clone()));
    let parsed = url.as_deref().and_then(|url| Url::parse(url).ok());
    let context = Context {
        brand: BRAND,
        project_name: Some(short(&offer.project_name)).filter(|name| !name.is_empty()),
        toolkit: ToolkitContext::of(app, &offer.toolkit.slug),
        host: parsed.as_ref().and_then(Url::host_str).map(ToOwned::to_owned),
        verification_uri: url,
        is_filled_in: code.as_ref().is_some_and(|code| code.verification_uri_complete.is_some()),
        user_code: code.map(|code| code.code),
        action: format!("/link/device/{token}"),
        is_early,
    };
    let mut response = page(StatusCode::OK, "device.html", &context);
    // The target of the last redirect after the form.
    let targets = form_targets(None, offer.link.callback_url.as_deref());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp(&targets));
    response
}
