//! The token endpoint (RFC 6749 §4.1.3 and §6) and the revocation endpoint (RFC 7009).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::client_auth::authenticate;
use super::error::{OAuthError, uncached_json};
use crate::app::App;
use crate::form::{Params, is_form};
use crate::state::{CodeProof, FreshTokens, GrantError, Issued};
use crate::users::{format_scopes, parse_scopes};

/// `POST /oauth/token`.
pub(super) async fn token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OAuthError> {
    let params = read_params(&headers, &body?)?;
    let client_id = authenticate(&app.config, &headers, &params)?.client_id.clone();
    let grant_type = required(&params, "grant_type", "grant_type is missing")?;
    let issued = match grant_type {
        "authorization_code" => redeem_code(&app, client_id, &params).await?,
        "refresh_token" => rotate(&app, client_id, &params).await?,
        _ => {
            return Err(OAuthError::bad_request(
                "unsupported_grant_type",
                "grant_type is neither authorization_code nor refresh_token",
            ));
        }
    };
    let body = json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": app.config.access_token_ttl_seconds,
        "refresh_token": issued.refresh_token,
        "scope": format_scopes(&issued.scopes),
    });
    Ok(uncached_json(StatusCode::OK, &body))
}

async fn redeem_code(app: &App, client_id: String, params: &Params) -> Result<Issued, OAuthError> {
    let code = required(params, "code", "code is missing")?.to_owned();
    let redirect_uri = required(params, "redirect_uri", "redirect_uri is missing")?.to_owned();
    let code_verifier = required(params, "code_verifier", "code_verifier is missing")?.to_owned();
    if !is_code_verifier(&code_verifier) {
        return Err(OAuthError::invalid_request("code_verifier is not 43 to 128 unreserved characters"));
    }
    let proof = CodeProof { client_id, redirect_uri, code_verifier };
    let fresh = FreshTokens::new(app.config.access_token_ttl_seconds);
    let now_ms = app.now_ms();
    change(app, move |state| state.redeem_code(&code, &proof, &fresh, now_ms)).await
}

async fn rotate(app: &App, client_id: String, params: &Params) -> Result<Issued, OAuthError> {
    let refresh_token = required(params, "refresh_token", "refresh_token is missing")?.to_owned();
    let wanted = match params.get("scope") {
        None => None,
        Some(text) => {
            let scopes = parse_scopes(text).filter(|scopes| !scopes.is_empty());
            Some(scopes.ok_or(GrantError::ScopeExceeded)?)
        }
    };
    let fresh = FreshTokens::new(app.config.access_token_ttl_seconds);
    let now_ms = app.now_ms();
    change(app, move |state| state.rotate(&refresh_token, &client_id, wanted, &fresh, now_ms)).await
}

/// `POST /oauth/revoke`: 200 also for unknown tokens (RFC 7009 §2.2). `token_type_hint` is not needed and
/// ignored.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, OAuthError> {
    let params = read_params(&headers, &body?)?;
    let client_id = authenticate(&app.config, &headers, &params)?.client_id.clone();
    let token = required(&params, "token", "token is missing")?.to_owned();
    let now_ms = app.now_ms();
    let revoked = app
        .store
        .change(move |state| state.revoke(&token, &client_id, now_ms))
        .await
        .map_err(|_| OAuthError::storage_failed())?;
    if !revoked {
        return Err(OAuthError::bad_request("invalid_grant", "the token was issued to another client"));
    }
    let headers = [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    Ok((StatusCode::OK, headers).into_response())
}

async fn change<F>(app: &App, apply: F) -> Result<Issued, OAuthError>
where
    F: FnOnce(&mut crate::state::State) -> Result<Issued, GrantError> + Send + 'static,
{
    let outcome = app.store.change(apply).await;
    Ok(outcome.map_err(|_| OAuthError::storage_failed())??)
}

fn read_params(headers: &HeaderMap, body: &[u8]) -> Result<Params, OAuthError> {
    if !is_form(headers) {
        return Err(OAuthError::invalid_request("the content type is not application/x-www-form-urlencoded"));
    }
    let params = Params::parse(body);
    if params.has_repeated() {
        return Err(OAuthError::invalid_request("a parameter is repeated"));
    }
    Ok(params)
}

fn required<'p>(params: &'p Params, name: &str, missing: &'static str) -> Result<&'p str, OAuthError> {
    params.get(name).ok_or(OAuthError::invalid_request(missing))
}

/// RFC 7636 §4.1.
fn is_code_verifier(text: &str) -> bool {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}
