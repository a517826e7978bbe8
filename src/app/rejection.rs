//! A provider that answers 401 to a token that should live: somebody revoked it there, or the
//! provider's clock or words were wrong. The token is renewed once, and the user is none the wiser (R39).

use std::sync::Arc;
use std::time::Duration;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_vault::Secrets;

use super::App;
use super::renewal::Renewal;
use crate::error::{Code, Error, Result};
use crate::time::millis;

/// A token younger than this is not renewed: an endpoint that refuses every token must not make an
/// account rotate at each call.
const MINIMUM_AGE: Duration = Duration::from_mins(1);

impl App {
    /// The account with a newer credential than the one that was refused; none where there is no
    /// newer one to be had now, and the refusal stands.
    ///
    /// # Errors
    /// `reauth_required` when the provider refuses the renewal as well, so that the user has to connect again.
    pub(super) async fn renewed_after_refusal(
        self: &Arc<Self>,
        account: &AccountRow,
        toolkit: &Arc<Toolkit>,
    ) -> Result<Option<(AccountRow, Secrets)>> {
        let scheme: Scheme = account.scheme.parse().map_err(Error::internal)?;
        let secrets = self.open_credential(account)?;
        let is_possible = Renewal::of(toolkit, scheme).is_some_and(|renewal| renewal.is_possible(&secrets));
        let is_young = account.issued_at.is_none_or(|at| self.now() - at < millis(MINIMUM_AGE));
        if !is_possible || is_young {
            return Ok(None);
        }
        // Whoever was refused with the same token waits here for the same renewal.
        match self.refresh_now(account, toolkit).await {
            Ok(renewed) => {
                let secrets = self.open_credential(&renewed)?;
                Ok(Some((renewed, secrets)))
            }
            Err(error) if error.code() == Code::ReauthRequired => Err(error),
            Err(_) => Ok(None),
        }
    }
}
