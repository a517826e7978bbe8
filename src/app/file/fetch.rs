//! Fetches a file from a URL that a caller gives: from public addresses only, without any credential (R46, R55).

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response};
use percent_encoding::percent_decode_str;
use switchboard_egress::{Body, Destination, EgressError, Limits, Outgoing, Reservation};
use url::Url;

use super::Files;
use super::load::{LoadedFile, busy};
use super::name::{base_name, media_type, type_of_name};
use super::sniff::decide;
use crate::app::provider::request::USER_AGENT;
use crate::error::{Code, Error, Result};

/// Timeout of a fetch, with its redirects.
const TIMEOUT: Duration = Duration::from_secs(45);
/// How many redirects are followed. Each is checked as the URL itself.
const MAX_REDIRECTS: usize = 3;

impl Files {
    /// The file at a URL of at most `limit` bytes.
    ///
    /// # Errors
    /// The URL leads to no public address or to no file, or takes too long.
    pub(super) async fn fetch(
        &self,
        url: Url,
        limit: u64,
        deadline: Instant,
        memory: Reservation,
    ) -> Result<LoadedFile> {
        let limits = Limits {
            total: TIMEOUT,
            until: Some(deadline.min(Instant::now() + TIMEOUT)),
            max_body: usize::try_from(limit).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        let (mut url, mut memory) = (url, Some(memory));
        for _ in 0..=MAX_REDIRECTS {
            let response = self.get(&url, &limits, memory.take()).await.map_err(|error| cannot_fetch(&error))?;
            if !response.status().is_redirection() {
                return read(&url, response).await;
            }
            url = target(&url, response.headers())?;
            memory = response.into_body().into_reservation();
        }
        Err(not_fetched("it redirects too often"))
    }

    async fn get(
        &self,
        url: &Url,
        limits: &Limits,
        memory: Option<Reservation>,
    ) -> std::result::Result<Response<Body>, EgressError> {
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let destination = Destination::new([authority])
            .map_err(|_| EgressError::InvalidRequest { reason: "the URL names no host" })?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let request = Outgoing { method: Method::GET, url: url.clone(), headers, body: Bytes::new() };
        self.egress.stream(&destination, request, limits, memory).await
    }
}

/// Where a redirect leads.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url> {
    let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| from.join(location).ok());
    target.ok_or_else(|| not_fetched("it redirects to no URL"))
}

async fn read(url: &Url, response: Response<Body>) -> Result<LoadedFile> {
    let status = response.status();
    if !status.is_success() {
        return Err(not_fetched(&format!("it answers {}", status.as_u16())));
    }
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.chunk().await.map_err(|error| cannot_fetch(&error))? {
        bytes.extend_from_slice(&chunk);
    }
    let bytes = bytes.freeze();
    let name = head.headers.get(header::CONTENT_DISPOSITION).and_then(|value| disposition_name(value.as_bytes()));
    let last = || url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
    let name = name.unwrap_or_else(|| base_name(&percent_decode_str(&last()).decode_utf8_lossy()));
    let declared = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(media_type);
    let by_name = type_of_name(&name);
    let mimetype = decide(&bytes, declared, by_name);
    if mimetype == "text/html" && by_name.is_some_and(|by_name| by_name != "text/html") {
        return Err(not_fetched("it leads to a page for people instead of the file"));
    }
    Ok(LoadedFile { name, mimetype, bytes, reservation: body.into_reservation() })
}

/// The name in a `Content-Disposition` (RFC 6266), without folders.
pub(super) fn disposition_name(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let parameter = |name: &str| {
        text.split(';').skip(1).find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let extended = parameter("filename*").and_then(|value| {
        let encoded = value.splitn(3, '\'').nth(2)?.to_owned();
        Some(percent_decode_str(&encoded).decode_utf8_lossy().into_owned())
    });
    extended.or_else(|| parameter("filename")).filter(|name| !name.is_empty()).map(|name| base_name(&name))
}

/// The error for a URL that gave no file. It has no address and no URL in it.
fn cannot_fetch(error: &EgressError) -> Error {
    match error {
        EgressError::TooLarge { limit } => Error::of(Code::FileTooLarge, &[("limit", limit)]),
        EgressError::BudgetExhausted => busy(),
        EgressError::AddressDenied => Error::new(Code::EgressDenied, "The URL of the file is not at a public address")
            .fix("Upload the file and give its key."),
        EgressError::EndpointNotAllowed { reason } | EgressError::InvalidRequest { reason } => not_fetched(reason),
        EgressError::Timeout { .. } => not_fetched("it does not answer in time"),
        EgressError::Tls => not_fetched("its TLS certificate was not accepted"),
        EgressError::Dns => not_fetched("its host name could not be resolved"),
        EgressError::UnsupportedEncoding | EgressError::InvalidResponse => not_fetched("its answer could not be read"),
        EgressError::Connect | EgressError::Interrupted | EgressError::HostNotAllowed => {
            not_fetched("it could not be reached")
        }
    }
}

fn not_fetched(reason: &str) -> Error {
    Error::validation(vec![format!("The URL of the file cannot be fetched: {reason}")])
        .fix("Give a URL that leads to the file itself without a sign-in, or upload the file and give its key.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_disposition() {
        for (value, name) in [
            ("attachment; filename=\"a b.pdf\"", Some("a b.pdf")),
            ("attachment; filename=x.bin; filename*=UTF-8''%e2%82%ac.txt", Some("€.txt")),
            ("attachment; FILENAME=../../etc/passwd", Some("passwd")),
            ("attachment", None),
            ("inline; filename=\"\"", None),
        ] {
            assert_eq!(disposition_name(value.as_bytes()).as_deref(), name, "{value}");
        }
    }
}
