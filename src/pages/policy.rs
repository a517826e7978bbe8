//! Security headers, cookies, and the check that a form came from our own pages.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

/// Headers of every HTML response (R77); a policy that is already set stays.
pub fn add_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(header::REFERRER_POLICY) {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    let fixed = [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, csp(&[]));
    }
}

/// The content security policy of a page whose form may lead to `targets`.
///
/// Chromium applies `form-action` to every redirect after a POST, so the page must name the
/// provider's origin and the app's; see [`form_targets`].
pub fn csp(targets: &[String]) -> HeaderValue {
    let form_action: Vec<&str> = std::iter::once("'self'").chain(targets.iter().map(String::as_str)).collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action {}",
        form_action.join(" ")
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Headers of a page with a form: its targets, and a referrer policy with which the browser names our origin
/// to us only. Without a referrer, browsers send `Origin: null` with the form.
pub fn add_form_headers(headers: &mut HeaderMap, targets: &[String]) {
    headers.insert(header::CONTENT_SECURITY_POLICY, csp(targets));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Origins that a form may lead to. A page for secrets leads only to the app's callback. A page that
/// leads to a provider also allows https origins, since the provider's sign-in may use hosts that
/// cannot be listed.
pub fn form_targets(provider: Option<&str>, callback: Option<&str>) -> Vec<String> {
    let mut targets: Vec<String> = [provider, callback].into_iter().flatten().filter_map(origin).collect();
    if provider.is_some() {
        targets.push("https:".to_owned());
    }
    targets.dedup();
    targets
}

/// The origin of a URL for a policy; none if it contains characters with a meaning in a policy. A host
/// may contain `;`, `,`, `*` and quotes (WHATWG URL).
fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    let text = origin.is_tuple().then(|| origin.ascii_serialization())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte);
    text.bytes().all(is_plain).then_some(text)
}

/// The value of a cookie. Other cookies of the host may contain any bytes.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let value = pairs.into_iter().find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok()
}

/// Sets a cookie of a flow (R04). `secure`: browsers reach this server by https.
pub fn set_cookie(name: &str, value: &str, lifetime: Duration, secure: bool) -> Option<HeaderValue> {
    let (seconds, secure) = (lifetime.as_secs(), if secure { " Secure;" } else { "" });
    HeaderValue::from_str(&format!("{name}={value}; Path=/;{secure} HttpOnly; SameSite=Lax; Max-Age={seconds}")).ok()
}

/// Removes a cookie once the flow is over (R15).
pub fn remove_cookie(name: &str, secure: bool) -> Option<HeaderValue> {
    set_cookie(name, "", Duration::ZERO, secure)
}

/// Whether a form was posted from one of our own pages: by `Sec-Fetch-Site`, else `Origin`, else
/// `Referer` for the oldest browsers (our pages with forms allow them). Other sites cannot forge any of
/// these. False without all of them.
pub fn is_own_form(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = Url::parse(public_url).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    let is_own = |url: &str| Url::parse(url).ok().map(|url| url.origin()) == own && own.is_some();
    match (text("sec-fetch-site"), text("origin"), text("referer")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(given), _) => own.as_ref().is_some_and(|own| own.ascii_serialization() == given),
        (None, None, Some(referer)) => is_own(referer),
        (None, None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn forms_are_accepted_from_our_own_pages_only() {
        let ours = "https://connect.test";
        assert!(is_own_form(&headers(&[("sec-fetch-site", "same-origin"), ("origin", "null")]), ours));
        assert!(is_own_form(&headers(&[("origin", "https://connect.test")]), ours));
        assert!(is_own_form(&headers(&[("referer", "https://connect.test/link/lt_1")]), ours));
        for foreign in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://connect.test.evil.test")],
            &[("origin", "http://connect.test")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://connect.test")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("referer", "https://connect.test.evil.test/")],
            &[("referer", "https://evil.test/https://connect.test/")],
            &[("referer", "connect.test")],
            &[("origin", "null"), ("referer", "https://connect.test/link/lt_1")],
        ] {
            assert!(!is_own_form(&headers(foreign), ours), "{foreign:?}");
        }
    }

    #[test]
    fn a_page_for_secrets_leads_to_the_app_only() {
        assert_eq!(form_targets(None, Some("https://app.test:8443/cb?x=1")), ["https://app.test:8443"]);
        let oauth = form_targets(Some("http://127.0.0.1:9/authorize"), Some("http://localhost:3000/cb"));
        assert_eq!(oauth, ["http://127.0.0.1:9", "http://localhost:3000", "https:"]);
    }

    #[test]
    fn no_host_can_extend_the_policy() {
        for host in [
            "x.test;script-src",
            "x.test,y.test",
            "*",
            "*.test",
            "x'y.test",
            "x\"y.test",
            "x(y).test",
            "x.test;sandbox",
        ] {
            let url = format!("https://{host}/");
            assert_eq!(form_targets(None, Some(&url)), Vec::<String>::new(), "{url}");
        }
        assert_eq!(form_targets(None, Some("https://[::1]:9/x")), ["https://[::1]:9"]);
    }

    #[test]
    fn cookies_with_arbitrary_bytes_do_not_hide_ours() {
        for line in ["name=J\u{fc}rgen; sb_1=x".as_bytes(), b"name=\xfc; sb_1=x", b"flag; sb_1=x", b"=y;sb_1=x; sb_1=z"]
        {
            let sent = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_bytes(line).unwrap())]);
            assert_eq!(cookie(&sent, "sb_1").as_deref(), Some("x"), "{line:?}");
        }
        let two = [HeaderValue::from_bytes(b"a=\xff").unwrap(), HeaderValue::from_static("sb_1=x")];
        let sent = HeaderMap::from_iter(two.map(|value| (header::COOKIE, value)));
        assert_eq!(cookie(&sent, "sb_1").as_deref(), Some("x"));
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let sent = headers(&[("cookie", "a=1; __Host-sb_lt_1=secret; b=2")]);
        assert_eq!(cookie(&sent, "__Host-sb_lt_1").as_deref(), Some("secret"));
        assert_eq!(cookie(&sent, "__Host-sb_lt_"), None);
    }
}
