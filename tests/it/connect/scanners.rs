//! Links that are opened by machines, guessed, or looked for in the database (R01, R03).

use std::collections::BTreeSet;
use std::time::Duration;

use super::flow::{
    agree, expect_done, expect_page, is_stored, offer, parameter, press, provider_url, result_of, until_callback,
    without_reference,
};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_link_changes_nothing() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let path = format!("/connected_accounts/{}", link.account);
    let before = server.api.get(&path).await.expect(200);
    server.clock.advance(Duration::from_secs(1));
    let openers: [(&str, &[(&str, &str)]); 9] = [
        ("GET", &[("user-agent", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)")]),
        ("GET", &[("user-agent", "Mozilla/5.0"), ("sec-purpose", "prefetch")]),
        ("GET", &[("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]),
        ("GET", &[("user-agent", "BarracudaCentral"), ("x-forwarded-for", "203.0.113.9")]),
        ("GET", &[("sec-fetch-site", "same-origin"), ("origin", "null")]),
        ("GET", &[]),
        ("HEAD", &[]),
        ("HEAD", &[("user-agent", "Twitterbot/1.0")]),
        ("HEAD", &[("sec-purpose", "prefetch")]),
    ];
    for (method, headers) in openers {
        let reply = Http::new().send(method, &link.page, headers, "").await;
        assert_eq!(reply.status, 200, "{method} {headers:?}");
        assert_eq!(reply.header("set-cookie"), None, "{method} {headers:?}");
        assert_eq!(method == "HEAD", reply.body.is_empty());
    }
    for method in ["GET", "HEAD"] {
        let reply = Http::new().send(method, &format!("{}/reject", link.page), &[], "").await;
        assert_eq!(reply.status, 405, "{method}: the button is not a link");
    }
    assert_eq!(server.api.get(&path).await.expect(200), before);
    assert_eq!(before["status"], "INITIALIZING");

    let mut human = Browser::new("alice");
    let callback = until_callback(&mut human, &link).await;
    expect_done(&human.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn link_tokens_cannot_be_guessed_from_one_another() {
    let server = TestServer::start().await;
    let session = server.api.session("user-1", "sandbox").await;
    let mut secrets = BTreeSet::new();
    for _ in 0..300 {
        let link = server.api.link(&session, "sandbox").await;
        let token = link["link_token"].as_str().unwrap();
        assert!(link["redirect_url"].as_str().unwrap().ends_with(&format!("/link/{token}")));
        secrets.insert(token[token.len() - 27..].to_owned());
    }
    assert_eq!(secrets.len(), 300);
    assert!(secrets.iter().all(|secret| secret.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    // 27 characters of 62 are 160 bits, if every place is free: all 62 must show up in each.
    for place in 0..27 {
        let letters: BTreeSet<u8> = secrets.iter().map(|secret| secret.as_bytes()[place]).collect();
        assert!(letters.len() > 50, "place {place} has {} letters only", letters.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_token_nor_state_nor_cookie_is_in_the_database() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let pressed = press(&mut browser, &link.page).await;
    let provider = provider_url(&pressed);
    let cookie = pressed.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
    let callback = agree(&mut browser, &provider).await;
    let state = parameter(&callback, "state").unwrap();
    let code = parameter(&callback, "code").unwrap();
    let absent = [("token", link.token()), ("state", &state), ("cookie", &cookie), ("code", &code)];
    let search = |step: &str| {
        assert!(is_stored(&server, &link.account), "the search finds what is there");
        for (what, secret) in absent {
            assert!(!is_stored(&server, secret), "{step}: {what}");
            assert!(!is_stored(&server, &secret[secret.len() - 20..]), "{step}: end of {what}");
        }
    };
    search("started");
    expect_done(&browser.get(&callback).await);
    search("finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_token_gets_the_same_page() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let token = link.token();
    let (id, secret) = token.split_at(token.len() - 27);
    let other_case = if secret.starts_with(char::is_lowercase) { "A" } else { "a" };
    let wrong = [
        "x".to_owned(),
        id.to_owned(),
        secret.to_owned(),
        format!("{id}{other_case}{}", &secret[1..]),
        format!("{id}{}", &secret[..26]),
        format!("{token}0"),
        format!("{id}{}", "0".repeat(27)),
        format!("lt_{}{secret}", "0".repeat(id.len() - 3)),
        format!("{token}%00"),
        format!("{token}%20"),
        format!("{token}%0d%0aset-cookie:x=1"),
        "%2e%2e%2fdone".to_owned(),
        "%3Cscript%3Ealert(1)%3C/script%3E".replace('/', "%2f"),
        "a".repeat(5_000),
        "%F0%9F%98%80".repeat(30),
    ];
    let reference = without_reference(&Http::new().send("GET", &format!("{}/link/unknown", server.url), &[], "").await);
    for token in wrong {
        let url = format!("{}/link/{token}", server.url);
        let mut browser = Browser::new("alice");
        for reply in [
            browser.get(&url).await,
            press(&mut browser, &url).await,
            browser.submit(&format!("{url}/reject"), &[]).await,
        ] {
            expect_page(&reply, 404, "invalid");
            assert_eq!(without_reference(&reply), reference, "{token}");
            assert!(reply.header("set-cookie").is_none());
        }
    }
    assert_eq!(server.api.status(&link.account).await, "INITIALIZING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_text_gets_a_page_too() {
    let server = TestServer::start().await;
    for path in ["/link/%FF", "/link/%FF/reject", "/api/v3.1/toolkits/auth/callback/%FF"] {
        let method = if path.ends_with("reject") { "POST" } else { "GET" };
        let headers = [("sec-fetch-site", "same-origin")];
        let reply = Http::new().send(method, &format!("{}{path}", server.url), &headers, "").await;
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
        assert_eq!(result_of(&reply), "invalid", "{path}");
    }
}
