//! The outermost layer: request ids, HTTP/1.1 validation, rendering of errors, the request log line.
//!
//! hyper accepts requests that an internet-facing server must reject: no Host, two Hosts, a URI for
//! another host. They are rejected here (R80). If both Content-Length and Transfer-Encoding are given,
//! hyper follows the latter and closes the connection (RFC 9112 section 6.1). Log lines contain the
//! route, never the path: a path may contain a link token.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use switchboard_types::CompactString;
use tracing::Instrument;

use super::auth::{Caller, Principal};
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
pub struct RequestId(pub CompactString);

/// Where a request leads.
#[derive(Clone)]
pub(in crate::api) struct Target {
    /// The path's pattern, for log and metrics.
    pub route: CompactString,
    /// An operation of the table; none for pages, health checks and unknown paths.
    pub operation: Option<Routed>,
    /// The parameters of an operation's path, in their order.
    pub parameters: Vec<CompactString>,
}

/// What is known of a request; in its extensions.
#[derive(Clone)]
pub(in crate::api) struct RequestInfo {
    /// Our own id.
    pub id: CompactString,
    /// The caller's `x-request-id`, if it has a safe format: returned unchanged and logged beside our own id. It is
    /// untrusted and may imitate another request's.
    pub caller_id: Option<CompactString>,
    /// Where it leads.
    pub target: Target,
    /// The client's address, as determined from the peer and trusted proxies.
    pub client: Option<IpAddr>,
    /// Who made it, in the project that it is for; none before the key is checked, and for keys without a project.
    pub caller: Option<Caller>,
    /// Who made it; none before the key is checked, and without a key.
    pub principal: Option<Principal>,
}

impl RequestInfo {
    /// What the edge knows of a request. Every request that passed it has it.
    pub fn of(request: &Request) -> Option<&Self> {
        request.extensions().get()
    }
}

/// A response, and the id of the key that was accepted for its request.
#[derive(Debug)]
pub(in crate::api) struct Handled {
    pub response: Response,
    pub key_id: Option<CompactString>,
}

impl Handled {
    /// A response to a request without an accepted key.
    pub fn without_key(response: impl IntoResponse) -> Self {
        Self { response: response.into_response(), key_id: None }
    }
}

/// Handles a request: this layer, then the rate limits, then the key, then `next`. A panic anywhere, including this
/// layer and the log line, results in a 500 and affects no other request.
pub(in crate::api) async fn guard<F: Future<Output = Response>>(
    app: &App,
    target: Target,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let id = OnceLock::new();
    let limited = |request| limits::guard(app, request, |request| auth::require_key(app, request, next));
    let answer = without_panic(guarded(app, target, request, limited, &id)).await;
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
async fn guarded<F: Future<Output = Handled>>(
    app: &App,
    target: Target,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
    known_id: &OnceLock<CompactString>,
) -> Response {
    let started = Instant::now();
    let caller_id = caller_request_id(request.headers());
    if let Some(caller_id) = &caller_id {
        known_id.get_or_init(|| caller_id.clone());
    }
    let id = app.core.mint(Kind::Request);
    let answered_id = known_id.get_or_init(|| id.clone());
    let (method, route) = (request.method().clone(), target.route.clone());
    let info = RequestInfo {
        id: id.clone(),
        caller_id: caller_id.clone(),
        target,
        client: None,
        caller: None,
        principal: None,
    };
    request.extensions_mut().insert(info);
    // At debug level every line of a request has its id; at info only the request's own line has it.
    let span = tracing::debug_span!("request", request.id = %id);
    let Handled { mut response, key_id } = match validate_request(&request, app) {
        Ok(()) => {
            let handled = without_panic(next(request)).instrument(span).await;
            handled.unwrap_or_else(|| Handled::without_key(ApiError(Error::internal("a request handler panicked"))))
        }
        // Such requests may be request smuggling, so the connection is closed.
        Err(error) => {
            Handled::without_key(([(header::CONNECTION, HeaderValue::from_static("close"))], ApiError(error)))
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
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(answered_id) {
        headers.insert(X_REQUEST_ID.clone(), value);
    }
    default_headers(headers);
    if app.core.settings.public_url.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    app.core.metrics.request(route.clone(), &method, response.status().as_u16(), started.elapsed());
    let line =
        Line { id: &id, caller_id: caller_id.as_deref(), key_id: key_id.as_deref(), method: &method, route: &route };
    line.log(&response, error.as_ref(), started);
    response
}

fn default_headers(headers: &mut HeaderMap) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}

fn caller_request_id(headers: &HeaderMap) -> Option<CompactString> {
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

/// The output; none if the handler panicked. The future is on the heap, so that those around it stay small: they are
/// moved several times.
fn without_panic<'a, T>(handler: impl Future<Output = T> + 'a) -> impl Future<Output = Option<T>> + 'a {
    let mut handler = Box::pin(handler);
    std::future::poll_fn(move |context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context)));
        polled.map_or_else(|_| Poll::Ready(None), |poll| poll.map(Some))
    })
}

/// The log line of a request.
struct Line<'a> {
    id: &'a str,
    caller_id: Option<&'a str>,
    key_id: Option<&'a str>,
    method: &'a Method,
    route: &'a str,
}

impl Line<'_> {
    fn log(&self, response: &Response, error: Option<&Unrendered>, started: Instant) {
        let Self { id, caller_id, key_id, method, route } = *self;
        let status = response.status().as_u16();
        let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Some(Unrendered(error)) = error else {
            tracing::info!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key_id, duration_us, "request");
            return;
        };
        let (slug, cause) = (error.code().slug(), error.causes());
        if matches!(error.code().class(), Class::Internal | Class::Unavailable) {
            tracing::error!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key_id, duration_us, error.slug = slug, error.message = error.message(), error.cause = cause, "request");
        } else {
            tracing::info!(request.id = id, request.caller_id = caller_id, http.method = %method, http.route = route, http.status = status, key.id = key_id, duration_us, error.slug = slug, error.cause = cause, "request");
        }
    }
}

// A parameter of a path may be a link token.
crate::redacted_debug!(Target, RequestInfo);
