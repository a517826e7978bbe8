//! Requests to the token endpoint (RFC 6749 sections 4.1.3 and 6) and to the revocation endpoint (RFC 7009
//! section 2.1). Secrets are in the body or a header, never in the URL.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use switchboard_catalog::{ClientAuthentication, OAuth2, Pkce, TokenRequestFormat};
use url::Url;

use crate::authorize::renamed;
use crate::client::authenticate;
use crate::error::{BuildError, endpoint, expand};
use crate::{AuthorizationRequest, ClientCredentials, Variables, form};

/// Parameters of the protocol; a toolkit cannot set them. In a code exchange `redirect_uri` is that of the
/// service, in a refresh the toolkit's.
const RESERVED: [&str; 6] = ["grant_type", "code", "code_verifier", "refresh_token", "client_id", "client_secret"];

/// A code and the parameters of its authorization request.
#[derive(Clone, Copy)]
pub struct CodeGrant<'a> {
    /// The authorization code.
    pub code: &'a str,
    /// That of the authorization request.
    pub redirect_uri: &'a str,
    /// PKCE verifier; not sent to a provider that rejects PKCE.
    pub verifier: Option<&'a str>,
    /// That of the authorization request, for providers that require it again.
    pub state: &'a str,
    /// Resource indicator (RFC 8707).
    pub resource: Option<&'a str>,
}

impl std::fmt::Debug for CodeGrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeGrant").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// Exchanges an authorization code for tokens.
///
/// # Errors
/// [`BuildError`]; [`BuildError::MissingPkce`] if the toolkit uses PKCE and there is no verifier.
pub fn code_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    grant: &CodeGrant<'_>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let mut parameters: Parameters<'_> = vec![
        ("grant_type", "authorization_code".into()),
        ("code", grant.code.into()),
        ("redirect_uri", grant.redirect_uri.into()),
    ];
    if oauth.pkce == Pkce::S256 {
        let verifier = grant.verifier.ok_or(BuildError::MissingPkce("code verifier"))?;
        parameters.push(("code_verifier", verifier.into()));
    }
    if let Some(resource) = grant.resource {
        parameters.push(("resource", resource.into()));
    }
    let known = |name: &str| match name {
        "state" => Some(grant.state.to_owned()),
        "redirect_uri" => Some(grant.redirect_uri.to_owned()),
        other => variables(other),
    };
    let url = endpoint("token URL", &oauth.token_url, variables)?;
    TokenRequest { oauth, client, variables: &known }.build(url, parameters, &oauth.token_parameters)
}

/// Exchanges a refresh token for a new access token. Without scopes the granted ones remain (RFC 6749 section
/// 6). The caller must know whether the toolkit supports refreshing.
///
/// # Errors
/// [`BuildError`].
pub fn refresh_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    refresh_token: &str,
    scopes: &[String],
    resource: Option<&str>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let mut parameters: Parameters<'_> =
        vec![("grant_type", "refresh_token".into()), ("refresh_token", refresh_token.into())];
    if !scopes.is_empty() {
        parameters.push((&oauth.scope_parameter, scopes.join(&oauth.scope_separator).into()));
    }
    if let Some(resource) = resource {
        parameters.push(("resource", resource.into()));
    }
    let template = oauth.refresh_url.as_ref().unwrap_or(&oauth.token_url);
    let url = endpoint("refresh URL", template, variables)?;
    let extra = oauth.refresh_parameters.as_ref().unwrap_or(&oauth.token_parameters);
    TokenRequest { oauth, client, variables }.build(url, parameters, extra)
}

/// Revokes a token (RFC 7009). `hint` is `access_token`, `refresh_token` or empty. `None` if the toolkit has
/// no revocation endpoint. The body is encoded like the toolkit's token requests.
pub fn revocation_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    token: &str,
    hint: &str,
    variables: Variables<'_>,
) -> Option<Result<Request<Bytes>, BuildError>> {
    let template = oauth.revocation_url.as_ref()?;
    Some(token_poll("revocation URL", oauth, client, template, token, hint, variables))
}

/// Introspects a token (RFC 7662). `None` if there is no such endpoint.
pub fn introspection_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    token: &str,
    variables: Variables<'_>,
) -> Option<Result<Request<Bytes>, BuildError>> {
    let template = oauth.introspection_url.as_ref()?;
    Some(token_poll("introspection URL", oauth, client, template, token, "access_token", variables))
}

