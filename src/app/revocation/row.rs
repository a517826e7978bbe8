//! The row of one credential in the queue: what is asked of its provider, or why nothing can be.

use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::revocations::{RevocationOutcome, RevocationRow, RevocationState};
use switchboard_vault::Secrets;

use super::{is_revocable, revocable, tokens_text};
use crate::app::credential::client::uses_managed_client;
use crate::app::model::params::{AccountIdentity, AccountParams};
use crate::app::revocation::Revocations;
use crate::error::Result;
use crate::id::Kind;

impl Revocations {
    /// What becomes of an account's credential: it waits for its provider, unless there is none to ask.
    pub(super) fn revocation_of(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
    ) -> RevocationRow {
        // A toolkit that only the server knows, not the command line, is the server's to judge.
        let toolkit = self.core.toolkit(&account.toolkit);
        let is_known = toolkit.is_some() || !account.scheme.parse().is_ok_and(is_revocable);
        match revocable(&account.scheme, &account.toolkit, toolkit.as_deref()) {
            Err(why) if is_known => {
                let state = RevocationState::Finished { outcome: RevocationOutcome::NotSupported, at: self.core.now() };
                self.row_in(state, Some(why), self.core.mint(Kind::Revocation), job, account, config)
            }
            _ => self.revocation_row(job, account, config, self.revocation_material(account, config)),
        }
    }

    /// What waits for its provider; or, without its material, the receipt that says so.
    pub(super) fn revocation_row(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        material: Result<Secrets>,
    ) -> RevocationRow {
        let id = self.core.mint(Kind::Revocation);
        // Sealed for the row that it goes into.
        let pending = RevocationState::Pending { material: Vec::new() };
        let row = self.row_in(pending, None, id.clone(), job, account, config);
        match material.and_then(|material| self.credentials.seal_revocation(&row, &material)) {
            Ok(material) => RevocationRow { state: RevocationState::Pending { material }, ..row },
            Err(error) => {
                tracing::error!(account.id = %account.id, error = error.message(), cause = error.causes(), "a credential cannot be revoked");
                let state = RevocationState::Finished { outcome: RevocationOutcome::Failed, at: self.core.now() };
                self.row_in(state, Some(error.message().to_owned()), id, job, account, config)
            }
        }
    }

    fn row_in(
        &self,
        state: RevocationState,
        detail: Option<String>,
        id: String,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
    ) -> RevocationRow {
        let now = self.core.now();
        // The row outlives the account. Whose grant it is must be known, and by no name or address.
        let params = AccountParams::parse(&account.params)
            .map(|params| AccountParams { identity: params.identity.map(AccountIdentity::identifiers_only), ..params });
        RevocationRow {
            id,
            job_id: job.to_owned(),
            project_id: account.project_id.clone(),
            account_id: account.id.clone(),
            toolkit: account.toolkit.clone(),
            auth_config_id: account.auth_config_id.clone(),
            scheme: account.scheme.clone(),
            is_managed: config.is_some_and(uses_managed_client),
            params: params.map_or_else(|_| account.params.clone(), |params| params.to_text()),
            state,
            tokens: tokens_text(&[]),
            detail,
            tries: 0,
            next_try_at: now,
            created_at: now,
            pending_verification_id: None,
        }
    }
}
