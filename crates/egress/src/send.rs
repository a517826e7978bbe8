//! One request and one response, within limits.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as ClientError};
use url::Url;

use crate::allow::Guard;
use crate::budget::{BudgetExhausted, Reservation};
use crate::connect::{Connector, failure_in};
use crate::error::EgressError;
use crate::limits::Limits;
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

pub(crate) async fn send(
    client: &HttpClient,
    guard: &Guard,
    to: &Destination,
    request: Request<Bytes>,
    limits: &Limits,
    reservation: Option<&mut Reservation>,
) -> Result<Response<Bytes>, EgressError> {
    let url = checked_url(request.uri(), to, guard)?;
    let mut outgoing = outgoing(request, &url)?;
    // Set as soon as a connection gets this request, so that "not sent" is certain.
    let connection = capture_connection(&mut outgoing);
    match tokio::time::timeout(limits.total, exchange(client, outgoing, limits, reservation)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(EgressError::Timeout { sent: connection.connection_metadata().is_some() }),
    }
}

/// Parses the request's URI with the same parser as the checks, and checks it.
fn checked_url(uri: &Uri, to: &Destination, guard: &Guard) -> Result<Url, EgressError> {
    let Ok(url) = Url::parse(&uri.to_string()) else {
        return Err(EgressError::InvalidRequest { reason: "the uri is not an absolute url" });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::EndpointNotAllowed { reason: "user information" });
    }
    if !to.admits(&url) {
        return Err(EgressError::HostNotAllowed);
    }
    guard.check_url(&url)?;
    Ok(url)
}

/// The outgoing request: to the checked URL, with the headers that the caller may not set.
fn outgoing(request: Request<Bytes>, url: &Url) -> Result<Request<Full<Bytes>>, EgressError> {
    let (parts, body) = request.into_parts();
    let with_body = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    let without = matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE);
    if !with_body && !without {
        return Err(EgressError::InvalidRequest { reason: "the method is not supported" });
    }
    let Ok(uri) = url.as_str().parse::<Uri>() else {
        return Err(EgressError::InvalidRequest { reason: "the url cannot be sent" });
    };
    let mut headers = parts.headers;
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
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = uri;
    *outgoing.version_mut() = Version::HTTP_11;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}

async fn exchange(
    client: &HttpClient,
    request: Request<Full<Bytes>>,
    limits: &Limits,
    reservation: Option<&mut Reservation>,
) -> Result<Response<Bytes>, EgressError> {
    let answer = client.request(request).await.map_err(|error| client_error(&error, limits))?;
    let (parts, body) = answer.into_parts();
    check_head(parts.status, &parts.headers, &body, limits)?;
    let body = read_body(body, limits.max_body, reservation).await?;

    // A new response: the client's response carries the peer address in its extensions.
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    drop_hop_by_hop(response.headers_mut());
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

async fn read_body(
    mut body: Incoming,
    limit: usize,
    mut reservation: Option<&mut Reservation>,
) -> Result<Bytes, EgressError> {
    let too_large = EgressError::TooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    // Grows with the received bytes, not with the announced length.
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| body_error(&error))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        if data.len() > limit - collected.len() {
            return Err(too_large);
        }
        let length = collected.len() + data.len();
        if let Some(reservation) = &mut reservation {
            let is_known = body.size_hint().exact().is_some();
            let (needed, max) = if is_known { (announced, announced) } else { (length, limit) };
            // Reading pauses until memory is available.
            reservation.grow(needed.max(length), max).await.map_err(|BudgetExhausted| EgressError::BudgetExhausted)?;
        }
        if collected.is_empty() && data.len() == announced {
            return Ok(data); // the whole body in one piece: nothing to copy
        }
        collected.extend_from_slice(&data);
    }
    if let Some(reservation) = reservation {
        reservation.shrink(collected.len());
    }
    Ok(collected.freeze())
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

/// A truncated body was interrupted; malformed chunks are invalid HTTP.
fn body_error(error: &hyper::Error) -> EgressError {
    let malformed = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData));
    if malformed || error.is_parse() { EgressError::InvalidResponse } else { EgressError::Interrupted }
}
