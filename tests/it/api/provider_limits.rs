//! Limits of providers: calls wait for their turn here instead of being refused there, and sessions take turns.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::help::{TOOLS, Upstream, connect_key, http, keyed, on_session, proxy, sql, text};
use super::tools::{run, with_tools};
use crate::support::connected::second_server;
use crate::support::http::Api;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// Calls that the provider takes in a second.
const LIMIT: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// What a provider with windows of a second has seen.
struct Seen {
    began: Instant,
    calls: u32,
    answered: u32,
    refused: u32,
}

type Shared = Arc<(Mutex<Seen>, fn(u32, Duration) -> HeaderMap)>;

/// A provider that takes [`LIMIT`] calls in each second of its own clock.
async fn provider(headers: fn(u32, Duration) -> HeaderMap) -> (String, Shared) {
    let seen = Seen { began: Instant::now(), calls: 0, answered: 0, refused: 0 };
    let shared: Shared = Arc::new((Mutex::new(seen), headers));
    let router = Router::new().fallback(limited).with_state(Arc::clone(&shared));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (host, shared)
}

async fn limited(State(shared): State<Shared>, _: OriginalUri) -> Response {
    let (remaining, left, is_refused) = {
        let mut seen = shared.0.lock().unwrap();
        while seen.began.elapsed() >= SECOND {
            seen.began += SECOND;
            seen.calls = 0;
        }
        seen.calls += 1;
        let is_refused = seen.calls > LIMIT;
        if is_refused {
            seen.refused += 1;
        } else {
            seen.answered += 1;
        }
        (LIMIT.saturating_sub(seen.calls), SECOND.saturating_sub(seen.began.elapsed()), is_refused)
    };
    let headers = (shared.1)(remaining, left);
    let status = if is_refused { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    (status, headers, "{}").into_response()
}

fn with_headers(lines: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in lines {
        headers.insert(*name, value.parse().unwrap());
    }
    headers
}

/// In whole seconds, as most providers do.
fn common(remaining: u32, left: Duration) -> HeaderMap {
    with_headers(&[
        ("x-ratelimit-limit", LIMIT.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset", left.as_secs_f64().ceil().to_string()),
    ])
}

fn fields(remaining: u32, left: Duration) -> HeaderMap {
    with_headers(&[
        ("ratelimit", format!("\"default\";r={remaining};t={}", left.as_secs_f64().ceil())),
        ("ratelimit-policy", format!("\"default\";q={LIMIT};w=1")),
    ])
}

/// A session of the user; its id.
async fn session(api: &Api) -> String {
    text(&api.post("/tool_router/session", &json!({ "user_id": "u" })).await.expect(201), "session_id")
}

/// Makes a call until the provider takes it, waiting as long as the outcome says. How often it was told to wait.
async fn persist(api: &Api, session: &str) -> u32 {
    for told in 0..100 {
        let done = run(api, session, "UP_LIST_NOTES", json!({})).await.expect(200);
        if done["error"].is_null() {
            return told;
        }
        assert_eq!(
            (&done["data"]["error_code"], &done["data"]["limit_owner"]),
            (&json!("rate_limited"), &json!("provider"))
        );
        let pause = done["data"]["retry_after_ms"].as_u64().unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    panic!("never taken");
}

/// Calls of five sessions of one account at once, one of which makes most of them: how long the sessions took.
async fn burst(headers: fn(u32, Duration) -> HeaderMap, (many, few): (usize, usize)) -> (Duration, Vec<Duration>) {
    let (host, seen) = provider(headers).await;
    let toolkit = keyed("up", &format!("http://{host}/base"), &host);
    let server = TestServer::builder().toolkit("up", &toolkit).tools("up", TOOLS).start().await;
    let (first, _) = connect_key(&server.api, "u", "up").await;
    assert_eq!(persist(&server.api, &first).await, 0, "the limit is learnt from the first answer");
    let mut sessions = Vec::new();
    for number in 0..5 {
        sessions.push((session(&server.api).await, if number == 0 { many } else { few }));
    }
    let began = Instant::now();
    let running = sessions.into_iter().map(|(session, calls)| {
        let api = server.api.clone();
        tokio::spawn(async move {
            let calls = (0..calls).map(|_| {
                let (api, session) = (api.clone(), session.clone());
                tokio::spawn(async move { persist(&api, &session).await })
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.unwrap();
            }
            began.elapsed()
        })
    });
    let mut took = Vec::new();
    for session in running.collect::<Vec<_>>() {
        took.push(session.await.unwrap());
    }
    let seen = seen.0.lock().unwrap();
    let calls = u32::try_from(many + 4 * few).unwrap();
    assert_eq!((seen.answered, seen.refused), (calls + 1, 0), "the provider refused none");
    (took.remove(0), took)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_at_once_are_all_taken_by_a_provider_of_ten_a_second() {
    let (many, few) = burst(common, (120, 20)).await;
    assert!(many >= 18 * SECOND, "{many:?}");
    for took in few {
        assert!(took < many * 9 / 10, "a session with few calls is not kept behind the other: {took:?} of {many:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_in_the_fields_of_the_standard_is_kept() {
    let (many, few) = burst(fields, (30, 3)).await;
    for took in few {
        assert!(took < many, "{took:?} of {many:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_kept_by_the_next_calls_and_over_a_restart() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    let (other, _) = connect_key(api, "v", "up").await;
    upstream.take();
    upstream.play(http("429 Too Many Requests", "retry-after: 600\r\n", b""));
    let refused = run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(refused["data"]["http_status"], 429);
    upstream.only();
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    let stored = || sql(&server.database(), "SELECT COUNT(*) FROM provider_pauses");
    until("the pause in the database", async || stored() == json!([[1]])).await;
    let restarted = second_server(&server).await;
    for api in [api, &restarted] {
        let waits = run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
        let data = &waits["data"];
        assert_eq!((&data["error_code"], &data["limit_owner"]), (&json!("rate_limited"), &json!("provider")));
        assert_eq!(data.get("http_status"), None, "nothing was sent");
        let pause = data["retry_after_ms"].as_u64().unwrap();
        assert!((590_000..=600_000).contains(&pause), "{pause}");
        let error = text(&waits, "error");
        assert!(error.starts_with("The provider's limit for this account is reached; the next call is possible in "));
        let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
        let raw = proxy(api, &session, &body).await;
        let error = raw.expect_error(429, "provider_limit_reached");
        assert!(text(&error, "suggested_fix").contains("The limit is the provider's, not this server's"), "{error}");
        assert!(raw.header("retry-after").unwrap().parse::<u64>().unwrap() > 590);
        let direct = json!({ "user_id": "u", "connected_account_id": account });
        let direct = api.post("/tools/execute/UP_LIST_NOTES", &direct).await.expect(200);
        assert_eq!((&direct["successful"], &direct["data"]["error_code"]), (&json!(false), &json!("rate_limited")));
    }
    assert!(upstream.take().is_empty());
    assert_eq!(run(api, &other, "UP_LIST_NOTES", json!({})).await.expect(200)["error"], Value::Null);
    // The end of the pause: the row goes, and a server that starts then knows of none.
    server.clock.advance(Duration::from_secs(601));
    server.app.sweeps.delete_old_rows().await.unwrap();
    assert_eq!(stored(), json!([[0]]));
    let later = second_server(&server).await;
    assert_eq!(run(&later, &session, "UP_LIST_NOTES", json!({})).await.expect(200)["error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_pause_is_waited_for_and_a_long_one_is_not() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    upstream.play_in_turn([
        http("429 Too Many Requests", "retry-after: 1\r\n", b""),
        http("200 OK", "content-type: application/json\r\n", b"{}"),
    ]);
    let create = async || run(&server.api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })).await;
    assert_eq!(create().await.expect(200)["data"]["error_code"], "rate_limited");
    let began = Instant::now();
    assert_eq!(create().await.expect(200)["error"], Value::Null);
    assert!(began.elapsed() > Duration::from_millis(800), "{:?}", began.elapsed());
    assert_eq!(upstream.take().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_budget_of_a_provider_counts_for_its_own_calls() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let headers = |limit: u32, remaining: u32| {
        format!(
            "content-type: application/json\r\nx-ratelimit-limit: {limit}\r\nx-ratelimit-remaining: {remaining}\r\n\
             x-ratelimit-reset: 60\r\nx-ratelimit-resource: of {limit}\r\n"
        )
    };
    upstream.play(http("200 OK", &headers(100, 50), b"{}"));
    run(&server.api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })).await.expect(200);
    upstream.play(http("200 OK", &headers(30, 0), b"[]"));
    assert_eq!(run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200)["error"], Value::Null);
    upstream.take();
    let waits = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(waits["data"]["error_code"], "rate_limited");
    assert!((50_000..=60_000).contains(&waits["data"]["retry_after_ms"].as_u64().unwrap()), "{waits}");
    assert!(upstream.take().is_empty());
    upstream.play(http("200 OK", &headers(100, 49), b"{}"));
    let created = run(&server.api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })).await.expect(200);
    assert_eq!(created["error"], Value::Null);
    assert_eq!(upstream.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_counts_for_as_many_calls_as_its_file_says() {
    let upstream = Upstream::start().await;
    let tools = TOOLS.replace("slug = \"UP_LIST_NOTES\"", "slug = \"UP_LIST_NOTES\"\nweight = 6");
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", &tools).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let headers = "content-type: application/json\r\nx-ratelimit-limit: 10\r\nx-ratelimit-remaining: 5\r\n\
        x-ratelimit-reset: 60\r\n";
    upstream.play(http("200 OK", headers, b"{}"));
    let create = json!({ "folder": "f", "text": "x" });
    run(&server.api, &session, "UP_CREATE_NOTE", create.clone()).await.expect(200);
    upstream.take();
    let heavy = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(heavy["data"]["error_code"], "rate_limited", "six of five");
    assert!(upstream.take().is_empty());
    assert_eq!(run(&server.api, &session, "UP_CREATE_NOTE", create).await.expect(200)["error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_own_forms_are_known_by_its_toolkit() {
    let upstream = Upstream::start().await;
    let forms = "[[rate_limits]]\nstatus = 403\nbody_contains = \"slow down\"\nreset_header = \"x-again\"\n\
        [limit_headers]\nused = \"x-calls\"\nrefill = 1\n";
    let toolkit = format!("{}{forms}", upstream.toolkit("up"));
    let server = TestServer::builder().toolkit("up", &toolkit).tools("up", TOOLS).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.play(http(
        "403 Forbidden",
        "content-type: application/json\r\nx-again: 90\r\n",
        br#"{"message":"slow down"}"#,
    ));
    let refused = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(
        (&refused["data"]["error_code"], &refused["data"]["retry_after_ms"]),
        (&json!("rate_limited"), &json!(90_000))
    );
    upstream.take();
    let waits = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(waits["data"]["error_code"], "rate_limited");
    assert!(upstream.take().is_empty());

    let (other, _) = connect_key(&server.api, "v", "up").await;
    upstream.play(http("200 OK", "content-type: application/json\r\nx-calls: 40/40\r\n", b"[]"));
    run(&server.api, &other, "UP_LIST_NOTES", json!({})).await.expect(200);
    let began = Instant::now();
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    on_session(&server.api, &other, "proxy_execute", &body).await.expect(200);
    assert!(began.elapsed() > Duration::from_millis(800), "one call a second: {:?}", began.elapsed());
}
