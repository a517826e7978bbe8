//! Changes to an auth config: `PATCH`, enable and disable (contract section 5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{Credentials, Scopes, reject_unsupported, scopes_of, shared_of, take_scopes, take_text, texts};
use switchboard_types::ToolAccessConfig;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::{Id, TwoIds};
use crate::app::App;
use crate::app::auth_config::edit::AuthConfigPatch;
use crate::error::{Code, Error, Result};

/// Body of `PATCH /auth_configs/{id}`. Omitted fields are unchanged.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UpdateAuthConfig")]
pub struct PatchBody {
    /// The type of the auth config.
    #[serde(rename = "type")]
    kind: PatchType,
    /// A new name.
    name: Option<String>,
    /// With `custom`: values to set by name; `null` removes one, omitted ones are unchanged. Empty
    /// `scopes` mean the toolkit's own.
    credentials: Option<Credentials>,
    /// With `default`: the scopes to request; an empty list means the toolkit's own.
    #[schemars(with = "Option<Scopes>")]
    scopes: Option<Value>,
    /// With `default`: the user-level scopes to request.
    #[schemars(with = "Option<Scopes>")]
    user_scopes: Option<Value>,
    /// Whether sessions that name no auth config may use it.
    is_enabled_for_tool_router: Option<bool>,
    /// Each list replaces the stored one; omitted ones are unchanged, and an empty one removes it.
    tool_access_config: Option<ToolAccessConfig>,
    /// Replaces the stored list.
    restrict_to_following_tools: Option<Vec<String>>,
    /// Values of connection fields that all accounts connected from now on share; they replace all
    /// stored ones.
    shared_connection_fields: Option<Map<String, Value>>,
    /// The older name of `shared_connection_fields`.
    shared_credentials: Option<Map<String, Value>>,
    #[schemars(skip)]
    proxy_config: Option<Value>,
    #[schemars(skip)]
    sealed_credentials: Option<Value>,
}

/// Types of auth configs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UpdateAuthConfigType")]
enum PatchType {
    /// The operator's client.
    #[serde(alias = "use_composio_managed_auth")]
    Default,
    /// The project's own.
    #[serde(alias = "use_custom_auth")]
    Custom,
}

/// Confirms a change.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AuthConfigChanged")]
pub struct ChangeResponse {
    /// Always true.
    success: bool,
    /// For people.
    message: &'static str,
}

/// `PATCH /auth_configs/{id}` → 200.
pub async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<PatchBody>,
) -> std::result::Result<Response, ApiError> {
    let patch = body.value.into_patch()?;
    app.auth_configs.patch(&caller.actor(), &id.as_str().into(), &patch).await?;
    Ok(json(StatusCode::OK, &ChangeResponse { success: true, message: "Auth config updated" })?)
}

/// `PATCH /auth_configs/{id}/{status}` → 200. SDKs announce a JSON body and send none, so none is read.
pub async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    TwoIds(id, word): TwoIds,
) -> std::result::Result<Response, ApiError> {
    let (enabled, message) = match word.as_str() {
        "ENABLED" => (true, "Auth config enabled"),
        "DISABLED" => (false, "Auth config disabled"),
        _ => {
            return Err(Error::new(Code::AuthConfigBadRequest, "The status in the path is not known")
                .fix("Use PATCH /auth_configs/{id}/ENABLED or /auth_configs/{id}/DISABLED.")
                .into());
        }
    };
    app.auth_configs.set_enabled(&caller.actor(), &id.as_str().into(), enabled).await?;
    Ok(json(StatusCode::OK, &ChangeResponse { success: true, message })?)
}

impl PatchBody {
    fn into_patch(self) -> Result<AuthConfigPatch> {
        reject_unsupported(self.proxy_config.as_ref(), self.sealed_credentials.as_ref(), "")?;
        self.check_type()?;
        let mut credentials = self.credentials.unwrap_or_default();
        let at = "credentials";
        let (scopes, user_scopes) = match self.kind {
            PatchType::Custom => {
                (take_scopes(&mut credentials, "scopes", at)?, take_scopes(&mut credentials, "user_scopes", at)?)
            }
            PatchType::Default => (
                self.scopes.map(|value| scopes_of(value, "scopes")).transpose()?,
                self.user_scopes.map(|value| scopes_of(value, "user_scopes")).transpose()?,
            ),
        };
        Ok(AuthConfigPatch {
            is_managed: self.kind == PatchType::Default,
            name: self.name,
            scopes,
            user_scopes,
            oauth_redirect_uri: take_text(&mut credentials, "oauth_redirect_uri", at)?,
            credentials: texts(credentials, at)?,
            shared: shared_of(self.shared_connection_fields, self.shared_credentials, "")?,
            is_enabled_for_tool_router: self.is_enabled_for_tool_router,
            tool_access_config: self.tool_access_config,
            restrict_to_following_tools: self.restrict_to_following_tools,
        })
    }

    /// Each type has its own field for scopes; in the other one they would be lost.
    fn check_type(&self) -> Result<()> {
        match self.kind {
            PatchType::Custom if self.scopes.is_some() => {
                Err(Error::field("scopes", "belongs in credentials with type custom"))
            }
            PatchType::Custom if self.user_scopes.is_some() => {
                Err(Error::field("user_scopes", "belongs in credentials with type custom"))
            }
            PatchType::Default if self.credentials.as_ref().is_some_and(|credentials| !credentials.is_empty()) => {
                Err(Error::field("credentials", "is not taken with type default; scopes and user_scopes may be set"))
            }
            _ => Ok(()),
        }
    }
}

crate::redacted_debug!(PatchBody);
