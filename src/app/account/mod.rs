//! Connected accounts: reading, listing and deleting them, and their lifetime.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard_catalog::Refresh;
use switchboard_catalog::Scheme;
use switchboard_store::accounts::{self, AccountFilter, AccountRow, AccountStatus};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::{ListPage, PageQuery, Refusal, Topic, Unit, Versioned, WriteError, links, unread_answers};
use switchboard_types::{AccountId, AuditAction, AuditOutcome, LinkOutcome, ProjectId, Timestamp};
use switchboard_vault::{Entropy, Secrets};

use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::base::errors::{account_not_found, readable};
use crate::app::credential::Credentials;
use crate::app::credential::seals::check_readable;
use crate::app::project::Projects;
use crate::app::revocation::Revocations;
use crate::error::Result;

/// An account with everything that a response needs.
#[derive(Debug)]
pub struct AccountView {
    /// The row.
    pub row: AccountRow,
    /// Its auth config; none if it was deleted.
    pub auth_config: Option<AuthConfigRow>,
    /// The credential. A response must mask it (contract section 4.4).
    pub secrets: Secrets,
    /// The client that the account was connected with, if it was registered dynamically or has a metadata
    /// document.
    pub client_id: Option<String>,
    /// Whether the project masks secrets.
    pub mask: bool,
    /// When its tokens expire.
    pub lifetime: Lifetime,
}

/// When the tokens expire, as far as the toolkit and the provider say, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lifetime {
    /// When the access token expires.
    pub access_token_expires_at: Option<Timestamp>,
    /// When the access token is due for a refresh.
    pub refresh_due_at: Option<Timestamp>,
    /// When the user must reconnect in any case.
    pub hard_expiry: Option<Timestamp>,
    /// When the refresh token expires if it is not used.
    pub idle_expiry: Option<Timestamp>,
}

/// How long a response is remembered. A change by a server or command of ours is seen at once. One that is made to the
/// database by other means, or to a toolkit file, is seen after this.
const SHOWN_LIFETIME: Duration = Duration::from_secs(1);
/// Maximum size of a response that is remembered, in bytes.
const MAX_SHOWN: usize = 16 * 1024;

/// Status reason of an account whose auth config is disabled.
pub const CONFIG_DISABLED: &str = "Auth config is disabled";

impl AccountView {
    /// Whether the account is unusable only because its auth config is disabled.
    pub fn is_disabled_by_config(&self) -> bool {
        self.status() != self.row.status
    }

    /// The status for responses: an active account of a disabled auth config is INACTIVE. The row keeps its own
    /// status.
    pub fn status(&self) -> AccountStatus {
        effective_status(&self.row)
    }

    /// The status reason for responses.
    pub fn status_reason(&self) -> Option<String> {
        if self.is_disabled_by_config() {
            return Some(CONFIG_DISABLED.to_owned());
        }
        self.row.status_reason.as_ref().map(ToString::to_string)
    }
}

/// The status for responses; see [`AccountView::status`].
pub fn effective_status(row: &AccountRow) -> AccountStatus {
    let is_disabled_by_config = row.status == AccountStatus::Active && !row.has_enabled_auth_config;
    if is_disabled_by_config { AccountStatus::Inactive } else { row.status }
}

/// Connected accounts.
pub struct Accounts {
    core: Arc<Core>,
    projects: Arc<Projects>,
    credentials: Arc<Credentials>,
    revocations: Arc<Revocations>,
    /// Responses with an account, which clients ask for again and again while a user connects. Only those whose
    /// secrets are masked.
    shown: Versioned<(ProjectId, AccountId), Bytes>,
}

crate::redacted_debug!(Accounts);

impl Accounts {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        projects: Arc<Projects>,
        credentials: Arc<Credentials>,
        revocations: Arc<Revocations>,
    ) -> Self {
        let shown = Versioned::new(Topic::Accounts, SHOWN_LIFETIME, |shown: &Bytes| shown.len() <= MAX_SHOWN);
        Self { core, projects, credentials, revocations, shown }
    }
}

