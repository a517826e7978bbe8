//! Token requests: sending one, parsing its response, and introspecting the token if the toolkit requires it.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use switchboard_auth::{
    BuildError, Introspection, ParseOptions, ProviderResponse, RequestSecrets, TokenSet, introspection_request,
    new_dpop_key, parse_introspection_response, parse_token_response,
};
use switchboard_catalog::{Expiry, OAuth2};
use switchboard_vault::Secret;

use super::dpop::url_of;
use super::method::{Endpoint, was_refused};
use super::tokens::{INTROSPECTION_TIMEOUT, Provider, Tokens, build_failure};
use super::{Failure, retry_after};
use crate::app::credential::unread::UnreadAnswer;
use crate::app::provider::Providers;

impl Providers {
    /// Requests tokens that may be bound to a `DPoP` key: the account's key, or a new one. A server that demands
    /// a nonce has not processed the request, so it is sent again (RFC 9449 section 8).
    pub(super) async fn request_bound_tokens(
        &self,
        provider: &Provider<'_>,
        request: Request<Bytes>,
        reading: ParseOptions<'_>,
        masked: &[&str],
        key: Option<&str>,
    ) -> Tokens {
        if !provider.oauth.dpop {
            return self.request_tokens(request, reading, masked).await;
        }
        let key = key.map_or_else(new_dpop_key, |key| Ok(Secret::from(key))).map_err(build_failure)?;
        let retry = request.clone();
        let mut result =
            self.request_tokens(self.with_proof(request, &key).map_err(build_failure)?, reading, masked).await;
        if matches!(&result, Err(Failure::Refused { error, .. }) if error.code.as_deref() == Some("use_dpop_nonce")) {
            result = self.request_tokens(self.with_proof(retry, &key).map_err(build_failure)?, reading, masked).await;
        }
        result.map(|tokens| TokenSet { dpop_key: Some(key), ..tokens })
    }

    /// Sends a token request and parses the response. Errors contain nothing that was sent, and none of the
    /// secrets in `masked`, which the request may contain in part or in another form.
    pub(super) async fn request_tokens(
        &self,
        request: Request<Bytes>,
        reading: ParseOptions<'_>,
        masked: &[&str],
    ) -> Tokens {
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let answer = ProviderResponse {
            status: status.as_u16(),
            headers: &headers,
            body: &body,
            now: self.core.now().as_secs(),
        };
        let read = parse_token_response(reading, &answer);
        let unread = read.as_ref().err().and_then(|error| UnreadAnswer::of(error, status, &headers, &body));
        read.map_err(|error| Failure::Refused {
            error: sent.mask(error).without(masked),
            status,
            retry_after: retry_after(&headers, self.core.now()),
            unread,
        })
    }

    pub(super) async fn send_parts(&self, request: Request<Bytes>) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let url = url_of(&request).map_err(build_failure)?;
        Ok(parts(self.send_recording_nonce(&url, request).await?))
    }

    /// Gets the expiry of a token by introspection (RFC 7662), if the toolkit requires it. If the provider does
    /// not report it, the token is used until it is rejected.
    pub(super) async fn with_introspected_expiry(&self, provider: &Provider<'_>, mut tokens: TokenSet) -> TokenSet {
        if provider.oauth.expiry != Expiry::Introspection {
            return tokens;
        }
        let result = self.introspect(provider, &tokens.access_token, tokens.dpop_key.as_ref());
        match tokio::time::timeout(INTROSPECTION_TIMEOUT, result).await {
            Ok(Ok(introspection)) => {
                if let Some(end) = introspection.ends_at {
                    tokens.expires_in = u64::try_from(end - self.core.now().as_secs()).ok();
                }
            }
            Ok(Err(failure)) => {
                tracing::warn!(reason = %failure.log_text(), "a token could not be introspected");
            }
            Err(_) => tracing::warn!("a token could not be introspected in time"),
        }
        tokens
    }

    /// Introspects an access token (RFC 7662 section 2.2). This has no side effects. `key` is the `DPoP` key that
    /// the token is bound to.
    pub(in crate::app) async fn introspect(
        &self,
        provider: &Provider<'_>,
        token: &Secret,
        key: Option<&Secret>,
    ) -> Result<Introspection, Failure> {
        let (started_at, used) = (Instant::now(), self.with_known_method(provider, Endpoint::Introspection));
        let result = Box::pin(self.introspect_with(provider, &used, token, key)).await;
        let Err(Failure::Refused { error, status, .. }) = &result else { return result };
        let refusal = (error, status.as_u16());
        let Some(other) = self.alternative_method(provider, Endpoint::Introspection, &used, refusal, started_at) else {
            return result;
        };
        let retried = Box::pin(self.introspect_with(provider, &other, token, key)).await;
        if let Some(was_refused) = was_refused(&retried) {
            self.record_method(provider, Endpoint::Introspection, &other, was_refused);
        }
        retried
    }

    async fn introspect_with(
        &self,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        token: &Secret,
        key: Option<&Secret>,
    ) -> Result<Introspection, Failure> {
        let request = self.authenticated(provider, oauth, |client, variables| {
            introspection_request(oauth, client, token.expose(), variables).unwrap_or(Err(BuildError::Body))
        })?;
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = parts(self.send_proven(provider, request, key).await?);
        let answer = ProviderResponse {
            status: status.as_u16(),
            headers: &headers,
            body: &body,
            now: self.core.now().as_secs(),
        };
        parse_introspection_response(&answer).map_err(|error| Failure::Refused {
            error: sent.mask(error),
            status,
            retry_after: retry_after(&headers, self.core.now()),
            unread: None,
        })
    }
}

/// Splits a response into its parts.
pub(super) fn parts(answer: Response<Bytes>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, body)
}
