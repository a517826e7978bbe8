//! Rate limits (R86) and the client's address behind proxies (R82): which requests are counted together,
//! what the response says about it, and that no client is locked out by another.

use std::time::Duration;

use serde_json::json;
use switchboard::config::Layer;

use super::help::{connect_key, proxy, with_upstream_and};
use crate::support::browser::Browser;
use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

const BAD_KEY: (&str, &str) = ("x-api-key", "ak_0000000000000000000000000000000000000000");

/// A server with these limits per minute: of a key, of an address.
async fn limited(per_key: u32, per_address: u32) -> TestServer {
    let layer = Layer {
        rate_limit_per_key_per_minute: Some(per_key),
        rate_limit_per_address_per_minute: Some(per_address),
        ..Layer::default()
    };
    TestServer::builder().layer(layer).start().await
}

/// A server that believes forwarded headers of these proxies and takes one bad key a minute from
/// each address.
async fn behind(proxies: &[&str]) -> TestServer {
    let layer = Layer {
        rate_limit_per_address_per_minute: Some(1),
        trusted_proxies: Some(proxies.iter().map(|proxy| (*proxy).to_owned()).collect()),
        ..Layer::default()
    };
    TestServer::builder().layer(layer).start().await
}

/// Status of a request with a bad key and these headers.
async fn bad_key(server: &TestServer, headers: &[(&str, &str)]) -> u16 {
    let mut all = vec![BAD_KEY];
    all.extend_from_slice(headers);
    Http::new().send("GET", &format!("{}/api/v3.1/toolkits", server.url), &all, "").await.status
}

/// Limit and what remains, as the headers say.
#[track_caller]
fn standing(reply: &Reply) -> (u32, u32) {
    assert_eq!(reply.header("x-ratelimit-window-size"), Some("60s"), "{} {:?}", reply.status, reply.headers);
    let number = |name: &str| reply.header(name).unwrap().parse().unwrap();
    (number("x-ratelimit"), number("x-ratelimit-remaining"))
}

