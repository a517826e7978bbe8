//! Changes of a connected account: `PATCH`, `status`, `refresh` (contract section 4.6).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::text_of;
use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, OptionalJson, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::link::edit_account::{AccountPatch, CredentialPatch};
use crate::app::link::reconnect::RefreshResult;
use crate::app::model::access_list::AclInput;
use crate::error::{Error, Result};

/// Body of `PATCH /connected_accounts/{id}`. Omitted fields are unchanged.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UpdateConnectedAccount")]
pub struct PatchBody {
    /// A new alias, unique for the user and toolkit; the empty string removes it.
    alias: Option<String>,
    /// A new key, token or password.
    connection: Option<PatchConnection>,
    /// The access list of a SHARED account.
    experimental: Option<PatchExperimental>,
}

#[derive(Deserialize, JsonSchema)]
struct PatchConnection {
    /// The values to change.
    state: PatchState,
}

#[derive(Deserialize, JsonSchema)]
struct PatchState {
    /// Must be the account's own scheme.
    #[serde(rename = "authScheme")]
    auth_scheme: PatchScheme,
    /// Values by name; `null` removes one, omitted ones are unchanged.
    val: Map<String, Value>,
}

/// Schemes whose credentials can be replaced by the developer.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PatchScheme {
    BearerToken,
    ApiKey,
    Basic,
    BasicWithJwt,
    GoogleServiceAccount,
    ServiceAccount,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct PatchExperimental {
    /// Each part that is given replaces the stored one.
    acl_config_for_shared: Option<AclInput>,
}

/// Response of `PATCH /connected_accounts/{id}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UpdatedConnectedAccount")]
pub struct PatchResponse {
    /// Always true.
    success: bool,
    /// The account.
    id: String,
    /// Its status now.
    status: &'static str,
}

/// `PATCH /connected_accounts/{id}` → 200.
pub async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<PatchBody>,
) -> std::result::Result<Response, ApiError> {
    let row = app.links.patch_account(&caller.actor(), &id.as_str().into(), &body.value.into_patch()?).await?;
    let answer = PatchResponse { success: true, id: row.id.into(), status: row.status.as_str() };
    Ok(json(StatusCode::OK, &answer)?)
}

impl PatchBody {
    fn into_patch(self) -> Result<AccountPatch> {
        let credential = self.connection.map(|connection| connection.state.into_patch()).transpose()?;
        let acl = self.experimental.and_then(|experimental| experimental.acl_config_for_shared);
        Ok(AccountPatch { alias: self.alias, acl, credential })
    }
}

impl PatchState {
    fn into_patch(self) -> Result<CredentialPatch> {
        let scheme = serde_json::to_value(self.auth_scheme).map_err(Error::internal)?;
        let mut values = std::collections::BTreeMap::new();
        for (name, value) in self.val {
            let text = text_of(&name, value)?;
            values.insert(name, text);
        }
        Ok(CredentialPatch { scheme: scheme.as_str().unwrap_or_default().to_owned(), values })
    }
}

/// Body of `PATCH /connected_accounts/{id}/status`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "UpdateStatus")]
pub struct StatusBody {
    /// `false` makes an ACTIVE account INACTIVE, `true` makes it ACTIVE again.
    enabled: bool,
}

/// Response of `PATCH /connected_accounts/{id}/status`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Success")]
pub struct SuccessResponse {
    /// Always true.
    success: bool,
}

/// `PATCH /connected_accounts/{id}/status` → 200.
pub async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<StatusBody>,
) -> std::result::Result<Response, ApiError> {
    app.links.set_account_enabled(&caller.actor(), &id.as_str().into(), body.value.enabled).await?;
    Ok(json(StatusCode::OK, &SuccessResponse { success: true })?)
}

/// Body of `POST /connected_accounts/{id}/refresh`; may be omitted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "RefreshConnectedAccount")]
pub struct RefreshBody {
    /// Where the browser goes afterwards, if the user has to sign in again. Also accepted in the query.
    redirect_url: Option<String>,
    /// Whether the user may connect another account of the provider than before. Default false.
    allow_account_change: Option<bool>,
}

/// Response of `POST /connected_accounts/{id}/refresh`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RefreshedConnectedAccount")]
pub struct RefreshResponse {
    /// The account.
    id: String,
    /// ACTIVE when it works; INITIATED while it waits for its user.
    status: &'static str,
    /// The page to send the user to; null when the provider issued a new token without the user.
    redirect_url: Option<String>,
}

/// `POST /connected_accounts/{id}/refresh` → 200.
pub async fn refresh(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
    OptionalJson(body): OptionalJson<RefreshBody>,
) -> std::result::Result<Response, ApiError> {
    let callback = query.text("redirect_url").map(ToOwned::to_owned).or(body.redirect_url);
    let may_change = body.allow_account_change.unwrap_or(false);
    let RefreshResult { id, status, redirect_url } =
        app.links.refresh_account(&caller.actor(), &id.as_str().into(), callback.as_deref(), may_change).await?;
    Ok(json(StatusCode::OK, &RefreshResponse { id: id.into(), status: status.as_str(), redirect_url })?)
}

crate::redacted_debug!(PatchBody, PatchConnection, PatchState, RefreshResponse);
