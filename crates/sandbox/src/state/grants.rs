//! Codes, grants and tokens: what a user granted to a client, from consent to revocation.
//!
//! A grant starts as an authorization code and continues as a *family* of refresh tokens `FAMILY.ROTATION`.
//! All tokens of a grant have the same secret `FAMILY`; only the newest has the `ROTATION` whose hash is
//! stored. A token of the family with another rotation was used before or stolen, and revokes the family (RFC
//! 9700 §4.14.2). This requires no list of old tokens.

use super::data::{AccessToken, Code, Grant, NewCode, State, after};
use crate::secret::{self, Hash};
use crate::users::{Scopes, User};

/// RFC 6749 §4.1.2 allows ten minutes; strict providers give one.
const CODE_LIFETIME_SECONDS: i64 = 60;

/// An unused refresh token expires after this time.
const REFRESH_TOKEN_IDLE_SECONDS: i64 = 30 * 24 * 3600;

/// What a client presents with a code.
pub(crate) struct CodeProof {
    pub client_id: String,
    pub redirect_uri: String,
    pub code_verifier: String,
}

/// Random values for the tokens of a response.
pub(crate) struct FreshTokens {
    access_token: String,
    family: String,
    rotation: String,
    access_token_ttl_seconds: u64,
}

/// The tokens of a successful response.
#[derive(Debug)]
pub(crate) struct Issued {
    pub access_token: String,
    pub refresh_token: String,
    pub scopes: Scopes,
}

/// Why no tokens were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantError {
    CodeUnknown,
    CodeReused,
    CodeOfAnotherClient,
    RedirectUriDiffers,
    VerifierDiffers,
    RefreshTokenUnknown,
    RefreshTokenReused,
    RefreshTokenOfAnotherClient,
    ScopeExceeded,
}

impl FreshTokens {
    pub(crate) fn new(access_token_ttl_seconds: u64) -> Self {
        // The prefixes identify the type of a token to people and secret scanners.
        Self {
            access_token: format!("sbxa_{}", secret::random()),
            family: format!("sbxr_{}", secret::random()),
            rotation: secret::random(),
            access_token_ttl_seconds,
        }
    }
}

impl State {
    pub(crate) fn add_code(&mut self, code: &str, authorization: NewCode, now_ms: i64) {
        self.prune(now_ms);
        let pending = Code::Pending { authorization, expires_at_ms: after(now_ms, CODE_LIFETIME_SECONDS) };
        self.codes.insert(Hash::of(code), pending);
    }

    /// Exchanges a code for tokens (RFC 6749 §4.1.3). A failed exchange by its own client also uses up the
    /// code, so that a verifier cannot be guessed. A second use revokes the issued tokens.
    pub(crate) fn redeem_code(
        &mut self,
        code: &str,
        proof: &CodeProof,
        fresh: &FreshTokens,
        now_ms: i64,
    ) -> Result<Issued, GrantError> {
        self.prune(now_ms);
        let code = Hash::of(code);
        let authorization = match self.codes.get(&code) {
            None => return Err(GrantError::CodeUnknown),
            Some(Code::Spent { family }) => {
                let family = family.clone();
                self.end_family(&family);
                return Err(GrantError::CodeReused);
            }
            Some(Code::Pending { authorization, .. }) => authorization.clone(),
        };
        if authorization.client_id != proof.client_id {
            return Err(GrantError::CodeOfAnotherClient);
        }
        self.codes.remove(&code);
        if authorization.redirect_uri != proof.redirect_uri {
            return Err(GrantError::RedirectUriDiffers);
        }
        let transformed = secret::sha256_base64url(&proof.code_verifier);
        if !secret::constant_time_eq(&transformed, &authorization.code_challenge) {
            return Err(GrantError::VerifierDiffers);
        }

        let family = Hash::of(&fresh.family);
        let refresh_token = format!("{}.{}", fresh.family, fresh.rotation);
        let grant = Grant {
            client_id: authorization.client_id,
            user: authorization.user,
            scopes: authorization.scopes.clone(),
            refresh_token: Hash::of(&refresh_token),
            refresh_expires_at_ms: after(now_ms, REFRESH_TOKEN_IDLE_SECONDS),
        };
        self.grants.insert(family.clone(), grant);
        let spent = Code::Spent { family: family.clone() };
        self.codes.insert(code, spent);
        self.add_access_token(family, &authorization.scopes, fresh, now_ms);
        Ok(Issued { access_token: fresh.access_token.clone(), refresh_token, scopes: authorization.scopes })
    }