/// The seconds that a refused request is told to wait.
#[track_caller]
fn wait(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let seconds = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_admitted_up_to_the_limit_which_refills_with_time() {
    let server = limited(5, 300).await;
    let other = server.other_project("Other").await;
    for remaining in (0..5).rev() {
        let reply = server.api.get("/toolkits/sandbox").await;
        reply.expect(200);
        assert_eq!(standing(&reply), (5, remaining));
    }
    let refused = server.api.get("/toolkits/sandbox").await;
    let error = refused.expect_error(429, "HTTP_TooManyRequests");
    assert_eq!(error["message"], "Rate limit exceeded. Limit: 5 requests per 1 minutes");
    let fix = error["suggested_fix"].as_str().unwrap();
    assert!(fix.contains("this server's own") && fix.contains("rate_limit_per_key_per_minute"), "{fix}");
    assert_eq!(standing(&refused), (5, 0));
    assert_eq!(wait(&refused), 12);

    // Both prefixes are one key; another project is untouched.
    let url = format!("{}/api/v3/toolkits/sandbox", server.url);
    assert_eq!(server.api.http.send("GET", &url, &[("x-api-key", &server.api.key)], "").await.status, 429);
    assert_eq!(standing(&other.get("/toolkits/sandbox").await), (5, 4));

    server.clock.advance(Duration::from_secs(12));
    server.api.get("/toolkits/sandbox").await.expect(200);
    wait(&server.api.get("/toolkits/sandbox").await);
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(standing(&server.api.get("/toolkits/sandbox").await), (5, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_allowance() {
    let server = limited(20, 300).await;
    let mut burst = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let api = server.api.clone();
        burst.spawn(async move { api.get("/toolkits/sandbox").await.status });
    }
    let statuses = burst.join_all().await;
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(200), of(429)), (20, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_of_one_project_are_counted_separately() {
    let server = limited(2, 300).await;
    let actor = switchboard::app::Actor::cli(&server.project_id);
    let (second, _) = server.app.keys.create(&actor, "second").await.unwrap();
    for _ in 0..2 {
        server.api.get("/toolkits/sandbox").await.expect(200);
    }
    wait(&server.api.get("/toolkits/sandbox").await);
    let url = format!("{}/api/v3.1/toolkits/sandbox", server.url);
    server.api.http.send("GET", &url, &[("x-api-key", second.expose())], "").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_the_limit_has_no_effect() {
    let server = limited(1, 300).await;
    let body = json!({ "user_id": "u" });
    server.api.post("/tool_router/session", &body).await.expect(201);
    wait(&server.api.post("/tool_router/session", &body).await);
    assert_eq!(super::help::sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_keys_does_not_block_a_good_key_of_the_same_address() {
    let server = limited(1_000, 4).await;
    let url = format!("{}/toolkits/sandbox", server.api.base);
    let unknown = switchboard_vault::ApiKey::generate(&switchboard_vault::SystemEntropy);
    let unknown = ("x-api-key", unknown.expose());
    for headers in [&[BAD_KEY][..], &[], &[("x-api-key", "nonsense")], &[unknown]] {
        let reply = server.api.http.send("GET", &url, headers, "").await;
        reply.expect_error(401, "HTTP_Unauthorized");
        assert_eq!(standing(&reply).0, 4);
    }
    for headers in
        [&[BAD_KEY][..], &[unknown], &[], &[("x-api-key", "nonsense")], &[BAD_KEY, ("x-org-api-key", "oak_x")]]
    {
        let reply = server.api.http.send("GET", &url, headers, "").await;
        let error = reply.expect_error(429, "HTTP_TooManyRequests");
        assert!(error["suggested_fix"].as_str().unwrap().contains("rate_limit_per_address_per_minute"), "{error}");
        assert_eq!((wait(&reply), standing(&reply)), (15, (4, 0)));
    }
    for _ in 0..10 {
        let reply = server.api.get("/toolkits/sandbox").await;
        reply.expect(200);
        assert_eq!(standing(&reply).0, 1_000);
    }
    server.clock.advance(Duration::from_secs(15));
    assert_eq!(server.api.http.send("GET", &url, &[BAD_KEY], "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_key_is_not_counted_for_its_address() {
    let server = limited(1_000, 2).await;
    for _ in 0..10 {
        server.api.get("/toolkits/sandbox").await.expect(200);
        server.api.get("/toolkits/nope").await.expect_error(404, "Toolkit_NotFound");
    }
    assert_eq!(bad_key(&server, &[]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_the_remaining_allowance() {
    let server = limited(100, 50).await;
    for (path, status) in
        [("/toolkits", 200), ("/toolkits/nope", 404), ("/no/such/path", 404), ("/keyring/transfer_keys", 501)]
    {
        let reply = server.api.get(path).await;
        assert_eq!((reply.status, standing(&reply).0), (status, 100), "{path}");
    }
    let wrong_method = server.api.delete("/toolkits").await;
    assert_eq!((wrong_method.status, standing(&wrong_method).0), (405, 100));
    let invalid = server.api.post("/tool_router/session", &json!({})).await;
    assert_eq!((invalid.status, standing(&invalid).0), (400, 100));
    let http = Http::new();
    for (path, status) in [
        ("/link/lt_nobody", 404),
        ("/link/done", 200),
        ("/api/v3.1/toolkits/auth/callback?state=x", 400),
        ("/api/v3/toolkits/auth/callback/ac_x?state=x", 400),
        ("/nowhere", 404),
        ("/api/v3.1/toolkits", 401),
    ] {
        let reply = http.send("GET", &format!("{}{path}", server.url), &[], "").await;
        assert_eq!((reply.status, standing(&reply).0), (status, 50), "{path}");
    }
    // A key changes nothing where none is asked for.
    let keyed = http.send("GET", &format!("{}/nowhere", server.url), &[("x-api-key", &server.api.key)], "").await;
    assert_eq!(standing(&keyed).0, 50);
    let asset = http.send("GET", &format!("{}/assets/toolkits/sandbox.svg", server.url), &[], "").await;
    assert_eq!((asset.status, standing(&asset).0), (200, 50));
    for path in ["/livez", "/readyz"] {
        let reply = http.send("GET", &format!("{}{path}", server.url), &[], "").await;
        assert!(reply.status == 200 && reply.header("x-ratelimit").is_none(), "{path} {}", reply.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_means_no_limit_and_no_headers() {
    let server = limited(0, 0).await;
    for _ in 0..50 {
        let reply = server.api.get("/toolkits/sandbox").await;
        assert!(reply.status == 200 && reply.header("x-ratelimit").is_none());
    }
    let reply = Http::new().send("GET", &format!("{}/link/lt_nobody", server.url), &[], "").await;
    assert!(reply.status == 404 && reply.header("x-ratelimit-window-size").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_callbacks_are_limited_by_address_and_health_is_not() {
    let server = limited(1_000, 4).await;
    let http = Http::new();
    let get = async |path: &str| http.send("GET", &format!("{}{path}", server.url), &[], "").await;
    for path in ["/link/lt_a", "/api/v3.1/toolkits/auth/callback?state=x", "/link/done", "/api/v3/nowhere"] {
        assert!(get(path).await.status < 429, "{path}");
    }
    for path in ["/link/lt_a", "/link/done", "/api/v3/toolkits/auth/callback?state=x"] {
        let page = get(path).await;
        assert_eq!((wait(&page), standing(&page)), (15, (4, 0)), "{path}");
        assert!(page.text().contains("data-result=\"limited\"") && page.text().contains("Too many attempts"), "{path}");
        assert!(page.header("content-security-policy").is_some() && page.header("x-frame-options").is_some());
    }
    for path in ["/docs", "/openapi.json", "/nowhere", "/api/v3.1/toolkits", "/assets/toolkits/sandbox.svg"] {
        get(path).await.expect_error(429, "HTTP_TooManyRequests");
    }
    let revoke = format!("{}/api/v3.1/api_key_revocation", server.url);
    for headers in [&[][..], &[("x-api-key", server.api.key.as_str())]] {
        let reply = http.send("POST", &revoke, headers, "{}").await;
        reply.expect_error(429, "HTTP_TooManyRequests");
    }
    for path in ["/livez", "/readyz"] {
        for _ in 0..10 {
            assert_eq!(get(path).await.status, 200, "{path}");
        }
    }
    server.api.get("/toolkits/sandbox").await.expect(200);
    server.clock.advance(Duration::from_secs(15));
    assert_eq!(get("/link/lt_a").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_headers_of_an_untrusted_peer_change_no_count() {
    let server = behind(&["10.0.0.0/8"]).await;
    assert_eq!(bad_key(&server, &[]).await, 401);
    for headers in [
        &[("x-forwarded-for", "8.8.8.8")][..],
        &[("X-Forwarded-For", "8.8.4.4, 10.0.0.1")],
        &[("forwarded", "for=8.8.8.8")],
        &[("Forwarded", "for=\"[2001:db8::1]:80\";proto=https")],
        &[("x-real-ip", "8.8.8.8")],
        &[("x_forwarded_for", "8.8.8.8")],
    ] {
        assert_eq!(bad_key(&server, headers).await, 429, "{headers:?}");
    }
    // Nor does the allowance of others shrink.
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(bad_key(&server, &[]).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_determines_the_client_address() {
    let server = behind(&["127.0.0.1", "10.0.0.0/8"]).await;
    let from = async |name: &str, value: &str| bad_key(&server, &[(name, value)]).await;
    // Each of these is a client of its own, then the same one again however it is written.
    assert_eq!(from("x-forwarded-for", "8.8.8.8").await, 401);
    assert_eq!(from("x-forwarded-for", "8.8.4.4").await, 401);
    assert_eq!(from("forwarded", "for=1.1.1.1;proto=https").await, 401);
    assert_eq!(from("forwarded", "For=\"[2001:db8:0:1::1]:4711\"").await, 401);
    for (name, value) in [
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-for", "8.8.8.8:1234"),
        ("x-forwarded-for", "::ffff:8.8.8.8"),
        ("x-forwarded-for", "6.6.6.6, 8.8.8.8"),
        ("x-forwarded-for", "6.6.6.6, 8.8.8.8, 10.0.0.7, 10.9.9.9"),
        ("forwarded", "for=8.8.8.8"),
        ("forwarded", "for=6.6.6.6, for=8.8.4.4, for=10.0.0.7;by=10.0.0.1"),
        ("x-forwarded-for", "1.1.1.1"),
        // The whole /64 is one client.
        ("x-forwarded-for", "2001:db8:0:1:ffff::2"),
    ] {
        assert_eq!(from(name, value).await, 429, "{name}: {value}");
    }
    assert_eq!(from("x-forwarded-for", "2001:db8:0:2::1").await, 401);
    // What a client writes in the header that its proxy does not write gives it no new name.
    assert_eq!(bad_key(&server, &[]).await, 401, "the proxy itself");
    for spoofed in ["for=7.7.7.1", "for=7.7.7.2", "for=\"7.7.7.3", "nonsense"] {
        let headers = [("x-forwarded-for", "9.9.9.9"), ("forwarded", spoofed)];
        assert_eq!(bad_key(&server, &headers).await, 429, "{spoofed}");
    }
    assert_eq!(from("x-forwarded-for", "9.9.9.9").await, 401);
    server.api.get("/toolkits/sandbox").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn produced_urls_do_not_depend_on_a_trusted_proxy() {
    let server = behind(&["127.0.0.1"]).await;
    let session = server.api.session("u", "sandbox").await;
    let headers = [
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=8.8.8.8;host=evil.test;proto=https"),
    ];
    let path = format!("/tool_router/session/{session}/link");
    let link = server.api.call_with("POST", &path, &headers, json!({ "toolkit": "sandbox" }).to_string()).await;
    let link = link.expect(201);
    assert!(link["redirect_url"].as_str().unwrap().starts_with(&format!("{}/link/", server.url)), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_a_link_takes_ten_keys_and_then_limits_further_ones() {
    let layer = Layer { trusted_proxies: Some(vec!["127.0.0.1".to_owned()]), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    super::help::auth_config(&server.api, "sandbox", "API_KEY").await;
    let offer = async |user: &str| {
        let session = server.api.session(user, "sandbox").await;
        let link = server.api.link(&session, "sandbox").await;
        link["redirect_url"].as_str().unwrap().to_owned()
    };
    let (page, other) = (offer("u1").await, offer("u2").await);
    let http = Http::new();
    // Wherever the attempts come from.
    let submit = async |page: &str, address: &str, key: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-for", address),
        ];
        http.send("POST", page, &headers, format!("generic_api_key={key}")).await
    };
    assert_eq!(submit(&page, "8.8.8.8", "").await.status, 422, "an empty form is not an attempt");
    for attempt in 0..10 {
        let reply = submit(&page, &format!("8.8.8.{attempt}"), &format!("wrong-{attempt}")).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
    }
    for key in ["wrong-again", "sandbox_alice_key"] {
        let refused = submit(&page, "9.9.9.9", key).await;
        assert_eq!(wait(&refused), 60);
        assert!(refused.text().contains("Too many attempts") && !refused.text().contains(key), "{}", refused.text());
    }
    assert_eq!(submit(&other, "8.8.8.8", "wrong").await.status, 422, "another link");
    assert_eq!(Browser::new("alice").get(&page).await.status, 200, "looking is not trying");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(submit(&page, "8.8.8.8", "sandbox_alice_key").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_provider_are_limited_per_account_if_configured() {
    let layer = Layer { rate_limit_per_account_per_minute: Some(2), ..Layer::default() };
    let (server, upstream) = with_upstream_and(layer).await;
    let (busy, account) = connect_key(&server.api, "busy", "up").await;
    let (quiet, _) = connect_key(&server.api, "quiet", "up").await;
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    for _ in 0..2 {
        proxy(&server.api, &busy, &call).await.expect(200);
    }
    upstream.take();
    let refused = proxy(&server.api, &busy, &call).await;
    let error = refused.expect_error(429, "HTTP_TooManyRequests");
    let fix = error["suggested_fix"].as_str().unwrap();
    assert!(fix.contains(&account) && fix.contains("rate_limit_per_account_per_minute"), "{fix}");
    assert_eq!(wait(&refused), 30);
    assert!(upstream.take().is_empty(), "nothing was sent");
    proxy(&server.api, &quiet, &call).await.expect(200);
    server.clock.advance(Duration::from_secs(30));
    proxy(&server.api, &busy, &call).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn limited_requests_are_counted_by_what_limits_them() {
    let server = limited(1, 1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(switchboard::server::serve_metrics(std::sync::Arc::clone(&server.app), listener));
    for _ in 0..3 {
        server.api.get("/toolkits/sandbox").await;
        bad_key(&server, &[]).await;
    }
    let text = Http::new().send("GET", &url, &[], "").await.text();
    for kind in ["key", "address"] {
        let line = format!("switchboard_rate_limited_total{{kind=\"{kind}\"}} 2");
        assert!(text.contains(&line), "{line} is not in:\n{text}");
    }
}
