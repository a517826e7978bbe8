//! Headers that a caller may add to a request with a user's credential (R51).

use http::header::{HeaderName, HeaderValue};

/// Headers that frame the message, control the connection, speak for a proxy, carry other credentials, or
/// override the method. All in lower case with `-`.
const REFUSED: [&str; 15] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Prefixes of refused names.
const REFUSED_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

/// Checks a header of a caller and returns it ready to send. Many servers read `_` as `-`, so that both count
/// as the same name.
///
/// # Errors
/// The reason, without the value.
pub fn check_caller_header(
    name: &str,
    value: &str,
    credential_headers: &[HeaderName],
) -> Result<(HeaderName, HeaderValue), &'static str> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err("header name is not a token");
    };
    let canonical = header.as_str().replace('_', "-");
    if REFUSED.contains(&canonical.as_str()) || REFUSED_PREFIXES.iter().any(|prefix| canonical.starts_with(prefix)) {
        return Err("header may not be set by a caller");
    }
    if credential_headers.iter().any(|carrier| carrier.as_str().replace('_', "-") == canonical) {
        return Err("header carries the account's credential");
    }
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| "header value holds a control character")?;
    Ok((header, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carriers() -> Vec<HeaderName> {
        ["authorization", "x-api-key", "x_odd_key"].map(HeaderName::from_static).into()
    }

    #[test]
    fn ordinary_headers_pass() {
        for (name, value) in [
            ("Accept", "application/json"),
            ("x-custom_header", "ü, tab\tand 'quotes'"),
            ("If-None-Match", "\"abc\""),
            ("content-type", ""),
            ("Hosts", "a"),
            ("x-forwarded", "a"),
            ("Authorization-Info", "a"),
        ] {
            let (header, sent) = check_caller_header(name, value, &carriers()).expect(name);
            assert_eq!(header.as_str(), name.to_ascii_lowercase());
            assert_eq!(sent.as_bytes(), value.as_bytes());
        }
        assert!(check_caller_header("Authorization", "x", &[]).is_ok(), "refused only where it is the credential");
    }

    #[test]
    fn headers_of_the_connection_are_refused_however_they_are_written() {
        let families = ["proxy-authorization", "proxy-connection", "x-forwarded-for", "x-forwarded-user"];
        for name in REFUSED.into_iter().chain(families) {
            for spelling in [name.to_owned(), name.to_ascii_uppercase(), name.replace('-', "_")] {
                let refused = check_caller_header(&spelling, "x", &[]).unwrap_err();
                assert_eq!(refused, "header may not be set by a caller", "{spelling}");
            }
        }
    }

    #[test]
    fn the_credentials_header_is_refused() {
        for name in ["authorization", "AUTHORIZATION", "X-Api-Key", "x_api_key", "X_Api-Key", "x-odd-key", "X_Odd_Key"]
        {
            let refused = check_caller_header(name, "x", &carriers()).unwrap_err();
            assert_eq!(refused, "header carries the account's credential", "{name}");
        }
    }

    #[test]
    fn values_that_would_break_the_message_are_rejected() {
        for name in ["", " ", "a b", "a:", "a\r\nb", "ü", "a\0", "host "] {
            assert_eq!(check_caller_header(name, "x", &[]).unwrap_err(), "header name is not a token", "{name:?}");
        }
        for value in ["a\r\nx: y", "a\n", "\0", "\u{7f}", "\u{1b}[0m"] {
            let refused = check_caller_header("a", value, &[]).unwrap_err();
            assert_eq!(refused, "header value holds a control character", "{value:?}");
        }
    }
}
