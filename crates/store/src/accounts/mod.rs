//! Connected accounts: one user's credential for one auth config.
//!
//! `state.rs` holds the writes of the link flow, `edit.rs` what a developer changes afterwards,
//! `refresh.rs` the fenced writes of a refresh, `revoke.rs` the ends that hand a credential over to
//! be revoked, `read.rs` the finders, `list.rs` the pages of a list. Every finder demands the project; there is no other.

mod edit;
mod list;
mod read;
mod refresh;
mod revoke;
mod state;

pub use edit::{AliasEdit, CredentialEdit, Edit, disable, edit, enable, reconnect, relink, restart};
pub use list::{AccountFilter, AccountOrder, AccountTypeFilter};
pub use read::{HeldFilter, Wanted};
pub use refresh::{RefreshFailure, Refreshed, clear_lease, expire_refreshed, lease, put_off, store_refreshed};
pub use revoke::{delete_version, hold, release, revoke_version};
pub use state::{
    Activation, NewAccount, SOME, activate, delete, delete_of_auth_config, delete_some_of_auth_config, end_unconnected,
    initiate, insert, note_attempt, take_auth_config,
};

use crate::ReadError;

/// Status of an account (contract section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Made by a link call; nobody opened the link yet.
    Initializing,
    /// The user is at the provider.
    Initiated,
    /// Usable.
    Active,
    /// Connecting did not work.
    Failed,
    /// Never completed in time, or can no longer be refreshed.
    Expired,
    /// Switched off.
    Inactive,
    /// Revoked at the provider.
    Revoked,
}

impl AccountStatus {
    /// All of them, for filters and documentation.
    pub const ALL: [Self; 7] =
        [Self::Initializing, Self::Initiated, Self::Active, Self::Failed, Self::Expired, Self::Inactive, Self::Revoked];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Initiated => "INITIATED",
            Self::Active => "ACTIVE",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Inactive => "INACTIVE",
            Self::Revoked => "REVOKED",
        }
    }

    /// The status of a contract word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Who may use an account. Fixed at creation (contract section 3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountType {
    /// Its user only.
    #[default]
    Private,
    /// Whom its access list admits, where a session pins it.
    Shared,
}

impl AccountType {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::Shared => "SHARED",
        }
    }

    /// The type of a contract word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Private, Self::Shared].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An account that was not deleted.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// `ca_…`.
    pub id: String,
    /// Owner.
    pub project_id: String,
    /// The project's end user.
    pub user_id: String,
    /// Toolkit slug.
    pub toolkit: String,
    /// `ac_…`.
    pub auth_config_id: String,
    /// Contract name of the scheme.
    pub scheme: String,
    /// Where it stands.
    pub status: AccountStatus,
    /// Why it stands there.
    pub status_reason: Option<String>,
    /// Name given by the developer.
    pub alias: Option<String>,
    /// Name in words, such as `github_red-castle-7k2m`.
    pub word_id: String,
    /// Who may use it.
    pub account_type: AccountType,
    /// JSON of the access list; only with SHARED.
    pub acl: Option<String>,
    /// JSON: connection fields, scopes, captured values.
    pub params: String,
    /// Credential, sealed.
    pub credential_sealed: Option<Vec<u8>>,
    /// +1 with every credential written.
    pub credential_version: i64,
    /// When the access token dies; milliseconds since 1970, as all times here.
    pub expires_at: Option<i64>,
    /// When it arrived.
    pub issued_at: Option<i64>,
    /// Newest lease number.
    pub refresh_fence: i64,
    /// Someone refreshes until then.
    pub refresh_lease_until: Option<i64>,
    /// A refresh was sent and its outcome was not recorded.
    pub refresh_started_at: Option<i64>,
    /// Transient failures in a row.
    pub refresh_failures: i64,
    /// Refusals in a row that could not be understood.
    pub refresh_rejections: i64,
    /// No refresh before that.
    pub refresh_retry_at: Option<i64>,
    /// When it is due to be refreshed; none for one that never is.
    pub refresh_due_at: Option<i64>,
    /// The newest link that connects it.
    pub link_id: Option<String>,
    /// Creation.
    pub created_at: i64,
    /// Last change.
    pub updated_at: i64,
    /// Its auth config exists and is enabled.
    pub has_enabled_auth_config: bool,
}

fn parse_status(text: &str) -> Result<AccountStatus, ReadError> {
    AccountStatus::parse(text).ok_or_else(|| ReadError::Impossible(format!("account status {text:?}")))
}

pub(crate) fn parse_type(text: &str) -> Result<AccountType, ReadError> {
    AccountType::parse(text).ok_or_else(|| ReadError::Impossible(format!("account type {text:?}")))
}
