//! Tokens that are not issued: the account signs them itself, and the provider knows the key.

use std::collections::BTreeMap;

use switchboard_auth::{Rest, TokenSet, mint};
use switchboard_catalog::Assertion;
use switchboard_vault::Secrets;

use super::Failure;
use super::tokens::build_failure;
use crate::app::provider::Providers;
use switchboard_types::AccountParams;

/// Seconds by which an assertion is backdated, for clocks that are behind ours.
const BACKDATE_SECONDS: u64 = 30;

impl Providers {
    /// A self-signed token: an assertion signed with the account's key.
    pub(super) fn self_signed_token(
        &self,
        assertion: &Assertion,
        secrets: &Secrets,
        params: &AccountParams,
        document: &Secrets,
    ) -> Result<TokenSet, Failure> {
        let known = |name: &str| {
            let entered = secrets.get(name).map(str::to_owned);
            entered.or_else(|| document.get(name).map(str::to_owned)).or_else(|| self.core.variable(params, name))
        };
        let access_token = mint(assertion, self.moment(&self.unique()), &known).map_err(build_failure)?;
        Ok(TokenSet {
            access_token,
            refresh_token: None,
            token_type: "Bearer".to_owned(),
            expires_in: Some(assertion.lifetime.saturating_sub(BACKDATE_SECONDS).max(1)),
            refresh_token_expires_in: None,
            scope: None,
            id_token: None,
            dpop_key: None,
            extra: BTreeMap::new(),
            extra_refresh: BTreeMap::new(),
            alone: None,
            captured: BTreeMap::new(),
            rest: Rest::default(),
        })
    }
}
