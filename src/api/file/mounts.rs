//! The files of a session (contract section 2.15).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_store::files::FileRow;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::TwoIds;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::file::mount::MOUNT_PREFIX;
use crate::time::iso;

/// Maximum number of files on a page.
pub(in crate::api) const MAX_PAGE_SIZE: i64 = 500;

/// A path of the mount.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MountPath {
    /// Relative to the mount, such as `output/report.pdf`.
    #[schemars(length(min = 1))]
    mount_relative_path: String,
}

/// A file that is to be uploaded to the mount.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MountUpload {
    /// Relative to the mount, such as `output/report.pdf`.
    #[schemars(length(min = 1))]
    mount_relative_path: String,
    /// Its media type; by the extension of the path when omitted.
    #[schemars(length(min = 1))]
    mimetype: Option<String>,
}

/// Files of the mount, by path.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountItems {
    /// The files.
    items: Vec<MountItem>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A file of the mount.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountItem {
    /// Its path.
    mount_relative_path: String,
    /// Where the mount would be in a sandbox.
    sandbox_mount_prefix: &'static str,
    /// Bytes.
    size: i64,
    /// When it was stored; ISO 8601.
    last_modified: String,
}

/// Where the bytes of a path are sent.
#[derive(Serialize, JsonSchema)]
pub struct MountUploadUrl {
    /// Send the bytes here with PUT.
    upload_url: String,
    /// The path.
    mount_relative_path: String,
    /// Where the mount would be in a sandbox.
    sandbox_mount_prefix: &'static str,
    /// The URL is refused from then on; ISO 8601.
    expires_at: String,
}

/// Where the bytes of a path are fetched.
#[derive(Serialize, JsonSchema)]
pub struct MountDownloadUrl {
    /// Fetch the bytes here with GET.
    download_url: String,
    /// The path.
    mount_relative_path: String,
    /// Where the mount would be in a sandbox.
    sandbox_mount_prefix: &'static str,
    /// The URL is refused from then on; ISO 8601.
    expires_at: String,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountDeleted {
    /// The path.
    mount_relative_path: String,
    /// Where the mount would be in a sandbox.
    sandbox_mount_prefix: &'static str,
}

crate::redacted_debug!(MountUploadUrl, MountDownloadUrl);

/// `GET /tool_router/session/{session_id}/mounts/{mount_id}/items` → 200.
pub async fn items(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session, mount): TwoIds,
    query: Query,
) -> Result<Response, ApiError> {
    let after = match query.text("cursor") {
        None => String::new(),
        Some(cursor) => {
            let path = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            path.ok_or_else(|| wrong("cursor", "must be a next_cursor of an earlier answer"))?
        }
    };
    // Its cursor is a path, so only the limit is read.
    let limit = PageRequest::from_query(&query.without("cursor"), 100, MAX_PAGE_SIZE)?.limit;
    let prefix = query.text("mount_relative_prefix").unwrap_or_default();
    let found = app.files.mounted(&caller.project_id, &session.into(), &mount, (prefix, &after), limit).await?;
    let answer = MountItems {
        items: found.files.into_iter().filter_map(item).collect(),
        next_cursor: found.next.map(|path| URL_SAFE_NO_PAD.encode(path)),
    };
    Ok(json(StatusCode::OK, &answer)?)
}

fn item(file: FileRow) -> Option<MountItem> {
    Some(MountItem {
        mount_relative_path: file.mount?.path,
        sandbox_mount_prefix: MOUNT_PREFIX,
        size: file.size,
        last_modified: iso(file.stored_at.unwrap_or(file.created_at)),
    })
}

/// `POST …/mounts/{mount_id}/upload_url` → 201.
pub async fn upload_url(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session, mount): TwoIds,
    body: JsonBody<MountUpload>,
) -> Result<Response, ApiError> {
    let MountUpload { mount_relative_path, mimetype } = body.value;
    let made = app.files.mount_upload(&caller.actor(), &session.into(), &mount, &mount_relative_path, mimetype).await?;
    let (mount_relative_path, signed) = made;
    let answer = MountUploadUrl {
        upload_url: signed.url,
        mount_relative_path,
        sandbox_mount_prefix: MOUNT_PREFIX,
        expires_at: iso(signed.expires_at),
    };
    Ok(json(StatusCode::CREATED, &answer)?)
}

/// `POST …/mounts/{mount_id}/download_url` → 201.
pub async fn download_url(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session, mount): TwoIds,
    body: JsonBody<MountPath>,
) -> Result<Response, ApiError> {
    let path = body.value.mount_relative_path;
    let (path, signed) = app.files.mount_download(&caller.project_id, &session.into(), &mount, &path).await?;
    let answer = MountDownloadUrl {
        download_url: signed.url,
        mount_relative_path: path,
        sandbox_mount_prefix: MOUNT_PREFIX,
        expires_at: iso(signed.expires_at),
    };
    Ok(json(StatusCode::CREATED, &answer)?)
}

/// `POST …/mounts/{mount_id}/delete` → 200.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(session, mount): TwoIds,
    body: JsonBody<MountPath>,
) -> Result<Response, ApiError> {
    let path = body.value.mount_relative_path;
    let path = app.files.mount_delete(&caller.actor(), &session.into(), &mount, &path).await?;
    Ok(json(StatusCode::OK, &MountDeleted { mount_relative_path: path, sandbox_mount_prefix: MOUNT_PREFIX })?)
}
