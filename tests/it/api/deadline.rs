//! Half a minute is the most that a provider may take (R54): 504, and others are not held up. The
//! slowest test of this folder; it waits for that half minute.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use super::help::{Upstream, connect_key, keyed, proxy};
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_responds_is_504_and_delays_no_other_request() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let upstream = Upstream::start().await;
    let server = TestServer::builder()
        .toolkit("slow", &keyed("slow", &format!("http://{host}"), &host))
        .toolkit("up", &upstream.toolkit("up"))
        .start()
        .await;
    let (slow, account) = connect_key(&server.api, "u", "slow").await;
    let (quick, _) = connect_key(&server.api, "u", "up").await;
    let started = Instant::now();
    let body = |toolkit: &str| json!({ "toolkit_slug": toolkit, "endpoint": "/x", "method": "POST" });
    // More than any pool holds, and the listener's backlog takes the connections.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (api, slow, body) = (server.api.clone(), slow.clone(), body("slow"));
            tokio::spawn(async move { proxy(&api, &slow, &body).await })
        })
        .collect();
    for _ in 0..20 {
        let asked = Instant::now();
        proxy(&server.api, &quick, &body("up")).await.expect(200);
        assert!(asked.elapsed() < Duration::from_secs(3), "another provider had to wait {:?}", asked.elapsed());
    }
    for reply in waiting {
        let reply = reply.await.unwrap();
        let error = reply.expect_error(504, "Upstream_Timeout");
        assert_eq!(reply.header("x-should-retry"), Some("false"), "it may have been carried out");
        assert!(!error.to_string().contains(&host), "{error}");
        assert!(error["suggested_fix"].as_str().unwrap().contains("may have been carried out"), "{error}");
    }
    let took = started.elapsed();
    assert!((29..36).contains(&took.as_secs()), "{took:?}");
    assert_eq!(server.api.status(&account).await, "ACTIVE");
}
