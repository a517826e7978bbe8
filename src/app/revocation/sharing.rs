//! What a revocation ends besides the token that it names, and who else lives on that: the last account
//! of a grant or an installation revokes it, the others leave it alone.
//!
//! A grant is a person's at one authorization server, whatever toolkit it was got for; an installation is
//! a workspace's. Accounts of other projects count, too, where they use the same client.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use switchboard_catalog::{ExtraToken, OAuth2, Reach, Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::grants::{self, GrantKey};
use switchboard_store::{Statement, Unit};
use switchboard_vault::{Secrets, digest};

use crate::app::model::params::AccountParams;
use crate::app::provider::extra_tokens::extra_token_name;
use crate::app::revocation::Revocations;
use crate::error::{Error, Result};

/// Accounts looked at in one go, when a file has got a reach.
const PAGE: i64 = 200;

/// Name of the account's first token among those that belong to something.
const FIRST: &str = "access_token";

/// Toolkits, with the version of their file, of whose accounts everything is written down.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashSet<String>>);

impl Known {
    fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn note(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }
}

impl Revocations {
    /// What a token belongs to; none where its revocation ends nothing else. `client_id` is the client that
    /// it was got with, `further` the token, where it is not the first.
    pub(super) fn grant_key(
        &self,
        oauth: &OAuth2,
        params: &AccountParams,
        client_id: &str,
        further: Option<&ExtraToken>,
    ) -> Option<GrantKey> {
        let token = further.or_else(|| only(oauth, params));
        let identity = params.identity.as_ref();
        let owner = token.and_then(|token| params.captured.get(token.owner.as_ref()?));
        let reach = token.map_or(oauth.revocation_reach, |token| token.revocation_reach);
        let who = match reach {
            Reach::Token => return None,
            Reach::Grant => owner.cloned().or_else(|| identity.map(|identity| identity.id.clone())),
            Reach::Installation => {
                identity.map(|identity| identity.tenant_id.clone().unwrap_or_else(|| identity.id.clone()))
            }
        };
        let server = [&oauth.token_url, oauth.discovery_url.as_ref().unwrap_or(&oauth.token_url)];
        let server = server.into_iter().find(|url| !url.is_empty()).or(oauth.resource.as_ref());
        let server = server.and_then(|url| self.providers.expand(url, params).ok()).unwrap_or_default();
        // What several persons' grants and an installation have in common says nothing of each other.
        let client = digest(&format!("{server}\n{client_id}\n{reach:?}")).to_vec();
        let grant = who.map(|who| digest(&format!("{server}\n{client_id}\n{reach:?}\n{who}")).to_vec());
        Some(GrantKey { client, grant })
    }

    /// Writes down what an account's tokens belong to, for the unit that connects it; nothing where each
    /// token stands for itself. `secrets` are the tokens; where they are not at hand, all are taken to be there.
    pub(in crate::app) fn note_grant(
        &self,
        account: &str,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        params: &AccountParams,
        secrets: Option<&Secrets>,
    ) -> Result<Vec<Statement>> {
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        let Some(oauth) = toolkit.oauth(scheme).filter(|oauth| reaches_far(oauth)) else { return Ok(Vec::new()) };
        let client_id = self.credentials.oauth_client(config)?.client_id;
        let project = &config.project_id;
        let note = |name: &str, key: GrantKey| grants::insert(project, account, name, &key);
        let mut noted: Vec<Statement> =
            self.grant_key(oauth, params, &client_id, None).map(|key| note(FIRST, key)).into_iter().collect();
        let is_held =
            |token: &&ExtraToken| secrets.is_none_or(|secrets| secrets.get(&extra_token_name(&token.name)).is_some());
        for token in oauth.tokens.iter().filter(is_held) {
            noted.extend(self.grant_key(oauth, params, &client_id, Some(token)).map(|key| note(&token.name, key)));
        }
        Ok(noted)
    }

