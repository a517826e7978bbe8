//! Workspaces of a user, as with providers that have several for one account.

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::auth::Caller;
use super::error::ApiError;
use super::json::json_response;
use crate::users::User;

/// Identifier, name and members.
const WORKSPACES: [(&str, &str, &[User]); 2] =
    [("ws_home", "Alice at home", &[User::Alice]), ("ws_team", "The whole team", &[User::Alice, User::Bob])];

/// `GET /api/workspaces`: the caller's workspaces.
pub(super) async fn list(Caller { user, .. }: Caller) -> Response {
    let mine = WORKSPACES.iter().filter(|(_, _, members)| members.contains(&user));
    let listed: Vec<Value> = mine.map(|(id, name, _)| json!({ "id": id, "name": name })).collect();
    json_response(StatusCode::OK, &json!({ "workspaces": listed }))
}

/// `GET /api/workspaces/{id}/summary`: one of them.
pub(super) async fn summary(Caller { user, .. }: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let found = WORKSPACES.iter().find(|(known, _, members)| *known == id && members.contains(&user));
    let (id, name, members) = found.ok_or_else(|| ApiError::not_found("there is no such workspace"))?;
    let body = json!({ "id": id, "name": name, "members": members.len() });
    Ok(json_response(StatusCode::OK, &body))
}
