//! `/api/notes`: list, create, delete. Users see only their own notes; other notes are reported as not found.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{NotesReader, NotesWriter};
use super::error::ApiError;
use super::json::json_response;
use crate::app::App;
use crate::form::has_media_type;
use crate::state::{MAX_NOTES_PER_USER, Note};

/// Maximum length of a note in characters.
const MAX_CHARS: usize = 4000;

const ID_PREFIX: &str = "note_";

/// `GET /api/notes`, oldest first.
pub(super) async fn list(State(app): State<Arc<App>>, NotesReader(user): NotesReader) -> Response {
    let notes = app.store.read(|state| state.notes_of(user));
    let notes: Vec<Value> = notes.iter().map(as_json).collect();
    json_response(StatusCode::OK, &json!({ "notes": notes }))
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

/// `POST /api/notes` with `{"text": …}` of 1 to 4000 characters.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    NotesWriter(user): NotesWriter,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    if !has_media_type(&headers, "application/json") {
        return Err(ApiError::not_json());
    }
    let NewNote { text } = serde_json::from_slice(&body?)
        .map_err(|error| ApiError::invalid_request(format!("the body is not a note: {error}")))?;
    let length = text.chars().count();
    if !(1..=MAX_CHARS).contains(&length) {
        let message = format!("text has {length} characters, not 1 to {MAX_CHARS}");
        return Err(ApiError::invalid_request(message));
    }
    let now_ms = app.now_ms();
    let added = app
        .store
        .change(move |state| state.add_note(user, text, now_ms))
        .await
        .map_err(|_| ApiError::storage_failed())?;
    let note = added.map_err(|_| ApiError::too_many_notes(MAX_NOTES_PER_USER))?;
    Ok(json_response(StatusCode::CREATED, &as_json(&note)))
}

/// `DELETE /api/notes/{id}`.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    NotesWriter(user): NotesWriter,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let no_such_note = || ApiError::not_found("the user has no such note");
    let number = id.strip_prefix(ID_PREFIX).and_then(|number| number.parse().ok()).ok_or_else(no_such_note)?;
    let is_deleted =
        app.store.change(move |state| state.delete_note(user, number)).await.map_err(|_| ApiError::storage_failed())?;
    if !is_deleted {
        return Err(no_such_note());
    }
    Ok(StatusCode::NO_CONTENT)
}

fn as_json(note: &Note) -> Value {
    let created_at = DateTime::from_timestamp_millis(note.created_at_ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    json!({
        "id": format!("{ID_PREFIX}{}", note.number),
        "text": note.text,
        "created_at": created_at,
    })
}