    /// Writes down what accounts belong to that were connected before their file had a reach.
    async fn know_grants(&self) -> Result<()> {
        for toolkit in self.core.catalog.get().iter() {
            let reaches =
                |scheme: &Scheme| toolkit.oauth(*scheme).is_some_and(|oauth| oauth.revocation_reach != Reach::Token);
            let name = format!("{} {}", toolkit.slug, toolkit.version);
            if self.known_grants.has(&name) || !toolkit.schemes().iter().any(reaches) {
                continue;
            }
            let mut after = String::new();
            loop {
                let accounts = self.core.store.accounts_without_grant(&toolkit.slug, &after, PAGE).await?;
                let Some(last) = accounts.last() else { break };
                after.clone_from(&last.id);
                let mut unit = Unit::new();
                for account in &accounts {
                    unit = self.grant_of(account, toolkit).await.into_iter().fold(unit, Unit::with);
                }
                self.core.store.apply(unit).await?;
            }
            self.known_grants.note(name);
        }
        Ok(())
    }

    /// The same for one account; none where its client cannot be read, which is said in the log.
    async fn grant_of(&self, account: &AccountRow, toolkit: &Toolkit) -> Vec<Statement> {
        let noted = async {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let Some(config) = config else { return Ok(Vec::new()) };
            self.note_grant(&account.id, toolkit, &config, &self.core.params_of(account)?, None)
        };
        let noted: Result<Vec<Statement>> = noted.await;
        noted.unwrap_or_else(|error| {
            tracing::warn!(account.id = %account.id, error = error.message(), "nobody can tell what an account shares");
            Vec::new()
        })
    }
}

/// Whether revoking any token of a toolkit ends more than that token.
fn reaches_far(oauth: &OAuth2) -> bool {
    let reaches = oauth.tokens.iter().map(|token| token.revocation_reach).chain([oauth.revocation_reach]);
    reaches.into_iter().any(|reach| reach != Reach::Token)
}

/// The further token that an account's first one is, where it has no other.
fn only<'o>(oauth: &'o OAuth2, params: &AccountParams) -> Option<&'o ExtraToken> {
    let name = params.only_token.as_ref()?;
    oauth.tokens.iter().find(|token| token.name == *name)
}

/// Whether what the first token belongs to is a person's.
fn is_person(oauth: &OAuth2, params: &AccountParams) -> bool {
    only(oauth, params).map_or(oauth.revocation_reach, |token| token.revocation_reach) == Reach::Grant
}

/// What of an account's tokens a revocation is made for.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// The first token, and its refresh token, are left alone.
    pub(super) first: bool,
    /// One request for it ends all its tokens.
    pub(super) reaches_far: bool,
    /// Further tokens, by their names, that are left alone.
    pub(super) further: Vec<String>,
    /// What the first token belongs to.
    pub(super) key: Option<GrantKey>,
}

impl Share {
    /// Whether anything is left alone.
    pub(super) fn keeps(&self) -> bool {
        self.first || !self.further.is_empty()
    }
}

impl Revocations {
    /// What other accounts, but not `without`, live on of the tokens of `account`, which `holds` names.
    pub(super) async fn share(
        &self,
        oauth: &OAuth2,
        params: &AccountParams,
        client_id: &str,
        (account, without): (&str, &str),
        holds: impl Fn(&str) -> bool,
    ) -> Result<Share> {
        let mut share = Share::default();
        if !reaches_far(oauth) {
            return Ok(share);
        }
        self.know_grants().await?;
        if let Some(key) = self.grant_key(oauth, params, client_id, None) {
            // Of tokens that no account got nobody may know whose they are. They are most likely those of the
            // user who was to get them, and where he has others they are not handed over at all.
            let is_anybodys =
                key.grant.is_none() && is_person(oauth, params) && !self.core.store.has_recorded_grant(account).await?;
            share.first = !is_anybodys && self.core.store.shares_grant(&key, without).await?;
            share.reaches_far = true;
            share.key = Some(key);
        }
        for token in oauth.tokens.iter().filter(|token| holds(&extra_token_name(&token.name))) {
            if let Some(key) = self.grant_key(oauth, params, client_id, Some(token))
                && self.core.store.shares_grant(&key, without).await?
            {
                share.further.push(token.name.clone());
            }
        }
        Ok(share)
    }
}

/// What a receipt says of tokens that are left alone.
pub(super) const KEPT: &str = "Another account uses the same grant or installation, which a revocation would end for it \
                               as well. The last account that uses it revokes it";
