//! Tokens: issued, refreshed, expired, revoked and rejected.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};

use crate::support::{
    Browser, CLIENT, REDIRECT_URI, Reply, SECRET, Sandbox, VERIFIER, authorize_uri, basic, basic_of_client, encode,
};

#[tokio::test]
async fn a_code_gives_tokens_that_work() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "notes:read profile").await;
    let reply = sandbox.redeem(&code).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header(CACHE_CONTROL), "no-store");
    let body = reply.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 60);
    assert_eq!(body["scope"], "notes:read profile");

    let (access_token, _) = reply.tokens();
    let me = sandbox.get_as("/api/me", &access_token).await;
    assert_eq!(me.json()["username"], "alice");
}

#[tokio::test]
async fn a_wrong_verifier_is_rejected_and_uses_up_the_code() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "notes:read").await;
    let wrong = "a".repeat(43);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", &wrong),
    ];
    let reply = sandbox.post_as_client("/oauth/token", &form).await;
    reply.assert_error(400, "invalid_grant");
    assert_eq!(reply.header(CACHE_CONTROL), "no-store");
    let retry = sandbox.redeem(&code).await;
    retry.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_is_bound_to_its_redirect_uri_and_client() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "notes:read").await;
    let mut form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
        ("client_id", "other"),
        ("client_secret", "other-secret"),
    ];
    let reply = sandbox.post_form("/oauth/token", &form).await;
    reply.assert_error(400, "invalid_grant");

    // Registered, but not the one of the request.
    form[2] = ("redirect_uri", "http://127.0.0.1:3000/callback/ac_2");
    let reply = sandbox.post_as_client("/oauth/token", &form[..4]).await;
    reply.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_expires_after_a_minute() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "notes:read").await;
    sandbox.pass_seconds(59);
    assert_eq!(sandbox.redeem(&code).await.status, 200);

    let code = sandbox.consent("alice", "notes:read").await;
    sandbox.pass_seconds(60);
    let reply = sandbox.redeem(&code).await;
    reply.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn using_a_code_twice_revokes_its_tokens() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "notes:read").await;
    let (access_token, refresh_token) = sandbox.redeem(&code).await.tokens();
    let (_, untouched) = sandbox.connect("alice", "notes:read").await;

    let again = sandbox.redeem(&code).await;
    again.assert_error(400, "invalid_grant");
    let me = sandbox.get_as("/api/me", &access_token).await;
    me.assert_error(401, "invalid_token");
    let refresh = sandbox.refresh(&refresh_token).await;
    refresh.assert_error(400, "invalid_grant");
    assert_eq!(sandbox.refresh(&untouched).await.status, 200);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_access_tokens_expire() {
    let sandbox = Sandbox::start();
    let (first_access, first_refresh) = sandbox.connect("alice", "notes:read").await;
    sandbox.pass_seconds(59);
    assert_eq!(sandbox.get_as("/api/me", &first_access).await.status, 200);
    sandbox.pass_seconds(1);
    let expired = sandbox.get_as("/api/me", &first_access).await;
    expired.assert_error(401, "invalid_token");
    let challenge = expired.header(WWW_AUTHENTICATE);
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");

    let (second_access, second_refresh) = sandbox.refresh(&first_refresh).await.tokens();
    assert_ne!(second_refresh, first_refresh);
    assert_eq!(sandbox.get_as("/api/me", &second_access).await.status, 200);
    let (third_access, _) = sandbox.refresh(&second_refresh).await.tokens();
    assert_eq!(sandbox.get_as("/api/me", &third_access).await.status, 200);
}

#[tokio::test]
async fn using_a_refresh_token_twice_ends_its_family() {
    let sandbox = Sandbox::start();
    let (_, first) = sandbox.connect("alice", "notes:read").await;
    let (_, other_family) = sandbox.connect("alice", "notes:read").await;
    let (access_token, second) = sandbox.refresh(&first).await.tokens();

    let reuse = sandbox.refresh(&first).await;
    reuse.assert_error(400, "invalid_grant");
    let newest = sandbox.refresh(&second).await;
    newest.assert_error(400, "invalid_grant");
    let me = sandbox.get_as("/api/me", &access_token).await;
    me.assert_error(401, "invalid_token");
    assert_eq!(sandbox.refresh(&other_family).await.status, 200);
}

