//! A provider that answers 401 to a token that should live: somebody revoked it there, or the
//! provider's clock or words were wrong. The token is renewed once, and the user is none the wiser (R39).

use std::sync::Arc;
use std::time::Duration;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountRow};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::Secrets;

use crate::app::Actor;
use crate::app::base::errors::{account_not_found, auth_config_not_found, reauth_required};
use crate::app::execute::Executor;
use crate::app::model::params::AccountParams;
use crate::app::provider::request::Verification;
use crate::app::refresh::renewal::Renewal;
use crate::error::{Code, Error, Result};
use crate::time::millis;

/// A token younger than this is not renewed: an endpoint that refuses every token must not make an
/// account rotate at each call.
const MINIMUM_AGE: Duration = Duration::from_mins(1);

/// Status reason of an account whose token its user withdrew at the provider.
const WITHDRAWN: &str = "Permanent auth error: the provider no longer accepts the token";

impl Executor {
    /// The account with a newer credential than the one that was refused; none where there is no
    /// newer one to be had now, and the refusal stands.
    ///
    /// # Errors
    /// `reauth_required` when the provider refuses the renewal as well, so that the user has to connect again.
    pub(in crate::app) async fn renewed_after_refusal(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
    ) -> Result<Option<(AccountRow, Secrets)>> {
        let scheme: Scheme = account.scheme.parse().map_err(Error::internal)?;
        let secrets = self.credentials.open_credential(account)?;
        if scheme == Scheme::OAuth1 {
            self.end_if_withdrawn(account, toolkit, scheme, &secrets).await?;
            return Ok(None);
        }
        let is_possible = Renewal::of(toolkit, scheme).is_some_and(|renewal| renewal.is_possible(&secrets));
        let is_young = account.issued_at.is_none_or(|at| self.core.now() - at < millis(MINIMUM_AGE));
        if !is_possible || is_young {
            return Ok(None);
        }
        // Whoever was refused with the same token waits here for the same renewal.
        match self.refresher.refresh_now(account, toolkit).await {
            Ok(renewed) => {
                let secrets = self.credentials.open_credential(&renewed)?;
                Ok(Some((renewed, secrets)))
            }
            Err(error) if error.code() == Code::ReauthRequired => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// A token that cannot be renewed was refused: where the toolkit's own request is refused as well, with
    /// 401, its user has withdrawn it, and the account is over.
    ///
    /// # Errors
    /// `reauth_required` when it is.
    async fn end_if_withdrawn(
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
        let params = AccountParams::parse(&account.params)?.with_derived_values(toolkit, scheme);
        let signing = self.providers.signing_secrets(toolkit, scheme, &config, &params, secrets)?;
        let verdict = self.providers.probe(toolkit, scheme, request, &signing, &params).await;
        if !matches!(verdict, Ok((Verification::Refused, _))) {
            return Ok(());
        }
        let (project, id, now) = (&account.project_id, &account.id, self.core.now());
        let unit = Unit::new()
            .with(accounts::expire_refreshed(project, id, account.refresh_fence, WITHDRAWN, now))
            .with(self.core.audit(&Actor::system(project), "connected_account.expire", id, WITHDRAWN, None));
        match self.core.store.apply(unit).await {
            // Somebody changed it meanwhile; the refusal of this call stands.
            Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => {
                let ended = self.core.store.account(project, id).await?.ok_or_else(|| account_not_found(id))?;
                Err(reauth_required(&ended))
            }
        }
    }
}
