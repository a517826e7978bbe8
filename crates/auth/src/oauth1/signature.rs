//! Signature methods (RFC 5849 section 3.4), over a base string.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use switchboard_catalog::SignatureMethod;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::base_string::{Covered, base_string, encode};
use crate::error::BuildError;

/// Error for an unusable private key. Smaller keys can be broken.
const NOT_A_KEY: &str = "is not an RSA private key of 2048 to 4096 bits in PEM";

/// Rejects a client secret with which this method cannot sign: a copying error, best reported when it is
/// entered.
///
/// # Errors
/// The reason, without the secret.
pub fn check_client_secret(method: SignatureMethod, secret: &str) -> Result<(), &'static str> {
    match method {
        SignatureMethod::RsaSha256 => match private_key(secret) {
            Some(_) => Ok(()),
            None => Err("client secret is not an RSA private key of 2048 to 4096 bits in PEM"),
        },
        _ => crate::check_client_secret(secret),
    }
}

/// Value of `oauth_signature` for these protocol parameters. With `PLAINTEXT` it consists of the secrets.
pub(super) fn sign(
    method: SignatureMethod,
    client_secret: &str,
    token_secret: &str,
    covered: &Covered<'_>,
    protocol: &[(&str, &str)],
) -> Result<Zeroizing<String>, BuildError> {
    let text = base_string(covered, protocol)?;
    let key = || shared_key(client_secret, token_secret);
    Ok(match method {
        SignatureMethod::HmacSha1 => hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key(), &text),
        SignatureMethod::HmacSha256 => hmac(hmac::HMAC_SHA256, &key(), &text),
        SignatureMethod::RsaSha256 => rsa_sha256(client_secret, &text)?,
        SignatureMethod::Plaintext if is_private(covered.url) => key(),
        SignatureMethod::Plaintext => {
            return Err(BuildError::Unsignable {
                place: "URL",
                reason: "is not https, and the signature is plain text",
            });
        }
    })
}

/// Both secrets, encoded and joined, even if one is empty (section 3.4.2).
fn shared_key(client_secret: &str, token_secret: &str) -> Zeroizing<String> {
    let [client, token] = [client_secret, token_secret].map(|secret| Zeroizing::new(encode(secret.as_bytes())));
    let mut key = Zeroizing::new(String::with_capacity(client.len() + 1 + token.len()));
    key.push_str(&client);
    key.push('&');
    key.push_str(&token);
    key
}

fn hmac(algorithm: hmac::Algorithm, key: &str, text: &str) -> Zeroizing<String> {
    let key = hmac::Key::new(algorithm, key.as_bytes());
    Zeroizing::new(STANDARD.encode(hmac::sign(&key, text.as_bytes())))
}

/// RSASSA-PKCS1-v1_5 (section 3.4.3). The token secret is not used.
fn rsa_sha256(pem: &str, text: &str) -> Result<Zeroizing<String>, BuildError> {
    let refuse = |reason| BuildError::Credential { name: "client_secret", reason };
    let key = private_key(pem).ok_or(refuse(NOT_A_KEY))?;
    let mut signed = vec![0; key.public().modulus_len()];
    // The padding of this signature is not random: the generator is not used.
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signed)
        .map_err(|_| refuse("is a private key that cannot sign"))?;
    Ok(Zeroizing::new(STANDARD.encode(signed)))
}

/// A PEM private key (RFC 7468), PKCS #8 or PKCS #1. Line breaks do not matter: keys that went through a form
/// or an environment variable often have spaces instead.
fn private_key(pem: &str) -> Option<RsaKeyPair> {
    let between = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
        base64.extend(body.split_whitespace());
        STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
    };
    if let Some(der) = between("PRIVATE KEY") {
        return RsaKeyPair::from_pkcs8(&der).ok();
    }
    RsaKeyPair::from_der(&between("RSA PRIVATE KEY")?).ok()
}

/// Whether the connection is confidential (section 3.4.4): https, or within this machine.
fn is_private(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    url.scheme() == "https" || is_loopback
}
