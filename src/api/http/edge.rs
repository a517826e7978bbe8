//! The outermost layer: request ids, HTTP/1.1 validation, rendering of errors, the request log line.
//!
//! hyper accepts requests that an internet-facing server must reject: no Host, two Hosts, a URI for
//! another host. They are rejected here (R80). If both Content-Length and Transfer-Encoding are given,
//! hyper follows the latter and closes the connection (RFC 9112 section 6.1). Log lines contain the
//! route, never the path: a path may contain a link token.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::error::{ApiError, Unrendered, render};
use super::parameters::Routed;
use super::{auth, limits};
use crate::app::App;
use crate::client_address::{MAX_HEAD, OnlyHealth};
use crate::error::{Class, Code, Error};
use crate::id::Kind;

/// Maximum length of a path with its query, in bytes (R84).
const MAX_URI: usize = 8 * 1_024;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Our own id of a request, as in the log and the audit log.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// The caller's `x-request-id`, if it has a safe format: returned unchanged and logged beside our own
/// id. It is untrusted and may imitate another request's.
#[derive(Clone, Debug)]
pub struct CallerRequestId(pub Arc<str>);

/// The key that made a request, for the log line.
#[derive(Clone, Debug)]
pub struct LoggedKey(pub String);

/// What the outermost layer needs.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The services.
    pub app: Arc<App>,
    /// Finds the operation of a request. The layers below read it from the request's extensions.
    pub find: fn(&Request) -> Option<Routed>,
}

/// Wraps every request: this layer, then the rate limits, then the key, then the handler. They are called directly,
/// because a layer of its own costs each of them several allocations. A panic anywhere, including this layer and the
/// log line, results in a 500 and affects no other request.
pub async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let id = OnceLock::new();
    let app = Arc::clone(&edge.app);
    let limited =
        |request| limits::guard(&app, request, |request| auth::require_key(&app, request, |request| next.run(request)));
    let answer = without_panic(guarded(edge, request, limited, &id)).await;
    answer.unwrap_or_else(|| {
        let id = id.get().map_or("req_unknown", |id| id);
        let mut response = render(&Error::internal("the edge panicked"), id);
        if let Ok(value) = HeaderValue::from_str(id) {
            response.headers_mut().insert(X_REQUEST_ID.clone(), value);
        }
        default_headers(response.headers_mut());
        response
    })
}

/// `known_id` is set to the id in the response as soon as it is known.
async fn guarded<F: Future<Output = Response>>(
    edge: Edge,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
    known_id: &OnceLock<Arc<str>>,
) -> Response {
    let Edge { app, find } = edge;
    let started = Instant::now();
    let caller_id = caller_request_id(request.headers());
    if let Some(caller_id) = &caller_id {
        known_id.get_or_init(|| Arc::clone(caller_id));
        request.extensions_mut().insert(CallerRequestId(Arc::clone(caller_id)));
    }
    let id: Arc<str> = app.core.mint(Kind::Request).into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let answered_id = known_id.get_or_init(|| Arc::clone(&id));
    if let Some(routed) = find(&request) {
        request.extensions_mut().insert(routed);
    }
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // At debug level every line of a request has its id; at info only the request's own line has it.
    let span = tracing::debug_span!("request", request.id = %id);
    let mut response = match validate_request(&request, &app) {
        Ok(()) => {
            let handled = without_panic(next(request)).instrument(span).await;
            handled.unwrap_or_else(|| ApiError(Error::internal("a request handler panicked")).into_response())
        }
        Err(error) => {
            let mut response = ApiError(error).into_response();
            // Such requests may be request smuggling, so the connection is closed.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    };
    let error = response.extensions_mut().remove::<Unrendered>();
    if let Some(Unrendered(error)) = &error {
        let kept = std::mem::take(response.headers_mut());
        response = render(error, answered_id);
        for (name, value) in &kept {
            if name != header::CONTENT_LENGTH {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
    }
    if let Ok(value) = HeaderValue::from_str(answered_id) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), value);
    }
    default_headers(response.headers_mut());
    if app.core.settings.public_url.starts_with("https://") {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    let route_name = route.as_ref().map_or("-", MatchedPath::as_str);
    app.core.metrics.request(route_name, &method, response.status().as_u16(), started.elapsed());
    log((&id, caller_id.as_deref()), &method, route_name, &response, error.as_ref(), started);
    response
}

fn default_headers(headers: &mut HeaderMap) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}

fn caller_request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let harmless = |text: &&str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless).map(Into::into)
}

/// R80, R81, R84: exactly one Host, which is ours, no other authority, a URI within the limit.
fn validate_request(request: &Request, app: &App) -> Result<(), Error> {
    let bad = |problem: &str| Error::validation(vec![format!("Error in request: {problem}")]);
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| bad("the Host header is not ASCII"))?,
        (None, _) => return Err(bad("the Host header is missing")),
        (Some(_), Some(_)) => return Err(bad("there is more than one Host header")),
    };
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > MAX_URI) {
        return Err(Error::new(Code::UriTooLong, format!("The request's URI is longer than {MAX_URI} bytes")));
    }
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head > MAX_HEAD {
        return Err(Error::new(Code::HeadTooLarge, format!("The request's headers are larger than {MAX_HEAD} bytes")));
    }
    let is_health = matches!(request.uri().path(), "/livez" | "/readyz");
    if !is_health && request.extensions().get::<OnlyHealth>().is_some() {
        let busy = "The server has as many connections, in all or of your address, as it admits";
        return Err(Error::new(Code::Busy, busy)
            .fix("Use fewer connections at once, or wait a few seconds; the operator can raise `max_connections_per_address`."));
    }
    if request.uri().authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
        return Err(bad("the request line names another host than the Host header"));
    }
    // Load balancers check health by address.
    if is_health {
        return Ok(());
    }
    let host = host.to_ascii_lowercase();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host.as_str(), |(name, _)| name);
    let is_ours = app.core.settings.allowed_hosts.iter().any(|allowed| *allowed == host || allowed == name);
    if is_ours {
        return Ok(());
    }
    Err(Error::new(Code::Misdirected, "This server does not answer to that host name"))
}

/// The response; none if the handler panicked. The future is on the heap, so that those around it stay small: they are
/// moved several times.
fn without_panic<'a>(handler: impl Future<Output = Response> + 'a) -> impl Future<Output = Option<Response>> + 'a {
    let mut handler = Box::pin(handler);
    std::future::poll_fn(move |context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context)));
        polled.map_or_else(|_| Poll::Ready(None), |poll| poll.map(Some))
    })
}

fn log(
    (id, caller_id): (&str, Option<&str>),
    method: &Method,
    route: &str,
    response: &Response,
    error: Option<&Unrendered>,
    started: Instant,
) {
    let status = response.status().as_u16();
    let key = response.extensions().get::<LoggedKey>().map(|key| key.0.as_str());
    let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Some(Unrendered(error)) = error else {
        tracing::info!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key, duration_us, "request");
        return;
    };
    let (slug, cause) = (error.code().slug(), error.causes());
    if matches!(error.code().class(), Class::Internal | Class::Unavailable) {
        tracing::error!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key, duration_us, error.slug = slug, error.message = error.message(), error.cause = cause, "request");
    } else {
        tracing::info!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key, duration_us, error.slug = slug, error.cause = cause, "request");
    }
}
