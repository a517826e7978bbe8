//! Security headers and the browser's own evidence: CSP, cookies, where a form came from.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use url::Url;

/// Headers of every HTML answer (R77); a policy that is already set stays.
pub fn add_headers(headers: &mut HeaderMap) {
    let fixed = [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
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

/// Origins that a connect form may lead to. A page on which secrets are typed leads to the app's
/// callback and nowhere else; one that only leads to a provider admits https origins too, since a
/// provider's own sign-in may pass through hosts that nobody can list.
pub fn form_targets(provider: Option<&str>, callback: Option<&str>) -> Vec<String> {
    let mut targets: Vec<String> = [provider, callback].into_iter().flatten().filter_map(origin).collect();
    if provider.is_some() {
        targets.push("https:".to_owned());
    }
    targets.dedup();
    targets
}

fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// The value of a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Sets the cookie that binds a link to this browser (R04).
pub fn set_cookie(name: &str, value: &str, lifetime: Duration) -> Option<HeaderValue> {
    let seconds = lifetime.as_secs();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")).ok()
}

/// Removes the cookie once the flow is over (R15).
pub fn remove_cookie(name: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")).ok()
}

/// Whether a form was posted from one of our own pages. Our pages send no referrer, which makes
/// browsers write `Origin: null`; `Sec-Fetch-Site` then tells. With neither, the answer is no.
pub fn is_own_form(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(given)) => origin(public_url).is_some_and(|own| own == given),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_our_own_pages_may_post() {
        let ours = "https://connect.test";
        assert!(is_own_form(&headers(&[("sec-fetch-site", "same-origin"), ("origin", "null")]), ours));
        assert!(is_own_form(&headers(&[("origin", "https://connect.test")]), ours));
        for foreign in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://connect.test.evil.test")],
            &[("origin", "http://connect.test")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://connect.test")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
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
    fn cookies_are_found_by_their_whole_name() {
        let sent = headers(&[("cookie", "a=1; __Host-sb_lt_1=secret; b=2")]);
        assert_eq!(cookie(&sent, "__Host-sb_lt_1").as_deref(), Some("secret"));
        assert_eq!(cookie(&sent, "__Host-sb_lt_"), None);
    }
}
