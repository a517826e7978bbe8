//! Token endpoints that answer anything but what RFC 6749 section 5 says (R25, R26): what can be
//! used is used, the rest fails the account with a reason, and nothing hangs or answers 500.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::flow::{expect_done, expect_page, mock, offer, state, until_callback, with_parameter};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;

/// Sent by the test in place of the mock's own.
const CODE: &str = "code.7/x";

/// A server whose toolkit has its token endpoint at a path of the mock where only faults live.
async fn with_token_path(path: &str) -> TestServer {
    let toolkit = mock().toolkit("mock", "").replace("/token\"", &format!("{path}\""));
    let server = TestServer::builder().toolkit("mock", &toolkit).start().await;
    mock().auth_config(&server.api, "mock").await;
    server
}

/// One flow against one answer: the account's id and the page, once.
async fn flow_against(server: &TestServer, path: &str, mut fault: Value) -> (String, crate::support::http::Reply) {
    fault["path"] = path.into();
    fault["times"] = 1.into();
    mock().fault(&fault).await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = with_parameter(&until_callback(&mut browser, &link).await, "code", Some(CODE));
    let started = Instant::now();
    let reply = browser.get(&callback).await;
    assert!(started.elapsed() < Duration::from_secs(19), "{fault}: took {:?}", started.elapsed());
    (link.account, reply)
}

