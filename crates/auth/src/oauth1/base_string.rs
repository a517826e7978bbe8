//! The signature base string (RFC 5849 section 3.4.1), which both sides compute from a request.

use http::Method;
use url::Url;

use crate::error::BuildError;
use crate::form;

/// Parameters of the protocol. They are in the header, and each may occur once in a request (sections 3.1 and
/// 3.5).
pub(super) const PROTOCOL: [&str; 9] = [
    "oauth_callback",
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_token",
    "oauth_verifier",
    "oauth_version",
];

/// Section 3.6 requires upper-case digits.
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The parts of a request that a signature covers.
#[derive(Clone, Copy)]
pub(super) struct Covered<'r> {
    pub(super) method: &'r Method,
    /// As sent, with its query.
    pub(super) url: &'r Url,
    /// The body, if it is form-encoded; other bodies are not covered (section 3.4.1.3.1).
    pub(super) form: Option<&'r [u8]>,
}

/// The base string of a request with these protocol parameters, without the signature.
pub(super) fn base_string(covered: &Covered<'_>, protocol: &[(&str, &str)]) -> Result<String, BuildError> {
    let query = covered.url.query().unwrap_or_default();
    let mut parameters: Vec<(String, String)> =
        protocol.iter().map(|(name, value)| (encode(name.as_bytes()), encode(value.as_bytes()))).collect();
    collect(query.as_bytes(), "query", &mut parameters)?;
    collect(covered.form.unwrap_or_default(), "form body", &mut parameters)?;
    // Encoded names and values are ASCII, so strings sort as bytes do (section 3.4.1.3.2).
    parameters.sort_unstable();
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let method = encode(covered.method.as_str().to_ascii_uppercase().as_bytes());
    let uri = encode(base_uri(covered.url).as_bytes());
    Ok(format!("{method}&{uri}&{}", encode(pairs.join("&").as_bytes())))
}

/// Section 3.4.1.2. [`Url`] has already converted scheme and host to lower case and removed a default port;
/// the path is used as sent.
fn base_uri(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Adds the parameters of a query or form, decoded and encoded again.
fn collect(encoded: &[u8], place: &'static str, parameters: &mut Vec<(String, String)>) -> Result<(), BuildError> {
    let refuse = |reason| Err(BuildError::Unsignable { place, reason });
    for piece in encoded.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
        let end = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (name, value) = (&piece[..end], piece.get(end + 1..).unwrap_or_default());
        let (Some(name), Some(value)) = (form::decode_bytes(name), form::decode_bytes(value)) else {
            return refuse("holds a `%` without two hexadecimal digits");
        };
        if PROTOCOL.iter().any(|ours| ours.as_bytes() == name) {
            return refuse("repeats a parameter of the OAuth protocol");
        }
        parameters.push((encode(&name), encode(&value)));
    }
    Ok(())
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 (section 3.6). It never reallocates,
/// because the text may be a secret and no copy may remain.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            let digit = |value: u8| char::from(HEX[usize::from(value)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    encoded
}
