//! Connecting without a session: `POST /connected_accounts/link`, the older `POST /connected_accounts`,
//! and `complete_auth` (contract sections 3.7, 3.8 and 4.5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_types::ProjectId;

use super::state::StateBody;
use super::state_view::state_val;
use super::view::AccountState;
use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::once;
use crate::api::http::warnings::{WarningResponse, about_user};
use crate::api::session::links::{AccountTypeInput, AccountTypeView, WireAccountType, experimental_view};
use crate::app::App;
use crate::app::link::Link;
use crate::app::link::direct::DirectLink;
use crate::app::link::import::Connection;
use crate::app::model::expected_identity::ExpectedIdentity;
use crate::error::{Error, Result};
use crate::time::iso;

/// Body of `POST /connected_accounts/link`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CreateLink")]
pub struct LinkBody {
    /// How to connect: an auth config of this project.
    auth_config_id: String,
    /// Your id of the end user.
    #[schemars(length(min = 1, max = 256))]
    user_id: String,
    /// A name for the connection, unique for the user and toolkit.
    alias: Option<String>,
    /// Where the browser goes afterwards.
    callback_url: Option<String>,
    /// Connection fields that you already know; the page does not ask for them.
    connection_data: Option<StateBody>,
    /// Account type and access list.
    experimental: Option<AccountTypeInput>,
    /// The account at the provider that the link is for; any other one is rejected.
    expected_identity: Option<ExpectedIdentity>,
}

/// Response of `POST /connected_accounts/link`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedLink")]
pub struct LinkResponse {
    /// Secret of the link, shown only once.
    link_token: String,
    /// The page to send the user to.
    redirect_url: String,
    /// The link cannot be opened after this time.
    expires_at: String,
    /// The new account, INITIALIZING.
    connected_account_id: String,
    /// As in `experimental`.
    account_type: WireAccountType,
    /// Account type and access list.
    experimental: AccountTypeView,
    /// As requested.
    auth_config_id: String,
    /// The auth config's scheme.
    auth_scheme: String,
    /// Something that is allowed but not advisable; absent when there are no warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningResponse>,
}

/// `POST /connected_accounts/link` → 201.
pub async fn link(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<LinkBody>,
) -> std::result::Result<Response, ApiError> {
    let given = body.value;
    let experimental = given.experimental.unwrap_or_default();
    let warnings = about_user(&given.user_id);
    let request = DirectLink {
        auth_config_id: given.auth_config_id.into(),
        user_id: given.user_id,
        alias: given.alias,
        callback_url: given.callback_url,
        account_type: experimental.account_type(),
        acl: experimental.acl(),
        known: given.connection_data.map(StateBody::into_known).transpose()?,
        expected: given.expected_identity,
    };
    let key = body.idempotency.as_ref();
    if let Some(earlier) = once::earlier(&app, key).await? {
        return Ok(earlier);
    }
    let prepared = app.links.prepare_direct(&caller.actor(), request).await?;
    let response = once::created(&link_view(&prepared.object.link, warnings))?;
    let commit = app.links.commit_direct(prepared, key, &response).await?;
    Ok(once::committed(commit, response)?)
}

fn link_view(link: &Link, warnings: Vec<WarningResponse>) -> LinkResponse {
    LinkResponse {
        link_token: link.token.clone(),
        redirect_url: link.redirect_url.clone(),
        expires_at: iso(link.expires_at),
        connected_account_id: link.account_id.to_string(),
        account_type: link.account_type.into(),
        experimental: experimental_view(link.account_type, link.acl.clone()),
        auth_config_id: link.auth_config_id.to_string(),
        auth_scheme: link.auth_scheme.to_string(),
        warnings,
    }
}

/// Body of the older `POST /connected_accounts`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CreateConnectedAccount")]
pub struct CreateBody {
    /// How to connect.
    auth_config: AuthConfigRef,
    /// What to connect.
    connection: ConnectionBody,
}

#[derive(Deserialize, JsonSchema)]
struct AuthConfigRef {
    /// An auth config of this project.
    id: String,
}

