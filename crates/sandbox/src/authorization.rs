//! The `Authorization` header: its scheme, and the user and password of HTTP Basic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// User and password of HTTP Basic (RFC 7617 §2); `None` for any other header.
pub(crate) fn decode_basic(authorization: &HeaderValue) -> Option<(String, String)> {
    let encoded = credential_of(authorization, "basic")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The text after the scheme, which is case-insensitive (RFC 9110 §11.1).
pub(crate) fn credential_of<'v>(authorization: &'v HeaderValue, scheme: &str) -> Option<&'v str> {
    let (given, credential) = authorization.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| credential.trim_matches(' '))
}
