//! A panic stays where it happens: in one request, in one round of one job; and `/readyz` tells of a job
//! that does not run.

use std::time::Duration;

use serde_json::json;

use crate::support::http::Http;
use crate::support::server::TestServer;
use crate::support::wait::within;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_no_connection_and_no_job() {
    let server = TestServer::start().await;
    let http = Http::new();
    let ready = async || http.send("GET", &format!("{}/readyz", server.url), &[("x-request-id", "r")], "").await;
    assert_eq!(ready().await.status, 200);

    server.clock.panics(true);
    // In a handler, and at the very edge, before the request has an id.
    let named = server.api.call_with("GET", "/toolkits", &[("x-request-id", "mine")], "").await;
    assert_eq!(named.expect_error(500, "HTTP_InternalServerError")["request_id"], "mine");
    server.api.get("/toolkits").await.expect_error(500, "HTTP_InternalServerError");
    let first_stopped = || server.app.jobs.first_stopped();
    within(Duration::from_secs(30), "a job that does not run", async || first_stopped()).await;

    server.clock.panics(false);
    // It has yet to show that it runs again. Others may stop, or run again, at the same time.
    let (job, reply) = within(Duration::from_secs(30), "one job before and after", async || {
        let job = first_stopped()?;
        let reply = ready().await;
        (first_stopped() == Some(job)).then_some((job, reply))
    })
    .await;
    let error = reply.expect_error(503, "background_job_down");
    assert_eq!(error["message"], json!(format!("The background job {job} does not run")));
    server.api.get("/toolkits").await.expect(200);
    within(Duration::from_mins(1), "all jobs again", async || ready().await.status == 200).await;
    // They still work: a link that is not opened expires.
    let session = server.api.session("user-1", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    let account = link["connected_account_id"].as_str().unwrap();
    server.clock.advance(Duration::from_secs(601));
    within(Duration::from_secs(30), "the end of the link", async || {
        let status = server.api.status(account).await;
        if status == "EXPIRED" { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_names_a_job_that_does_not_run() {
    let server = TestServer::start().await;
    let url = format!("{}/readyz", server.url);
    server.app.jobs.mark_stopped("refresh_accounts");
    let reply = Http::new().send("GET", &url, &[], "").await;
    let error = reply.expect_error(503, "background_job_down");
    assert_eq!(error["message"], json!("The background job refresh_accounts does not run"));
    server.app.jobs.mark_running("refresh_accounts");
    assert_eq!(Http::new().send("GET", &url, &[], "").await.status, 200);
}
