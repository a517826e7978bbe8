//! Connected accounts: one user's credential for one auth config.
//!
//! `state.rs` has the writes of the link flow, `edit.rs` later changes by the developer, `refresh.rs` the
//! fenced writes of a refresh, `revoke.rs` the writes that end an account and revoke its credential,
//! `read.rs` the finders, `list.rs` the paged lists, `shown.rs` the accounts of a session, `connecting.rs` the one of a
//! link. Every finder takes the project; there is no other.

mod connecting;
mod edit;
mod list;
mod read;
mod refresh;
mod revoke;
mod shown;
mod state;

pub use connecting::ConnectingAccount;
pub use edit::{AliasEdit, CredentialEdit, Edit, Relink, disable, edit, enable, reconnect};
pub use list::{AccountFilter, AccountOrder, AccountTypeFilter};
pub use read::CredentialFilter;
pub(crate) use read::read_by_id;
pub use refresh::{RefreshFailure, Refreshed, store_refreshed};
pub use shown::AccountQuery;
pub use state::{
    Activation, DELETE_BATCH, NewAccount, activate, delete, delete_batch_of_auth_config, delete_of_auth_config,
    end_connecting, initiate, insert, lock_for_link, record_failed_attempt, set_auth_config,
};

use std::sync::Arc;

use switchboard_types::{
    AccountId, AccountParams, AllowedTools, AuthConfigId, CredentialVersion, Fence, LinkId, ProjectId, Reason, Scheme,
    Timestamp,
};

/// Status of an account (contract section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Created by a link call; the link was not opened yet.
    Initializing,
    /// The user is at the provider.
    Initiated,
    /// Usable.
    Active,
    /// Connecting failed.
    Failed,
    /// Never completed in time, or can no longer be refreshed.
    Expired,
    /// Disabled.
    Inactive,
    /// Revoked at the provider.
    Revoked,
}

impl AccountStatus {
    /// All of them, for filters and documentation.
    pub const ALL: [Self; 7] =
        [Self::Initializing, Self::Initiated, Self::Active, Self::Failed, Self::Expired, Self::Inactive, Self::Revoked];

    /// The name in the API contract.
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

    /// Parses the name in the API contract.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether its link may still connect it for the first time.
    pub fn is_connecting(self) -> bool {
        matches!(self, Self::Initializing | Self::Initiated)
    }

    /// Whether it has been connected and can get another credential in place of its own, which may have expired.
    pub fn is_reconnectable(self) -> bool {
        matches!(self, Self::Active | Self::Inactive | Self::Expired)
    }
}

/// Who may use an account. Fixed at creation (contract section 3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountType {
    /// Only its user.
    #[default]
    Private,
    /// The users on its access list, in sessions that pin it.
    Shared,
}

impl AccountType {
    /// The name in the API contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::Shared => "SHARED",
        }
    }

    /// Parses the name in the API contract.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Private, Self::Shared].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An account that was not deleted.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// `ca_…`.
    pub id: AccountId,
    /// Owner.
    pub project_id: ProjectId,
    /// The project's end user.
    pub user_id: String,
    /// Toolkit slug.
    pub toolkit: String,
    /// `ac_…`.
    pub auth_config_id: AuthConfigId,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// Status.
    pub status: AccountStatus,
    /// Reason for the status.
    pub status_reason: Option<Reason>,
    /// Name given by the developer.
    pub alias: Option<String>,
    /// Name in words, such as `github_red-castle-7k2m`.
    pub word_id: String,
    /// Who may use it.
    pub account_type: AccountType,
    /// JSON of the access list; only with SHARED.
    pub acl: Option<String>,
    /// JSON: connection fields, scopes, captured values.
    pub params: Box<AccountParams>,
    /// Credential, sealed.
    pub credential_sealed: Option<Vec<u8>>,
    /// Incremented with every credential written.
    pub credential_version: CredentialVersion,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// When the access token was issued.
    pub issued_at: Option<Timestamp>,
    /// Newest lease number.
    pub refresh_fence: Fence,
    /// Until when a refresh holds the lease.
    pub refresh_lease_until: Option<Timestamp>,
    /// When a refresh was sent whose outcome is not recorded.
    pub refresh_started_at: Option<Timestamp>,
    /// Consecutive transient failures.
    pub refresh_failures: i64,
    /// Consecutive rejections that could not be interpreted.
    pub refresh_rejections: i64,
    /// No refresh before this time.
    pub refresh_retry_at: Option<Timestamp>,
    /// When the next refresh is due; `None` if it never is.
    pub refresh_due_at: Option<Timestamp>,
    /// The newest link that connects it.
    pub link_id: Option<LinkId>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Its auth config exists and is enabled.
    pub has_enabled_auth_config: bool,
    /// The only tools that its auth config lets it run; `None` for any. Only if the auth config is enabled.
    pub allowed_tools: Option<Arc<AllowedTools>>,
}
