//! Files: `POST /files/upload/request` and `GET /files/list` (contract section 8.3). `bytes.rs` serves the signed URLs,
//! `mounts.rs` the files of a session.

mod bytes;
pub mod mounts;
pub(in crate::api) mod operations;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_store::files::{FileFilter, FileRow};

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::file::upload::NewFile;

pub use bytes::router;

/// Maximum number of files on a page.
pub(in crate::api) const MAX_PAGE_SIZE: i64 = 50;

/// A file that is to be uploaded.
#[derive(Deserialize, JsonSchema)]
pub struct FileUpload {
    /// Slug of the toolkit that it is for.
    toolkit_slug: String,
    /// Slug of the tool that it is for.
    tool_slug: String,
    /// Its name.
    #[schemars(length(min = 1, max = 1024))]
    filename: String,
    /// Its media type.
    mimetype: String,
    /// MD5 of its bytes in hexadecimal digits. Other bytes are refused.
    md5: String,
}

/// Where the bytes go, and how arguments name the file.
#[derive(Serialize, JsonSchema)]
pub struct FileUploadRequest {
    /// Id of the file.
    id: String,
    /// Names the file in arguments of tools: `{name, mimetype, s3key}`, or the key alone.
    key: String,
    /// Send the bytes here with PUT, before the URL ends.
    new_presigned_url: String,
    /// The same.
    #[serde(rename = "newPresignedUrl")]
    new_presigned_url_too: String,
    /// Always `new`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// How the bytes are sent.
    metadata: FileUploadMetadata,
}

/// How the bytes are sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileUploadMetadata {
    /// Always `s3`: a plain PUT without further headers.
    storage_backend: &'static str,
}

/// A file of the project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "File")]
pub struct FileItem {
    /// Slug of the toolkit that it is for or from; empty for none.
    toolkit_slug: String,
    /// Slug of the tool that it is for or from; empty for none.
    tool_slug: String,
    /// Its name.
    filename: String,
    /// Its media type.
    mimetype: String,
    /// MD5 of its bytes in hexadecimal digits.
    md5: String,
}

crate::redacted_debug!(FileUpload, FileUploadRequest);

/// `POST /files/upload/request` → 200.
pub async fn request_upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<FileUpload>,
) -> Result<Response, ApiError> {
    let FileUpload { toolkit_slug, tool_slug, filename, mimetype, md5 } = body.value;
    let new = NewFile { name: filename, mimetype, md5: Some(md5), toolkit: toolkit_slug, tool: tool_slug };
    let (file, signed) = app.files.request_upload(&caller.actor(), new).await?;
    let answer = FileUploadRequest {
        id: file.id.into(),
        key: file.key,
        new_presigned_url: signed.url.clone(),
        new_presigned_url_too: signed.url,
        kind: "new",
        metadata: FileUploadMetadata { storage_backend: "s3" },
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// `GET /files/list` → 200 page.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, MAX_PAGE_SIZE)?;
    let filter = FileFilter {
        toolkit: query.text("toolkit_slug").map(str::to_owned),
        tool: query.text("tool_slug").map(str::to_owned),
    };
    let found = app.files.list(&caller.project_id, filter, page.store_query()).await?;
    let items: Vec<FileItem> = found.rows.into_iter().map(item).collect();
    Ok(json(StatusCode::OK, &page.envelope(items, found.total, found.next.as_ref()))?)
}

fn item(file: FileRow) -> FileItem {
    FileItem {
        toolkit_slug: file.toolkit,
        tool_slug: file.tool,
        filename: file.name,
        mimetype: file.mimetype,
        md5: file.md5.unwrap_or_default(),
    }
}
