//! The session's MCP endpoint: `POST /tool_router/{session_id}/mcp` (contract section 7.2), streamable HTTP for agents.
//!
//! `crates/mcp` has the protocol, `server.rs` what a session serves with it, `list.rs` the lists of tools. Calls run
//! where those of the REST API run.

mod answer;
mod list;
pub(in crate::api) mod operations;
mod server;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use switchboard_mcp::respond;

use crate::api::http::auth::Caller;
use crate::api::http::body;
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::app::App;
use crate::error::{Code, Error, Result};
use server::SessionServer;

/// Maximum size of a message in bytes: files may stand in arguments.
const MAX_MESSAGE: usize = 4 << 20;

static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `POST /tool_router/{session_id}/mcp` → the response to a message of the protocol.
pub async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    request: Request,
) -> std::result::Result<Response, ApiError> {
    let (parts, content) = request.into_parts();
    check_origin(&app, &parts.headers)?;
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let message = body::read(content, MAX_MESSAGE).await?;
    let server = Arc::new(SessionServer::new(app, session, caller));
    Ok(match respond(&server, &parts.headers, &message).await {
        switchboard_mcp::Response::Stream(events) => {
            let body = Body::from_stream(events.map(Ok::<_, std::convert::Infallible>));
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                // Proxies would otherwise hold events back.
                (ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
            ];
            (headers, body).into_response()
        }
        switchboard_mcp::Response::Whole { status, session, body } => {
            let mut response = match body {
                Some(body) => {
                    let kind = HeaderValue::from_static("application/json");
                    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
                }
                None => status.into_response(),
            };
            if let Some(session) = session.and_then(|session| HeaderValue::from_str(&session).ok()) {
                response.headers_mut().insert(SESSION_ID.clone(), session);
            }
            response
        }
    })
}

/// Refuses pages of other sites: a browser says with `Origin` which site's page sends a request (R90).
fn check_origin(app: &App, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let allowed = &app.core.settings.allowed_hosts;
    let is_ours = uri.as_ref().and_then(Uri::authority).is_some_and(|authority| {
        let is_named = |name: &str| allowed.iter().any(|host| host.eq_ignore_ascii_case(name));
        is_named(authority.as_str()) || is_named(authority.host())
    });
    if is_ours {
        return Ok(());
    }
    Err(Error::of(Code::Forbidden, &[("reason", &"The header Origin names another site than this server's")])
        .fix("Call the endpoint from a program, or from a page of this server."))
}
