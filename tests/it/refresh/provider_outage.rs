//! A provider that is down for ten minutes while many accounts want new tokens (R40, F16–F18): no
//! account ends, the provider is left alone, and everything goes on by itself once it is back.

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};
use switchboard::time::Clock;
use tokio::task::JoinSet;

use crate::support::connected::{Connected, connect};
use crate::support::http::Reply;
use crate::support::providers::Provider;

const ACCOUNTS: usize = 50;
/// Seconds that a token lives. It is due for a refresh in the fifth before its end, or that much again
/// earlier.
const TTL: &str = "600";
/// From one token to the moment at which the next is due, and the old one lives.
const DUE: Duration = Duration::from_mins(9);
/// Between two rounds of calls of all accounts.
const STEP: Duration = Duration::from_secs(30);
/// How long a provider is away.
const OUTAGE: Duration = Duration::from_mins(10);
/// Longest pause that we give ourselves.
const PAUSE: Duration = Duration::from_mins(1);
/// Longest pause that a provider may ask for.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// Many accounts of one toolkit, on one server.
struct Crowd {
    provider: Provider,
    connected: Connected,
    sessions: Vec<String>,
}

impl Crowd {
    async fn gather() -> Self {
        let provider = Provider::mock(&["--access-ttl", TTL]);
        let connected = Connected::at(&provider, "").await;
        let mut sessions = vec![connected.session.clone()];
        for user in 1..ACCOUNTS {
            sessions.push(connect(&connected.server.api, &format!("crowd-{user}"), "tk").await.0);
        }
        Self { provider, connected, sessions }
    }

    fn advance(&self, by: Duration) {
        self.connected.server.clock.advance(by);
    }

    /// One call of each account, all at once.
    async fn calls(&self) -> Vec<Reply> {
        let mut calls = JoinSet::new();
        for session in &self.sessions {
            let (api, session) = (self.connected.server.api.clone(), session.clone());
            calls.spawn(async move { api.proxy_get(&session, "tk", "/api/me").await });
        }
        calls.join_all().await
    }

    async fn asked(&self) -> usize {
        self.provider.grants("refresh_token").await
    }

    async fn all_are_active(&self, when: &str) {
        let page = self.connected.server.api.get("/connected_accounts?statuses=ACTIVE").await.expect(200);
        assert_eq!(page["total_items"], ACCOUNTS, "{when}");
    }

    /// Ten minutes of an outage, and what follows. All tokens are new when it is called, and when it
    /// returns.
    ///
    /// Each account sends the provider one request, as all of them call at once. After that one account
    /// sends one request in each pause. `pause` is the length of the last pause.
    async fn outlives(&self, fault: &Value, pause: Duration) {
        let before = self.asked().await;
        self.provider.fault(fault).await;
        self.advance(DUE);
        for reply in self.calls().await {
            assert_eq!(reply.expect(200)["data"]["sub"], "alice", "{fault}: a token that lives is used");
        }
        let mut past = Duration::ZERO;
        while past < OUTAGE {
            past += STEP;
            self.advance(STEP);
            let is_alive = DUE + past < Duration::from_secs(TTL.parse().unwrap());
            for reply in self.calls().await {
                let is_right = if is_alive { reply.status == 200 } else { is_paused(&reply) };
                assert!(is_right, "{fault} after {past:?}: {} {}", reply.status, reply.text());
            }
            self.all_are_active(&format!("{fault} after {past:?}")).await;
        }
        let asked = self.asked().await - before;
        let bound = ACCOUNTS + usize::try_from(OUTAGE.as_secs() / pause.as_secs()).unwrap();
        assert!(asked <= bound, "{fault}: the provider was asked {asked} times, not {bound} at most");

        self.provider.heal().await;
        self.recovers(fault, pause).await;
    }

    /// At the end of one pause one account works again, and the next time that they are called all do,
    /// with one request each.
    async fn recovers(&self, fault: &Value, pause: Duration) {
        let before = self.asked().await;
        let mut past = Duration::ZERO;
        loop {
            let replies = self.calls().await;
            let failed: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 200).collect();
            if failed.is_empty() {
                break;
            }
            assert!(past <= pause, "{fault}: {} fail {past:?} after its end: {}", failed.len(), failed[0].text());
            past += STEP / 2;
            self.advance(STEP / 2);
        }
        assert_eq!(self.asked().await - before, ACCOUNTS, "{fault}: one request for each account");
        // All tokens are refreshed at once.
        self.advance(Duration::from_hours(1));
        assert!(self.calls().await.iter().all(|reply| reply.status == 200), "{fault}");
        self.all_are_active("in the end").await;
    }
}

/// 503 with a code of its own and a time to try again.
fn is_paused(reply: &Reply) -> bool {
    let has_wait = reply.header("retry-after").is_some_and(|value| value.parse::<u64>().is_ok_and(|it| it > 0));
    reply.status == 503 && has_wait && reply.json()["error"]["slug"] == "provider_paused"
}

fn token(answer: Value) -> Value {
    let mut fault = answer;
    fault["path"] = "/token".into();
    fault
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_accounts_survive_ten_minutes_of_errors() {
    let crowd = Crowd::gather().await;
    let slow = token(json!({ "status": 503, "body": "busy", "delay_ms": 2_000, "times": ACCOUNTS }));
    for fault in [
        token(json!({ "status": 500, "body": "{}" })),
        json!([slow, token(json!({ "status": 503, "body": "busy" }))]),
        token(json!({ "status": 200, "body": "{\"access_token\":\"half", "cut": true })),
        token(json!({ "status": 200, "body": "<html>Down</html>", "headers": { "content-type": "text/html" } })),
        token(json!({ "status": 200, "body": "x".repeat(65_536), "repeat": 1_000_000 })),
    ] {
        crowd.outlives(&fault, PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_accounts_respect_retry_after() {
    let crowd = Crowd::gather().await;
    let limited = |wait: &str| token(json!({ "status": 429, "body": "", "headers": { "retry-after": wait } }));
    crowd.outlives(&limited("120"), Duration::from_mins(2)).await;
    let clock = &crowd.connected.server.clock;
    let back_at = (clock.now() + DUE + OUTAGE).as_millis();
    let date = DateTime::from_timestamp_millis(back_at).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    crowd.outlives(&limited(&date), LONGEST_ASKED).await;
    for absurd in ["99999999999", "99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        crowd.outlives(&limited(absurd), LONGEST_ASKED).await;
    }
}