    /// Exchanges a refresh token for new tokens (RFC 6749 §6). `wanted` may narrow the scopes of this access
    /// token; the grant keeps its scopes.
    pub(crate) fn rotate(
        &mut self,
        refresh_token: &str,
        client_id: &str,
        wanted: Option<Scopes>,
        fresh: &FreshTokens,
        now_ms: i64,
    ) -> Result<Issued, GrantError> {
        self.prune(now_ms);
        let (secret_family, _) = refresh_token.split_once('.').ok_or(GrantError::RefreshTokenUnknown)?;
        let family = Hash::of(secret_family);
        let grant = self.grants.get_mut(&family).ok_or(GrantError::RefreshTokenUnknown)?;
        if grant.client_id != client_id {
            return Err(GrantError::RefreshTokenOfAnotherClient);
        }
        if grant.refresh_token != Hash::of(refresh_token) {
            self.end_family(&family);
            return Err(GrantError::RefreshTokenReused);
        }
        let scopes = wanted.unwrap_or_else(|| grant.scopes.clone());
        if !scopes.is_subset(&grant.scopes) {
            return Err(GrantError::ScopeExceeded);
        }

        let refresh_token = format!("{secret_family}.{}", fresh.rotation);
        grant.refresh_token = Hash::of(&refresh_token);
        grant.refresh_expires_at_ms = after(now_ms, REFRESH_TOKEN_IDLE_SECONDS);
        self.add_access_token(family, &scopes, fresh, now_ms);
        Ok(Issued { access_token: fresh.access_token.clone(), refresh_token, scopes })
    }

    /// Revokes an access token, or a refresh token with its whole grant (RFC 7009 §2.1). An unknown token
    /// counts as revoked; returns false if it belongs to another client.
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str, now_ms: i64) -> bool {
        self.prune(now_ms);
        let hash = Hash::of(token);
        if let Some(access_token) = self.access_tokens.get(&hash) {
            let is_own = self.is_granted_to(&access_token.family, client_id);
            if is_own {
                self.access_tokens.remove(&hash);
            }
            return is_own;
        }
        let Some((secret_family, _)) = token.split_once('.') else {
            return true;
        };
        let family = Hash::of(secret_family);
        if !self.grants.contains_key(&family) {
            return true;
        }
        let is_own = self.is_granted_to(&family, client_id);
        if is_own {
            self.end_family(&family);
        }
        is_own
    }

    /// The user and the scopes of an access token.
    pub(crate) fn authenticate_token(&self, access_token: &str, now_ms: i64) -> Option<(User, Scopes)> {
        let token = self.access_tokens.get(&Hash::of(access_token))?;
        let grant = self.grants.get(&token.family)?;
        (now_ms < token.expires_at_ms).then(|| (grant.user, token.scopes.clone()))
    }

    fn add_access_token(&mut self, family: Hash, scopes: &Scopes, fresh: &FreshTokens, now_ms: i64) {
        let ttl_seconds = i64::try_from(fresh.access_token_ttl_seconds).unwrap_or(i64::MAX);
        let token = AccessToken { family, scopes: scopes.clone(), expires_at_ms: after(now_ms, ttl_seconds) };
        self.access_tokens.insert(Hash::of(&fresh.access_token), token);
    }

    fn is_granted_to(&self, family: &Hash, client_id: &str) -> bool {
        self.grants.get(family).is_some_and(|grant| grant.client_id == client_id)
    }

    fn end_family(&mut self, family: &Hash) {
        self.grants.remove(family);
        self.remove_orphans();
    }
}
