//! A connected account in responses (contract sections 4.1 to 4.4).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use switchboard_store::accounts::{AccountStatus, AccountType};

use super::state_view::state_val;
use crate::api::session::links::{AccountTypeView, experimental_view};
use crate::app::account::{AccountView, Lifetime};
use crate::app::model::access_list::Acl;
use crate::error::{Error, Result};
use crate::time::iso;
use switchboard_types::{AccountIdentity, AccountParams};

/// A connected account in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectedAccount")]
pub struct AccountItem {
    /// `ca_…`.
    pub id: String,
    /// Display name, given when the link was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The account's toolkit.
    pub toolkit: AccountToolkit,
    /// The account's auth config.
    pub auth_config: AccountAuthConfig,
    /// Authentication scheme.
    #[serde(rename = "authScheme")]
    pub auth_scheme: String,
    /// Name made of words, which helps a model to distinguish accounts.
    pub word_id: String,
    /// The end user of your application.
    pub user_id: String,
    /// Status of the account.
    pub status: AccountStatusWord,
    /// Who may use it.
    pub experimental: AccountTypeView,
    // Null rather than absent: the TypeScript SDKs warn about a missing key.
    /// The reason for the status; null if nothing went wrong.
    pub status_reason: Option<String>,
    /// RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// The account's values, secrets masked.
    pub state: AccountState,
    /// The same as `state.val`.
    pub data: AccountVal,
    /// The user's identity at the provider; null if the toolkit cannot look it up.
    pub identity: Option<AccountIdentity>,
    /// Scopes that were requested and granted; null for credentials without scopes.
    pub scopes: Option<AccountScopes>,
    /// When the account's tokens expire, as far as known.
    pub lifetime: AccountLifetime,
    /// The account is disabled.
    pub is_disabled: bool,
}

/// A connected account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectedAccountDetails")]
pub struct AccountResponse {
    /// As in lists.
    #[serde(flatten)]
    pub item: AccountItem,
    /// Always empty; kept for clients that read it.
    pub params: BTreeMap<String, Value>,
    /// Scopes that were requested when connecting.
    pub requested_scopes: Vec<String>,
    /// User scopes that were requested when connecting, if the toolkit has any.
    pub requested_user_scopes: Vec<String>,
}

/// Scopes of an account. At many providers users can deselect some.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccountScopes {
    /// Requested.
    pub requested: Vec<String>,
    /// Granted; null if the provider did not say, which means as requested (RFC 6749 section 5.1).
    pub granted: Option<Vec<String>>,
    /// Requested but not granted.
    pub missing: Vec<String>,
}

/// Expiry times, RFC 3339; null where there is no expiry, or none is known.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccountLifetime {
    /// Expiry of the access token; it is refreshed before.
    pub access_token_expires_at: Option<String>,
    /// When the access token is due for a refresh.
    pub refresh_due_at: Option<String>,
    /// When the user must connect again, no matter how often the token was refreshed.
    pub hard_expiry: Option<String>,
    /// When an unused refresh token expires; automatic refreshes extend it.
    pub idle_expiry: Option<String>,
}

/// An account's toolkit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccountToolkit {
    /// Toolkit slug.
    pub slug: String,
}

/// An account's auth config.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AccountAuthConfig {
    /// `ac_…`.
    pub id: String,
    /// Authentication scheme.
    pub auth_scheme: String,
    /// Uses the operator's client.
    pub is_composio_managed: bool,
    /// Disabled or deleted.
    pub is_disabled: bool,
}

/// Status of an account.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "AccountStatus")]
pub enum AccountStatusWord {
    /// Created; its link has not been opened.
    Initializing,
    /// Its user is at the provider.
    Initiated,
    /// In use.
    Active,
    /// Connecting failed.
    Failed,
    /// Its credential has expired.
    Expired,
    /// Disabled.
    Inactive,
    /// Its user or an operator revoked the credential.
    Revoked,
}