/// Pushes the parameters of an authorization request (RFC 9126). `None` if there is no such endpoint.
pub fn pushed_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    request: &AuthorizationRequest<'_>,
) -> Option<Result<Request<Bytes>, BuildError>> {
    let template = oauth.pushed_authorization_request_url.as_ref()?;
    let build = || {
        let url = endpoint("pushed authorization request URL", template, request.variables)?;
        let pairs = request.parameters()?;
        let parameters = pairs.iter().map(|(name, value)| (name.as_ref(), Cow::from(value.as_ref())));
        // Always required (RFC 9126 section 2.1), but only once: authentication in the body includes it
        // already.
        let in_header = client_is_in_header(oauth.client_authentication);
        let parameters = parameters.filter(|(name, _)| in_header || *name != renamed(oauth, "client_id")).collect();
        TokenRequest { oauth, client, variables: request.variables }.build(url, parameters, &BTreeMap::new())
    };
    Some(build())
}

/// Whether the client authenticates only in a header.
fn client_is_in_header(method: ClientAuthentication) -> bool {
    use ClientAuthentication::{ClientSecretAsUsername, ClientSecretBasic, ClientSecretBasicUnencoded};
    matches!(method, ClientSecretBasic | ClientSecretBasicUnencoded | ClientSecretAsUsername)
}

fn token_poll(
    part: &'static str,
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    template: &str,
    token: &str,
    hint: &str,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let mut parameters: Parameters<'_> = vec![("token", token.into())];
    if !hint.is_empty() {
        parameters.push(("token_type_hint", hint.into()));
    }
    let url = endpoint(part, template, variables)?;
    TokenRequest { oauth, client, variables }.build(url, parameters, &BTreeMap::new())
}

pub(crate) type Parameters<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The common parts of requests to a provider's endpoints.
pub(crate) struct TokenRequest<'a> {
    pub(crate) oauth: &'a OAuth2,
    pub(crate) client: &'a ClientCredentials<'a>,
    pub(crate) variables: Variables<'a>,
}

impl<'a> TokenRequest<'a> {
    pub(crate) fn build(
        &self,
        mut url: Url,
        mut parameters: Parameters<'a>,
        extra: &'a BTreeMap<String, String>,
    ) -> Result<Request<Bytes>, BuildError> {
        let oauth = self.oauth;
        let mut own = Vec::new();
        let authorization = authenticate(oauth.client_authentication, self.client, &mut own)?;
        parameters.extend(own.into_iter().map(|(name, value)| (name, Cow::from(value))));
        for (name, template) in extra {
            let taken = RESERVED.contains(&name.as_str()) || parameters.iter().any(|(ours, _)| ours == name);
            if !taken {
                parameters.push((name, expand("token parameter", template, self.variables)?.into()));
            }
        }
        parameters.retain(|(name, _)| !oauth.token_omit.iter().any(|omitted| omitted == name));
        let named: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            parameters.into_iter().map(|(name, value)| (renamed(oauth, name), value)).collect();
        let pairs = named.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let (content_type, body) = match oauth.token_request_format {
            TokenRequestFormat::Form => (Some(FORM), form::encode_pairs(pairs).into_bytes()),
            TokenRequestFormat::Json => {
                let object: BTreeMap<&str, &str> = pairs.collect();
                (Some(JSON), serde_json::to_vec(&object).map_err(|_| BuildError::Body)?)
            }
            TokenRequestFormat::Query => {
                form::set_query(&mut url, &pairs.collect::<Vec<_>>());
                (None, Vec::new())
            }
        };
        let mut headers = self.headers()?;
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(JSON));
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        request(Method::POST, url, headers, body)
    }

    /// The toolkit's headers for token requests.
    fn headers(&self) -> Result<HeaderMap, BuildError> {
        let mut headers = HeaderMap::new();
        for (name, template) in &self.oauth.token_headers {
            let refuse = |reason| Err(BuildError::Header { name: name.clone(), reason });
            let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                return refuse("is not a header name");
            };
            // Strict servers reject a second client authentication (section 2.3).
            if header == AUTHORIZATION && self.oauth.client_authentication != ClientAuthentication::None {
                return refuse("would be a second client authentication");
            }
            let Ok(value) = HeaderValue::from_bytes(expand("token header", template, self.variables)?.as_bytes())
            else {
                return refuse("would hold a control character");
            };
            headers.insert(header, value);
        }
        Ok(headers)
    }
}

/// Media types of token requests.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "application/json";

/// Builds a request.
pub(crate) fn request(
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Request<Bytes>, BuildError> {
    let mut request = Request::new(body.into());
    *request.method_mut() = method;
    *request.uri_mut() = String::from(url)
        .try_into()
        .map_err(|_| BuildError::Endpoint { part: "URL", reason: "cannot be sent in a request" })?;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests;
