//! Assertions (RFC 7523): a signed JWT that authenticates a client at a token endpoint, or represents a user
//! or service account in a grant.

use serde_json::{Map, Value};
use switchboard_catalog::{Assertion, ClientAuthentication, OAuth2, SigningAlgorithm};
use switchboard_vault::Secret;

use crate::error::{BuildError, expand};
use crate::jws::key_fingerprint;
use crate::{JwsAlgorithm, Variables, sign_jwt, x5t_s256};

/// Lifetime of a client assertion in seconds.
const CLIENT_LIFETIME: i64 = 300;

/// Seconds by which `iat` is backdated: a provider whose clock is slightly behind would reject a time in the
/// future.
const BACKDATE: i64 = 30;

/// Time and unique id of a request.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Seconds since 1970.
    pub now: i64,
    /// Unique: the `jti` of assertions, which providers accept only once (R23).
    pub unique: &'a str,
}

/// The key that signs a client's assertions.
#[derive(Clone, Copy, Debug)]
pub struct ClientKey<'a> {
    /// A private key in PEM, or the client's secret for `client_secret_jwt`.
    pub key: &'a Secret,
    /// `kid` in the header, if the provider has several keys of the client.
    pub key_id: Option<&'a str>,
    /// Certificate whose thumbprint identifies the key.
    pub certificate: Option<&'a str>,
}

/// Creates the client assertion if the client authenticates with one (R23); `None` otherwise. The audience is
/// that of the file, else the issuer, else the token endpoint.
///
/// # Errors
/// [`BuildError`].
pub fn client_assertion(
    oauth: &OAuth2,
    client_id: &str,
    key: ClientKey<'_>,
    moment: Moment<'_>,
    variables: Variables<'_>,
) -> Result<Option<Secret>, BuildError> {
    let by_assertion = [ClientAuthentication::PrivateKeyJwt, ClientAuthentication::ClientSecretJwt]
        .contains(&oauth.client_authentication);
    if !by_assertion {
        return Ok(None);
    }
    let known = |name: &str| if name == "client_id" { Some(client_id.to_owned()) } else { variables(name) };
    let declared = &oauth.client_assertion;
    let audience = declared.audience.as_ref().or(oauth.issuer.as_ref()).unwrap_or(&oauth.token_url);
    let issuer = declared.issuer.as_ref().map(|template| expand("assertion's issuer", template, &known)).transpose()?;
    let claims = Map::from_iter([
        ("iss".to_owned(), issuer.unwrap_or_else(|| client_id.to_owned()).into()),
        ("sub".to_owned(), client_id.into()),
        ("aud".to_owned(), expand("assertion's audience", audience, &known)?.into()),
        ("jti".to_owned(), moment.unique.into()),
        ("iat".to_owned(), (moment.now - BACKDATE).into()),
        ("exp".to_owned(), (moment.now - BACKDATE + CLIENT_LIFETIME).into()),
    ]);
    let mut header = Map::new();
    if let Some(key_id) = key.key_id {
        header.insert("kid".to_owned(), key_id.into());
    }
    if let Some(certificate) = key.certificate {
        header.insert("x5t#S256".to_owned(), x5t_s256(certificate)?.into());
    }
    sign_jwt(algorithm(declared.algorithm), key.key, &header, &claims).map(Some)
}

/// Creates the assertion of a call, or one that is itself the token.
///
/// # Errors
/// [`BuildError`].
pub fn mint(assertion: &Assertion, moment: Moment<'_>, variables: Variables<'_>) -> Result<Secret, BuildError> {
    let lifetime = i64::try_from(assertion.lifetime).unwrap_or(CLIENT_LIFETIME);
    let key = Secret::new(expand("assertion's key", &assertion.key, variables)?);
    let known = |name: &str| match name {
        "key_fingerprint" => key_fingerprint(key.expose()).ok(),
        _ => variables(name),
    };
    let variables: Variables<'_> = &known;
    let mut claims = entries("assertion's claim", assertion.claims.iter(), variables)?;
    claims.insert("jti".to_owned(), moment.unique.into());
    claims.insert("iat".to_owned(), (moment.now - BACKDATE).into());
    claims.insert("exp".to_owned(), (moment.now - BACKDATE + lifetime).into());
    let mut header = entries("assertion's header", assertion.header.iter(), variables)?;
    if let Some(template) = &assertion.certificate {
        let certificate = expand("assertion's certificate", template, variables)?;
        header.insert("x5t#S256".to_owned(), x5t_s256(&certificate)?.into());
    }
    sign_jwt(algorithm(assertion.algorithm), &key, &header, &claims)
}

/// Members of a JSON object; empty ones are omitted.
fn entries<'e>(
    part: &'static str,
    entries: impl Iterator<Item = (&'e String, &'e String)>,
    variables: Variables<'_>,
) -> Result<Map<String, Value>, BuildError> {
    let mut object = Map::new();
    for (name, template) in entries {
        let value = expand(part, template, variables)?;
        if !value.is_empty() {
            object.insert(name.clone(), value.into());
        }
    }
    Ok(object)
}

fn algorithm(name: SigningAlgorithm) -> JwsAlgorithm {
    match name {
        SigningAlgorithm::RS256 => JwsAlgorithm::Rs256,
        SigningAlgorithm::PS256 => JwsAlgorithm::Ps256,
        SigningAlgorithm::ES256 => JwsAlgorithm::Es256,
        SigningAlgorithm::HS256 => JwsAlgorithm::Hs256,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::fixtures::{no_variables, oauth};

    const MOMENT: Moment<'_> = Moment { now: 1_000, unique: "u-1" };

    fn claims(token: &Secret) -> Value {
        let part = token.expose().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn an_assertion_may_name_the_fingerprint_of_its_key() {
        // `openssl pkey -pubout -outform DER | openssl dgst -sha256 -binary | base64`
        let (name, pem) = ("private_key", include_str!("../../../tests/it/connect/quirks/service_account.pem"));
        let declared: Assertion =
            toml::from_str("key = \"{private_key}\"\nclaims = { iss = \"me.SHA256:{key_fingerprint}\" }").unwrap();
        let minted = mint(&declared, MOMENT, &|asked| (asked == name).then(|| pem.to_owned())).unwrap();
        assert_eq!(claims(&minted)["iss"], "me.SHA256:J+D+lQ/LM4Op4j9fO0jBEm0s2FSzLjtTI1zb+rvi+Lk=");
    }

    #[test]
    fn a_clients_assertion_names_the_issuer_as_its_only_audience() {
        let key = Secret::from("a-shared-secret-of-some-length-0123456789");
        let key = ClientKey { key: &key, key_id: None, certificate: None };
        let cases = [
            ("", "https://p.example/token"),
            ("issuer = \"https://p.example\"", "https://p.example"),
            ("client_assertion.audience = \"https://{client_id}.example\"", "https://id-1.example"),
        ];
        for (more, audience) in cases {
            let lines = format!(
                "client_authentication = \"client_secret_jwt\"\nclient_assertion.algorithm = \"HS256\"\n{more}"
            );
            let minted = client_assertion(&oauth(&lines), "id-1", key, MOMENT, &no_variables).unwrap().unwrap();
            let expected = serde_json::json!({
                "iss": "id-1", "sub": "id-1", "aud": audience, "jti": "u-1", "iat": 970, "exp": 1270,
            });
            assert_eq!(claims(&minted), expected);
        }
        assert!(client_assertion(&oauth(""), "id-1", key, MOMENT, &no_variables).unwrap().is_none());
    }
}
