//! One attempt to revoke the tokens at the provider: first the refresh token, which could issue new tokens, then
//! the access token (RFC 7009; RFC 9700 section 4.14).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use switchboard_auth::{ProviderResponse, RequestSecrets, RevocationResponse, TokenError, parse_revocation_response};
use switchboard_catalog::{Call, OAuth2, Scheme, TokenName, TokenResponse};
use switchboard_egress::EgressError;
use switchboard_vault::{Secret, Secrets};

use super::sharing::{KEPT_DETAIL, SharedTokens};
use super::{RevocationMethod, RevokedToken};
use crate::app::provider::extra_tokens::extra_token_name;
use crate::app::provider::request::{Verification, egress_error};
use crate::app::provider::{Endpoint, INTROSPECTION_TIMEOUT, Provider, is_unauthenticated, retry_after};
use crate::app::revocation::Revocations;
use switchboard_types::AccountParams;

/// Whether another attempt is needed, and why.
#[derive(Debug)]
pub(super) enum AttemptStatus {
    /// No token is left to revoke.
    Revoked,
    /// The provider does not revoke tokens of this type.
    NotSupported(String),
    /// The provider refused for good.
    Failed(String),
    /// Not revoked, because another account uses the same grant or installation.
    Kept(String),
    /// A later attempt may succeed.
    Retry {
        /// Why this attempt failed.
        detail: String,
        /// The minimum delay that the provider asked for.
        retry_after: Option<Duration>,
    },
}

/// The tokens to revoke, and the parameters of the requests.
pub(super) struct Task<'a> {
    pub(super) toolkit: &'a str,
    pub(super) scheme: Scheme,
    pub(super) method: RevocationMethod<'a>,
    pub(super) is_managed: bool,
    pub(super) material: &'a Secrets,
    pub(super) params: &'a AccountParams,
    /// Tokens to keep, because other accounts use them.
    pub(super) shared: SharedTokens,
}

/// The outcome for one token.
pub(super) enum TokenOutcome {
    Revoked,
    Unsupported,
    Refused(String),
    Retry(String, Option<Duration>),
}

/// Status and headers of a response.
struct ResponseMetadata {
    status: u16,
    retry_after: Option<Duration>,
}

/// The response of the provider, or why there is none.
type SendResult = Result<(RevocationResponse, ResponseMetadata), TokenOutcome>;

impl From<TokenName> for RevokedToken {
    fn from(name: TokenName) -> Self {
        match name {
            TokenName::AccessToken => Self::AccessToken,
            TokenName::RefreshToken => Self::RefreshToken,
        }
    }
}

impl Revocations {
    /// Asks the provider to revoke the remaining tokens. `tokens` are those revoked by earlier attempts; each that
    /// is revoked is added at once, so that it is known even if the attempt is cancelled.
    pub(super) async fn attempt_revocation(&self, task: Task<'_>, tokens: &mut Vec<RevokedToken>) -> AttemptStatus {
        let mut unsupported = false;
        let mut refusal = None;
        let primary = if task.shared.primary { Vec::new() } else { task.tokens() };
        for token in primary {
            let Some(secret) = task.material.get(token.as_str()).filter(|_| !tokens.contains(&token)) else { continue };
            match self.revoke_token(&task, token, secret).await {
                TokenOutcome::Revoked if task.shared.revokes_all => {
                    tokens.push(token);
                    break;
                }
                TokenOutcome::Revoked => tokens.push(token),
                // Both tokens belong to one grant. Revoking the refresh token also revokes the access token
                // (RFC 7009 section 2.1), and some providers then answer 400 to the second request.
                TokenOutcome::Refused(detail)
                    if token == RevokedToken::AccessToken && tokens.contains(&RevokedToken::RefreshToken) =>
                {
                    if self.is_active(&task, secret).await {
                        refusal.get_or_insert(detail);
                    } else {
                        tokens.push(token);
                    }
                }
                TokenOutcome::Unsupported => unsupported = true,
                TokenOutcome::Refused(detail) => {
                    refusal.get_or_insert(detail);
                }
                TokenOutcome::Retry(detail, retry_after) => {
                    return AttemptStatus::Retry { detail, retry_after };
                }
            }
        }
        if !tokens.contains(&RevokedToken::Credential) {
            let extra = task.extra();
            for secret in &extra {
                match self.revoke_token(&task, RevokedToken::Credential, secret).await {
                    TokenOutcome::Revoked => {}
                    TokenOutcome::Unsupported => unsupported = true,
                    TokenOutcome::Refused(detail) => {
                        refusal.get_or_insert(detail);
                    }
                    TokenOutcome::Retry(detail, retry_after) => {
                        return AttemptStatus::Retry { detail, retry_after };
                    }
                }
            }
            if !extra.is_empty() && refusal.is_none() && !unsupported {
                tokens.push(RevokedToken::Credential);
            }
        }
        match refusal {
            Some(detail) => AttemptStatus::Failed(detail),
            None if task.shared.keeps_any() => AttemptStatus::Kept(KEPT_DETAIL.to_owned()),
            None if !tokens.is_empty() => AttemptStatus::Revoked,
            None if unsupported => {
                AttemptStatus::NotSupported("The provider does not revoke tokens of this kind".to_owned())
            }
            None => AttemptStatus::NotSupported("The credential holds no token".to_owned()),
        }
    }

