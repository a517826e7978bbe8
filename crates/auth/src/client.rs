//! Client authentication at the token endpoint (RFC 6749 section 2.3): exactly one method.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use switchboard_catalog::ClientAuthentication;
use zeroize::Zeroizing;

use crate::error::BuildError;
use crate::{form, text};

/// The OAuth client of an auth config.
#[derive(Clone, Copy)]
pub struct ClientCredentials<'a> {
    /// Public identifier.
    pub client_id: &'a str,
    /// `None` for a public client.
    pub client_secret: Option<&'a str>,
    /// The client assertion, if the client authenticates with one; created for one request.
    pub assertion: Option<&'a str>,
}

impl std::fmt::Debug for ClientCredentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Rejects a secret that no OAuth server can have issued: `client-secret = *VSCHAR`, 0x20–0x7E (RFC 6749
/// appendix A.2). Such a value is a copying error, best reported when it is entered (R22).
///
/// # Errors
/// The reason, without the secret.
pub fn check_client_secret(secret: &str) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("client secret is empty");
    }
    if !text::is_vschar(secret) {
        return Err("client secret holds a character outside printable ASCII");
    }
    Ok(())
}

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Adds the client's authentication to a request: as parameters, or as the returned header.
pub(crate) fn authenticate<'a>(
    method: ClientAuthentication,
    client: &ClientCredentials<'a>,
    parameters: &mut Vec<(&'a str, &'a str)>,
) -> Result<Option<HeaderValue>, BuildError> {
    match method {
        ClientAuthentication::None => {
            parameters.push(("client_id", client.client_id));
            Ok(None)
        }
        ClientAuthentication::ClientSecretPost => {
            parameters.push(("client_id", client.client_id));
            parameters.push(("client_secret", secret(client)?));
            Ok(None)
        }
        ClientAuthentication::ClientSecretBasic => {
            // Section 2.3.1: both parts are form-encoded, so that a colon cannot split them.
            let id = form::encode(client.client_id);
            let encoded_secret = Zeroizing::new(form::encode(secret(client)?));
            basic(&id, &encoded_secret).map(Some)
        }
        ClientAuthentication::ClientSecretBasicUnencoded => basic(client.client_id, secret(client)?).map(Some),
        ClientAuthentication::ClientSecretAsUsername => basic(secret(client)?, "").map(Some),
        ClientAuthentication::PrivateKeyJwt | ClientAuthentication::ClientSecretJwt => {
            parameters.push(("client_id", client.client_id));
            parameters.push(("client_assertion_type", ASSERTION_TYPE));
            parameters.push(("client_assertion", client.assertion.ok_or(BuildError::MissingAssertion)?));
            Ok(None)
        }
    }
}

/// The client's secret, which is required.
pub(crate) fn secret<'a>(client: &ClientCredentials<'a>) -> Result<&'a str, BuildError> {
    client.client_secret.filter(|secret| !secret.is_empty()).ok_or(BuildError::MissingClientSecret)
}

/// `Basic` credentials (RFC 7617), marked sensitive. Both parts are used as they are.
pub(crate) fn basic(username: &str, password: &str) -> Result<HeaderValue, BuildError> {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    sensitive("authorization", &encoded)
}

/// A sensitive header value: hidden by `Debug` and excluded from header compression. Rejects control
/// characters, including CR, LF and NUL.
pub(crate) fn sensitive(name: &str, value: &str) -> Result<HeaderValue, BuildError> {
    let Ok(mut header) = HeaderValue::from_bytes(value.as_bytes()) else {
        return Err(BuildError::Header { name: name.to_owned(), reason: "would hold a control character" });
    };
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientCredentials<'_> = ClientCredentials {
        client_id: "test:client+odd%20id",
        client_secret: Some("se:cr+et%/=& ~0123456789abcdef"),
        assertion: None,
    };

    #[test]
    fn basic_form_encodes_both_halves() {
        let mut parameters = Vec::new();
        let method = ClientAuthentication::ClientSecretBasic;
        let header = authenticate(method, &CLIENT, &mut parameters).unwrap().unwrap();
        assert!(header.is_sensitive());
        assert!(parameters.is_empty(), "one method only");
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "test%3Aclient%2Bodd%2520id:se%3Acr%2Bet%25%2F%3D%26+%7E0123456789abcdef");
    }

    #[test]
    fn a_provider_may_take_basic_as_it_is() {
        let method = ClientAuthentication::ClientSecretBasicUnencoded;
        let header = authenticate(method, &CLIENT, &mut Vec::new()).unwrap().unwrap();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, format!("{}:{}", CLIENT.client_id, CLIENT.client_secret.unwrap()));
    }

    #[test]
    fn the_other_methods_send_no_header() {
        let mut parameters = Vec::new();
        assert_eq!(authenticate(ClientAuthentication::None, &CLIENT, &mut parameters), Ok(None));
        assert_eq!(parameters, [("client_id", CLIENT.client_id)]);
        parameters.clear();
        assert_eq!(authenticate(ClientAuthentication::ClientSecretPost, &CLIENT, &mut parameters), Ok(None));
        let expected = [("client_id", CLIENT.client_id), ("client_secret", CLIENT.client_secret.unwrap())];
        assert_eq!(parameters, expected);
    }

    #[test]
    fn assertions_and_the_secret_as_a_user_name() {
        let mut parameters = Vec::new();
        let client = ClientCredentials { assertion: Some("h.c.s"), ..CLIENT };
        assert_eq!(authenticate(ClientAuthentication::PrivateKeyJwt, &client, &mut parameters), Ok(None));
        let expected =
            [("client_id", CLIENT.client_id), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "h.c.s")];
        assert_eq!(parameters, expected);
        let without = authenticate(ClientAuthentication::ClientSecretJwt, &CLIENT, &mut Vec::new());
        assert_eq!(without, Err(BuildError::MissingAssertion));
        let client = ClientCredentials { client_secret: Some("sk"), ..CLIENT };
        let header = authenticate(ClientAuthentication::ClientSecretAsUsername, &client, &mut Vec::new());
        assert_eq!(header.unwrap().unwrap(), "Basic c2s6");
    }

    #[test]
    fn a_missing_secret_is_named_before_the_provider_is_asked() {
        for method in [ClientAuthentication::ClientSecretPost, ClientAuthentication::ClientSecretBasic] {
            for client_secret in [None, Some("")] {
                let client = ClientCredentials { client_id: "id", client_secret, assertion: None };
                assert_eq!(authenticate(method, &client, &mut Vec::new()), Err(BuildError::MissingClientSecret));
            }
        }
    }

    #[test]
    fn secrets_outside_vschar_are_refused() {
        for good in ["s", "se:cr+et%/=& ~", "with space"] {
            assert_eq!(check_client_secret(good), Ok(()), "{good}");
        }
        for bad in ["", "tab\t", "line\n", "nul\0", "del\u{7f}", "ü", "zero\u{200b}width"] {
            assert!(check_client_secret(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{CLIENT:?}"), "ClientCredentials { client_id: \"test:client+odd%20id\", .. }");
    }
}
