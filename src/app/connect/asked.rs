//! Which scopes an opened link asks for (R29): those that the developer chose, else those that the account needs.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use switchboard_catalog::Toolkit;
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkRow;
use switchboard_store::sessions::SessionPolicy;
use switchboard_types::{AccountParams, AuthConfigId, CredentialVersion, SessionId, Timestamp};

use crate::app::connect::Connector;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::model::expected_identity::Expectation;
use crate::app::session::link_scopes::{LinkScopes, ScopeRules};
use crate::app::session::policy::SessionConfig;
use crate::error::{Error, Result};

/// Number of results that are remembered.
const CAPACITY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(511);

/// A version of a session's policy, and one of an auth config.
type Key = (Option<(SessionId, i64)>, AuthConfigId, Timestamp);

/// The least scopes that were found lately, each with the toolkit whose tools were looked at.
pub(super) struct LeastScopes(Mutex<LruCache<Key, (Arc<Toolkit>, LinkScopes)>>);

impl Default for LeastScopes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl LeastScopes {
    /// The remembered scopes, or those that `find` finds.
    fn get(&self, key: Key, toolkit: &Arc<Toolkit>, find: impl FnOnce() -> Result<LinkScopes>) -> Result<LinkScopes> {
        if let Some((of, scopes)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && Arc::ptr_eq(of, toolkit)
        {
            return Ok(scopes.clone());
        }
        let found = find()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, (Arc::clone(toolkit), found.clone()));
        Ok(found)
    }
}

impl Connector {
    /// The scopes that a link asks for. `policy` is that of its session.
    pub(super) fn asked_scopes(
        &self,
        link: &LinkRow,
        account: &AccountRow,
        config: &AuthConfigRow,
        settings: &AuthConfigSettings,
        toolkit: &Arc<Toolkit>,
        policy: Option<&SessionPolicy>,
    ) -> Result<LinkScopes> {
        let client = self.core.settings.managed_client(&toolkit.slug, &config.project_id);
        let rules = ScopeRules::new(toolkit, config, settings, client);
        if !rules.depend_on_tools() {
            return Ok(rules.usual());
        }
        let has_connected = account.credential_version > CredentialVersion::default();
        if has_connected {
            let expectation = Expectation::parse(link.expected.as_deref())?;
            if let Some(again) = again(&account.params, &rules, &expectation) {
                return Ok(again);
            }
        }
        let version = link.session_id.clone().zip(policy.map(|policy| policy.version));
        self.least_scopes.get((version, config.id.clone(), config.updated_at), toolkit, || {
            let policy = policy.map(|policy| serde_json::from_str::<SessionConfig>(&policy.config)).transpose();
            Ok(rules.least(policy.map_err(Error::internal)?.as_ref()))
        })
    }
}

/// The scopes that an account is asked for again: for a tool that lacks scopes what it has and these, else what it was
/// asked for before. None if that is not known.
fn again(params: &AccountParams, rules: &ScopeRules<'_>, expectation: &Expectation) -> Option<LinkScopes> {
    let is_step_up = !expectation.scopes.is_empty() || !expectation.user_scopes.is_empty();
    let granted = params.granted_scopes.as_ref().filter(|granted| is_step_up && !granted.is_empty());
    let mut found = LinkScopes {
        scopes: granted.unwrap_or(&params.requested_scopes).clone(),
        user_scopes: params.requested_user_scopes.clone(),
    };
    if !is_step_up && found == LinkScopes::default() {
        return None;
    }
    for scope in rules.always().iter().chain(&expectation.scopes) {
        if !found.scopes.contains(scope) {
            found.scopes.push(scope.clone());
        }
    }
    for scope in &expectation.user_scopes {
        if !found.user_scopes.contains(scope) {
            found.user_scopes.push(scope.clone());
        }
    }
    Some(found)
}

crate::redacted_debug!(LeastScopes);
