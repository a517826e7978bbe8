//! One try at the provider: the refresh token first, since without it nothing new can be had, then
//! the access token (RFC 7009; RFC 9700 section 4.14).

use std::time::Instant;

use bytes::Bytes;
use http::Request;
use switchboard_auth::{ProviderResponse, RequestSecrets, RevocationResponse, TokenError, parse_revocation_response};
use switchboard_catalog::{Call, OAuth2, Scheme, TokenName, TokenResponse};
use switchboard_egress::EgressError;
use switchboard_vault::{Secret, Secrets};

use super::sharing::{KEPT, Share};
use super::{Revocable, RevokedToken};
use crate::app::model::params::AccountParams;
use crate::app::provider::extra_tokens::extra_token_name;
use crate::app::provider::request::{Verification, egress_error};
use crate::app::provider::{Endpoint, INTROSPECTION_TIMEOUT, Provider, is_unauthenticated, retry_after};
use crate::app::revocation::Revocations;
use crate::time::Millis;

/// What one try came to.
#[derive(Debug)]
pub(super) struct Verdict {
    /// All that is revoked by now, with earlier tries.
    pub(super) tokens: Vec<RevokedToken>,
    /// Whether more is to be done.
    pub(super) end: End,
}

/// Whether more is to be done.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing is left.
    Revoked,
    /// The provider revokes no such tokens.
    NotSupported(String),
    /// The provider will not do it.
    Failed(String),
    /// It is left alone, since another account lives on it.
    Kept(String),
    /// Trying again may help, after this many milliseconds at the earliest.
    Later {
        /// What stood in the way.
        detail: String,
        /// What the provider asked for.
        wait: Option<Millis>,
    },
}

/// What is to be revoked, and with what.
pub(super) struct Task<'a> {
    pub(super) toolkit: &'a str,
    pub(super) scheme: Scheme,
    pub(super) how: Revocable<'a>,
    pub(super) is_managed: bool,
    pub(super) material: &'a Secrets,
    pub(super) params: &'a AccountParams,
    /// Revoked by an earlier try.
    pub(super) done: Vec<RevokedToken>,
    /// What is left alone, since others live on it.
    pub(super) share: Share,
}

/// What the provider said of one token.
pub(super) enum OneToken {
    Revoked,
    Unsupported,
    Refused(String),
    Later(String, Option<Millis>),
}

/// What else an answer says.
struct Answered {
    status: u16,
    retry_after: Option<Millis>,
}

/// What the provider answered, or why it was not asked.
type Asked = Result<(RevocationResponse, Answered), OneToken>;

impl From<TokenName> for RevokedToken {
    fn from(name: TokenName) -> Self {
        match name {
            TokenName::AccessToken => Self::AccessToken,
            TokenName::RefreshToken => Self::RefreshToken,
        }
    }
}

impl Revocations {
    /// Asks the provider to forget the tokens that are left.
    pub(super) async fn try_revoking(&self, task: Task<'_>) -> Verdict {
        let mut tokens = task.done.clone();
        let mut unsupported = false;
        let mut refusal = None;
        let first = if task.share.first { Vec::new() } else { task.tokens() };
        for token in first {
            let Some(secret) = task.material.get(token.as_str()).filter(|_| !tokens.contains(&token)) else { continue };
            match self.revoke_token(&task, token, secret).await {
                OneToken::Revoked if task.share.reaches_far => {
                    tokens.push(token);
                    break;
                }
                OneToken::Revoked => tokens.push(token),
                // Both tokens are of one grant: revoking the refresh token ends the access token (RFC 7009
                // section 2.1), and some providers then answer 400 for what is dead already.
                OneToken::Refused(detail)
                    if token == RevokedToken::AccessToken && tokens.contains(&RevokedToken::RefreshToken) =>
                {
                    if self.is_alive(&task, secret).await {
                        refusal.get_or_insert(detail);
                    } else {
                        tokens.push(token);
                    }
                }
                OneToken::Unsupported => unsupported = true,
                OneToken::Refused(detail) => {
                    refusal.get_or_insert(detail);
                }
                OneToken::Later(detail, wait) => return Verdict { tokens, end: End::Later { detail, wait } },
            }
        }
        if !tokens.contains(&RevokedToken::Credential) {
            let further = task.further();
            for secret in &further {
                match self.revoke_token(&task, RevokedToken::Credential, secret).await {
                    OneToken::Revoked => {}
                    OneToken::Unsupported => unsupported = true,
                    OneToken::Refused(detail) => {
                        refusal.get_or_insert(detail);
                    }
                    OneToken::Later(detail, wait) => return Verdict { tokens, end: End::Later { detail, wait } },
                }
            }
            if !further.is_empty() && refusal.is_none() && !unsupported {
                tokens.push(RevokedToken::Credential);
            }
        }
        let end = match refusal {
            Some(detail) => End::Failed(detail),
            None if task.share.keeps() => End::Kept(KEPT.to_owned()),
            None if !tokens.is_empty() => End::Revoked,
            None if unsupported => End::NotSupported("The provider does not revoke tokens of this kind".to_owned()),
            None => End::NotSupported("The credential holds no token".to_owned()),
        };
        Verdict { tokens, end }
    }