#[derive(Deserialize, JsonSchema)]
struct ConnectionBody {
    /// A complete credential makes the account ACTIVE at once; connection fields alone are kept for the
    /// page.
    state: Option<StateBody>,
    /// Your id of the end user; `default` when omitted.
    #[schemars(length(min = 1, max = 256))]
    user_id: Option<String>,
    /// A name for the connection, unique for the user and toolkit.
    alias: Option<String>,
    /// Where the browser goes afterwards.
    callback_url: Option<String>,
    /// Older name of `callback_url`.
    redirect_uri: Option<String>,
    /// Account type and access list.
    experimental: Option<AccountTypeInput>,
}

/// Response of the older `POST /connected_accounts`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedConnectedAccount")]
pub struct CreateResponse {
    /// The new account.
    id: String,
    /// Its state; secrets are masked.
    #[serde(rename = "connectionData")]
    connection_data: AccountState,
    /// ACTIVE, or INITIATED while the user has to go to `redirect_url`.
    status: &'static str,
    /// The page to send the user to; null when there is nothing to do.
    redirect_url: Option<String>,
    /// The same under its older name.
    redirect_uri: Option<String>,
    /// Account type and access list.
    experimental: AccountTypeView,
    /// Something that is allowed but not advisable; absent when there are no warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningResponse>,
}

/// `POST /connected_accounts` → 201.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<CreateBody>,
) -> std::result::Result<Response, ApiError> {
    let CreateBody { auth_config, connection } = body.value;
    let experimental = connection.experimental.unwrap_or_default();
    let request = DirectLink {
        auth_config_id: auth_config.id.into(),
        user_id: connection.user_id.unwrap_or_else(|| "default".to_owned()),
        alias: connection.alias,
        callback_url: connection.callback_url.or(connection.redirect_uri),
        account_type: experimental.account_type(),
        acl: experimental.acl(),
        known: connection.state.map(StateBody::into_known).transpose()?,
        expected: None,
    };
    let made = app.links.create_connection(&caller.actor(), request).await?;
    let answer = create_view(&app, &caller.project_id, made).await?;
    Ok(json(StatusCode::CREATED, &answer)?)
}

async fn create_view(app: &App, project: &ProjectId, made: Connection) -> Result<CreateResponse> {
    let account = app.accounts.get(project, &made.account_id).await?;
    let params = &account.row.params;
    let mut val = state_val(&account, params, &app.core.settings.public_url);
    if let Some(url) = &made.redirect_url {
        val.fields.insert("redirectUrl".to_owned(), url.as_str().into());
    }
    Ok(CreateResponse {
        id: made.account_id.into(),
        connection_data: AccountState { auth_scheme: made.scheme.to_string(), val },
        status: made.status.as_str(),
        redirect_uri: made.redirect_url.clone(),
        redirect_url: made.redirect_url,
        experimental: experimental_view(made.account_type, made.acl),
        warnings: about_user(&account.row.user_id),
    })
}

/// Body of `POST /connected_accounts/complete_auth`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CompleteAuth")]
pub struct CompleteBody {
    /// From the query of your verifier URL.
    #[schemars(length(min = 1))]
    session_uri: String,
    /// The user who is signed in to your app in that browser.
    #[schemars(length(min = 1))]
    user_id: String,
}

/// Response of `POST /connected_accounts/complete_auth`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CompletedAuth")]
pub struct CompleteResponse {
    /// The account, ACTIVE now unless there is a `redirect_url`.
    connected_account_id: String,
    /// Its toolkit.
    toolkit_slug: String,
    /// Where to send the user's browser, if the user has to choose what to connect; the account is
    /// ACTIVE after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
}

/// `POST /connected_accounts/complete_auth` → 200.
pub async fn complete(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<CompleteBody>,
) -> std::result::Result<Response, ApiError> {
    let given = body.value;
    for (name, value) in [("session_uri", &given.session_uri), ("user_id", &given.user_id)] {
        if value.is_empty() {
            return Err(Error::field(name, "must have at least 1 character").into());
        }
    }
    let confirmed = app.connector.complete_auth(&caller.actor(), &given.session_uri, &given.user_id).await?;
    let answer = CompleteResponse {
        connected_account_id: confirmed.account_id.into(),
        toolkit_slug: confirmed.toolkit,
        redirect_url: confirmed.choose_url,
    };
    Ok(json(StatusCode::OK, &answer)?)
}

crate::redacted_debug!(LinkBody, LinkResponse, CreateBody, ConnectionBody, CreateResponse, CompleteBody);
