//! `PUT` and `GET /files/{file_id}`: the bytes of a file, for the holder of a signed URL. No key is needed. Bytes pass in
//! pieces in both directions.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use switchboard_store::files::FileRow;
use tokio::sync::mpsc;

use crate::api::http::body::discard;
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::file::FileReader;
use crate::app::file::signed_url::UrlSignature;
use crate::app::file::upload::Incoming;
use crate::error::{Code, Error, Result};

/// Maximum pause between two pieces of a body (R83).
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Maximum time for a whole body.
const MAX_TIME: Duration = Duration::from_mins(15);
/// How much of a refused body is read, so that the client reads the error, in bytes.
const MAX_DISCARDED: usize = 8 << 20;
/// Pieces that are read before the client takes them.
const READ_AHEAD: usize = 2;

/// The route of the signed URLs.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/files/{file_id}", get(download).put(upload))
}

/// `PUT` → 200 without a body, also for the same bytes again.
async fn upload(State(app): State<Arc<App>>, Id(id): Id, request: Request) -> std::result::Result<Response, ApiError> {
    let signature = UrlSignature::of_query(request.uri().query().unwrap_or_default());
    let mut body = Arriving { body: request.into_body(), until: Instant::now() + MAX_TIME };
    let length = http_body::Body::size_hint(&body.body).exact();
    match app.files.receive(&id, &signature, length, &mut body).await {
        Ok(md5) => {
            let mut response = Response::new(Body::empty());
            if let Ok(tag) = HeaderValue::from_str(&format!("\"{md5}\"")) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            Ok(response)
        }
        Err(error) => {
            discard(&mut body.body, MAX_DISCARDED).await;
            Err(error.into())
        }
    }
}

/// A body that is read within limits of time.
struct Arriving {
    body: Body,
    until: Instant,
}

impl Incoming for Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let frame = tokio::time::timeout(left.min(MAX_PAUSE), self.body.frame()).await;
            let stopped = |_| Error::new(Code::RequestTimeout, "The file's bytes stopped arriving");
            let Some(frame) = frame.map_err(stopped)? else { return Ok(None) };
            let frame = frame.map_err(|error| Error::validation(vec![format!("Error in payload: {error}")]))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// `GET` → 200 with the bytes, as a download that no browser shows as a page of this server.
async fn download(
    State(app): State<Arc<App>>,
    Id(id): Id,
    request: Request,
) -> std::result::Result<Response, ApiError> {
    let signature = UrlSignature::of_query(request.uri().query().unwrap_or_default());
    let reader = app.files.open(&id, &signature).await?;
    let headers = headers(&reader.file)?;
    let length = u64::try_from(reader.file.size).unwrap_or(0);
    let mut response = Response::new(Body::new(Leaving { pieces: pieces(reader), left: length }));
    *response.headers_mut() = headers;
    Ok(response)
}

fn headers(file: &FileRow) -> Result<HeaderMap> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, value(&file.mimetype)?);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.size));
    headers.insert(header::CONTENT_DISPOSITION, value(&disposition(&file.name))?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(md5) = &file.md5 {
        headers.insert(header::ETAG, value(&format!("\"{md5}\""))?);
    }
    Ok(headers)
}

/// A download with this name (RFC 6266): in ASCII for old clients, and as it is.
fn disposition(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%') || letter == ' ';
    let ascii: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Reads a file ahead of its client, by a few pieces.
fn pieces(mut reader: FileReader) -> mpsc::Receiver<Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    tokio::spawn(async move {
        loop {
            let piece = reader.chunk().await.transpose();
            let Some(piece) = piece else { break };
            let is_error = piece.is_err();
            // The client has gone.
            if sender.send(piece).await.is_err() || is_error {
                break;
            }
        }
    });
    receiver
}

/// The bytes of a file on their way to the client.
struct Leaving {
    pieces: mpsc::Receiver<Result<Bytes>>,
    left: u64,
}

impl http_body::Body for Leaving {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, std::io::Error>>> {
        let Poll::Ready(piece) = self.pieces.poll_recv(context) else { return Poll::Pending };
        Poll::Ready(piece.map(|piece| match piece {
            Ok(bytes) => {
                self.left = self.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                // The status is sent already: the client sees a body that breaks off.
                tracing::warn!(error = error.message(), cause = error.causes(), "a download broke off");
                Err(std::io::Error::other("the file could not be read"))
            }
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        let header = disposition("a\"b\\c; filename=x.exe é.pdf");
        assert!(HeaderValue::from_str(&header).is_ok());
        assert!(
            header.starts_with("attachment; filename=\"a_b_c; filename=x.exe _.pdf\"; filename*=UTF-8''a%22b%5Cc%3B")
        );
    }
}
