//! Endpoint resolution: tables of known tricks, and a property test against a slow model.

use proptest::prelude::*;
use url::Url;

use crate::{Destination, EgressError};

const BASE: &str = "https://api.example.com/v3";
const FRAGMENT: &str = "a fragment is never sent; write %23 for a # of the path or query";
const OUTSIDE: &str = "on the base url's host, only its path and what is below it may be asked for";

fn resolve(base: &str, endpoint: &str) -> Result<String, &'static str> {
    let destination = Destination::new(["api.example.com", "*.files.example.com", "127.0.0.1:99"]).unwrap();
    match destination.resolve(&Url::parse(base).unwrap(), endpoint) {
        Ok(url) => Ok(url.into()),
        Err(EgressError::EndpointNotAllowed { reason }) => Err(reason),
        Err(other) => panic!("{endpoint:?}: {other}"),
    }
}

#[test]
fn accepted_endpoints() {
    let cases = [
        (BASE, "/users", "https://api.example.com/v3/users"),
        (BASE, "users", "https://api.example.com/v3/users"),
        ("https://api.example.com/v3/", "/users", "https://api.example.com/v3/users"),
        ("https://api.example.com", "/users", "https://api.example.com/users"),
        ("https://api.example.com", "/", "https://api.example.com/"),
        (BASE, "/", "https://api.example.com/v3/"),
        (BASE, "?page=2", "https://api.example.com/v3?page=2"),
        (BASE, "/users?q=a b", "https://api.example.com/v3/users?q=a%20b"),
        (BASE, "/q?next=https://evil.test/../x\\y", "https://api.example.com/v3/q?next=https://evil.test/../x\\y"),
        ("https://api.example.com/v3?old=1#f", "/users", "https://api.example.com/v3/users"),
        (BASE, "/me@x.com/messages:send", "https://api.example.com/v3/me@x.com/messages:send"),
        (BASE, "api.example.com@evil.test", "https://api.example.com/v3/api.example.com@evil.test"),
        (BASE, "api.example.com.evil.test", "https://api.example.com/v3/api.example.com.evil.test"),
        (BASE, "/a//b", "https://api.example.com/v3/a//b"),
        (BASE, "/...", "https://api.example.com/v3/..."),
        (BASE, "/.well-known/x", "https://api.example.com/v3/.well-known/x"),
        (BASE, "/projects/group%2Fname", "https://api.example.com/v3/projects/group%2Fname"),
        (BASE, "/100%25", "https://api.example.com/v3/100%25"),
        (BASE, "/50%", "https://api.example.com/v3/50%"),
        (BASE, "/é", "https://api.example.com/v3/%C3%A9"),
        (BASE, "/a;b=1/c", "https://api.example.com/v3/a;b=1/c"),
        (BASE, "https://api.example.com/v3/users?x=1", "https://api.example.com/v3/users?x=1"),
        (BASE, "https://api.example.com/v3", "https://api.example.com/v3"),
        (BASE, "https://api.example.com/v3?x=1", "https://api.example.com/v3?x=1"),
        (BASE, "HTTPS://API.EXAMPLE.COM/v3/x", "https://api.example.com/v3/x"),
        (BASE, "https://api%2Eexample.com/v3/", "https://api.example.com/v3/"),
        (BASE, "https://api.example.com:/v3/x", "https://api.example.com/v3/x"),
        (BASE, "https://api.example.com:443/v3/x", "https://api.example.com/v3/x"),
        ("https://api.example.com", "https://api.example.com", "https://api.example.com/"),
        ("https://api.example.com", "https://api.example.com/any/x", "https://api.example.com/any/x"),
        // Other hosts of the destination have no base path.
        (BASE, "https://eu.files.example.com/x", "https://eu.files.example.com/x"),
        ("http://127.0.0.1:99/b", "http://127.0.0.1:99/b/c", "http://127.0.0.1:99/b/c"),
    ];
    for (base, endpoint, expected) in cases {
        assert_eq!(resolve(base, endpoint).as_deref(), Ok(expected), "{endpoint:?}");
    }
}

