//! `/openapi.json`: the `OpenAPI` 3.1 document of this server, generated from the table of operations
//! and the Rust types of their bodies and responses. It needs no key and reveals nothing about any
//! project.

mod document;
mod examples;
mod schemas;

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::api::operations::Operation;
use crate::app::App;

pub use document::document;
pub use examples::{Example, example};

/// The document as it is sent.
#[derive(Clone, Debug)]
struct ServedDocument {
    bytes: Bytes,
    etag: HeaderValue,
}

/// The operations of the document, and the document once it was requested.
#[derive(Debug)]
struct DocumentState {
    operations: Vec<&'static Operation>,
    served: OnceLock<ServedDocument>,
}

/// The route of the document of these operations, which is built on the first request.
pub fn router(operations: Vec<&'static Operation>) -> Router<Arc<App>> {
    let kept = Arc::new(DocumentState { operations, served: OnceLock::new() });
    Router::new().route("/openapi.json", get(serve).layer(Extension(kept)))
}

async fn serve(
    State(app): State<Arc<App>>,
    Extension(kept): Extension<Arc<DocumentState>>,
    headers: HeaderMap,
) -> Response {
    let served = kept.served.get_or_init(|| ServedDocument::new(&kept.operations, &app.core.settings.public_url));
    let etag = (header::ETAG, served.etag.clone());
    let caching = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_known(&headers, &served.etag) {
        return (StatusCode::NOT_MODIFIED, [etag, caching]).into_response();
    }
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([etag, caching, kind], served.bytes.clone()).into_response()
}

/// RFC 9110 section 13.1.2: a list of tags, compared weakly, or `*`.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

impl ServedDocument {
    fn new(operations: &[&Operation], public_url: &str) -> Self {
        let bytes = Bytes::from(document(operations, public_url).to_string());
        let digest = Sha256::digest(&bytes);
        let etag = HeaderValue::from_str(&format!("\"{}\"", HEXLOWER.encode(&digest[..16])))
            .unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, etag }
    }
}