impl Accounts {
    /// One account of the caller's project, as `render` shows it. It is remembered until anything of an account, of an
    /// auth config or of a project's settings is changed, by any process, and for at most a second.
    pub async fn show(
        &self,
        project: &ProjectId,
        id: &AccountId,
        render: impl FnOnce(&AccountView) -> Result<Vec<u8>>,
    ) -> Result<Bytes> {
        let mut unmasked = None;
        let read = async || -> Result<Option<Bytes>> {
            let account = self.get(project, id).await?;
            let shown = Bytes::from(render(&account)?);
            if account.mask {
                return Ok(Some(shown));
            }
            unmasked = Some(shown);
            Ok(None)
        };
        let masked = self.shown.get(&self.core.store, (project.clone(), id.clone()), read).await?;
        masked.or(unmasked).ok_or_else(|| account_not_found(id))
    }

    /// Forgets responses that were remembered for long enough.
    pub(in crate::app) fn forget_old(&self) {
        self.shown.forget_old();
    }

    /// One account of the caller's project.
    pub async fn get(&self, project: &ProjectId, id: &AccountId) -> Result<AccountView> {
        let row = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
        let mask = self.projects.settings(project).await?.mask_secret_keys_in_connected_account;
        let config = self.core.store.auth_config(project, &row.auth_config_id).await?;
        self.account_view(row, config, mask)
    }

    /// One page of accounts, rendered by `render`. A row that cannot be read is logged and left out. Decrypting
    /// and rendering a thousand accounts takes long, so both run outside the runtime's threads.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list<T: Send + 'static>(
        self: &Arc<Self>,
        project: &ProjectId,
        filter: AccountFilter,
        page: PageQuery,
        render: impl FnOnce(ListPage<AccountView>) -> T + Send + 'static,
    ) -> Result<T> {
        let mask = self.projects.settings(project).await?.mask_secret_keys_in_connected_account;
        let accounts = Arc::clone(self);
        let rendered = self.core.store.accounts(project, filter, page, move |page, configs| {
            let ListPage { rows, next, total } = page;
            let configs: HashMap<&str, &AuthConfigRow> = configs.iter().map(|row| (row.id.as_str(), row)).collect();
            let view = |row: AccountRow| {
                let (id, config) = (row.id.clone(), configs.get(row.auth_config_id.as_str()).copied().cloned());
                readable(&id, accounts.account_view(row, config, mask))
            };
            let rows = rows.into_iter().filter_map(view).collect();
            render(ListPage { rows, next, total })
        });
        Ok(rendered.await?)
    }

    /// Deletes an account. Its credential is erased at once and its links end. With `revoke`, the credential is
    /// also revoked at the provider; returns the id of that job if there was a credential.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete(&self, actor: &Actor, id: &AccountId, revoke: bool) -> Result<Option<String>> {
        if revoke {
            return self.revocations.delete_and_revoke(actor, id).await;
        }
        let now = self.core.now();
        let unit = Unit::new()
            .with(accounts::delete(&actor.project_id, id, now))
            .and(links::end_of_account(&actor.project_id, id, LinkOutcome::Deleted, now))
            .with(unread_answers::delete_of_account(&actor.project_id, id))
            .with(self.core.audit(actor, AuditAction::AccountDelete, id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(None),
            Err(WriteError::Refused(Refusal::AccountNotFound)) => Err(account_not_found(id)),
            Err(error) => Err(error.into()),
        }
    }

    fn account_view(&self, row: AccountRow, auth_config: Option<AuthConfigRow>, mask: bool) -> Result<AccountView> {
        check_readable(&row.params)?;
        // One damaged row must not hide the others. Using that account fails with its own error (R70).
        let secrets = self.credentials.open_credential(&row).unwrap_or_else(|error| {
            tracing::error!(account.id = %row.id, cause = error.causes(), "a stored credential cannot be read");
            Secrets::new()
        });
        let lifetime = self.lifetime(&row, &secrets);
        let client_id = auth_config.as_ref().filter(|_| matches!(row.scheme, Scheme::DcrOAuth | Scheme::CimdOAuth));
        // None before the first connection, because the client is not registered yet.
        let client_id =
            client_id.and_then(|config| self.credentials.oauth_client(config).ok()).map(|client| client.client_id);
        Ok(AccountView { row, auth_config, secrets, client_id, mask, lifetime })
    }

    fn lifetime(&self, row: &AccountRow, secrets: &Secrets) -> Lifetime {
        if !matches!(row.status, AccountStatus::Active | AccountStatus::Inactive) {
            return Lifetime::default();
        }
        let toolkit = self.core.toolkit(&row.toolkit);
        let oauth = toolkit.as_ref().and_then(|toolkit| toolkit.oauth(row.scheme));
        let refreshes = oauth.filter(|_| secrets.get("refresh_token").is_some());
        let after = |from: Option<Timestamp>, seconds: Option<u64>| Some(from? + Duration::from_secs(seconds?));
        let params = &row.params;
        let mut hard_expiry = after(params.consented_at, refreshes.and_then(|oauth| oauth.refresh_token_lifetime));
        let mut idle_expiry = after(row.issued_at, refreshes.and_then(|oauth| oauth.refresh_token_idle));
        if let (Some(oauth), Some(stated)) = (refreshes, params.refresh_expires_at) {
            // A refresh replaces a rotating refresh token and its expiry; any other keeps its expiry.
            let end = if oauth.refresh == Refresh::Rotating { &mut idle_expiry } else { &mut hard_expiry };
            *end = Some(end.map_or(stated, |known| known.min(stated)));
        }
        Lifetime {
            access_token_expires_at: row.expires_at,
            refresh_due_at: row.refresh_due_at,
            hard_expiry,
            idle_expiry,
        }
    }
}

