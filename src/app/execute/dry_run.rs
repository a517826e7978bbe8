//! A call up to the point at which it would be sent: the same admission, account, checks and request, and no network.

use std::sync::Arc;

use switchboard_store::accounts::AccountRow;

use super::call::Call;
use crate::app::execute::Executor;
use crate::app::provider::dry_run::PlannedRequest;
use crate::app::session::Session;
use crate::error::Result;

/// A call that was not made.
pub struct PlannedCall {
    /// What would be sent, without a credential.
    pub request: PlannedRequest,
    /// With which account. None if none is needed.
    pub account: Option<Arc<AccountRow>>,
    /// Its credential is due and would be refreshed first.
    pub needs_refresh: bool,
}

impl Executor {
    /// What [`Self::execute`] would send first. A credential that is due is not refreshed, and the call does not count
    /// for the account's limit.
    ///
    /// # Errors
    /// Those of [`Self::execute`] up to the request.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn dry_run(&self, session: &Session, call: Call<'_>) -> Result<PlannedCall> {
        let found = self.core.toolkit(call.toolkit);
        let slug = found.as_ref().map_or(call.toolkit, |toolkit| &toolkit.slug);
        let admitted = session.admit(call.front_end.kind(slug), found.clone())?;
        let toolkit = admitted.toolkit();
        let account = self.sessions.resolve(&admitted, call.account).await?;
        let (ready, needs_refresh) = match &account {
            None => (self.without_account(toolkit)?, false),
            Some(account) => {
                call.front_end.check_account(account)?;
                let secrets = self.credentials.open_credential(account)?;
                (self.prepare(Arc::clone(account), toolkit, secrets).await?, !self.refresher.is_fresh(account))
            }
        };
        let (selected, draft) = self.draft(&ready, &call)?;
        let marker = match &account {
            Some(account) => format!("«account:{}»", account.id),
            None => "«account»".to_owned(),
        };
        let credential = (&*ready.toolkit, ready.scheme, selected.as_ref().unwrap_or(&ready.secrets), &ready.params);
        let request = self.providers.plan_as(credential, &ready.destination, draft, &marker)?;
        Ok(PlannedCall { request, account, needs_refresh })
    }
}

crate::redacted_debug!(PlannedCall);
