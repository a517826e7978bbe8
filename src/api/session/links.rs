//! `POST /tool_router/session/{session_id}/link`: the central call of this API.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_store::accounts::AccountType;

use crate::api::http::auth::Caller;
use crate::api::http::body::JsonBody;
use crate::api::http::error::ApiError;
use crate::api::http::once;
use crate::api::http::path::Id;
use crate::api::http::warnings::WarningResponse;
use crate::app::App;
use crate::app::link::{Link, LinkRequest, MAX_TRIES};
use crate::app::model::access_list::{Acl, AclInput};
use crate::app::model::expected_identity::ExpectedIdentity;
use crate::error::{Code, Error, Result};

// The published page has `account_type` at top level, current SDKs under `experimental`: both are
// accepted (contract section 3.1). Unknown keys are ignored, as in the hosted API.
/// What to connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "CreateSessionLink")]
pub struct Body {
    /// Toolkit slug, in any case.
    #[schemars(length(min = 1))]
    toolkit: String,
    /// Display name of the connection; unique among the user's connections of the toolkit.
    #[schemars(length(min = 1, max = 128))]
    alias: Option<String>,
    /// Where the browser goes afterwards: an absolute URL, `https://`, or `http://` on loopback.
    #[schemars(length(min = 1, max = 2_048))]
    callback_url: Option<String>,
    /// Who may use the account. Default `PRIVATE`.
    account_type: Option<WireAccountType>,
    /// Access list; with `SHARED` only.
    acl_config_for_shared: Option<AclInput>,
    /// The same two fields where SDKs write them; if both are given they must be equal.
    experimental: Option<AccountTypeInput>,
    /// The account at the provider that the link is for; any other one is rejected.
    expected_identity: Option<ExpectedIdentity>,
    /// The scheme to authenticate with, such as `API_KEY`, or `choose` to let the user choose. When
    /// omitted: that of the newest auth config; if there is none, the first scheme that works without
    /// one.
    #[schemars(length(min = 1, max = 64))]
    auth_scheme: Option<String>,
}

/// Account type and access list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "AccountTypeInput")]
pub struct AccountTypeInput {
    /// Fixed at creation; PRIVATE when omitted.
    account_type: Option<WireAccountType>,
    /// Who may use a SHARED account besides its user.
    acl_config_for_shared: Option<AclInput>,
}

impl AccountTypeInput {
    /// PRIVATE when omitted.
    pub fn account_type(&self) -> AccountType {
        self.account_type.map_or(AccountType::Private, Into::into)
    }

    /// The access list as given.
    pub fn acl(self) -> Option<AclInput> {
        self.acl_config_for_shared
    }
}

/// Who may use an account: only its user, or the users on its access list in sessions that pin it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "AccountType")]
#[serde(rename_all = "UPPERCASE")]
pub enum WireAccountType {
    /// Only its user.
    Private,
    /// The users on its access list.
    Shared,
}

impl From<WireAccountType> for AccountType {
    fn from(wire: WireAccountType) -> Self {
        match wire {
            WireAccountType::Private => Self::Private,
            WireAccountType::Shared => Self::Shared,
        }
    }
}

impl From<AccountType> for WireAccountType {
    fn from(kind: AccountType) -> Self {
        match kind {
            AccountType::Private => Self::Private,
            AccountType::Shared => Self::Shared,
        }
    }
}

// The account type is in both places.
/// A link to send the user to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedSessionLink")]
pub struct Answer<'a> {
    /// `lt_…`, the secret of the link; shown once.
    link_token: &'a str,
    /// Where to send the user's browser. Expires after ten minutes unless the operator has configured
    /// another time.
    redirect_url: &'a str,
    /// `ca_…`, the account that the link creates.
    connected_account_id: &'a str,
    /// As in `experimental`.
    account_type: WireAccountType,
    /// Account type and access list.
    experimental: AccountTypeView,
    /// The auth config that will be used. With `choose`, the user may select another one; the account
    /// says which.
    auth_config_id: &'a str,
    /// Its scheme.
    auth_scheme: &'static str,
    /// Warnings about the link: `SEVERAL_AUTH_CONFIGS`, `OTHER_SCHEME`, `NO_CHOICE`; absent when there
    /// are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningResponse>,
}

/// Account type and access list, as stored.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountTypeView")]
pub struct AccountTypeView {
    /// Fixed.
    account_type: WireAccountType,
    /// Only for SHARED accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_config_for_shared: Option<Acl>,
}

/// Account type and access list in responses.
pub fn experimental_view(account_type: AccountType, acl: Option<Acl>) -> AccountTypeView {
    AccountTypeView { account_type: account_type.into(), acl_config_for_shared: acl }
}

/// `POST /tool_router/session/{session_id}/link` → 201.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<Body>,
) -> std::result::Result<Response, ApiError> {
    let key = body.idempotency.as_ref();
    // Before the session is read: a retry gets its response even if the session was deleted since.
    if let Some(earlier) = once::earlier(&app, key).await? {
        return Ok(earlier);
    }
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let (actor, request) = (caller.actor(), body.value.into_request()?);
    for _ in 0..MAX_TRIES {
        let prepared = app.links.prepare(&actor, &session, &request).await?;
        let response = once::created(&view(&prepared.object.link))?;
        if let Some(commit) = app.links.commit(prepared, key, &response).await? {
            return Ok(once::committed(commit, response)?);
        }
    }
    Err(Error::of(Code::Conflict, &[("reason", &"Another request is changing the same resource")]).into())
}

impl Body {
    fn into_request(self) -> Result<LinkRequest> {
        if self.toolkit.is_empty() {
            return Err(Error::field("toolkit", "must have at least 1 character"));
        }
        let inner = self.experimental.unwrap_or_default();
        let account_type = same("account_type", self.account_type, inner.account_type)?;
        let acl = same("acl_config_for_shared", self.acl_config_for_shared, inner.acl_config_for_shared)?;
        Ok(LinkRequest {
            toolkit: self.toolkit,
            alias: self.alias,
            callback_url: self.callback_url,
            account_type: account_type.map_or(AccountType::Private, Into::into),
            acl,
            expected: self.expected_identity,
            auth_scheme: self.auth_scheme,
        })
    }
}

/// A value that is given in two places must be equal in both.
fn same<T: PartialEq>(name: &str, outer: Option<T>, inner: Option<T>) -> Result<Option<T>> {
    match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => {
            Err(Error::field(name, format!("differs from experimental.{name}"))
                .fix(format!("Give {name} in one place only.")))
        }
        (outer, inner) => Ok(outer.or(inner)),
    }
}

fn view(link: &Link) -> Answer<'_> {
    Answer {
        link_token: &link.token,
        redirect_url: &link.redirect_url,
        connected_account_id: &link.account_id,
        account_type: link.account_type.into(),
        experimental: experimental_view(link.account_type, link.acl.clone()),
        auth_config_id: &link.auth_config_id,
        auth_scheme: link.auth_scheme.as_str(),
        warnings: link.warnings.iter().map(WarningResponse::of_link).collect(),
    }
}

crate::redacted_debug!(Answer<'a>, AccountTypeView);
