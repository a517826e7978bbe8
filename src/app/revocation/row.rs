//! Creates the row of a credential to revoke: pending, or finished if it cannot be revoked.

use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::revocations::{RevocationOutcome, RevocationRow, RevocationState};
use switchboard_types::{AccountIdentity, Timestamp};
use switchboard_vault::Secrets;

use super::{is_revocable, revocation_method, tokens_text};
use crate::app::credential::client::uses_managed_client;
use crate::app::revocation::Revocations;
use crate::error::Result;
use crate::id::Kind;

impl Revocations {
    /// The row for the credential of an account: pending, unless its scheme or toolkit does not support revocation.
    pub(super) fn row_for(&self, job: &str, account: &AccountRow, config: Option<&AuthConfigRow>) -> RevocationRow {
        // The command line may not know every toolkit. The server then decides whether it can revoke.
        let toolkit = self.core.toolkit(&account.toolkit);
        let is_known = toolkit.is_some() || !is_revocable(account.scheme);
        match revocation_method(account.scheme, &account.toolkit, toolkit.as_deref()) {
            Err(reason) if is_known => {
                let state = RevocationState::Finished { outcome: RevocationOutcome::NotSupported, at: self.core.now() };
                self.new_row(state, Some(reason), self.core.mint(Kind::Revocation).into(), job, account, config)
            }
            _ => {
                let material = self.revocation_material(account, config);
                self.pending_row(job, account, config, material, self.core.now())
            }
        }
    }

    /// A pending row that is due at `next_try_at`; or, if its material cannot be sealed, a finished one with the
    /// error.
    pub(super) fn pending_row(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        material: Result<Secrets>,
        next_try_at: Timestamp,
    ) -> RevocationRow {
        let id = String::from(self.core.mint(Kind::Revocation));
        // The seal is bound to the row.
        let pending = RevocationState::Pending { material: Vec::new(), next_try_at };
        let row = self.new_row(pending, None, id.clone(), job, account, config);
        match material.map(|material| self.credentials.seal_revocation(&row, &material)) {
            Ok(material) => RevocationRow { state: RevocationState::Pending { material, next_try_at }, ..row },
            Err(error) => {
                tracing::error!(account.id = %account.id, error = error.message(), cause = error.causes(), "a credential could not be queued for revocation");
                let state = RevocationState::Finished { outcome: RevocationOutcome::Failed, at: self.core.now() };
                self.new_row(state, Some(error.message().to_owned()), id, job, account, config)
            }
        }
    }

    fn new_row(
        &self,
        state: RevocationState,
        detail: Option<String>,
        id: String,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
    ) -> RevocationRow {
        // The row outlives the account. It keeps the identifiers of the grant owner, but no name or address.
        let mut params = account.params.clone();
        params.identity = params.identity.map(AccountIdentity::identifiers_only);
        RevocationRow {
            id,
            job_id: job.to_owned(),
            project_id: account.project_id.clone(),
            account_id: account.id.clone(),
            toolkit: account.toolkit.clone(),
            auth_config_id: account.auth_config_id.clone(),
            scheme: account.scheme,
            is_managed: config.is_some_and(uses_managed_client),
            params: params.stored(),
            state,
            tokens: tokens_text(&[]),
            detail,
            tries: 0,
            created_at: self.core.now(),
            pending_verification_id: None,
        }
    }
}