    /// Whether the provider still takes an access token: by introspection (RFC 7662) where the file or the
    /// metadata has an endpoint for it and it says, else by the toolkit's own request. One that nobody can ask
    /// about is as dead as its refresh token.
    async fn is_alive(&self, task: &Task<'_>, access_token: &str) -> bool {
        let asked = Box::pin(self.introspected_alive(task, access_token));
        if let Ok(Some(is_alive)) = tokio::time::timeout(INTROSPECTION_TIMEOUT, asked).await {
            return is_alive;
        }
        let Some(toolkit) = self.core.toolkit(task.toolkit) else { return false };
        let request = (toolkit.bearer_token.as_ref().and_then(|bearer| bearer.verify.as_ref()))
            .or_else(|| toolkit.identity.as_ref()?.request.as_ref());
        let Some(request) = request else { return false };
        let secrets = Secrets::from([("access_token", Secret::from(access_token))]);
        match self.providers.probe(&toolkit, task.scheme, request, &secrets, task.params).await {
            Ok((Verification::Accepted, _)) => true,
            Ok((Verification::Refused | Verification::Unclear, _)) | Err(_) => false,
        }
    }

    async fn introspected_alive(&self, task: &Task<'_>, access_token: &str) -> Option<bool> {
        let Revocable::OAuth(oauth) = task.how else { return None };
        let provider = self.revoking_provider(task, oauth).await.ok()?;
        provider.oauth.introspection_url.as_ref()?;
        let key = task.material.get("dpop_key").map(Secret::from);
        let said = self.providers.introspect(&provider, &Secret::from(access_token), key.as_ref()).await;
        said.ok()?.is_active
    }

    async fn revoke_token(&self, task: &Task<'_>, token: RevokedToken, secret: &str) -> OneToken {
        let asked = match task.how {
            Revocable::OAuth(oauth) => Box::pin(self.revoke_by_client(task, oauth, token, secret)).await,
            Revocable::Signed(toolkit, call) => {
                let request = self.signed_revocation(task, toolkit, call, secret);
                Box::pin(self.ask_to_revoke(task, request, None)).await
            }
            Revocable::Call(call) => {
                let request = self.called_revocation(task, call, secret);
                Box::pin(self.ask_to_revoke(task, request, None)).await
            }
        };
        match asked {
            Ok((RevocationResponse::Revoked, _)) => OneToken::Revoked,
            Ok((RevocationResponse::UnsupportedToken, _)) => OneToken::Unsupported,
            Ok((RevocationResponse::Refused(error), answered)) => {
                OneToken::Refused(words(token, answered.status, &error))
            }
            Ok((RevocationResponse::Later(error), answered)) => {
                OneToken::Later(words(token, answered.status, &error), answered.retry_after)
            }
            Err(other) => other,
        }
    }

    /// Asks as an OAuth client. Nothing is spent by a request that refuses the client, so it is made once
    /// more with the secret sent in the other way.
    async fn revoke_by_client(&self, task: &Task<'_>, oauth: &OAuth2, token: RevokedToken, secret: &str) -> Asked {
        let provider = self.revoking_provider(task, oauth).await?;
        let (began, used) = (Instant::now(), self.providers.with_known_method(&provider, Endpoint::Revocation));
        let request = self.client_revocation(task, &provider, &used, token, secret)?;
        let asked = Box::pin(self.ask_to_revoke(task, Ok(request), Some(&provider))).await?;
        let (RevocationResponse::Refused(error), answered) = &asked else { return Ok(asked) };
        let refusal = (error, answered.status);
        let Some(other) = self.providers.alternative_method(&provider, Endpoint::Revocation, &used, refusal, began)
        else {
            return Ok(asked);
        };
        let request = self.client_revocation(task, &provider, &other, token, secret)?;
        let again = Box::pin(self.ask_to_revoke(task, Ok(request), Some(&provider))).await?;
        match &again {
            (RevocationResponse::Later(_), _) => {}
            (RevocationResponse::Refused(error), answered) => {
                let was_refused = is_unauthenticated(error, answered.status);
                self.providers.record_method(&provider, Endpoint::Revocation, &other, was_refused);
            }
            _ => self.providers.record_method(&provider, Endpoint::Revocation, &other, false),
        }
        Ok(again)
    }

