//! One try at the provider: the refresh token first, since without it nothing new can be had, then
//! the access token (RFC 7009; RFC 9700 section 4.14).

use switchboard_auth::{
    Answer, ClientCredentials, Draft, RevocationAnswer, Sent, TokenError, call_request, parse_revocation_response,
    revocation_request,
};
use switchboard_catalog::{Call, Scheme, TokenName, TokenResponse, Toolkit};
use switchboard_egress::EgressError;
use switchboard_vault::{Secret, Secrets};

use super::sharing::{KEPT, Share};
use super::{Revocable, RevokedToken};
use crate::app::App;
use crate::app::credentials::Client;
use crate::app::further_tokens::extra_token_name;
use crate::app::params::AccountParams;
use crate::app::provider::{Failure, Provider, retry_after, settle_method};
use crate::app::secret_addresses::check_managed_hosts;
use crate::app::upstream::{Verification, egress_error};
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
enum OneToken {
    Revoked,
    Unsupported,
    Refused(String),
    Later(String, Option<Millis>),
}

impl From<TokenName> for RevokedToken {
    fn from(name: TokenName) -> Self {
        match name {
            TokenName::AccessToken => Self::AccessToken,
            TokenName::RefreshToken => Self::RefreshToken,
        }
    }
}

impl App {
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

    /// Whether the provider still takes an access token, by introspection, or by the toolkit's own request
    /// for it. One that nobody can ask about is as dead as its refresh token.
    async fn is_alive(&self, task: &Task<'_>, access_token: &str) -> bool {
        let Some(toolkit) = self.toolkit(task.toolkit) else { return false };
        let request = (toolkit.bearer_token.as_ref().and_then(|bearer| bearer.verify.as_ref()))
            .or_else(|| toolkit.identity.as_ref()?.request.as_ref());
        let Some(request) = request else { return false };
        let secrets = Secrets::from([("access_token", Secret::from(access_token))]);
        match self.probe(&toolkit, task.scheme, request, &secrets, task.params).await {
            Ok((Verification::Accepted, _)) => true,
            Ok((Verification::Refused | Verification::Unclear, _)) | Err(_) => false,
        }
    }

    async fn revoke_token(&self, task: &Task<'_>, token: RevokedToken, secret: &str) -> OneToken {
        let request = match self.revocation_request(task, token, secret).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let sent = Sent::of(&request);
        let answer = match self.send_protocol(request).await {
            Ok(answer) => answer,
            Err(error) => return undelivered(&error),
        };
        let status = answer.status().as_u16();
        let (headers, body) = (answer.headers(), answer.body());
        let read = Answer { status, headers, body, now: self.now() / 1_000 };
        let said = |error: TokenError| {
            let ours = task.material.iter().filter(|(name, _)| *name != "client_id");
            let ours: Vec<&str> = ours.map(|(_, secret)| secret.expose()).collect();
            words(token, status, &sent.mask(error).without(&ours))
        };
        match parse_revocation_response(task.response(), &read) {
            RevocationAnswer::Revoked => OneToken::Revoked,
            RevocationAnswer::UnsupportedToken => OneToken::Unsupported,
            RevocationAnswer::Refused(error) => OneToken::Refused(said(error)),
            RevocationAnswer::Later(error) => OneToken::Later(said(error), retry_after(answer.headers(), self.now())),
        }
    }

    async fn revocation_request(
        &self,
        task: &Task<'_>,
        token: RevokedToken,
        secret: &str,
    ) -> Result<http::Request<bytes::Bytes>, OneToken> {
        let unmade = |failure: Failure| {
            OneToken::Refused(format!("The request cannot be made: {}", failure.shown().unwrap_or_default()))
        };
        let oauth = match task.how {
            Revocable::OAuth(oauth) => oauth,
            Revocable::Signed(toolkit, call) => return self.signed_revocation(task, toolkit, call, secret),
            Revocable::Call(call) => {
                let known = |name: &str| match name {
                    "token" => Some(secret.to_owned()),
                    _ => task.material.get(name).map(str::to_owned).or_else(|| self.variable(task.params, name)),
                };
                // An identifier is no secret: it is among the account's parameters.
                let client_id = known("client_id");
                let client = client_id.as_deref().map(|client_id| ClientCredentials {
                    client_id,
                    client_secret: task.material.get("client_secret"),
                    assertion: None,
                });
                let request = call_request(call, client.as_ref(), self.moment(&self.unique()), &known);
                return request.map_err(|error| OneToken::Refused(format!("The request cannot be made: {error}")));
            }
        };
        // The operator's client may no longer be offered to this project; the token is its all the same.
        let managed = self.settings.managed.get(task.toolkit).filter(|_| task.is_managed);
        let client = match managed {
            Some(client) => {
                let value = |name: &str| task.params.value(name).cloned();
                if let Some(toolkit) = self.toolkit(task.toolkit)
                    && let Err(error) = check_managed_hosts(&toolkit, Scheme::OAuth2, client, &value)
                {
                    return Err(OneToken::Refused(error.message().to_owned()));
                }
                Client::managed(client)
            }
            None => Client::of(&mut task.material.clone()).ok_or_else(|| {
                let detail = "The operator's OAuth client for this toolkit is not configured any more";
                OneToken::Later(detail.to_owned(), None)
            })?,
        };
        let completed = self.completed_with(oauth, task.params).await;
        let (mut oauth, metadata) = completed.map_err(|error| OneToken::Later(error.message().to_owned(), None))?;
        settle_method(&mut oauth, task.scheme, &client);
        // The endpoint has a list of its own.
        let method = oauth.revocation_client_authentication.unwrap_or_else(|| {
            let method = oauth.client_authentication;
            metadata.map_or(method, |metadata| metadata.revocation_authentication(method))
        });
        if method != oauth.client_authentication {
            oauth.to_mut().client_authentication = method;
        }
        let provider = Provider { oauth, client, params: task.params };
        let oauth = &provider.oauth;
        if oauth.revoke.is_none() && oauth.revocation_url.is_none() {
            return Err(OneToken::Unsupported);
        }
        let request = self.authenticated(&provider, |client, variables| match &oauth.revoke {
            Some(call) => {
                let known = |name: &str| match name {
                    "token" => Some(secret.to_owned()),
                    "access_token" | "refresh_token" => task.material.get(name).map(str::to_owned),
                    _ => variables(name),
                };
                call_request(call, Some(client), self.moment(&self.unique()), &known)
            }
            None => revocation_request(oauth, client, secret, token.as_str(), variables)
                .unwrap_or(Err(switchboard_auth::BuildError::Body)),
        });
        request.map_err(unmade)
    }
}

impl App {
    /// A request that OAuth 1.0a signs.
    fn signed_revocation(
        &self,
        task: &Task<'_>,
        toolkit: &Toolkit,
        call: &Call,
        token: &str,
    ) -> Result<http::Request<bytes::Bytes>, OneToken> {
        let unmade =
            |error: switchboard_auth::BuildError| OneToken::Refused(format!("The request cannot be made: {error}"));
        let known = |name: &str| match name {
            "token" => Some(token.to_owned()),
            "client_id" => task.material.get("consumer_key").map(str::to_owned),
            _ => self.variable(task.params, name),
        };
        let request = call_request(call, None, self.moment(&self.unique()), &known).map_err(unmade)?;
        let mut draft = Draft::of(request).map_err(unmade)?;
        self.oauth1_sign(toolkit, task.material, task.params, &mut draft).map_err(unmade)?;
        draft.into_request().map_err(unmade)
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
