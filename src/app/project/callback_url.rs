//! Where a browser may be redirected after a link (R08). Prevents open redirects.
//!
//! The syntax is always checked. If the project has registered callback URLs, scheme, host, port and path must
//! match one of them, at creation and again at the redirect; the query may differ. If it has none, the holder
//! of the project key decides. Then a page names the host before the redirect, except for the visitor's own
//! machine.

use url::{Host, Url};

/// Maximum length of a URL.
const MAX_LENGTH: usize = 2_048;

/// Checks the syntax. The error says what to change.
pub fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("must have at most {MAX_LENGTH} characters"));
    }
    // The WHATWG parser drops tabs and newlines and turns `\` into `/`. Browsers do the same, which attackers
    // exploit.
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\') {
        return Err("must not contain spaces, control characters or backslashes".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("https://") && !lower.starts_with("http://") {
        return Err("must be an absolute URL that starts with https:// (or http:// on loopback)".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is not a valid URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err("must not contain a user name or password".to_owned());
    }
    if authority(text).contains('%') {
        return Err("must not contain percent signs in its host".to_owned());
    }
    // The URL standard allows `;`, `,`, `*` and quotes in a host, but no real host name has them.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if !url.host_str().unwrap_or_default().bytes().all(is_name) {
        return Err("must have a host of letters, digits, hyphens and dots".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment".to_owned());
    }
    if url.scheme() == "http" && !is_loopback_host(&url) {
        return Err("must use https:// (http:// is for loopback hosts only)".to_owned());
    }
    Ok(())
}

/// Whether a URL that passed [`check`] matches one of the project's registered URLs.
pub fn is_registered(text: &str, registered: &[String]) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    registered
        .iter()
        .filter_map(|entry| Url::parse(entry).ok())
        .any(|entry| entry.origin() == url.origin() && entry.path() == url.path())
}

/// Whether a URL points to the visitor's own machine.
pub fn is_loopback(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| is_loopback_host(&url))
}

/// Appends the outcome to the URL and keeps its query (contract section 3.3). Nothing else is appended: no
/// code, token or e-mail address (R09).
pub fn with_outcome(text: &str, status: &str, account: &str, error: Option<&str>) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("status", status);
        query.append_pair("connected_account_id", account);
        if let Some(error) = error {
            query.append_pair("error", error);
        }
    }
    Some(url)
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_urls_pass() {
        for url in [
            "https://app.example.com",
            "https://app.example.com/callback?user_id=42&next=%2Fhome",
            "HTTPS://App.Example.com:8443/x",
            "http://localhost:3000/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "http://app.localhost/cb",
            "https://xn--bcher-kva.example/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn dangerous_urls_are_refused() {
        for url in [
            "",
            "/cb",
            "//evil.test",
            "/\\evil.test",
            "https:evil.test",
            "https:/evil.test",
            "javascript:alert(1)",
            "JAVASCRIPT://%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://x.test",
            "myapp://cb",
            "https://good.test@evil.test",
            "https://good.test:x@evil.test",
            "https://@evil.test",
            "https://good.test\\@evil.test",
            "https://good.test\t.evil.test",
            "https://good.test\n/",
            " https://good.test",
            "https://good.test/#fragment",
            "https://good.test%2f@evil.test",
            "https://good%2etest/",
            "http://good.test/cb",
            "http://127.0.0.1.evil.test/",
            "http://localhost.evil.test",
            "https://",
            "https://?x",
            "https://[::1",
            "h",
            "https://good.test/ x",
            "https://good.test/\u{0}",
            "https://x.test;script-src/",
            "https://x.test,y.test/",
            "https://*/",
            "https://*.test/",
            "https://x'y.test/",
            "https://x\"y.test/",
            "https://x(y).test/",
        ] {
            assert!(check(url).is_err(), "{url:?} must be refused");
        }
        assert!(check(&format!("https://good.test/{}", "a".repeat(3_000))).is_err());
    }

    #[test]
    fn registered_urls_match_by_origin_and_path_only() {
        let registered = vec!["https://app.test/cb".to_owned()];
        assert!(is_registered("https://app.test/cb?user=1", &registered));
        assert!(is_registered("https://APP.test:443/cb", &registered));
        for other in [
            "https://app.test/cb/",
            "https://app.test/",
            "https://app.test:444/cb",
            "http://app.test/cb",
            "https://app.test.evil.test/cb",
            "https://app.test/cb/../x",
        ] {
            assert!(!is_registered(other, &registered), "{other}");
        }
    }

    #[test]
    fn the_outcome_is_appended_and_the_query_kept() {
        let url = with_outcome("https://a.test/cb?x=1&status=mine", "success", "ca_1", None).unwrap();
        assert_eq!(url.as_str(), "https://a.test/cb?x=1&status=mine&status=success&connected_account_id=ca_1");
    }
}
