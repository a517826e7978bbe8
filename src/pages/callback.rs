//! Redirect URIs: the browser comes back from a provider.

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
const ANSWER: [&str; 5] = ["code", "state", "iss", "error", "error_description"];
/// Longest value of any other parameter that a toolkit reads, in bytes.
const LONGEST_OTHER: usize = 512;
/// Largest `form_post` answer taken.
const MAX_FORM: usize = 16 * 1_024;

/// `GET /toolkits/auth/callback/{name}`: an auth config's id, a toolkit's slug, or a name that a developer chose.
pub async fn own(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(name): Id,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    returned(&app, &id, Some(&name), query.as_deref().unwrap_or_default(), &headers).await
}

/// `GET /toolkits/auth/callback`, for auth configs whose own redirect URI forwards here.
pub async fn shared(
    State(app): State<Arc<App>>,
    id: RequestId,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    returned(&app, &id, None, query.as_deref().unwrap_or_default(), &headers).await
}

/// `response_mode=form_post` comes as a cross-site POST, which carries no Lax cookie. It is turned
/// into a GET of the same URL, which does (R14); nothing is decided here.
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
    // What else a provider posts (names, addresses, tokens) has no place in a URL.
    query.extend_pairs(
        form_urlencoded::parse(&form)
            .filter(|(name, value)| ANSWER.contains(&&**name) || (value.len() <= LONGEST_OTHER && read.admits(name))),
    );
    see_other(&format!("{}{}?{}", app.core.settings.public_url, uri.path(), query.finish()))
}

/// `GET /toolkits/auth/client/{auth_config_id}`: what the client of an auth config says of itself, for
/// providers that name clients by the URL of their description.
pub async fn client(State(app): State<Arc<App>>, id: RequestId, Id(auth_config_id): Id) -> Response {
    match app.providers.client_description(&auth_config_id).await {
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

async fn returned(app: &Arc<App>, id: &RequestId, name: Option<&str>, query: &str, headers: &HeaderMap) -> Response {
    let returned = CallbackRequest { name, query, request_id: &id.0 };
    let arrived = match app.connector.complete(returned, |name| cookie(headers, name)).await {
        Ok(arrived) => arrived,
        Err(error) => return error_page(app, &error, &id.0),
    };
    let CallbackOutcome { finished, attempt_id } = arrived;
    // A question may follow, at once or after the developer's word; it is for this browser. And a browser
    // that is to come once more, or to try again, needs its cookie.
    let is_waiting = matches!(finished.ending, Ending::Choose | Ending::Unconfirmed | Ending::Busy);
    let is_over = !is_waiting && !finished.may_retry;
    let mut response = finish(app, finished, attempt_id.as_deref(), &id.0).await;
    if let Some(attempt) = attempt_id.filter(|_| is_over) {
        forget_attempt(app, &mut response, &attempt);
    }
    response
}

/// The attempt is over, so its cookie has done its work (R15); a wrong browser's is not ours to remove.
pub(super) fn forget_attempt(app: &App, response: &mut Response, attempt_id: &str) {
    if let Some(value) = remove_cookie(&attempt_cookie_name(&app.core, attempt_id), app.core.settings.is_https()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
