//! The canonical request that both sides sign ("Create a signed request", step 1).

use std::collections::BTreeMap;

use http::header::{HOST, HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use url::Url;
use zeroize::Zeroizing;

use crate::error::BuildError;

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for a path, where slashes are kept.
const RESERVED_IN_PATH: AsciiSet = RESERVED.remove(b'/');

/// The path, decoded and encoded once; for most services encoded twice and without empty segments. `Url` has
/// already removed `.` and `..`.
pub(super) fn path(encoded: &str, once: bool) -> String {
    if once {
        let decoded: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
        return percent_encode(&decoded, &RESERVED_IN_PATH).to_string();
    }
    let segments: Vec<&str> = encoded.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() {
        return "/".to_owned();
    }
    let end = if encoded.ends_with('/') { "/" } else { "" };
    let normalised = format!("/{}{end}", segments.join("/"));
    percent_encode(normalised.as_bytes(), &RESERVED_IN_PATH).to_string()
}

/// Names and values, encoded, sorted by encoded form. A `+` is a space, as in forms.
pub(super) fn query(encoded: &str) -> String {
    let re_encode = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
        percent_encode(&decoded, &RESERVED).to_string()
    };
    let pieces = encoded.split('&').filter(|piece| !piece.is_empty()).map(crate::form::split);
    let mut pairs: Vec<(String, String)> = pieces.map(|(name, value)| (re_encode(name), re_encode(value))).collect();
    pairs.sort_unstable();
    let joined: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

/// The signed headers.
pub(super) struct SignedHeaders {
    /// Lines of `name:value`, sorted by name. May contain a session token.
    pub(super) lines: Zeroizing<String>,
    /// Their names, joined by `;`.
    pub(super) names: String,
}

impl SignedHeaders {
    /// Takes `Host` from the URL and selects the signed headers; an added one replaces the request's of the
    /// same name.
    pub(super) fn collect(
        url: &Url,
        headers: &HeaderMap,
        added: &HeaderMap,
        is_signed: &dyn Fn(&HeaderName) -> bool,
    ) -> Result<Self, BuildError> {
        let mut lines: BTreeMap<&str, Zeroizing<String>> = BTreeMap::new();
        lines.insert(HOST.as_str(), Zeroizing::new(host(url)?));
        let kept = headers.keys().filter(|name| **name != HOST && !added.contains_key(*name) && is_signed(name));
        for name in kept {
            lines.insert(name.as_str(), joined(name, headers)?);
        }
        for name in added.keys() {
            lines.insert(name.as_str(), joined(name, added)?);
        }
        let names = lines.keys().copied().collect::<Vec<_>>().join(";");
        let capacity = lines.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        for (name, value) in &lines {
            for part in [name, ":", value, "\n"] {
                text.push_str(part);
            }
        }
        Ok(Self { lines: text, names })
    }
}

/// The `Host` header of an HTTP client: with the port unless it is the default.
fn host(url: &Url) -> Result<String, BuildError> {
    let Some(host) = url.host_str() else {
        return Err(BuildError::Endpoint { part: "URL to sign", reason: "has no host" });
    };
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// All values of a header in order, trimmed and with runs of white space collapsed.
fn joined(name: &HeaderName, headers: &HeaderMap) -> Result<Zeroizing<String>, BuildError> {
    let values = headers.get_all(name);
    let capacity = values.iter().map(|value| value.len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    for (index, value) in values.iter().enumerate() {
        let reason = "holds a character outside printable ASCII, which cannot be signed";
        let value = value.to_str().map_err(|_| BuildError::Header { name: name.to_string(), reason })?;
        if index > 0 {
            text.push(',');
        }
        for (index, word) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn paths_are_encoded_once_or_twice() {
        for (sent, once, twice) in [
            ("/", "/", "/"),
            ("/a/b/", "/a/b/", "/a/b/"),
            ("//a//b//", "//a//b//", "/a/b/"),
            ("/a%20b", "/a%20b", "/a%2520b"),
            (
                "/%c3%BC:@!$'()*,;=+",
                "/%C3%BC%3A%40%21%24%27%28%29%2A%2C%3B%3D%2B",
                "/%25c3%25BC%3A%40%21%24%27%28%29%2A%2C%3B%3D%2B",
            ),
            ("/-._~", "/-._~", "/-._~"),
            ("/%zz%FF", "/%25zz%FF", "/%25zz%25FF"),
        ] {
            assert_eq!((path(sent, true).as_str(), path(sent, false).as_str()), (once, twice), "{sent}");
        }
    }

    #[test]
    fn queries_have_one_spelling() {
        for (sent, canonical) in [
            ("", ""),
            ("a", "a="),
            ("a=", "a="),
            ("&&a=1&", "a=1"),
            ("b=2&a=2&a=1&A=3", "A=3&a=1&a=2&b=2"),
            ("a=x+y%20z%2B", "a=x%20y%20z%2B"),
            ("a=b=c/d:e", "a=b%3Dc%2Fd%3Ae"),
            ("%61=%c3%bc", "a=%C3%BC"),
            ("a-=1&a=2", "a=2&a-=1"),
            ("a=%zz", "a=%25zz"),
        ] {
            assert_eq!(query(sent), canonical, "{sent}");
        }
    }

    #[test]
    fn headers_are_sorted_trimmed_and_joined() {
        let url = Url::parse("https://a.example:8443/").unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-b", "  two \t words "), ("x-a", "1"), ("x-a", ""), ("x-no", "1"), ("host", "other")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut added = HeaderMap::new();
        added.insert("x-b2", HeaderValue::from_static("ours"));
        headers.insert("x-b2", HeaderValue::from_static("theirs"));
        let signed = SignedHeaders::collect(&url, &headers, &added, &|name| name != "x-no").unwrap();
        assert_eq!(signed.lines.as_str(), "host:a.example:8443\nx-a:1,\nx-b:two words\nx-b2:ours\n");
        assert_eq!(signed.names, "host;x-a;x-b;x-b2");
        headers.insert("x-a", HeaderValue::from_bytes("canary ü".as_bytes()).unwrap());
        let error = SignedHeaders::collect(&url, &headers, &added, &|_| true).err().unwrap().to_string();
        assert!(error.starts_with("header `x-a` holds a character") && !error.contains("canary"), "{error}");
    }

    proptest! {
        #[test]
        fn canonicalisation_is_idempotent(text in any::<String>()) {
            let encoded = query(&text);
            prop_assert_eq!(query(&encoded), encoded.clone());
            let encoded = path(&format!("/{text}"), true);
            prop_assert_eq!(path(&encoded, true), encoded);
        }

        #[test]
        fn spelling_and_order_do_not_matter(mut pairs in proptest::collection::vec((".{0,5}", ".{0,5}"), 1..6)) {
            let spell = |pairs: &[(String, String)]| {
                form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
            };
            let one = query(&spell(&pairs));
            prop_assert!(one.is_ascii() && !one.contains('+'));
            pairs.reverse();
            prop_assert_eq!(query(&spell(&pairs)), one);
        }
    }
}
