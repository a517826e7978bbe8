//! Redirect URIs: the browser comes back from the provider.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::endings::{ending_page, error_page, finish, see_other};
use super::policy::{cookie, remove_cookie};
use crate::api::http::body::read;
use crate::api::http::edge::RequestId;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::connect::{CallbackOutcome, CallbackRequest, Ending, attempt_cookie_name};

/// Parameters of an authorization response (RFC 6749 section 4.1.2, RFC 9207).
const RESPONSE_PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];
/// Maximum length of any other parameter that a toolkit reads, in bytes.
const MAX_OTHER_PARAMETER: usize = 512;
/// Maximum size of a `form_post` response.
const MAX_FORM: usize = 16 * 1_024;

/// `GET /toolkits/auth/callback/{name}`: an auth config's id, a toolkit's slug, or a name that a developer chose.
pub async fn own(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(name): Id,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    handle_callback(&app, &id, Some(&name), query.as_deref().unwrap_or_default(), &headers).await
}

/// `GET /toolkits/auth/callback`, for auth configs whose own redirect URI forwards here.
pub async fn shared(
    State(app): State<Arc<App>>,
    id: RequestId,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    handle_callback(&app, &id, None, query.as_deref().unwrap_or_default(), &headers).await
}

/// `response_mode=form_post` is a cross-site POST, which sends no Lax cookie. It is redirected to a GET
/// of the same URL, which sends it (R14); no other processing happens here.
pub async fn posted(State(app): State<Arc<App>>, id: RequestId, OriginalUri(uri): OriginalUri, body: Body) -> Response {
    let Ok(form) = read(body, MAX_FORM).await else {
        return ending_page(&app, Ending::Invalid, Some(&id.0));
    };
    let state = form_urlencoded::parse(&form).find(|(name, _)| name == "state").map(|(_, value)| value.into_owned());
    let read = match app.connector.callback_parameters(state.as_deref().unwrap_or_default()).await {
        Ok(read) => read,
        Err(error) => return error_page(&app, &error, &id.0),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    // Other fields that a provider posts (names, addresses, tokens) do not belong in a URL.
    query.extend_pairs(form_urlencoded::parse(&form).filter(|(name, value)| {
        RESPONSE_PARAMETERS.contains(&&**name) || (value.len() <= MAX_OTHER_PARAMETER && read.admits(name))
    }));
    see_other(&format!("{}{}?{}", app.core.settings.public_url, uri.path(), query.finish()))
}

/// `GET /toolkits/auth/client/{auth_config_id}`: the client metadata of an auth config, for providers
/// that identify clients by the URL of their metadata.
pub async fn client(State(app): State<Arc<App>>, id: RequestId, Id(auth_config_id): Id) -> Response {
    match app.providers.client_metadata_document(&auth_config_id.into()).await {
        Ok(Some(description)) => {
            let mut response = Response::new(Body::from(description.to_string()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Ok(None) => {
            let mut response = ending_page(&app, Ending::Invalid, Some(&id.0));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        Err(error) => error_page(&app, &error, &id.0),
    }
}

async fn handle_callback(
    app: &Arc<App>,
    id: &RequestId,
    name: Option<&str>,
    query: &str,
    headers: &HeaderMap,
) -> Response {
    let request = CallbackRequest { name, query, request_id: &id.0 };
    let outcome = match app.connector.complete(request, |name| cookie(headers, name)).await {
        Ok(outcome) => outcome,
        Err(error) => return error_page(app, &error, &id.0),
    };
    let CallbackOutcome { finished, attempt_id } = outcome;
    // The browser keeps the cookie while a choice or a confirmation is pending, and while it may come
    // back or retry.
    let is_waiting = matches!(finished.ending, Ending::Choose | Ending::Unconfirmed | Ending::Busy);
    let is_over = !is_waiting && !finished.may_retry;
    let mut response = finish(app, finished, attempt_id.as_deref(), &id.0).await;
    if let Some(attempt) = attempt_id.filter(|_| is_over) {
        clear_attempt_cookie(app, &mut response, &attempt);
    }
    response
}

/// Removes the cookie of an ended attempt (R15). Not called for a wrong browser.
pub(super) fn clear_attempt_cookie(app: &App, response: &mut Response, attempt_id: &str) {
    if let Some(value) = remove_cookie(&attempt_cookie_name(&app.core, attempt_id), app.core.settings.is_https()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
