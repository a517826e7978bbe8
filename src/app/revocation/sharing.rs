//! Finds the accounts that share a grant or an installation. Revoking one token may revoke all tokens of the
//! grant, so only the last account that uses it revokes it.
//!
//! A grant belongs to a user at one authorization server, for all toolkits; an installation belongs to a
//! workspace. Accounts of other projects count if they use the same client.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use switchboard_catalog::{ExtraToken, OAuth2, Reach, Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::grants::{self, GrantKey};
use switchboard_store::{Statement, Unit};
use switchboard_types::{AccountId, AccountParams};
use switchboard_vault::{Secrets, digest};

use crate::app::provider::extra_tokens::extra_token_name;
use crate::app::revocation::Revocations;
use crate::error::Result;

/// Accounts read with one query, when a toolkit file has a new `revocation_reach`.
const PAGE: i64 = 200;

/// Name of the account's primary token in the table of grants.
const PRIMARY_TOKEN: &str = "access_token";

/// Toolkits, with the version of their file, whose accounts all have their grants recorded.
#[derive(Debug, Default)]
pub struct RecordedToolkits(Mutex<HashSet<String>>);

impl RecordedToolkits {
    fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn insert(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }
}

impl Revocations {
    /// The grant or installation of a token; none if revoking it revokes only this token. `client_id` is the
    /// client that it was issued to. `extra` is the token, unless it is the primary one.
    pub(super) fn grant_key(
        &self,
        oauth: &OAuth2,
        params: &AccountParams,
        client_id: &str,
        extra: Option<&ExtraToken>,
    ) -> Option<GrantKey> {
        let token = extra.or_else(|| only_token(oauth, params));
        let identity = params.identity.as_ref();
        let owner = token.and_then(|token| params.captured.get(token.owner.as_ref()?));
        let reach = token.map_or(oauth.revocation_reach, |token| token.revocation_reach);
        let owner_id = match reach {
            Reach::Token => return None,
            Reach::Grant => owner.cloned().or_else(|| identity.map(|identity| identity.id.clone())),
            Reach::Installation => {
                identity.map(|identity| identity.tenant_id.clone().unwrap_or_else(|| identity.id.clone()))
            }
        };
        let server = [&oauth.token_url, oauth.discovery_url.as_ref().unwrap_or(&oauth.token_url)];
        let server = server.into_iter().find(|url| !url.is_empty()).or(oauth.resource.as_ref());
        let server = server.and_then(|url| self.providers.expand(url, params).ok()).unwrap_or_default();
        // The reach is part of both digests, so that a grant never matches an installation.
        let client = digest(&format!("{server}\n{client_id}\n{reach:?}")).to_vec();
        let grant = owner_id.map(|owner_id| digest(&format!("{server}\n{client_id}\n{reach:?}\n{owner_id}")).to_vec());
        Some(GrantKey { client, grant })
    }

    /// Statements that record the grants of an account's tokens, for the unit that connects it. None if each token
    /// is revoked alone. `secrets` are the tokens; without them, all tokens of the toolkit are assumed to exist.
    pub(in crate::app) fn record_grant(
        &self,
        account: &AccountId,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        params: &AccountParams,
        secrets: Option<&Secrets>,
    ) -> Result<Vec<Statement>> {
        let scheme = config.scheme;
        let Some(oauth) = toolkit.oauth(scheme).filter(|oauth| has_wider_reach(oauth)) else { return Ok(Vec::new()) };
        let client_id = self.credentials.oauth_client(config)?.client_id;
        let project = &config.project_id;
        let statement = |name: &str, key: GrantKey| grants::insert(project, account, name, &key);
        let mut statements: Vec<Statement> = self
            .grant_key(oauth, params, &client_id, None)
            .map(|key| statement(PRIMARY_TOKEN, key))
            .into_iter()
            .collect();
        let is_present =
            |token: &&ExtraToken| secrets.is_none_or(|secrets| secrets.get(&extra_token_name(&token.name)).is_some());
        for token in oauth.tokens.iter().filter(is_present) {
            statements
                .extend(self.grant_key(oauth, params, &client_id, Some(token)).map(|key| statement(&token.name, key)));
        }
        Ok(statements)
    }

