//! The queue of jobs, as an operator and a provider see it: what waits, what runs, and that a slow provider or a
//! server that died stops nothing else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard::app::ManagedClient;
use tokio::net::TcpListener;

use super::help::{Upstream, http, sql, text};
use super::revocation::{oauth_account, with_revocation_at};
use crate::support::connected::{finished, receipt_when};
use crate::support::http::Http;
use crate::support::server::TestServer;
use crate::support::wait::until;

async fn delete(server: &TestServer, account: &str) -> String {
    text(&server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200), "revoke_job_id")
}

/// The address of the server's metrics.
async fn serve_metrics(server: &TestServer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    tokio::spawn(switchboard::server::serve_metrics(Arc::clone(&server.app), listener));
    url
}

/// The sandbox with two toolkits; the revocation endpoint of `slow` accepts connections and never answers.
async fn with_a_silent_provider() -> TestServer {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/revoke", silent.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            connections.push(stream);
        }
    });
    let file = include_str!("../../../toolkits/sandbox/toolkit.toml");
    let file = file.replace("slug = \"sandbox\"", "slug = \"slow\"").replace("{sandbox_url}/oauth/revoke", &url);
    let client = ManagedClient {
        client_id: "test".to_owned(),
        client_secret: Some("sandbox secret with :odd/ %characters+".into()),
        projects: vec!["*".to_owned()],
        ..ManagedClient::default()
    };
    TestServer::builder().toolkit("slow", &file).managed("slow", client).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_delays_no_other_and_the_metrics_show_its_queue() {
    let server = with_a_silent_provider().await;
    let quick = oauth_account(&server, "u", "sandbox").await;
    let mut slow = Vec::new();
    for user in 0..6 {
        slow.push(oauth_account(&server, &format!("u{user}"), "slow").await);
    }
    let rows = sql(&server.database(), "SELECT COUNT(*) FROM jobs");
    assert_eq!(rows, json!([[0]]), "links and connections need no job");
    for account in &slow {
        delete(&server, account).await;
    }
    let url = serve_metrics(&server).await;
    let metrics = async || Http::new().send("GET", &url, &[], "").await.text();
    let of_state = |state: &str| format!("switchboard_queue_jobs{{kind=\"revocation\",state=\"{state}\"}}");
    until("four revocations under way", async || metrics().await.contains(&format!("{} 4\n", of_state("leased"))))
        .await;

    let job = delete(&server, &quick).await;
    assert_eq!(finished(&server.api, &job).await["revoked"], 1);
    server.clock.advance(Duration::from_secs(7));
    let text = metrics().await;
    let oldest = "switchboard_queue_oldest_due_age_seconds{kind=\"revocation\"} 7.0".to_owned();
    for line in [format!("{} 2", of_state("due")), format!("{} 0", of_state("waiting")), oldest] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_crashed_server_is_run_again_after_its_lease() {
    let upstream = Upstream::start().await;
    upstream.play(http("503 Service Unavailable", "retry-after: 600\r\n", b"busy"));
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let job = delete(&server, &account).await;
    receipt_when(&server.api, &job, |receipt| receipt["items"][0]["detail"].is_string()).await;
    upstream.play(http("200 OK", "", b""));
    upstream.take();
    let url = serve_metrics(&server).await;
    let activations = async || {
        let text = Http::new().send("GET", &url, &[], "").await.text();
        let line = "switchboard_job_activations_total{job=\"revoke_credentials\",outcome=\"ok\"} ";
        text.lines().find_map(|found| found.strip_prefix(line)).map_or(0, |count| count.parse::<u64>().unwrap())
    };
    // Another server takes it when it is due, and dies.
    sql(&server.database(), "UPDATE jobs SET lease_until = run_at + 60000, fence = fence + 1, tries = tries + 1");
    server.clock.advance(Duration::from_secs(655));
    let before = activations().await;
    server.app.revocations.wake_up();
    // The first activation may have begun before the clock moved; the second has not.
    until("two activations of the worker", async || {
        server.app.revocations.wake_up();
        activations().await >= before + 2
    })
    .await;
    let receipt = receipt_when(&server.api, &job, |_| true).await;
    assert_eq!(receipt["items"][0]["tries"], 2, "the other server's lease has not ended: {receipt}");
    assert!(upstream.take().is_empty(), "the other server may still be at it");
    server.clock.advance(Duration::from_secs(10));
    let receipt = finished(&server.api, &job).await;
    assert_eq!((&receipt["revoked"], &receipt["items"][0]["tries"]), (&json!(1), &json!(3)), "{receipt}");
}
