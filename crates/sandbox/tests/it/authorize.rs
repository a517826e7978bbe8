//! Login, consent and the authorization response.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, SET_COOKIE};

use crate::support::{Browser, CLIENT, ISSUER, REDIRECT_URI, Reply, Sandbox, authorize_uri};

#[tokio::test]
async fn a_user_logs_in_and_allows() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);

    let login = browser.get(&uri).await;
    assert_eq!(login.status, 200);
    assert_page_is_guarded(&login);
    assert!(login.body.contains("alice") && login.body.contains("bob"));
    let cookie = login.header(SET_COOKIE);
    assert!(cookie.starts_with("sandbox_login="), "{cookie}");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("Secure"), "{cookie}");
    let anonymous_cookie = browser.cookie.clone();

    let consent = browser.log_in(&uri, "alice").await;
    assert_ne!(browser.cookie, anonymous_cookie, "the cookie must be new");
    assert_page_is_guarded(&consent);
    for expected in
        [CLIENT, "Alice Example", "Read your notes", "Write and delete your notes", "http://127.0.0.1:3000<"]
    {
        assert!(consent.body.contains(expected), "{expected} is missing");
    }
    assert!(!consent.body.contains("See your name"));
    assert!(consent.body.contains("it also learns your name"));

    let answer = browser.post(&uri, &[("decision", "allow")]).await;
    assert_eq!(answer.status, 303);
    let location = answer.header(LOCATION);
    assert!(location.starts_with(&format!("{REDIRECT_URI}?")));
    assert_eq!(answer.location_param("state").as_deref(), Some("st&te=1"));
    assert_eq!(answer.location_param("iss").as_deref(), Some(ISSUER));
    assert!(answer.location_param("code").is_some());
    assert_eq!(answer.location_param("error"), None);
    assert_eq!(answer.header(REFERRER_POLICY), "no-referrer");
    assert_eq!(answer.header(CACHE_CONTROL), "no-store");
}