const ADJECTIVES: [&str; 32] = [
    "amber", "azure", "bold", "brave", "bright", "calm", "clear", "clever", "coral", "crisp", "eager", "early", "fair",
    "fresh", "gentle", "golden", "grand", "green", "happy", "keen", "kind", "lively", "lucky", "mellow", "noble",
    "proud", "quick", "quiet", "red", "silver", "steady", "warm",
];
const NOUNS: [&str; 32] = [
    "anchor", "arch", "beacon", "birch", "bridge", "brook", "canyon", "castle", "cedar", "cliff", "comet", "delta",
    "falcon", "field", "forest", "garden", "harbor", "heron", "island", "lagoon", "lantern", "maple", "meadow", "mill",
    "orchard", "otter", "pine", "river", "summit", "tower", "valley", "willow",
];

/// Letters and digits that are not easily confused.
const LETTERS: [char; 32] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y',
    'z', '2', '3', '4', '5', '6', '7', '8', '9',
];

/// A readable name such as `github_red-castle-7k2m`, by which people and agents tell accounts apart. There are
/// about a thousand million, so a user's accounts get different names.
pub fn word_id(toolkit: &str, entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 6];
    entropy.fill(&mut bytes);
    let [adjective, noun, letters @ ..] = bytes.map(|byte| usize::from(byte % 32));
    let letters: String = letters.into_iter().map(|letter| LETTERS[letter]).collect();
    format!("{toolkit}_{}-{}-{letters}", ADJECTIVES[adjective], NOUNS[noun])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use switchboard_vault::SystemEntropy;

    use super::*;

    #[test]
    fn accounts_of_a_user_have_different_word_ids() {
        // With only 1,024 names, two hundred of them were never all different.
        let names: HashSet<String> = (0..200).map(|_| word_id("github", &SystemEntropy)).collect();
        assert_eq!(names.len(), 200);
        assert!(names.iter().all(|name| name.starts_with("github_") && name.split('-').count() == 3));
    }
}