#[test]
fn refused_endpoints() {
    let cases = [
        // other hosts
        ("https://evil/", "the host is not one of this destination's"),
        ("https://api.example.com.evil.test/", "the host is not one of this destination's"),
        ("https://evil.test/api.example.com", "the host is not one of this destination's"),
        ("https://evil.test?api.example.com", "the host is not one of this destination's"),
        ("https://files.example.com/x", "the host is not one of this destination's"),
        ("https://api.example.com:8443/", "the host is not one of this destination's"),
        ("https://api.example.com./", "the host is not one of this destination's"),
        ("https://127.0.0.1/", "the host is not one of this destination's"),
        ("https://0x7f.1/", "the host is not one of this destination's"),
        ("//evil", "host without a scheme"),
        ("///evil", "host without a scheme"),
        ("//api.example.com/x", "host without a scheme"),
        // user information
        ("https://api.example.com@evil.test/", "user information"),
        ("https://user:pw@api.example.com/", "user information"),
        ("https://@api.example.com/", "user information"),
        // other or ambiguous schemes
        ("http://api.example.com/x", "the scheme differs from the base's"),
        ("http:/127.0.0.1", "two slashes expected after the scheme"),
        ("https:api.example.com", "two slashes expected after the scheme"),
        ("https:///evil.test", "no host after the scheme"),
        ("file:///etc/passwd", "a colon in the first segment of a relative endpoint, or another scheme"),
        ("javascript:alert(1)", "a colon in the first segment of a relative endpoint, or another scheme"),
        ("ws://api.example.com/", "a colon in the first segment of a relative endpoint, or another scheme"),
        ("https://[::1", "not a url"),
        ("https://api.example.com:port/", "not a url"),
        // backslashes and characters that parsers drop
        ("/\\evil", "backslash"),
        ("\\\\evil", "backslash"),
        ("https:\\\\evil.test", "backslash"),
        ("https://evil\\@api.example.com", "backslash"),
        ("\t//evil", "control character"),
        ("/\t/evil", "control character"),
        ("/a\r\nhost: evil", "control character"),
        ("/a\0", "control character"),
        ("/a\u{85}b", "control character"),
        ("ht\ntps://evil", "control character"),
        (" //evil", "blank at the beginning or end"),
        ("/users ", "blank at the beginning or end"),
        // outside the base path
        ("../../x", "dot segment"),
        ("/../x", "dot segment"),
        ("/..", "dot segment"),
        ("/./x", "dot segment"),
        ("/a/../../x", "dot segment"),
        ("/%2e%2e/x", "dot segment"),
        ("/%2E./x", "dot segment"),
        ("/.%2e/x", "dot segment"),
        ("/%2e/x", "dot segment"),
        ("/..%2fx", "dot segment"),
        ("/..%2Fx", "dot segment"),
        ("/..%5cx", "dot segment"),
        ("/a%2f..%2fx", "dot segment"),
        ("/%252e%252e/x", "dot segment"),
        ("/..%252fx", "dot segment"),
        ("/%25252e%25252e/x", "dot segment"),
        ("/%2525252e%2525252e/x", "dot segment"),
        ("/%252525252e%252525252e/x", "percent-encoded too many times"),
        ("/%%32%65%%32%65/x", "dot segment"),
        ("/..;/x", "dot segment"),
        ("/..;a=1/x", "dot segment"),
        ("/..%3b/x", "dot segment"),
        ("https://api.example.com/v3/../x", "dot segment"),
        ("https://api.example.com/%2e%2e/x", "dot segment"),
        ("/%2525252525252525252e/x", "percent-encoded too many times"),
        ("/a%00", "control character"),
        ("/a%0d%0ab", "control character"),
        ("/a%2500", "control character"),
        // on the base's host, outside its path
        ("https://api.example.com", OUTSIDE),
        ("https://api.example.com?a=/v3/", OUTSIDE),
        ("https://api.example.com/", OUTSIDE),
        ("https://api.example.com/upload", OUTSIDE),
        ("https://api.example.com/v33/x", OUTSIDE),
        ("https://api.example.com/V3/x", OUTSIDE),
        ("https://api.example.com/%76%33/x", OUTSIDE),
        ("https://api.example.com/v3%2Fx", OUTSIDE),
        ("https://api.example.com//v3/x", OUTSIDE),
        ("https://api.example.com/v3;a=1/x", OUTSIDE),
        ("https://api.example.com:443/x", OUTSIDE),
        ("HTTPS://API.EXAMPLE.COM/x", OUTSIDE),
        ("https://api%2Eexample.com/x", OUTSIDE),
        // other
        ("", "empty"),
        ("/users#x", FRAGMENT),
        ("#", FRAGMENT),
        ("https://api.example.com/#@evil.test", FRAGMENT),
    ];
    for (endpoint, reason) in cases {
        assert_eq!(resolve(BASE, endpoint), Err(reason), "{endpoint:?}");
    }
    assert_eq!(resolve(BASE, &"a".repeat(16 * 1024 + 1)), Err("too long"));
    // The base itself must match, and an https endpoint does not escape a plain http base.
    assert!(resolve("https://evil.test/v3", "/users").is_err());
    assert!(resolve("http://127.0.0.1:99/", "https://api.example.com/").is_err());
    assert!(resolve("mailto:a@b.test", "/users").is_err());
}

