//! The authorization request (RFC 6749 §4.1.1 with PKCE, RFC 7636 §4.3) and the responses to it.

use crate::config::{Client, SandboxConfig};
use crate::form::Params;
use crate::users::{Scope, Scopes, parse_scopes};

/// A valid authorization request, which may be shown to the user.
pub(super) struct AuthorizationRequest<'c> {
    pub client: &'c Client,
    pub scopes: Scopes,
    pub code_challenge: String,
    pub reply: ResponseTarget,
}

/// The redirect URI of the response, and the values that it repeats.
pub(super) struct ResponseTarget {
    pub redirect_uri: String,
    state: Option<String>,
    issuer: String,
}

/// Why a request is rejected.
pub(super) enum Refusal {
    /// The redirect URI is invalid: shown to the user, without a redirect (RFC 6749 §4.1.2.1).
    ErrorPage(&'static str),
    /// The client is informed by a redirect to this URL.
    Redirect(String),
}

impl<'c> AuthorizationRequest<'c> {
    pub(super) fn parse(config: &'c SandboxConfig, query: &str) -> Result<Self, Refusal> {
        let params = Params::parse(query.as_bytes());
        let client_id =
            params.get("client_id").ok_or(Refusal::ErrorPage("The request must name its client_id, once."))?;
        let client =
            config.client(client_id).ok_or(Refusal::ErrorPage("No client with this client_id is registered here."))?;
        let redirect_uri =
            params.get("redirect_uri").ok_or(Refusal::ErrorPage("The request must name its redirect_uri, once."))?;
        if !client.allows_redirect_uri(redirect_uri) {
            return Err(Refusal::ErrorPage("The redirect_uri is not registered for this client."));
        }

        let reply = ResponseTarget {
            redirect_uri: redirect_uri.to_owned(),
            state: params.get("state").map(str::to_owned),
            issuer: config.issuer.clone(),
        };
        let (scopes, code_challenge) = match validate_rest(&params) {
            Ok(rest) => rest,
            Err((error, description)) => {
                return Err(Refusal::Redirect(reply.error(error, description)));
            }
        };
        Ok(Self { client, scopes, code_challenge, reply })
    }
}

/// Validates the parameters whose errors are reported by redirect.
fn validate_rest(params: &Params) -> Result<(Scopes, String), (&'static str, &'static str)> {
    if params.has_repeated() {
        return Err(("invalid_request", "a parameter is repeated"));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => {
            let description = "only response_type code is supported";
            return Err(("unsupported_response_type", description));
        }
        None => return Err(("invalid_request", "response_type is missing")),
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "only response_mode query is supported"));
    }
    // A missing method means `plain` (RFC 7636 §4.3), which is not supported.
    if params.get("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "code_challenge_method must be S256"));
    }
    let code_challenge = params
        .get("code_challenge")
        .filter(|challenge| crate::secret::is_well_formed(challenge))
        .ok_or(("invalid_request", "code_challenge must be a SHA-256 in unpadded base64url"))?;
    let scopes = match params.get("scope") {
        None => Scopes::from([Scope::DEFAULT]),
        Some(text) => parse_scopes(text)
            .filter(|scopes| !scopes.is_empty())
            .ok_or(("invalid_scope", "the scope holds an unknown value"))?,
    };
    Ok((scopes, code_challenge.to_owned()))
}

impl ResponseTarget {
    /// The redirect URL with the code.
    pub(super) fn code(&self, code: &str) -> String {
        self.url(&[("code", code)])
    }

    /// The redirect URL with an error.
    pub(super) fn error(&self, error: &str, description: &str) -> String {
        self.url(&[("error", error), ("error_description", description)])
    }

    fn url(&self, outcome: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(outcome);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        // RFC 9207 §2: in every response, errors included.
        query.append_pair("iss", &self.issuer);
        let separator = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.redirect_uri, query.finish())
    }
}
