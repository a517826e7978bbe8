//! The OAuth 2.0 endpoints: authorization, token, revocation and metadata.

mod authorize;
mod client_auth;
mod error;
mod request;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use serde_json::json;

use self::authorize::PATH as AUTHORIZE;
use crate::app::App;
use crate::users::Scope;

const TOKEN: &str = "/oauth/token";
const REVOKE: &str = "/oauth/revoke";

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(AUTHORIZE, get(authorize::show).post(authorize::answer))
        .route(TOKEN, post(token::token))
        .route(REVOKE, post(token::revoke))
        .route("/.well-known/oauth-authorization-server", get(metadata))
}

/// Authorization server metadata (RFC 8414 §2, RFC 9207 §3).
async fn metadata(State(app): State<Arc<App>>) -> Response {
    let issuer = &app.config.issuer;
    let auth_methods = ["client_secret_basic", "client_secret_post", "none"];
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{AUTHORIZE}"),
        "token_endpoint": format!("{issuer}{TOKEN}"),
        "revocation_endpoint": format!("{issuer}{REVOKE}"),
        "scopes_supported": Scope::ALL.map(Scope::name),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{issuer}/"),
    });
    ([(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