    /// Whether the provider still accepts an access token. Uses introspection (RFC 7662) if an endpoint is known
    /// and gives a result, else the toolkit's verification request. Without either, the access token counts as
    /// revoked with its refresh token.
    async fn is_active(&self, task: &Task<'_>, access_token: &str) -> bool {
        let response = Box::pin(self.introspect_is_active(task, access_token));
        if let Ok(Some(is_active)) = tokio::time::timeout(INTROSPECTION_TIMEOUT, response).await {
            return is_active;
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

    async fn introspect_is_active(&self, task: &Task<'_>, access_token: &str) -> Option<bool> {
        let RevocationMethod::OAuth(oauth) = task.method else { return None };
        let provider = self.revoking_provider(task, oauth).await.ok()?;
        provider.oauth.introspection_url.as_ref()?;
        let key = task.material.get("dpop_key").map(Secret::from);
        let response = self.providers.introspect(&provider, &Secret::from(access_token), key.as_ref()).await;
        response.ok()?.is_active
    }

    async fn revoke_token(&self, task: &Task<'_>, token: RevokedToken, secret: &str) -> TokenOutcome {
        let response = match task.method {
            RevocationMethod::OAuth(oauth) => Box::pin(self.revoke_as_client(task, oauth, token, secret)).await,
            RevocationMethod::Signed(toolkit, call) => {
                let request = self.signed_revocation(task, toolkit, call, secret);
                Box::pin(self.send_revocation(task, request, None)).await
            }
            RevocationMethod::Call(call) => {
                let request = self.call_revocation(task, call, secret);
                Box::pin(self.send_revocation(task, request, None)).await
            }
        };
        match response {
            Ok((RevocationResponse::Revoked, _)) => TokenOutcome::Revoked,
            Ok((RevocationResponse::UnsupportedToken, _)) => TokenOutcome::Unsupported,
            Ok((RevocationResponse::Refused(error), metadata)) => {
                TokenOutcome::Refused(refusal_detail(token, metadata.status, &error))
            }
            Ok((RevocationResponse::Later(error), metadata)) => {
                TokenOutcome::Retry(refusal_detail(token, metadata.status, &error), metadata.retry_after)
            }
            Err(other) => other,
        }
    }

    /// Sends the request as the OAuth client. A request refused for its client authentication has no effect, so it
    /// is repeated once with the other client authentication method.
    async fn revoke_as_client(&self, task: &Task<'_>, oauth: &OAuth2, token: RevokedToken, secret: &str) -> SendResult {
        let provider = self.revoking_provider(task, oauth).await?;
        let (started, used) = (Instant::now(), self.providers.with_known_method(&provider, Endpoint::Revocation));
        let request = self.client_revocation(task, &provider, &used, token, secret)?;
        let response = Box::pin(self.send_revocation(task, Ok(request), Some(&provider))).await?;
        let (RevocationResponse::Refused(error), metadata) = &response else { return Ok(response) };
        let refusal = (error, metadata.status);
        let Some(other) = self.providers.alternative_method(&provider, Endpoint::Revocation, &used, refusal, started)
        else {
            return Ok(response);
        };
        let request = self.client_revocation(task, &provider, &other, token, secret)?;
        let second = Box::pin(self.send_revocation(task, Ok(request), Some(&provider))).await?;
        match &second {
            (RevocationResponse::Later(_), _) => {}
            (RevocationResponse::Refused(error), metadata) => {
                let was_refused = is_unauthenticated(error, metadata.status);
                self.providers.record_method(&provider, Endpoint::Revocation, &other, was_refused);
            }
            _ => self.providers.record_method(&provider, Endpoint::Revocation, &other, false),
        }
        Ok(second)
    }

    /// Sends one request and parses the response. Secrets are redacted in errors. With a `provider`, the request
    /// has a `DPoP` proof if the tokens are bound to a key.
    async fn send_revocation(
        &self,
        task: &Task<'_>,
        request: Result<Request<Bytes>, TokenOutcome>,
        provider: Option<&Provider<'_>>,
    ) -> SendResult {
        let request = request?;
        let sent = RequestSecrets::of(&request);
        let key = task.material.get("dpop_key").map(Secret::from);
        let answer = match provider {
            Some(provider) => self.providers.send_proven(provider, request, key.as_ref()).await,
            None => self.providers.send_protocol(request).await,
        };
        let answer = answer.map_err(|error| transport_failure(&error))?;
        let status = answer.status().as_u16();
        let (headers, body) = (answer.headers(), answer.body());
        let parsed = ProviderResponse { status, headers, body, now: self.core.now().as_secs() };
        let redact = |error: TokenError| {
            let secrets = task.material.iter().filter(|(name, _)| *name != "client_id");
            let secrets: Vec<&str> = secrets.map(|(_, secret)| secret.expose()).collect();
            sent.mask(error).without(&secrets)
        };
        let response = match parse_revocation_response(task.response(), &parsed) {
            RevocationResponse::Refused(error) => RevocationResponse::Refused(redact(error)),
            RevocationResponse::Later(error) => RevocationResponse::Later(redact(error)),
            other => other,
        };
        Ok((response, ResponseMetadata { status, retry_after: retry_after(headers, self.core.now()) }))
    }
}

impl<'a> Task<'a> {
    /// How the response is parsed.
    fn response(&self) -> &'a TokenResponse {
        match self.method {
            RevocationMethod::Call(call) | RevocationMethod::Signed(_, call) => &call.response,
            RevocationMethod::OAuth(oauth) => oauth.revoke.as_ref().map_or(&oauth.response, |call| &call.response),
        }
    }

    /// The extra tokens of the account to revoke.
    fn extra(&self) -> Vec<&'a str> {
        let RevocationMethod::OAuth(oauth) = self.method else { return Vec::new() };
        let to_revoke = oauth.tokens.iter().filter(|token| !self.shared.extra.contains(&token.name));
        to_revoke.filter_map(|token| self.material.get(&extra_token_name(&token.name))).collect()
    }