/// An answer with these members beside a good token.
fn token_with(more: &Value) -> Value {
    let mut body = json!({ "access_token": "good-token", "token_type": "Bearer" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.retain_given();
    json!({ "body": body.to_string() })
}

trait RetainGiven {
    fn retain_given(&mut self);
}

impl RetainGiven for Value {
    /// `"absent"` stands for a member that is not there.
    fn retain_given(&mut self) {
        self.as_object_mut().unwrap().retain(|_, value| value != "absent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harmless_deviations_are_tolerated() {
    let server = with_token_path("/token-tolerated").await;
    let requested = json!("openid read");
    let none = Value::Null;
    let form = json!({ "content-type": "application/x-www-form-urlencoded; charset=utf-8" });
    // What is sent, and which lifetime and scope the account then has.
    let cases: Vec<(Value, Value, Value)> = vec![
        (token_with(&json!({})), none.clone(), requested.clone()),
        (token_with(&json!({ "token_type": "bearer" })), none.clone(), requested.clone()),
        (token_with(&json!({ "token_type": "BEARER" })), none.clone(), requested.clone()),
        (token_with(&json!({ "token_type": "absent" })), none.clone(), requested.clone()),
        (token_with(&json!({ "token_type": null })), none.clone(), requested.clone()),
        (token_with(&json!({ "expires_in": 3600 })), json!(3600), requested.clone()),
        (token_with(&json!({ "expires_in": "3600" })), json!(3600), requested.clone()),
        (token_with(&json!({ "expires_in": 3600.7 })), json!(3600), requested.clone()),
        (token_with(&json!({ "expires_in": 0 })), none.clone(), requested.clone()),
        (token_with(&json!({ "expires_in": -5 })), none.clone(), requested.clone()),
        (token_with(&json!({ "expires_in": 1_000_000_000_000_u64 })), json!(315_360_000), requested.clone()),
        (token_with(&json!({ "expires_in": 1e300 })), json!(315_360_000), requested.clone()),
        (token_with(&json!({ "expires_in": "soon" })), none.clone(), requested.clone()),
        (token_with(&json!({ "expires_in": [3600] })), none.clone(), requested.clone()),
        (token_with(&json!({ "scope": "read" })), none.clone(), json!("read")),
        (token_with(&json!({ "scope": ["openid", "read", 5] })), none.clone(), requested.clone()),
        (token_with(&json!({ "scope": "openid,read,extra" })), none.clone(), json!("openid read extra")),
        (token_with(&json!({ "scope": 7 })), none.clone(), requested.clone()),
        (token_with(&json!({ "refresh_token": "" })), none.clone(), requested.clone()),
        (token_with(&json!({ "refresh_token": null, "id_token": 5 })), none.clone(), requested.clone()),
        (token_with(&json!({ "error": "", "error_description": "" })), none.clone(), requested.clone()),
        (
            token_with(&json!({ "error": null, "ok": true, "more": { "deep": [[[]]] } })),
            none.clone(),
            requested.clone(),
        ),
        (json!({ "status": 201, "body": token_with(&json!({}))["body"] }), none.clone(), requested.clone()),
        (
            json!({ "body": token_with(&json!({}))["body"], "headers": { "content-type": "text/html" } }),
            none.clone(),
            requested.clone(),
        ),
        (
            json!({ "body": format!("\u{feff} {}\n", token_with(&json!({}))["body"].as_str().unwrap()) }),
            none.clone(),
            requested.clone(),
        ),
        (
            json!({ "body": "access_token=good-token&scope=openid+read&token_type=bearer&expires_in=60", "headers": form }),
            json!(60),
            requested,
        ),
    ];
    for (fault, lifetime, scope) in cases {
        let (account, reply) = flow_against(&server, "/token-tolerated", fault.clone()).await;
        assert_eq!(reply.status, 303, "{fault}: {}", reply.text());
        expect_done(&reply);
        let account = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        let val = &account["state"]["val"];
        assert_eq!(account["status"], "ACTIVE", "{fault}");
        assert_eq!((&val["expires_in"], &val["scope"]), (&lifetime, &scope), "{fault}");
        assert_eq!(val["token_type"], "Bearer", "{fault}");
        assert!(val["access_token"].as_str().unwrap().starts_with("good"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_without_a_usable_token_fail_the_account_with_a_reason() {
    let server = with_token_path("/token-refused").await;
    let body = |text: &str| json!({ "body": text });
    let status = |status: u16, text: &str| json!({ "status": status, "body": text });
    let html = json!({ "body": "<!doctype html><title>Sign in</title>", "headers": { "content-type": "text/html" } });
    let twice = r#"{"access_token":"a","access_token":"b","token_type":"bearer"}"#;
    let deep = format!(r#"{{"access_token":"a","x":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let good = token_with(&json!({}))["body"].as_str().unwrap().to_owned();
    // Ten bytes of a header, and nothing of what was packed.
    let gzip = json!({ "base64": "H4sIAAAAAAAAAw==", "headers": { "content-encoding": "gzip" } });
    let flood = json!({ "body": "{\"access_token\":\"a\",\"x\":\"".to_owned() + &"x".repeat(1_000), "repeat": 20_000 });
    let big_headers =
        json!({ "body": good, "headers": { "x-large": "h".repeat(15_000), "x-larger": "h".repeat(60_000) } });
    // What is sent, and a part of the reason that the developer reads.
    let cases: Vec<(Value, &str)> = vec![
        (body("{}"), "no access token"),
        (body("[]"), "not a JSON object"),
        (body("\"good-token\""), "not a JSON object"),
        (body("null"), "not a JSON object"),
        (body(""), "empty"),
        (status(204, ""), "empty"),
        (body("access_token=&token_type=bearer"), "no access token"),
        (body("access_token=good-token&access_token=good-token"), "repeats a parameter"),
        (body(r#"{"access_token":"good-to"#), "not JSON"),
        (body(twice), "repeats a JSON key"),
        (body(&deep), "not JSON"),
        (json!({ "base64": "eyJhY2Nlc3NfdG9rZW4iOiL//v4ifQ==" }), "outside printable ASCII"),
        (html, "not JSON"),
        (gzip, "compression is broken"),
        (token_with(&json!({ "access_token": "" })), "no access token"),
        (token_with(&json!({ "access_token": null })), "no access token"),
        (token_with(&json!({ "access_token": 5 })), "not a string"),
        (token_with(&json!({ "access_token": { "token": "x" } })), "not a string"),
        (token_with(&json!({ "access_token": "good\r\nX-Evil: 1" })), "outside printable ASCII"),
        (token_with(&json!({ "access_token": "gööd" })), "outside printable ASCII"),
        (token_with(&json!({ "refresh_token": ["x"] })), "not a string"),
        (token_with(&json!({ "token_type": "mac" })), "token type mac"),
        (token_with(&json!({ "token_type": "DPoP" })), "token type DPoP"),
        (token_with(&json!({ "token_type": 7 })), "token type"),
        // GitHub and Slack say so with 200.
        (
            body(r#"{"error":"bad_verification_code","error_description":"The code is incorrect."}"#),
            "bad_verification_code",
        ),
        (body(r#"{"ok":false,"error":"invalid_code"}"#), "invalid_code"),
        (token_with(&json!({ "error": "access_denied" })), "access_denied"),
        (status(400, r#"{"error":"invalid_grant"}"#), "invalid_grant"),
        (status(401, r#"{"error":"invalid_client","error_description":"bad secret"}"#), "invalid_client: bad secret"),
        (status(403, r#"{"error":"invalid_code"}"#), "invalid_code"),
        (status(400, r#"{"error":{"code":"E17","message":"no such code"}}"#), "E17: no such code"),
        (status(400, "no JSON at all"), "not JSON"),
        (status(404, "<h1>Not found</h1>"), "not JSON"),
        (status(400, &good), ""),
        (status(429, r#"{"error":"slow_down"}"#), "slow_down"),
        (status(500, ""), "empty"),
        (status(503, r#"{"error":"temporarily_unavailable"}"#), "temporarily_unavailable"),
        (json!({ "reset": true }), "provider"),
        (json!({ "body": good, "cut": true }), "closed the connection"),
        (flood, "larger than"),
        (big_headers, "provider"),
    ];
    for (fault, part) in cases {
        let shown: String = fault.to_string().chars().take(120).collect();
        let (account, page) = flow_against(&server, "/token-refused", fault).await;
        assert_eq!(page.status, 502, "{shown}: {}", page.text());
        expect_page(&page, 502, "provider_error");
        let (status, reason) = state(&server.api, &account).await;
        let reason = reason.unwrap();
        assert_eq!(status, "INITIATED", "the link is open for another try: {shown}");
        assert!(reason.starts_with("OAuth callback failed during token exchange"), "{shown}: {reason}");
        assert!(reason.contains(part), "{shown}: {reason}");
        for text in [&reason, &page.text()] {
            assert!(!text.contains(CODE) && !text.contains("good-token") && !text.contains("127.0.0.1"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_with_secrets_or_markup_are_cleaned() {
    let server = with_token_path("/token-echo").await;
    let secret = mock().text("client_secret");
    let said = format!("code {CODE} of {secret} <script>alert(1)</script>\r\n\u{202e}{}", "long ".repeat(500));
    for error in ["invalid_grant", CODE, secret, "<img src=x onerror=alert(1)>", ""] {
        let fault = json!({ "status": 400, "body": json!({ "error": error, "error_description": said }).to_string() });
        let (account, page) = flow_against(&server, "/token-echo", fault).await;
        expect_page(&page, 502, "provider_error");
        let (_, reason) = state(&server.api, &account).await;
        let reason = reason.unwrap();
        assert!(reason.chars().count() < 350 && !reason.contains(['\r', '\n', '\u{202e}']), "{reason}");
        let html = page.text();
        assert!(!html.contains("<script") && !html.contains("<img src=x"), "{html}");
        for text in [&reason, &html] {
            assert!(!text.contains(CODE) && !text.contains(secret), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_token_request_sends_no_secret() {
    let server = with_token_path("/token-moved").await;
    let origin = mock().origin();
    for status in [301, 302, 303, 307, 308] {
        for location in ["/stolen", &format!("{origin}/stolen"), "https://evil.test/stolen"] {
            let good = token_with(&json!({}))["body"].clone();
            let fault = json!({ "status": status, "headers": { "location": location }, "body": good });
            let (account, page) = flow_against(&server, "/token-moved", fault).await;
            expect_page(&page, 502, "provider_error");
            assert_eq!(state(&server.api, &account).await.0, "INITIATED", "{status} {location}");
        }
    }
    let stolen = Http::new().send("GET", &format!("{origin}/_seen?path=/stolen"), &[], "").await;
    assert_eq!(stolen.expect(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_does_not_respond_times_out() {
    let good = token_with(&json!({}))["body"].clone();
    let silent = json!({ "delay_ms": 60_000, "body": good });
    let trickling = json!({ "body": good.as_str().unwrap().repeat(20), "trickle_ms": 300 });
    let (to_silent, to_trickling) = (with_token_path("/token-silent").await, with_token_path("/token-trickle").await);
    let ((silent_account, silent_page), (trickling_account, trickling_page)) = tokio::join!(
        flow_against(&to_silent, "/token-silent", silent),
        flow_against(&to_trickling, "/token-trickle", trickling)
    );
    let ended = [(to_silent, silent_account, silent_page), (to_trickling, trickling_account, trickling_page)];
    for (server, account, page) in ended {
        expect_page(&page, 502, "provider_error");
        let (status, reason) = state(&server.api, &account).await;
        let reason = reason.unwrap();
        assert!(status == "INITIATED" && reason.contains("did not answer in time"), "{status} {reason}");
    }
}
