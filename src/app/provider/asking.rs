//! One request for tokens: sent, read, and where the file wants it asked about once more.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;
use switchboard_auth::{
    Answer, BuildError, Reading, Sent, TokenSet, introspection_request, new_dpop_key, parse_token_response, unpacked,
};
use switchboard_catalog::Expiry;
use switchboard_vault::Secret;

use super::possession::url_of;
use super::tokens::{INTROSPECTION_TIMEOUT, Provider, Tokens, unbuilt};
use super::{Failure, retry_after};
use crate::app::App;
use crate::app::unread::UnreadAnswer;
use crate::app::upstream::MAX_TOKEN_ANSWER;

impl App {
    /// Asks for tokens that may be bound to a key: the account's own, or a new one. A server that wants a
    /// nonce says so and has done nothing yet, so the request is sent once more (RFC 9449 section 8).
    pub(super) async fn ask_bound(
        &self,
        provider: &Provider<'_>,
        request: Request<Bytes>,
        reading: Reading<'_>,
        held: &[&str],
        key: Option<&str>,
    ) -> Tokens {
        if !provider.oauth.dpop {
            return self.ask(request, reading, held).await;
        }
        let key = key.map_or_else(new_dpop_key, |key| Ok(Secret::from(key))).map_err(unbuilt)?;
        let once_more = request.clone();
        let mut asked = self.ask(self.proven(request, &key).map_err(unbuilt)?, reading, held).await;
        if matches!(&asked, Err(Failure::Refused { error, .. }) if error.code.as_deref() == Some("use_dpop_nonce")) {
            asked = self.ask(self.proven(once_more, &key).map_err(unbuilt)?, reading, held).await;
        }
        asked.map(|tokens| TokenSet { dpop_key: Some(key), ..tokens })
    }

    /// Sends a token request and reads its answer. An error repeats nothing that was sent, nor any of
    /// `held`: secrets of which the request may hold a part or a form of its own.
    pub(super) async fn ask(&self, request: Request<Bytes>, reading: Reading<'_>, held: &[&str]) -> Tokens {
        let sent = Sent::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let answer = Answer { status: status.as_u16(), headers: &headers, body: &body, now: self.now() / 1_000 };
        let read = parse_token_response(reading, &answer);
        let unread = read.as_ref().err().and_then(|error| UnreadAnswer::of(error, status, &headers, &body));
        read.map_err(|error| Failure::Refused {
            error: sent.mask(error).without(held),
            status,
            retry_after: retry_after(&headers, self.now()),
            unread,
        })
    }

    pub(super) async fn send_parts(
        &self,
        request: Request<Bytes>,
    ) -> Result<(StatusCode, http::HeaderMap, Bytes), Failure> {
        let url = url_of(&request).map_err(unbuilt)?;
        let (parts, body) = self.send_protocol(request).await?.into_parts();
        self.dpop_nonces.note(&url, &parts.headers);
        Ok((parts.status, parts.headers, body))
    }

    /// The end of a token that only the introspection endpoint knows (RFC 7662). A provider that does
    /// not say leaves the token as it is: it works, and a refusal will tell when it does not.
    pub(super) async fn introspected(&self, provider: &Provider<'_>, mut tokens: TokenSet) -> TokenSet {
        let oauth = &provider.oauth;
        if oauth.expiry != Expiry::Introspection {
            return tokens;
        }
        let token = tokens.access_token.expose();
        let request = self.authenticated(provider, |client, variables| {
            introspection_request(oauth, client, token, variables).unwrap_or(Err(BuildError::Body))
        });
        let request = match request {
            Ok(request) => request,
            Err(failure) => {
                tracing::warn!(reason = %failure.logged(), "a token's end could not be asked for");
                return tokens;
            }
        };
        if let Ok(Ok((status, headers, body))) =
            tokio::time::timeout(INTROSPECTION_TIMEOUT, self.send_parts(request)).await
            && status.is_success()
            && let Ok(body) = unpacked(&headers, &body, MAX_TOKEN_ANSWER)
            && let Ok(said) = serde_json::from_slice::<Value>(&body)
            && let Some(end) = said.get("exp").and_then(Value::as_i64)
        {
            tokens.expires_in = u64::try_from(end - self.now() / 1_000).ok();
        }
        tokens
    }
}