#[tokio::test]
async fn a_grandparent_token_ends_the_family_too() {
    let sandbox = Sandbox::start();
    let (_, first) = sandbox.connect("alice", "notes:read").await;
    let (_, second) = sandbox.refresh(&first).await.tokens();
    let (_, third) = sandbox.refresh(&second).await.tokens();
    sandbox.pass_seconds(3600);
    let reuse = sandbox.refresh(&first).await;
    reuse.assert_error(400, "invalid_grant");
    let newest = sandbox.refresh(&third).await;
    newest.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn an_idle_refresh_token_expires_after_thirty_days() {
    let sandbox = Sandbox::start();
    let (_, refresh_token) = sandbox.connect("alice", "notes:read").await;
    sandbox.pass_seconds(30 * 24 * 3600);
    let reply = sandbox.refresh(&refresh_token).await;
    reply.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client() {
    let sandbox = Sandbox::start();
    let (_, refresh_token) = sandbox.connect("alice", "notes:read").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh_token),
        ("client_id", "other"),
        ("client_secret", "other-secret"),
    ];
    let reply = sandbox.post_form("/oauth/token", &form).await;
    reply.assert_error(400, "invalid_grant");
    assert_eq!(sandbox.refresh(&refresh_token).await.status, 200);
}

#[tokio::test]
async fn a_refresh_may_narrow_the_scope_but_not_widen_it() {
    let sandbox = Sandbox::start();
    let (_, refresh_token) = sandbox.connect("alice", "notes:read notes:write").await;
    let form = |refresh_token: &str, scope: &str| {
        [
            ("grant_type".to_owned(), "refresh_token".to_owned()),
            ("refresh_token".to_owned(), refresh_token.to_owned()),
            ("scope".to_owned(), scope.to_owned()),
        ]
    };
    let send = async |pairs: [(String, String); 3]| {
        let pairs = pairs.each_ref().map(|(k, v)| (k.as_str(), v.as_str()));
        sandbox.post_as_client("/oauth/token", &pairs).await
    };
    let wider = send(form(&refresh_token, "notes:read profile")).await;
    wider.assert_error(400, "invalid_scope");

    let narrow = send(form(&refresh_token, "notes:read")).await;
    assert_eq!(narrow.json()["scope"], "notes:read");
    let full = sandbox.refresh(&narrow.tokens().1).await;
    assert_eq!(full.json()["scope"], "notes:read notes:write");
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_everything() {
    let sandbox = Sandbox::start();
    let (access_token, refresh_token) = sandbox.connect("alice", "notes:read").await;
    assert_eq!(sandbox.revoke(&refresh_token).await.status, 200);
    let me = sandbox.get_as("/api/me", &access_token).await;
    me.assert_error(401, "invalid_token");
    let refresh = sandbox.refresh(&refresh_token).await;
    refresh.assert_error(400, "invalid_grant");
    assert_eq!(sandbox.revoke(&refresh_token).await.status, 200);
    assert_eq!(sandbox.revoke("no such token").await.status, 200);
}

#[tokio::test]
async fn revoking_an_access_token_leaves_the_grant() {
    let sandbox = Sandbox::start();
    let (access_token, refresh_token) = sandbox.connect("alice", "notes:read").await;
    assert_eq!(sandbox.revoke(&access_token).await.status, 200);
    let me = sandbox.get_as("/api/me", &access_token).await;
    me.assert_error(401, "invalid_token");
    assert_eq!(sandbox.refresh(&refresh_token).await.status, 200);
}

#[tokio::test]
async fn no_client_revokes_the_tokens_of_another() {
    let sandbox = Sandbox::start();
    let (access_token, refresh_token) = sandbox.connect("alice", "notes:read").await;
    for token in [&access_token, &refresh_token] {
        let form = [("token", token.as_str()), ("client_id", "other"), ("client_secret", "other-secret")];
        let reply = sandbox.post_form("/oauth/revoke", &form).await;
        reply.assert_error(400, "invalid_grant");
    }
    assert_eq!(sandbox.get_as("/api/me", &access_token).await.status, 200);
    assert_eq!(sandbox.refresh(&refresh_token).await.status, 200);
}

#[tokio::test]
async fn clients_authenticate_in_exactly_one_right_way() {
    let sandbox = Sandbox::start();
    let form_type = "application/x-www-form-urlencoded";
    let ask = async |authorization: Option<String>, extra: &[(&str, &str)]| -> Reply {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", "x")];
        form.extend_from_slice(extra);
        let mut request = Request::post("/oauth/token").header(CONTENT_TYPE, form_type);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let body = Body::from(encode(&form));
        sandbox.send(request.body(body).unwrap()).await
    };

    // The client is authenticated: the error is about the token.
    let post = [("client_id", CLIENT), ("client_secret", SECRET)];
    for (authorization, extra) in [
        (Some(basic_of_client(CLIENT, SECRET)), &[][..]),
        (Some(basic_of_client(CLIENT, SECRET)), &post[..1]),
        (None, &post[..]),
        (None, &[("client_id", "public")][..]),
        (Some(basic("public", "")), &[][..]),
    ] {
        let reply = ask(authorization, extra).await;
        reply.assert_error(400, "invalid_grant");
    }

    let public_with_secret = [("client_id", "public"), ("client_secret", "x")];
    for (authorization, extra) in [
        (None, &[][..]),
        (None, &post[..1]),
        (None, &[("client_id", "nobody")][..]),
        (None, &public_with_secret[..]),
        (Some(basic_of_client(CLIENT, "wrong")), &[][..]),
        // Not form-encoded before Base64.
        (Some(basic(CLIENT, SECRET)), &[][..]),
        (Some("Bearer abc".into()), &[][..]),
        (Some("Basic !!!".into()), &[][..]),
    ] {
        let reply = ask(authorization.clone(), extra).await;
        reply.assert_error(401, "invalid_client");
        let challenge = reply.header(WWW_AUTHENTICATE);
        assert!(challenge.starts_with("Basic "), "{authorization:?}");
    }

    let both = ask(Some(basic_of_client(CLIENT, SECRET)), &post).await;
    both.assert_error(400, "invalid_request");
    let two_names = [("client_id", "other")];
    let reply = ask(Some(basic_of_client(CLIENT, SECRET)), &two_names).await;
    reply.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn a_public_client_connects_with_pkce_alone() {
    let sandbox = Sandbox::start();
    let uri = authorize_uri(&[("client_id", "public")]);
    let mut browser = Browser::new(&sandbox);
    browser.log_in(&uri, "bob").await;
    let answer = browser.post(&uri, &[("decision", "allow")]).await;
    let code = answer.location_param("code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "public"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let reply = sandbox.post_form("/oauth/token", &form).await;
    let (access_token, _) = reply.tokens();
    let me = sandbox.get_as("/api/me", &access_token).await;
    assert_eq!(me.json()["username"], "bob");
}

#[tokio::test]
async fn malformed_token_requests_are_rejected_by_name() {
    let sandbox = Sandbox::start();
    let token = "/oauth/token";
    let code = ("grant_type", "authorization_code");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[], "invalid_request"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[code, ("code", "x")], "invalid_request"),
        (&[code, ("code", "x"), ("redirect_uri", REDIRECT_URI)], "invalid_request"),
        (&[code, ("code", "x"), ("redirect_uri", REDIRECT_URI), ("code_verifier", "short")], "invalid_request"),
        (&[code, code], "invalid_request"),
    ];
    for (form, error) in cases {
        let reply = sandbox.post_as_client(token, form).await;
        reply.assert_error(400, error);
    }

    let json = Request::post(token)
        .header(CONTENT_TYPE, "application/json")
        .header("authorization", basic_of_client(CLIENT, SECRET))
        .body(Body::from(r#"{"grant_type":"refresh_token"}"#))
        .unwrap();
    sandbox.send(json).await.assert_error(400, "invalid_request");

    let large = "x".repeat(64 * 1024 + 1);
    let reply = sandbox.post_as_client(token, &[("code", &large)]).await;
    reply.assert_error(413, "invalid_request");

    assert_eq!(sandbox.get(token).await.status, 405);
}
