//! Links that are made while something else is done, such as a call of a tool.

use switchboard_store::accounts::AccountRow;
use switchboard_types::AccountId;

use super::{Link, LinkRequest, Links, MAX_TRIES};
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::base::idempotency::StoredResponse;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

impl Links {
    /// Prepares and stores a link whose response is not remembered.
    ///
    /// # Errors
    /// As for [`Self::prepare`]; others are changing the same resource.
    pub async fn create(&self, actor: &Actor, session: &Session, request: &LinkRequest) -> Result<Link> {
        let response = StoredResponse { status: 0, body: Vec::new() };
        for _ in 0..MAX_TRIES {
            let prepared = self.prepare(actor, session, request).await?;
            let link = prepared.object.link.clone();
            if self.commit(prepared, None, &response).await?.is_some() {
                return Ok(link);
            }
        }
        Err(Error::of(Code::Conflict, &[("reason", &"Another request is changing the same resource")]))
    }

    /// A link through which a user connects an account again that has ended, or lacks scopes. None if that would not
    /// help: its auth config is off or does not ask for the scopes.
    ///
    /// # Errors
    /// The link cannot be stored.
    pub async fn create_again(
        &self,
        actor: &Actor,
        account: &AccountRow,
        missing: &[String],
        callback: Option<&str>,
    ) -> Result<Option<(String, AccountId)>> {
        let Some(toolkit) = self.core.toolkit(&account.toolkit).filter(|_| account.has_enabled_auth_config) else {
            return Ok(None);
        };
        if !missing.is_empty() {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            let asked = AuthConfigSettings::parse(&config.settings)?.scopes_to_request(&toolkit, account.scheme);
            if !missing.iter().all(|scope| asked.contains(scope)) {
                return Ok(None);
            }
        }
        // The identity stays: an account never becomes another person's because a tool was called.
        let made = self.create_link(actor, account, callback, false).await?;
        Ok(made.redirect_url.map(|url| (url, made.id)))
    }
}