fn assert_page_is_guarded(reply: &Reply) {
    let csp = reply.header(CONTENT_SECURITY_POLICY);
    assert_eq!(
        csp,
        "default-src 'none'; style-src 'self'; form-action 'self' http: https:; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(reply.header(REFERRER_POLICY), "no-referrer");
    assert_eq!(reply.header(CACHE_CONTROL), "no-store");
    for inline in ["<script", "<style", "style=", "onclick"] {
        assert!(!reply.body.contains(inline), "{inline} in the page");
    }
    assert_eq!(reply.body.matches("<form").count(), 1);
}

#[tokio::test]
async fn the_login_is_remembered_but_consent_is_asked_again() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);
    browser.log_in(&uri, "alice").await;
    browser.post(&uri, &[("decision", "allow")]).await;

    let second = browser.get(&authorize_uri(&[("state", "again")])).await;
    assert_eq!(second.status, 200);
    assert!(second.body.contains("Alice Example"));
    assert!(second.body.contains(r#"name="decision" value="allow""#));

    sandbox.pass_seconds(7 * 24 * 3600);
    let later = browser.get(&uri).await;
    assert!(later.body.contains(r#"name="password""#));
}

#[tokio::test]
async fn a_user_may_switch_to_another_account() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);
    browser.log_in(&uri, "alice").await;
    let old_cookie = browser.cookie.clone();

    let answer = browser.post(&uri, &[("decision", "switch")]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header(LOCATION), uri);
    let consent = browser.log_in(&uri, "bob").await;
    assert!(consent.body.contains("Bob Example"));

    browser.cookie = old_cookie;
    let page = browser.get(&uri).await;
    assert!(page.body.contains(r#"name="password""#), "still logged in");
}

#[tokio::test]
async fn a_wrong_password_gives_a_401_page() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);
    browser.get(&uri).await;
    for (username, password) in [("alice", "bob"), ("carol", "carol"), ("", "")] {
        let fields = [("username", username), ("password", password)];
        let answer = browser.post(&uri, &fields).await;
        assert_eq!(answer.status, 401);
        assert!(answer.body.contains("Wrong user name or password."));
    }
    let page = browser.get(&uri).await;
    assert!(page.body.contains(r#"name="password""#), "not logged in");
}

#[tokio::test]
async fn denial_goes_back_with_an_error_and_no_code() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);
    browser.log_in(&uri, "alice").await;
    let answer = browser.post(&uri, &[("decision", "deny")]).await;
    assert_redirected_error(&answer, "access_denied");
}

#[tokio::test]
async fn forms_of_another_browser_change_nothing() {
    let sandbox = Sandbox::start();
    let uri = authorize_uri(&[]);
    let mut attacker = Browser::new(&sandbox);
    attacker.log_in(&uri, "bob").await;

    // The victim's cookie with the attacker's form token, as a cross-site form would send it.
    let mut victim = Browser::new(&sandbox);
    victim.log_in(&uri, "alice").await;
    attacker.cookie.clone_from(&victim.cookie);
    let answer = attacker.post(&uri, &[("decision", "allow")]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header(LOCATION), "");

    // A login form without a token.
    let form = [("username", "alice"), ("password", "alice")];
    let answer = sandbox.post_form(&uri, &form).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains(r#"name="password""#));
}

#[tokio::test]
async fn consent_needs_a_login() {
    let sandbox = Sandbox::start();
    let mut browser = Browser::new(&sandbox);
    let uri = authorize_uri(&[]);
    browser.get(&uri).await;
    let answer = browser.post(&uri, &[("decision", "allow")]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header(LOCATION), "");
}

#[tokio::test]
async fn untrusted_requests_are_never_redirected() {
    let sandbox = Sandbox::start();
    let doubled = format!("{}&redirect_uri=http%3A%2F%2Fevil.test%2F", authorize_uri(&[]));
    for uri in [
        authorize_uri(&[("client_id", "")]),
        authorize_uri(&[("client_id", "nobody")]),
        authorize_uri(&[("redirect_uri", "")]),
        authorize_uri(&[("redirect_uri", "http://evil.test/callback/ac_1")]),
        authorize_uri(&[("redirect_uri", "http://127.0.0.1:3000/callback/a/b")]),
        authorize_uri(&[("redirect_uri", "http://127.0.0.1:3000/callback/..")]),
        authorize_uri(&[("redirect_uri", "http://127.0.0.1:30000/callback/a")]),
        doubled,
        "/oauth/authorize".into(),
    ] {
        let get = sandbox.get(&uri).await;
        let post = sandbox.post_form(&uri, &[("decision", "allow")]).await;
        for reply in [get, post] {
            assert_eq!(reply.status, 400, "{uri}");
            assert_eq!(reply.header(LOCATION), "", "{uri}");
            assert!(reply.body.contains(r#"role="alert""#), "{uri}");
            assert!(!reply.body.contains("<form"), "{uri}");
        }
    }
}

#[tokio::test]
async fn other_errors_go_back_to_the_client() {
    let sandbox = Sandbox::start();
    for (name, value, error) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "form_post", "invalid_request"),
        ("scope", "notes:read mail:send", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "too-short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
    ] {
        let reply = sandbox.get(&authorize_uri(&[(name, value)])).await;
        assert_redirected_error(&reply, error);
    }
    let doubled = format!("{}&scope=profile", authorize_uri(&[]));
    assert_redirected_error(&sandbox.get(&doubled).await, "invalid_request");

    // Two different states: both are rejected.
    let doubled = format!("{}&state=other", authorize_uri(&[]));
    let reply = sandbox.get(&doubled).await;
    assert_eq!(reply.location_param("error").as_deref(), Some("invalid_request"));
    assert_eq!(reply.location_param("state"), None);
}

fn assert_redirected_error(reply: &Reply, error: &str) {
    assert_eq!(reply.status, 303, "{error}");
    let location = reply.header(LOCATION);
    assert!(location.starts_with(&format!("{REDIRECT_URI}?")), "{location}");
    assert_eq!(reply.location_param("error").as_deref(), Some(error));
    assert_eq!(reply.location_param("state").as_deref(), Some("st&te=1"));
    assert_eq!(reply.location_param("iss").as_deref(), Some(ISSUER));
    assert_eq!(reply.location_param("code"), None);
}

#[tokio::test]
async fn request_values_are_escaped_on_the_page() {
    let sandbox = Sandbox::start();
    let uri = authorize_uri(&[]) + "&x='onfocus='alert(1)";
    let reply = sandbox.get(&uri).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("&amp;x=&#39;onfocus=&#39;alert(1)\""), "{}", reply.body);
    assert!(!reply.body.contains("'onfocus"));
}

#[tokio::test]
async fn metadata_names_the_endpoints_and_what_they_demand() {
    let sandbox = Sandbox::start();
    let reply = sandbox.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(reply["issuer"], ISSUER);
    for (name, path) in [
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("revocation_endpoint", "/oauth/revoke"),
    ] {
        assert_eq!(reply[name], format!("{ISSUER}{path}"));
    }
    assert_eq!(reply["code_challenge_methods_supported"][0], "S256");
    assert_eq!(reply["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn the_other_pages_answer() {
    let sandbox = Sandbox::start();
    assert_eq!(sandbox.get("/health").await.body, "ok");
    let home = sandbox.get("/").await;
    assert_eq!(home.status, 200);
    assert!(home.body.contains(ISSUER));
    let css = sandbox.get("/sandbox.css").await;
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(sandbox.get("/nowhere").await.status, 404);
}