    /// The tokens that need a request each. A call of the toolkit file may revoke all with one request.
    fn tokens(&self) -> Vec<RevokedToken> {
        const BOTH: [RevokedToken; 2] = [RevokedToken::RefreshToken, RevokedToken::AccessToken];
        if let RevocationMethod::OAuth(oauth) = self.method
            && !oauth.revocation_tokens.is_empty()
        {
            return oauth.revocation_tokens.iter().copied().map(RevokedToken::from).collect();
        }
        let call = match self.method {
            RevocationMethod::Call(call) | RevocationMethod::Signed(_, call) => Some(call),
            RevocationMethod::OAuth(oauth) => oauth.revoke.as_ref(),
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

/// The outcome of a request without a response. A request that egress rules forbid is not retried.
fn transport_failure(error: &EgressError) -> TokenOutcome {
    let detail = egress_error(error).message().to_owned();
    match error {
        EgressError::EndpointNotAllowed { .. } | EgressError::HostNotAllowed | EgressError::InvalidRequest { .. } => {
            TokenOutcome::Refused(detail)
        }
        _ => TokenOutcome::Retry(detail, None),
    }
}

/// The detail of a refusal. `TokenError` limits the length of its parts.
fn refusal_detail(token: RevokedToken, status: u16, error: &TokenError) -> String {
    let mut text = format!("The provider answered {status} when asked to revoke the {}", token.as_str());
    for part in [&error.code, &error.description].into_iter().flatten() {
        text.push_str(": ");
        text.push_str(part);
    }
    text
}
