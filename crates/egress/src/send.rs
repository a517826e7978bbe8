//! One request and the head of its response, within limits.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::allow::Guard;
use crate::body::Body;
use crate::budget::Reservation;
use crate::connect::{Connector, failure_in};
use crate::error::EgressError;
use crate::limits::Limits;
use crate::outgoing::Outgoing;
use crate::policy::Destination;

pub(crate) type HttpClient = Client<Connector, Full<Bytes>>;

/// Headers of a connection rather than of the message (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A day: no call takes longer, whatever its limits are.
const MAX_TOTAL: Duration = Duration::from_hours(24);

/// Sends a request and returns the head of the response with a body that has still to be read.
pub(crate) async fn send(
    client: &HttpClient,
    guard: &Guard,
    to: &Destination,
    outgoing: Outgoing,
    limits: &Limits,
    reservation: Option<Reservation>,
) -> Result<Response<Body>, EgressError> {
    let mut request = prepare(guard, to, outgoing)?.map(Full::new);
    let now = Instant::now();
    let deadline = now + limits.total.min(MAX_TOTAL);
    let deadline = limits.until.map_or(deadline, |until| deadline.min(until.into()));
    if deadline <= now {
        return Err(EgressError::Timeout { sent: false });
    }
    // Set as soon as a connection gets this request, so that "not sent" is certain.
    let connection = capture_connection(&mut request);
    let response = match timeout_at(deadline, exchange(client, request, limits)).await {
        Ok(response) => response?,
        Err(_) => return Err(EgressError::Timeout { sent: connection.connection_metadata().is_some() }),
    };
    let (parts, body) = response.into_parts();
    // A new response: the client's response carries the peer address in its extensions.
    let mut response = Response::new(Body::new(body, limits.max_body, deadline, reservation)?);
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    drop_hop_by_hop(response.headers_mut());
    Ok(response)
}

/// The request as it is sent, checked as far as that needs no connection.
pub(crate) fn prepare(guard: &Guard, to: &Destination, outgoing: Outgoing) -> Result<Request<Bytes>, EgressError> {
    check_url(&outgoing.url, to, guard)?;
    request_of(outgoing)
}

/// Checks the URL of a request, which is then sent as it is.
fn check_url(url: &Url, to: &Destination, guard: &Guard) -> Result<(), EgressError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::EndpointNotAllowed { reason: "user information" });
    }
    if !to.admits(url) {
        return Err(EgressError::HostNotAllowed);
    }
    guard.check_url(url)
}

/// The request for hyper, with the headers that the caller may not set.
fn request_of(outgoing: Outgoing) -> Result<Request<Bytes>, EgressError> {
    let Outgoing { method, url, mut headers, body } = outgoing;
    let with_body = matches!(method, Method::POST | Method::PUT | Method::PATCH);
    let without = matches!(method, Method::GET | Method::HEAD | Method::DELETE);
    if !with_body && !without {
        return Err(EgressError::InvalidRequest { reason: "the method is not supported" });
    }
    let Ok(uri) = url.as_str().parse::<Uri>() else {
        return Err(EgressError::InvalidRequest { reason: "the url cannot be sent" });
    };
    drop_hop_by_hop(&mut headers);
    // Host and length follow from the checked URL and the body; a Referer would leak a URL.
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT, header::REFERER] {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if with_body && body.is_empty() {
        // RFC 9110 §8.6; some servers answer 411 without it.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn exchange(
    client: &HttpClient,
    request: Request<Full<Bytes>>,
    limits: &Limits,
) -> Result<Response<Incoming>, EgressError> {
    let response = client.request(request).await.map_err(|error| client_error(&error, limits))?;
    check_head(response.status(), response.headers(), response.body(), limits)?;
    Ok(response)
}

fn check_head(status: StatusCode, headers: &HeaderMap, body: &Incoming, limits: &Limits) -> Result<(), EgressError> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > limits.max_header_bytes {
        return Err(EgressError::TooLarge { limit: limits.max_header_bytes });
    }
    if status.is_informational() {
        return Err(EgressError::InvalidResponse); // we asked for no other protocol
    }
    let is = |name, expected: &str| {
        headers
            .get_all(name)
            .iter()
            .all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(expected.as_bytes()))
    };
    let is_encoded = !limits.any_coding && !is(header::CONTENT_ENCODING, "identity");
    let is_supported = !is_encoded && is(header::TRANSFER_ENCODING, "chunked");
    // The response to a HEAD request may describe an encoded body that is not sent.
    if !is_supported && !body.is_end_stream() {
        return Err(EgressError::UnsupportedEncoding);
    }
    Ok(())
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn client_error(error: &ClientError, limits: &Limits) -> EgressError {
    if error.is_connect() {
        return failure_in(error).map_or(EgressError::Connect, EgressError::from);
    }
    match find_hyper(error) {
        // Hyper reports this kind only when it did not start to write the request.
        Some(cause) if cause.is_canceled() => EgressError::Connect,
        Some(cause) if cause.is_parse_too_large() => EgressError::TooLarge { limit: limits.max_header_bytes },
        Some(cause) if cause.is_parse() => EgressError::InvalidResponse,
        _ => EgressError::Interrupted,
    }
}

fn find_hyper<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a hyper::Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        next = current.source();
    }
    None
}