#[test]
fn further_paths_bind_whole_segments_of_the_base_host() {
    let destination = Destination::new(["api.example.com", "*.files.example.com"]).unwrap();
    let destination = destination.with_paths(["/upload/v3", "/batch"]);
    let resolve = |endpoint: &str| {
        destination.resolve(&Url::parse(BASE).unwrap(), endpoint).map(String::from).map_err(|error| error.to_string())
    };
    for endpoint in [
        "https://api.example.com/upload/v3",
        "https://api.example.com/upload/v3/files?x=1",
        "https://api.example.com/batch",
        "https://api.example.com/v3/users",
        "https://eu.files.example.com/upload",
    ] {
        assert_eq!(resolve(endpoint).as_deref(), Ok(endpoint));
    }
    for endpoint in [
        "https://api.example.com/upload",
        "https://api.example.com/upload/v33",
        "https://api.example.com/upload/v3/../v2",
        "https://api.example.com/batches",
        "https://api.example.com/",
    ] {
        assert!(resolve(endpoint).is_err(), "{endpoint}");
    }
    // A relative endpoint stays below the base path.
    assert_eq!(resolve("/batch").as_deref(), Ok("https://api.example.com/v3/batch"));
}

/// Decodes the whole text once by trying every position against every possible escape.
fn slow_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let escape = (0..=255_u8).find(|byte| {
            let written = format!("%{byte:02x}");
            text[at..].len() >= 3 && text[at..at + 3].eq_ignore_ascii_case(written.as_bytes())
        });
        out.push(escape.unwrap_or(text[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

/// Walks the path as a lenient server would: the remaining segments, and whether it ever went above the first
/// `keep` segments.
fn walks_out(path: &[u8], keep: usize) -> bool {
    let text = String::from_utf8_lossy(path).replace('\\', "/");
    let mut depth = 0_usize;
    for (index, segment) in text.split('/').enumerate().skip(1) {
        match segment.split(';').next().unwrap_or_default() {
            ".." if depth <= keep => return true,
            ".." => depth -= 1,
            "." => {}
            "" if index <= keep => return true,
            _ => depth += 1,
        }
    }
    false
}

/// Whether the model accepts a relative or absolute endpoint made of the pieces below.
fn model_accepts(endpoint: &str) -> bool {
    let forbidden = |c: char| c == '#' || c.is_control();
    if endpoint.is_empty() || endpoint.contains(forbidden) || endpoint.trim() != endpoint {
        return false;
    }
    let before = endpoint.split('?').next().unwrap_or_default();
    if before.contains('\\') || before.starts_with("//") {
        return false;
    }
    let mut path = before;
    if before.split('/').next().unwrap_or_default().contains(':') {
        // Of the pieces, only the base's scheme and host form an acceptable absolute URL.
        let Some(rest) = before.strip_prefix("https://api.example.com") else {
            return false;
        };
        // An empty port is the default port (RFC 3986 §3.2.3).
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        if !(rest.is_empty() || rest.starts_with('/')) {
            return false;
        }
        path = rest;
        if !(path == "/v3" || path.starts_with("/v3/")) {
            return false;
        }
    }
    let mut bytes = path.as_bytes().to_vec();
    for round in 0.. {
        let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
        let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
        if text.split('/').any(dots) || bytes.iter().any(|byte| *byte < 32 || *byte == 127) {
            return false;
        }
        let decoded = slow_decode(&bytes);
        if decoded == bytes {
            return true;
        }
        if round == 4 {
            return false;
        }
        bytes = decoded;
    }
    unreachable!()
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/v3",
        "/v3/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%252e",
        "%2f",
        "%25",
        "2e",
        "%5c",
        "\\",
        "a",
        "users",
        "?",
        "#",
        "@",
        ":",
        ":8443",
        "https://",
        "http://",
        "https:",
        "evil.test",
        "api.example.com",
        "https://api.example.com",
        "\t",
        "\0",
        " ",
        "é",
        "%00",
        ";",
        "%",
        "%c3",
    ]);
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn agrees_with_a_slow_model(endpoint in pieces()) {
        prop_assert_eq!(resolve(BASE, &endpoint).is_ok(), model_accepts(&endpoint), "{:?}", endpoint);
    }

    /// However often a server decodes, the path stays on the allowed host and below the base path.
    #[test]
    fn an_accepted_endpoint_stays_within_the_base(endpoint in pieces()) {
        if let Ok(accepted) = resolve(BASE, &endpoint) {
            let url = Url::parse(&accepted).unwrap();
            prop_assert_eq!(url.as_str(), accepted.as_str(), "not in its normal form");
            prop_assert_eq!(url.origin().ascii_serialization(), "https://api.example.com");
            prop_assert!(url.username().is_empty() && url.fragment().is_none());
            let keep = 1;
            prop_assert!(url.path() == "/v3" || url.path().starts_with("/v3/"));
            let mut path = url.path().as_bytes().to_vec();
            for _ in 0..6 {
                prop_assert!(!walks_out(&path, keep), "{:?} -> {}", endpoint, accepted);
                path = slow_decode(&path);
            }
        }
    }
}
