//! Retries a request that the provider refused with 401 although the token had not expired. The token was
//! revoked at the provider, or its clock or its `expires_in` was wrong. It is renewed once, transparently to
//! the caller (R39).

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AuditAction, ReasonCode};
use switchboard_vault::Secrets;

use super::ready::Ready;
use crate::app::Actor;
use crate::app::base::errors::{account_not_found, auth_config_not_found, reauth_required};
use crate::app::execute::Executor;
use crate::app::model::params::with_derived_values;
use crate::app::provider::request::Verification;
use crate::app::refresh::renewal::Renewal;
use crate::error::{Code, Result};

/// A token younger than this is not renewed. An endpoint that refuses every token must not cause a
/// refresh with each call.
const MIN_TOKEN_AGE: Duration = Duration::from_mins(1);

impl Executor {
    /// The account with a newer credential than the refused one. None if it cannot be renewed now; the
    /// refusal is then returned to the caller. After `deadline`, the provider is not asked whether it still
    /// knows the token; a renewal has limits of its own.
    ///
    /// # Errors
    /// `reauth_required` if the provider refuses the renewal as well: the user has to connect again.
    #[tracing::instrument(level = "debug", skip_all, fields(toolkit = ready.toolkit.slug))]
    pub(super) async fn renew_after_unauthorized(
        &self,
        ready: &Ready,
        deadline: Instant,
    ) -> Result<Option<Arc<Ready>>> {
        let (toolkit, scheme) = (&ready.toolkit, ready.scheme);
        let Some(account) = &ready.account else { return Ok(None) };
        let secrets = self.credentials.open_credential(account)?;
        if scheme == Scheme::OAuth1 {
            let checked = self.expire_if_revoked(account, toolkit, scheme, &secrets);
            // Without an answer until the deadline, nothing is known of the token.
            return tokio::time::timeout_at(deadline.into(), checked).await.unwrap_or(Ok(())).map(|()| None);
        }
        let is_possible = Renewal::of(toolkit, scheme).is_some_and(|renewal| renewal.is_possible(&secrets));
        let is_recent = account.issued_at.is_none_or(|at| self.core.now() < at + MIN_TOKEN_AGE);
        if !is_possible || is_recent {
            return Ok(None);
        }
        // Concurrent calls that were refused with the same token wait here for the same renewal.
        match self.refresher.refresh_now(account, toolkit).await {
            Ok(renewed) => {
                let secrets = self.credentials.open_credential(&renewed)?;
                self.prepare(Arc::new(renewed), toolkit, secrets).await.map(|renewed| Some(Arc::new(renewed)))
            }
            Err(error) if error.code() == Code::ReauthRequired => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Expires an account whose token cannot be renewed, if the toolkit's identity request gets a 401, too:
    /// the user has then revoked the token.
    ///
    /// # Errors
    /// `reauth_required` if the account expired.
    async fn expire_if_revoked(
        &self,
        account: &AccountRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
    ) -> Result<()> {
        let Some(request) = toolkit.identity.as_ref().and_then(|identity| identity.request.as_ref()) else {
            return Ok(());
        };
        let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
        let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
        let params = with_derived_values(&account.params, toolkit, scheme);
        let signing_secrets = self.providers.signing_secrets(toolkit, scheme, &config, &params, secrets)?;
        let verification = self.providers.probe(toolkit, scheme, request, &signing_secrets, &params).await;
        if !matches!(verification, Ok((Verification::Refused, _))) {
            return Ok(());
        }
        let (project, id, now) = (&account.project_id, &account.id, self.core.now());
        let reason = ReasonCode::TokenRevoked.into();
        let unit = Unit::new().with(account.expire(account.refresh_fence, &reason, now)).with(self.core.audit(
            &Actor::system(project),
            AuditAction::AccountExpire,
            id,
            &reason,
            None,
        ));
        match self.core.store.apply(unit).await {
            // The account was changed concurrently. The 401 of this call is returned.
            Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => {
                let expired = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
                Err(reauth_required(&expired))
            }
        }
    }
}
