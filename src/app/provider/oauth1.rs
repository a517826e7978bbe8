//! OAuth 1.0a at a provider (RFC 5849): temporary credentials, token credentials, signed requests.

use std::borrow::Cow;

use serde::Deserialize;
use switchboard_auth::oauth1::{
    Signer, Stamp, Token, TokenCredentials, access_token_request, authorization_url, nonce,
    parse_access_token_response, parse_request_token_response, request_token_request,
};
use switchboard_auth::{ClientCredentials, RequestSecrets, TokenError, UnsentRequest, decompressed};
use switchboard_catalog::{Capture, OAuth1, Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::{Secret, Secrets};
use url::Url;

use super::request::MAX_TOKEN_RESPONSE;
use super::{Failure, retry_after};
use crate::app::credential::client::{Client, IssuedTo};
use crate::app::credential::unread::UnreadAnswer;
use crate::app::provider::Providers;
use crate::error::{Error, Result};
use switchboard_types::AccountParams;

/// Temporary credentials, stored as JSON between the redirect and the callback.
#[derive(Deserialize)]
struct TemporaryCredentials {
    token: Secret,
    secret: Secret,
}

impl Providers {
    /// Gets temporary credentials. Returns the authorization URL and what to store until the callback.
    pub async fn oauth1_start(
        &self,
        oauth: &OAuth1,
        client: &Client,
        callback: &str,
        params: &AccountParams,
    ) -> std::result::Result<(Url, Secret), Failure> {
        let variables = |name: &str| self.core.variable(params, name);
        let unique = nonce(&*self.core.entropy);
        let request = request_token_request(oauth, &credentials(client), callback, self.stamp(&unique), &variables)
            .map_err(super::tokens::build_failure)?;
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let temporary = parse_request_token_response(&[], status.as_u16(), &decompressed_body(&headers, &body))
            .map_err(|error| self.oauth1_refused(error, &sent, status, &headers, None))?;
        let url =
            authorization_url(oauth, temporary.token.expose(), &variables).map_err(super::tokens::build_failure)?;
        let stored = Secrets::from([("token", temporary.token), ("secret", temporary.secret)]);
        Ok((url, stored.into_json()))
    }

    /// Exchanges the verifier for token credentials. Captured values go into `params`. `stored` is what
    /// [`Self::oauth1_start`] returned.
    pub async fn oauth1_finish(
        &self,
        oauth: &OAuth1,
        client: &Client,
        stored: &Secret,
        verifier: &Secret,
        params: &mut AccountParams,
    ) -> std::result::Result<Secrets, Failure> {
        let temporary: TemporaryCredentials =
            serde_json::from_str(stored.expose()).map_err(|error| Failure::Unsent(Error::internal(error)))?;
        let token = Token { token: temporary.token.expose(), secret: temporary.secret.expose() };
        let unique = nonce(&*self.core.entropy);
        let request = {
            let variables = |name: &str| self.core.variable(params, name);
            let stamp = self.stamp(&unique);
            access_token_request(oauth, &credentials(client), token, verifier.expose(), stamp, &variables)
                .map_err(super::tokens::build_failure)?
        };
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let names: Vec<String> = oauth.capture.iter().map(|capture| name_of(capture).to_owned()).collect();
        let token_credentials =
            parse_access_token_response(&names, status.as_u16(), &decompressed_body(&headers, &body)).map_err(
                |error| {
                    let unread = UnreadAnswer::of(&error, status, &headers, &body);
                    self.oauth1_refused(error, &sent, status, &headers, unread)
                },
            )?;
        for capture in &oauth.capture {
            if let Some(value) =
                token_credentials.captured.get(name_of(capture)).filter(|value| capture.check(value).is_ok())
            {
                params.captured.insert(capture.name.clone(), value.clone());
            }
        }
        let TokenCredentials { token, secret, .. } = token_credentials;
        Ok(Secrets::from([("oauth_token", token), ("oauth_token_secret", secret)]))
    }

    /// Whether the returned token is the one of the stored temporary credentials.
    pub fn oauth1_matches(&self, stored: &Secret, token: &Secret) -> bool {
        serde_json::from_str::<TemporaryCredentials>(stored.expose()).is_ok_and(|temporary| {
            switchboard_vault::digest(temporary.token.expose()) == switchboard_vault::digest(token.expose())
        })
    }

    /// The secrets that sign a request: the account's token and the client it belongs to. The client is never
    /// stored with the account.
    pub fn signing_secrets(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        config: &AuthConfigRow,
        params: &AccountParams,
        secrets: &Secrets,
    ) -> Result<Secrets> {
        let mut signing = secrets.clone();
        if scheme == Scheme::OAuth1 {
            let client = self.credentials.client_for(toolkit, scheme, config, params, IssuedTo::CurrentClient)?;
            signing.insert("consumer_key", Secret::new(client.client_id));
            if let Some(secret) = client.client_secret {
                signing.insert("consumer_secret", secret);
            }
        }
        Ok(signing)
    }

    /// Signs a request.
    pub fn oauth1_sign(
        &self,
        toolkit: &Toolkit,
        secrets: &Secrets,
        params: &AccountParams,
        draft: &mut UnsentRequest,
    ) -> std::result::Result<(), switchboard_auth::BuildError> {
        let missing = |name| switchboard_auth::BuildError::Credential { name, reason: "is missing" };
        let oauth = toolkit.oauth1.as_ref().ok_or_else(|| missing("oauth1"))?;
        let client = ClientCredentials {
            client_id: secrets.get("consumer_key").ok_or_else(|| missing("consumer_key"))?,
            client_secret: secrets.get("consumer_secret"),
            assertion: None,
        };
        let token = Token {
            token: secrets.get("oauth_token").ok_or_else(|| missing("oauth_token"))?,
            secret: secrets.get("oauth_token_secret").ok_or_else(|| missing("oauth_token_secret"))?,
        };
        let signer = Signer::new(oauth, client, Some(token), &|name| self.core.variable(params, name))?;
        let unique = nonce(&*self.core.entropy);
        signer.apply(self.stamp(&unique), &draft.method, &draft.url, &mut draft.headers, &draft.body)
    }

    fn stamp<'n>(&self, nonce: &'n str) -> Stamp<'n> {
        Stamp { timestamp: u64::try_from(self.core.now().as_secs()).unwrap_or_default(), nonce }
    }

    fn oauth1_refused(
        &self,
        error: TokenError,
        sent: &RequestSecrets,
        status: http::StatusCode,
        headers: &http::HeaderMap,
        unread: Option<UnreadAnswer>,
    ) -> Failure {
        Failure::Refused { error: sent.mask(error), status, retry_after: retry_after(headers, self.core.now()), unread }
    }
}

crate::redacted_debug!(TemporaryCredentials);

/// The decompressed body; unchanged if it cannot be decompressed, so that the parser reports the error.
fn decompressed_body<'b>(headers: &http::HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
    decompressed(headers, body, MAX_TOKEN_RESPONSE).unwrap_or(Cow::Borrowed(body))
}

fn credentials(client: &Client) -> ClientCredentials<'_> {
    ClientCredentials {
        client_id: &client.client_id,
        client_secret: client.client_secret.as_ref().map(Secret::expose),
        assertion: None,
    }
}

/// The name of a value in a response, which is flat here: `/user_id` or `user_id`.
fn name_of(capture: &Capture) -> &str {
    capture.at.trim_start_matches('/')
}