    /// One request and its answer, without what is secret in either. An OAuth client's proves the account's key
    /// where its tokens are bound to one.
    async fn ask_to_revoke(
        &self,
        task: &Task<'_>,
        request: Result<Request<Bytes>, OneToken>,
        provider: Option<&Provider<'_>>,
    ) -> Asked {
        let request = request?;
        let sent = RequestSecrets::of(&request);
        let key = task.material.get("dpop_key").map(Secret::from);
        let answer = match provider {
            Some(provider) => self.providers.send_proven(provider, request, key.as_ref()).await,
            None => self.providers.send_protocol(request).await,
        };
        let answer = answer.map_err(|error| undelivered(&error))?;
        let status = answer.status().as_u16();
        let (headers, body) = (answer.headers(), answer.body());
        let read = ProviderResponse { status, headers, body, now: self.core.now() / 1_000 };
        let clean = |error: TokenError| {
            let ours = task.material.iter().filter(|(name, _)| *name != "client_id");
            let ours: Vec<&str> = ours.map(|(_, secret)| secret.expose()).collect();
            sent.mask(error).without(&ours)
        };
        let said = match parse_revocation_response(task.response(), &read) {
            RevocationResponse::Refused(error) => RevocationResponse::Refused(clean(error)),
            RevocationResponse::Later(error) => RevocationResponse::Later(clean(error)),
            other => other,
        };
        Ok((said, Answered { status, retry_after: retry_after(headers, self.core.now()) }))
    }
}

impl<'a> Task<'a> {
    /// Where the answer says what.
    fn response(&self) -> &'a TokenResponse {
        match self.how {
            Revocable::Call(call) | Revocable::Signed(_, call) => &call.response,
            Revocable::OAuth(oauth) => oauth.revoke.as_ref().map_or(&oauth.response, |call| &call.response),
        }
    }

    /// The further tokens of the account that are to be revoked.
    fn further(&self) -> Vec<&'a str> {
        let Revocable::OAuth(oauth) = self.how else { return Vec::new() };
        let left = oauth.tokens.iter().filter(|token| !self.share.further.contains(&token.name));
        left.filter_map(|token| self.material.get(&extra_token_name(&token.name))).collect()
    }

    /// The tokens that a request is made for: one call of the file's own may end all at once.
    fn tokens(&self) -> Vec<RevokedToken> {
        const BOTH: [RevokedToken; 2] = [RevokedToken::RefreshToken, RevokedToken::AccessToken];
        if let Revocable::OAuth(oauth) = self.how
            && !oauth.revocation_tokens.is_empty()
        {
            return oauth.revocation_tokens.iter().copied().map(RevokedToken::from).collect();
        }
        let call = match self.how {
            Revocable::Call(call) | Revocable::Signed(_, call) => Some(call),
            Revocable::OAuth(oauth) => oauth.revoke.as_ref(),
        };
        let uses = |name: &str| {
            let texts = |call: &Call| {
                [&call.url]
                    .into_iter()
                    .chain(call.parameters.values())
                    .chain(call.headers.values())
                    .cloned()
                    .collect::<Vec<_>>()
            };
            call.is_some_and(|call| texts(call).iter().any(|text| text.contains(name)))
        };
        match call {
            None => BOTH.to_vec(),
            Some(_) if uses("{token}") => BOTH.to_vec(),
            Some(_) if uses("{refresh_token}") => BOTH[..1].to_vec(),
            Some(_) => BOTH[1..].to_vec(),
        }
    }
}

/// A request that got no answer. What will never be sent is not tried again.
fn undelivered(error: &EgressError) -> OneToken {
    let detail = egress_error(error).message().to_owned();
    match error {
        EgressError::EndpointNotAllowed { .. } | EgressError::HostNotAllowed | EgressError::InvalidRequest { .. } => {
            OneToken::Refused(detail)
        }
        _ => OneToken::Later(detail, None),
    }
}

/// The provider's refusal, of which nothing is longer than what `TokenError` admits.
fn words(token: RevokedToken, status: u16, error: &TokenError) -> String {
    let mut text = format!("The provider answered {status} when asked to revoke the {}", token.as_str());
    for part in [&error.code, &error.description].into_iter().flatten() {
        text.push_str(": ");
        text.push_str(part);
    }
    text
}
