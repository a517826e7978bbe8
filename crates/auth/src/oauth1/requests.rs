//! Requests for temporary and for token credentials (RFC 5849 sections 2.1 and 2.3), and the authorization
//! URL between them (section 2.2).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use switchboard_catalog::OAuth1;
use url::Url;

use super::base_string::{Covered, PROTOCOL};
use super::{Signer, Stamp, Token};
use crate::error::{BuildError, endpoint, expand};
use crate::{ClientCredentials, Variables, form};

/// Requests temporary credentials. `callback` is the callback URL, or `oob`. The toolkit's extra parameters
/// form the body; protocol parameters among them are omitted.
///
/// # Errors
/// [`BuildError`].
pub fn request_token_request(
    oauth: &OAuth1,
    client: &ClientCredentials<'_>,
    callback: &str,
    stamp: Stamp<'_>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let url = endpoint("request token URL", &oauth.request_token_url, variables)?;
    let signer = Signer::new(oauth, *client, None, variables)?;
    let extra = extra(&oauth.request_parameters, variables)?;
    let body = form::encode_pairs(extra.iter().map(|(name, value)| (*name, value.as_str())));
    post(&signer, stamp, &url, body, ("oauth_callback", callback))
}

/// Exchanges authorized temporary credentials for token credentials.
///
/// # Errors
/// [`BuildError`].
pub fn access_token_request(
    oauth: &OAuth1,
    client: &ClientCredentials<'_>,
    temporary: Token<'_>,
    verifier: &str,
    stamp: Stamp<'_>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let url = endpoint("access token URL", &oauth.access_token_url, variables)?;
    let signer = Signer::new(oauth, *client, Some(temporary), variables)?;
    post(&signer, stamp, &url, String::new(), ("oauth_verifier", verifier))
}

/// The authorization URL for the user's browser. Keeps the toolkit's own query and parameters, unless they
/// conflict with a parameter of the protocol.
///
/// # Errors
/// [`BuildError::Template`] and [`BuildError::Endpoint`].
pub fn authorization_url(oauth: &OAuth1, token: &str, variables: Variables<'_>) -> Result<Url, BuildError> {
    let mut url = endpoint("authorization URL", &oauth.authorization_url, variables)?;
    let extra = extra(&oauth.authorization_parameters, variables)?;
    let mut pairs = vec![("oauth_token", token)];
    pairs.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
    form::set_query(&mut url, &pairs);
    Ok(url)
}

/// The toolkit's parameters, without those of the protocol.
fn extra<'p>(
    parameters: &'p BTreeMap<String, String>,
    variables: Variables<'_>,
) -> Result<Vec<(&'p str, String)>, BuildError> {
    let ours = parameters.iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str()));
    ours.map(|(name, template)| Ok((name.as_str(), expand("extra parameter", template, variables)?))).collect()
}

fn post(
    signer: &Signer<'_>,
    stamp: Stamp<'_>,
    url: &Url,
    body: String,
    parameter: (&str, &str),
) -> Result<Request<Bytes>, BuildError> {
    let covered = Covered { method: &Method::POST, url, form: Some(body.as_bytes()) };
    let authorization = signer.authorization_with(stamp, &covered, &[parameter])?;
    let has_body = !body.is_empty();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| BuildError::Endpoint { part: "token URL", reason: "cannot be sent in a request" })?;
    let headers = request.headers_mut();
    // Responses are forms with any content type: a specific `Accept` might be rejected.
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(AUTHORIZATION, authorization);
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    Ok(request)
}
