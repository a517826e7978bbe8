//! SIGTERM under load: what was accepted is answered, what a provider was asked for is stored, and
//! the exit code is 0 (F03, R94).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::process::{Dev, own_address};
use crate::support::providers::Provider;
use crate::support::wait::until;

/// `dev` with a provider of its own.
fn start(listen: &str, folder: &Path, provider: &Provider) -> Dev {
    let toolkits = folder.join("toolkits");
    std::fs::create_dir_all(toolkits.join("mock")).unwrap();
    std::fs::write(toolkits.join("mock/toolkit.toml"), provider.toolkit("mock", "")).unwrap();
    let data: PathBuf = folder.join("data");
    Dev::start_on(listen, &data, &["--log", "off", "--toolkits", toolkits.to_str().unwrap()], Stdio::null())
}

fn signal(dev: &Dev) {
    assert!(Command::new("kill").args(["-TERM", &dev.child.id().to_string()]).status().unwrap().success());
}

/// Waits until the provider has been asked so often on a path.
async fn asked(provider: &Provider, path: &str, times: usize) {
    until(&format!("{times} requests to {path}"), async || {
        let seen = provider.seen(path).await.len();
        if seen >= times { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// From a link to the callback URL with a code in it: account, browser, URL.
async fn up_to_the_callback(api: &Api, session: &str) -> (String, Browser, String) {
    let link = api.link(session, "mock").await;
    let mut browser = Browser::new("alice");
    let is_callback = |url: &url::Url| url.path().contains("/toolkits/auth/callback/");
    let landing = browser.follow(link["redirect_url"].as_str().unwrap(), is_callback).await;
    (link["connected_account_id"].as_str().unwrap().to_owned(), browser, landing.url.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_finishes_accepted_requests_and_stores_new_tokens() {
    let provider = Provider::mock(&[]);
    let folder = tempfile::tempdir().unwrap();
    let listen = own_address();
    let mut dev = start(&listen, folder.path(), &provider);
    let api = dev.api();
    provider.auth_config(&api, "mock").await;
    let session = api.session("user-1", "mock").await;
    let (_, mut first, url) = up_to_the_callback(&api, &session).await;
    assert_eq!(first.get(&url).await.status, 303);

    // Two callbacks whose provider takes its time; one browser does not wait for the end.
    let (patient, mut browser, url) = up_to_the_callback(&api, &session).await;
    let (gone, mut impatient, gone_url) = up_to_the_callback(&api, &session).await;
    provider.fault(&json!([{ "path": "/token", "delay_ms": 1_500 }, { "path": "/api/me", "delay_ms": 1_500 }])).await;
    let callback = tokio::spawn(async move { browser.get(&url).await });
    let hangs_up = tokio::spawn(async move { impatient.get(&gone_url).await });
    asked(&provider, "/token", 3).await;
    hangs_up.abort();
    // Twenty uses that the provider answers after the signal.
    let uses: Vec<_> = (0..20)
        .map(|_| {
            let (api, session) = (api.clone(), session.clone());
            tokio::spawn(async move { api.proxy_get(&session, "mock", "/api/me").await })
        })
        .collect();
    asked(&provider, "/api/me", 20).await;
    // And clients that never stop, until they are not let in any more.
    let stopped = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(hammer(api.clone(), Arc::clone(&stopped), Arc::clone(&acknowledged)))).collect();
    until("clients that are served", async || acknowledged.lock().unwrap().len() > 8).await;

    signal(&dev);
    signal(&dev);
    for each in uses {
        let answer = each.await.unwrap().expect(200);
        assert_eq!(answer["data"]["sub"], "alice", "{answer}");
    }
    let landed = callback.await.unwrap();
    assert_eq!(landed.status, 303, "{}", landed.text());
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    stopped.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }

    let dev = start(&listen, folder.path(), &provider);
    assert_eq!(dev.url, api.base.strip_suffix("/api/v3.1").unwrap());
    assert_eq!(api.status(&patient).await, "ACTIVE");
    assert_eq!(api.status(&gone).await, "ACTIVE", "the browser hung up, the code was spent: its token is stored");
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    for session in acknowledged {
        api.get(&format!("/tool_router/session/{session}")).await.expect(200);
    }
}

/// Makes sessions on one connection after the other, and notes those that were acknowledged.
async fn hammer(api: Api, stopped: Arc<AtomicBool>, acknowledged: Arc<Mutex<Vec<String>>>) {
    let headers = [("x-api-key", api.key.as_str()), ("connection", "close")];
    while !stopped.load(Ordering::SeqCst) {
        let url = format!("{}/tool_router/session", api.base);
        // Not let in any more is fine; let in and refused is not.
        let Ok(reply) = api.http.try_send("POST", &url, &headers, r#"{"user_id":"user-1"}"#).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let session = reply.expect(201)["session_id"].as_str().unwrap().to_owned();
        acknowledged.lock().unwrap().push(session);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_with_open_connections_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    dev.api().get("/toolkits").await.expect(200);
    let silent = std::net::TcpStream::connect(dev.url.strip_prefix("http://").unwrap()).unwrap();
    let api = dev.api();
    api.get("/toolkits").await.expect(200);
    let started = Instant::now();
    assert_eq!(dev.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop((silent, api));
}

#[test]
fn sigterm_right_after_the_walk_through_stops_in_order_too() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Dev::start(folder.path(), &[]).terminate(), Some(0));
    }
}
