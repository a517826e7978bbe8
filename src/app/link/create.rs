//! Links that are made while something else is done, such as a call of a tool.

use switchboard_store::accounts::AccountRow;
use switchboard_store::links::{LinkRow, LinkState};
use switchboard_types::AccountId;

use super::{Link, LinkRequest, Links, MAX_TRIES};
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::base::idempotency::StoredResponse;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::model::expected_identity::Expectation;
use crate::app::session::Session;
use crate::app::session::link_scopes::LinkScopes;
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
    /// help: its auth config is off or does not ask for the scopes. If the developer did not choose the scopes, the link
    /// asks for those that the account has and the missing ones.
    ///
    /// # Errors
    /// The link cannot be stored.
    pub async fn create_again(
        &self,
        actor: &Actor,
        account: &AccountRow,
        missing: &LinkScopes,
        callback: Option<&str>,
    ) -> Result<Option<(String, AccountId)>> {
        let Some(toolkit) = self.core.toolkit(&account.toolkit).filter(|_| account.has_enabled_auth_config) else {
            return Ok(None);
        };
        // The identity stays: an account never becomes another person's because a tool was called.
        let mut expectation = Expectation::default();
        if *missing != LinkScopes::default() {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            let settings = AuthConfigSettings::parse(&config.settings)?;
            let rules = self.scope_rules(&config, &settings, &toolkit);
            if rules.depend_on_tools() {
                if !missing.scopes.iter().chain(&missing.user_scopes).all(|scope| rules.is_registered(scope)) {
                    return Ok(None);
                }
                // The new link takes the place of one that is still open, so it asks for what that one does.
                let open = self.open_expectation(account).await?;
                expectation.scopes = union(open.scopes, &missing.scopes);
                expectation.user_scopes = union(open.user_scopes, &missing.user_scopes);
            } else if !rules.usual().has(missing) {
                return Ok(None);
            }
        }
        let made = self.create_link(actor, account, callback, expectation).await?;
        Ok(made.redirect_url.map(|url| (url, made.id)))
    }

    /// What the account's newest link expects, while it can be opened.
    async fn open_expectation(&self, account: &AccountRow) -> Result<Expectation> {
        let Some(id) = &account.link_id else { return Ok(Expectation::default()) };
        let link = self.core.store.link(id).await?;
        let is_open =
            |link: &LinkRow| !matches!(link.state, LinkState::Finished { .. }) && self.core.now() < link.expires_at;
        match link.filter(is_open) {
            Some(link) => Expectation::parse(link.expected.as_deref()),
            None => Ok(Expectation::default()),
        }
    }
}

/// The scopes of both lists, each once.
fn union(mut scopes: Vec<String>, others: &[String]) -> Vec<String> {
    let new: Vec<String> = others.iter().filter(|scope| !scopes.contains(scope)).cloned().collect();
    scopes.extend(new);
    scopes
}