    /// Records the grants of accounts that were connected before their toolkit file had a `revocation_reach`.
    async fn record_missing_grants(&self) -> Result<()> {
        for toolkit in self.core.catalog.get().iter() {
            let reaches =
                |scheme: &Scheme| toolkit.oauth(*scheme).is_some_and(|oauth| oauth.revocation_reach != Reach::Token);
            let name = format!("{} {}", toolkit.slug, toolkit.version);
            if self.recorded_toolkits.contains(&name) || !toolkit.schemes().iter().any(reaches) {
                continue;
            }
            let mut after = AccountId::default();
            loop {
                let accounts = self.core.store.accounts_without_grant(&toolkit.slug, &after, PAGE).await?;
                let Some(last) = accounts.last() else { break };
                after.clone_from(&last.id);
                let mut unit = Unit::new();
                for account in &accounts {
                    unit = self.grant_statements(account, toolkit).await.into_iter().fold(unit, Unit::with);
                }
                self.core.store.apply(unit).await?;
            }
            self.recorded_toolkits.insert(name);
        }
        Ok(())
    }

    /// The statements for one account. None if its client cannot be read, which is logged.
    async fn grant_statements(&self, account: &AccountRow, toolkit: &Toolkit) -> Vec<Statement> {
        let statements = async {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let Some(config) = config else { return Ok(Vec::new()) };
            self.record_grant(&account.id, toolkit, &config, &self.core.params_of(account), None)
        };
        let statements: Result<Vec<Statement>> = statements.await;
        statements.unwrap_or_else(|error| {
            tracing::warn!(account.id = %account.id, error = error.message(), "the grant of an account could not be recorded");
            Vec::new()
        })
    }
}

/// Whether revoking a token of a toolkit may revoke more than that token.
fn has_wider_reach(oauth: &OAuth2) -> bool {
    let reaches = oauth.tokens.iter().map(|token| token.revocation_reach).chain([oauth.revocation_reach]);
    reaches.into_iter().any(|reach| reach != Reach::Token)
}

/// The extra token that is the account's primary token, if it has no other.
fn only_token<'o>(oauth: &'o OAuth2, params: &AccountParams) -> Option<&'o ExtraToken> {
    let name = params.only_token.as_ref()?;
    oauth.tokens.iter().find(|token| token.name == *name)
}

/// Whether the primary token belongs to the grant of a user.
fn is_user_grant(oauth: &OAuth2, params: &AccountParams) -> bool {
    only_token(oauth, params).map_or(oauth.revocation_reach, |token| token.revocation_reach) == Reach::Grant
}

/// Tokens of an account that other accounts use, too.
#[derive(Debug, Default)]
pub(super) struct SharedTokens {
    /// Whether the primary token and its refresh token are kept.
    pub(super) primary: bool,
    /// Whether one request revokes both of them.
    pub(super) revokes_all: bool,
    /// Names of the extra tokens that are kept.
    pub(super) extra: Vec<String>,
    /// The grant or installation of the primary token.
    pub(super) key: Option<GrantKey>,
}

impl SharedTokens {
    /// Whether any token is kept.
    pub(super) fn keeps_any(&self) -> bool {
        self.primary || !self.extra.is_empty()
    }
}

impl Revocations {
    /// The tokens of `account` that accounts other than `excluded` use, too. `has_token` tells which it has, by
    /// secret name.
    pub(super) async fn find_shared_tokens(
        &self,
        oauth: &OAuth2,
        params: &AccountParams,
        client_id: &str,
        (account, excluded): (&AccountId, &str),
        has_token: impl Fn(&str) -> bool,
    ) -> Result<SharedTokens> {
        let mut shared = SharedTokens::default();
        if !has_wider_reach(oauth) {
            return Ok(shared);
        }
        self.record_missing_grants().await?;
        if let Some(key) = self.grant_key(oauth, params, client_id, None) {
            // Unused tokens may have no known owner. They most likely belong to the user of the account, and are
            // not queued if the user has other accounts.
            let has_unknown_owner = key.grant.is_none()
                && is_user_grant(oauth, params)
                && !self.core.store.has_recorded_grant(account).await?;
            shared.primary = !has_unknown_owner && self.core.store.shares_grant(&key, excluded).await?;
            shared.revokes_all = true;
            shared.key = Some(key);
        }
        for token in oauth.tokens.iter().filter(|token| has_token(&extra_token_name(&token.name))) {
            if let Some(key) = self.grant_key(oauth, params, client_id, Some(token))
                && self.core.store.shares_grant(&key, excluded).await?
            {
                shared.extra.push(token.name.clone());
            }
        }
        Ok(shared)
    }
}

/// Detail in a receipt for tokens that are kept.
pub(super) const KEPT_DETAIL: &str = "Another account uses the same grant or installation, which a revocation would end \
                                      for it as well. The last account that uses it revokes it";