/// The account's values.
#[derive(Clone, Serialize, JsonSchema)]
pub struct AccountState {
    /// Authentication scheme.
    #[serde(rename = "authScheme")]
    pub auth_scheme: String,
    /// Status, connection fields, and the credential, masked.
    pub val: AccountVal,
}

/// Status, connection fields, and the credential, masked. Other keys depend on the scheme.
#[derive(Clone, Serialize, JsonSchema)]
pub struct AccountVal {
    /// As `status` of the account.
    pub status: AccountStatusWord,
    /// The fields of the toolkit and scheme.
    #[serde(flatten)]
    pub fields: BTreeMap<String, Value>,
}

impl AccountItem {
    /// The account as shown in lists.
    pub fn new(account: &AccountView, public_url: &str) -> Result<Self> {
        let row = &account.row;
        let params = &row.params;
        let val = state_val(account, params, public_url);
        let config = account.auth_config.as_ref();
        Ok(Self {
            id: row.id.to_string(),
            alias: row.alias.clone(),
            toolkit: AccountToolkit { slug: row.toolkit.clone() },
            auth_config: AccountAuthConfig {
                id: row.auth_config_id.to_string(),
                auth_scheme: row.scheme.to_string(),
                is_composio_managed: config.is_some_and(|config| config.is_managed),
                is_disabled: config.is_none_or(|config| !config.is_enabled),
            },
            auth_scheme: row.scheme.to_string(),
            word_id: row.word_id.clone(),
            user_id: row.user_id.clone(),
            status: account.status().into(),
            experimental: experimental(account)?,
            status_reason: account.status_reason(),
            created_at: iso(row.created_at),
            updated_at: iso(row.updated_at),
            state: AccountState { auth_scheme: row.scheme.to_string(), val: val.clone() },
            data: val,
            is_disabled: account.status() == AccountStatus::Inactive,
            identity: params.identity.clone(),
            scopes: scopes(params),
            lifetime: lifetime(&account.lifetime),
        })
    }
}

impl AccountResponse {
    /// The account as shown on its own.
    pub fn new(account: &AccountView, public_url: &str) -> Result<Self> {
        let params = &account.row.params;
        Ok(Self {
            item: AccountItem::new(account, public_url)?,
            params: BTreeMap::new(),
            requested_scopes: params.requested_scopes.clone(),
            requested_user_scopes: params.requested_user_scopes.clone(),
        })
    }
}

fn scopes(params: &AccountParams) -> Option<AccountScopes> {
    if params.requested_scopes.is_empty() && params.granted_scopes.is_none() {
        return None;
    }
    Some(AccountScopes {
        requested: params.requested_scopes.clone(),
        granted: params.granted_scopes.clone(),
        missing: params.missing_scopes(),
    })
}

fn lifetime(lifetime: &Lifetime) -> AccountLifetime {
    AccountLifetime {
        access_token_expires_at: lifetime.access_token_expires_at.map(iso),
        refresh_due_at: lifetime.refresh_due_at.map(iso),
        hard_expiry: lifetime.hard_expiry.map(iso),
        idle_expiry: lifetime.idle_expiry.map(iso),
    }
}

fn experimental(account: &AccountView) -> Result<AccountTypeView> {
    let row = &account.row;
    let acl = row.acl.as_deref().filter(|_| row.account_type == AccountType::Shared);
    let acl: Option<Acl> = acl.map(serde_json::from_str).transpose().map_err(Error::internal)?;
    Ok(experimental_view(row.account_type, acl))
}

impl From<AccountStatus> for AccountStatusWord {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Initializing => Self::Initializing,
            AccountStatus::Initiated => Self::Initiated,
            AccountStatus::Active => Self::Active,
            AccountStatus::Failed => Self::Failed,
            AccountStatus::Expired => Self::Expired,
            AccountStatus::Inactive => Self::Inactive,
            AccountStatus::Revoked => Self::Revoked,
        }
    }
}

// A masked credential still does not belong in a log.
crate::redacted_debug!(AccountItem, AccountResponse, AccountState, AccountVal);
