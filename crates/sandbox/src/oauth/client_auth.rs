//! Client authentication at the token and revocation endpoints (RFC 6749 §2.3):
//! `client_secret_basic`, `client_secret_post`, or none for public clients.

use axum::http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::OAuthError;
use crate::authorization::decode_basic;
use crate::config::{Client, SandboxConfig};
use crate::form::{Params, decode_component};
use crate::secret;

/// The client's id and secret in a request.
struct PresentedClient {
    client_id: String,
    client_secret: Option<String>,
}

/// Authenticates the client of a request.
///
/// # Errors
/// `invalid_client` if it is unknown, or its secret is wrong, missing or unexpected; `invalid_request` if it
/// uses two authentication methods (RFC 6749 §2.3).
pub(crate) fn authenticate<'c>(
    config: &'c SandboxConfig,
    headers: &HeaderMap,
    params: &Params,
) -> Result<&'c Client, OAuthError> {
    let presented = match client_of_header(headers)? {
        Some(presented) => {
            if params.get("client_secret").is_some() {
                return Err(OAuthError::invalid_request("the client authenticates in the header and in the body"));
            }
            let named_otherwise = params.get("client_id").is_some_and(|client_id| client_id != presented.client_id);
            if named_otherwise {
                return Err(OAuthError::invalid_request("client_id differs between the header and the body"));
            }
            presented
        }
        None => PresentedClient {
            client_id: params.get("client_id").ok_or(OAuthError::invalid_client("the client is not named"))?.to_owned(),
            client_secret: params.get("client_secret").map(str::to_owned),
        },
    };

    let client = config.client(&presented.client_id).ok_or(OAuthError::invalid_client("the client is unknown"))?;
    match (&client.client_secret, &presented.client_secret) {
        (None, None) => Ok(client),
        (Some(expected), Some(given)) if secret::constant_time_eq(expected, given) => Ok(client),
        (Some(_), Some(_)) => Err(OAuthError::invalid_client("the client secret is wrong")),
        (Some(_), None) => Err(OAuthError::invalid_client("the client secret is missing")),
        (None, Some(_)) => Err(OAuthError::invalid_client("the client is public and has no secret")),
    }
}

fn client_of_header(headers: &HeaderMap) -> Result<Option<PresentedClient>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("there is more than one authorization header"));
    }
    let malformed = || {
        OAuthError::invalid_client(
            "the authorization header is not HTTP Basic with a form-encoded client_id and secret",
        )
    };
    let (client_id, client_secret) = decode_basic(value).ok_or_else(malformed)?;
    let client_id = decode_component(&client_id).ok_or_else(malformed)?;
    let client_secret = decode_component(&client_secret).ok_or_else(malformed)?;
    Ok(Some(PresentedClient {
        client_id,
        // A public client may send an empty secret with its id (RFC 6749 §2.3.1).
        client_secret: Some(client_secret).filter(|secret| !secret.is_empty()),
    }))
}
