//! The authorization endpoint: login, then consent, then the redirect to the client.
//!
//! The authorization request is in the query of every page and validated each time, so that abandoned
//! requests leave no state. The cookie identifies the user. The form token is derived from it, so that
//! another site can neither log a browser in nor consent for it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::request::{AuthorizationRequest, Refusal};
use crate::app::App;
use crate::form::{Params, is_form};
use crate::pages::{self, Form};
use crate::secret;
use crate::state::{LOGIN_LIFETIME_SECONDS, NewCode};
use crate::users::User;

/// Path of the endpoint.
pub(super) const PATH: &str = "/oauth/authorize";

const LOGIN_COOKIE: &str = "sandbox_login";

const STALE_FORM: &str = "This form was out of date. Please try again.";

/// `GET /oauth/authorize`: the login page or the consent page.
pub(super) async fn show(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let request = match AuthorizationRequest::parse(&app.config, &query) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    let browser = Browser::of(&app, &headers);
    browser.page(&app, &request, &query, StatusCode::OK, None)
}

/// `POST /oauth/authorize`: the submitted login or consent form.
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match AuthorizationRequest::parse(&app.config, &query) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    let browser = Browser::of(&app, &headers);
    let form = match body {
        Ok(body) if is_form(&headers) => Params::parse(&body),
        _ => Params::default(),
    };
    let is_ours = form.get("csrf").is_some_and(|token| secret::constant_time_eq(token, &browser.form_token()));
    if !is_ours {
        return browser.page(&app, &request, &query, StatusCode::FORBIDDEN, Some(STALE_FORM));
    }

    match (browser.user, form.get("decision")) {
        (None, None) => log_in(&app, &browser, &request, &query, &form).await,
        (Some(user), Some("allow")) => allow(&app, user, &request).await,
        (Some(_), Some("deny")) => {
            let url = request.reply.error("access_denied", "the user said no");
            pages::redirect(&url)
        }
        (Some(_), Some("switch")) => switch_user(&app, &browser, &query).await,
        (None, Some(_)) => {
            let notice = "Your login has ended. Please log in again.";
            let status = StatusCode::UNAUTHORIZED;
            browser.page(&app, &request, &query, status, Some(notice))
        }
        (Some(_), _) => {
            let notice = "Please choose one of the buttons.";
            let status = StatusCode::BAD_REQUEST;
            browser.page(&app, &request, &query, status, Some(notice))
        }
    }
}

async fn log_in(
    app: &App,
    browser: &Browser,
    request: &AuthorizationRequest<'_>,
    query: &str,
    form: &Params,
) -> Response {
    let username = form.get("username").unwrap_or_default();
    let password = form.get("password").unwrap_or_default();
    let Some(user) = User::by_password(username, password) else {
        let notice = "Wrong user name or password.";
        let status = StatusCode::UNAUTHORIZED;
        return browser.page(app, request, query, status, Some(notice));
    };
    // A new cookie, so that one planted before the login is useless (session fixation).
    let cookie = secret::random();
    let remembered = cookie.clone();
    let now_ms = app.now_ms();
    let saved = app.store.change(move |state| state.log_in(&remembered, user, now_ms)).await;
    match saved {
        Ok(()) => back_to_request(app, query, &cookie),
        Err(_) => pages::storage_failed(),
    }
}

async fn switch_user(app: &App, browser: &Browser, query: &str) -> Response {
    let cookie = browser.cookie.clone();
    let saved = app.store.change(move |state| state.log_out(&cookie)).await;
    match saved {
        Ok(()) => back_to_request(app, query, &secret::random()),
        Err(_) => pages::storage_failed(),
    }
}

async fn allow(app: &App, user: User, request: &AuthorizationRequest<'_>) -> Response {
    let code = format!("sbxc_{}", secret::random());
    let url = request.reply.code(&code);
    let authorization = NewCode {
        client_id: request.client.client_id.clone(),
        redirect_uri: request.reply.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        user,
        scopes: request.scopes.clone(),
    };
    let now_ms = app.now_ms();
    let saved = app.store.change(move |state| state.add_code(&code, authorization, now_ms)).await;
    match saved {
        Ok(()) => pages::redirect(&url),
        Err(_) => pages::storage_failed(),
    }
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::ErrorPage(reason) => pages::refused_request(reason),
        Refusal::Redirect(url) => pages::redirect(&url),
    }
}

/// Redirects to the same request with this cookie.
fn back_to_request(app: &App, query: &str, cookie: &str) -> Response {
    let mut response = pages::redirect(&format!("{PATH}?{query}"));
    set_cookie(app, &mut response, cookie);
    response
}

/// The browser that sent the request, identified by its cookie.
struct Browser {
    cookie: String,
    user: Option<User>,
}

impl Browser {
    fn of(app: &App, headers: &HeaderMap) -> Self {
        // An anonymous browser keeps its cookie, so that forms in two tabs both work.
        let cookie = login_cookie(headers).unwrap_or_else(secret::random);
        let now_ms = app.now_ms();
        let user = app.store.read(|state| state.logged_in(&cookie, now_ms));
        Self { cookie, user }
    }

    /// The CSRF token of forms, which only this browser and this provider can know.
    fn form_token(&self) -> String {
        secret::sha256_base64url(&format!("form token of {}", self.cookie))
    }

    /// The next page for this browser.
    fn page(
        &self,
        app: &App,
        request: &AuthorizationRequest<'_>,
        query: &str,
        status: StatusCode,
        notice: Option<&str>,
    ) -> Response {
        let form = Form {
            action: &format!("{PATH}?{query}"),
            token: &self.form_token(),
            notice,
            client_id: &request.client.client_id,
        };
        let Some(user) = self.user else {
            let mut response = pages::login(status, &form);
            set_cookie(app, &mut response, &self.cookie);
            return response;
        };
        let redirect_uri = &request.reply.redirect_uri;
        pages::consent(status, &form, user, &request.scopes, redirect_uri)
    }
}

fn login_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == LOGIN_COOKIE && secret::is_well_formed(value))
        .map(|(_, value)| value.to_owned())
}

fn set_cookie(app: &App, response: &mut Response, cookie: &str) {
    let secure = if app.config.issuer.starts_with("https://") { "; Secure" } else { "" };
    let value = format!(
        "{LOGIN_COOKIE}={cookie}; Path=/; Max-Age={LOGIN_LIFETIME_SECONDS}; HttpOnly; \
         SameSite=Lax{secure}"
    );
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
