//! The pages against WCAG 2.2 A and AA, with axe-core in Chromium: connect page, form, form with
//! errors, every ending; light and dark.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::at_rest::key_session;
use super::chromium::script;
use crate::support::browser::Browser;
use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

/// Answers of the server, shown again under plain URLs: axe opens pages with GET only, and some
/// pages are answers to a POST.
struct Gallery {
    pages: BTreeMap<String, Reply>,
    server: String,
}

async fn show(State(gallery): State<Arc<Gallery>>, Path(name): Path<String>) -> Response {
    let Some(page) = gallery.pages.get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let header = |name: &'static str| (name, page.header(name).unwrap().to_owned());
    ([header("content-type"), header("content-security-policy")], page.body.clone()).into_response()
}

async fn asset(State(gallery): State<Arc<Gallery>>, Path(path): Path<String>) -> Response {
    let reply = Http::new().send("GET", &format!("{}/assets/{path}", gallery.server), &[], "").await;
    let content_type = reply.header("content-type").unwrap().to_owned();
    ([("content-type", content_type)], reply.body).into_response()
}

/// Every page that a person can meet, by name, with what must stand on it.
async fn pages(server: &TestServer) -> Vec<(&'static str, &'static str, Reply)> {
    let (mut pages, api) = (Vec::new(), &server.api);
    let oauth = api.session("A user with a rather long identifier", "sandbox").await;
    let open = |link: serde_json::Value| (link["redirect_url"].as_str().unwrap().to_owned(), Browser::new("alice"));

    let (url, mut browser) = open(api.link(&oauth, "sandbox").await);
    pages.push(("oauth", "data-action=\"continue\"", browser.get(&url).await));
    let started = browser.submit(&url, &[]).await;
    let provider = started.header("location").unwrap().to_owned();
    let state = url::Url::parse(&provider).unwrap();
    let value = |name: &str| state.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let failed = format!(
        "{}?error=server_error&error_description=Busy&iss={}&state={}",
        value("redirect_uri"),
        server.sandbox_url,
        value("state")
    );
    pages.push(("mismatch", "data-result=\"browser_mismatch\"", Browser::new("bob").get(&failed).await));
    pages.push(("provider-error", "data-result=\"provider_error\"", browser.get(&failed).await));

    let (url, mut browser) = open(api.link(&oauth, "sandbox").await);
    let started = browser.submit(&url, &[]).await;
    let state = url::Url::parse(started.header("location").unwrap()).unwrap();
    let value = |name: &str| state.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let denied =
        format!("{}?error=access_denied&iss={}&state={}", value("redirect_uri"), server.sandbox_url, value("state"));
    pages.push(("denied", "data-result=\"denied\"", browser.get(&denied).await));

    let form = key_session(api, "user-1").await;
    let (url, mut browser) = open(api.link(&form, "sandbox").await);
    pages.push(("form", "name=\"generic_api_key\"", browser.get(&url).await));
    pages.push(("form-empty", "aria-invalid=\"true\"", browser.submit(&url, &[("generic_api_key", "")]).await));
    pages.push(("form-refused", "role=\"alert\"", browser.submit(&url, &[("generic_api_key", "wrong")]).await));
    let reject = format!("{url}/reject");
    pages.push(("rejected", "data-result=\"rejected\"", browser.submit(&reject, &[]).await));
    pages.push(("used", "data-result=\"used\"", browser.get(&url).await));

    let (url, mut browser) = open(api.link(&form, "sandbox").await);
    server.clock.advance(std::time::Duration::from_secs(700));
    pages.push(("expired", "data-result=\"expired\"", browser.get(&url).await));
    pages.push(("invalid", "data-result=\"invalid\"", browser.get(&format!("{}/link/lt_nothing", server.url)).await));
    let (url, mut browser) = open(api.link(&form, "sandbox").await);
    let done = browser.submit(&url, &[("generic_api_key", "sandbox_alice_key")]).await;
    let done = done.header("location").unwrap().to_owned();
    pages.push(("success", "data-result=\"success\"", browser.get(&done).await));
    pages.push(("connected", "data-result=\"success\"", browser.get(&url).await));
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_free_of_wcag_a_and_aa_violations() {
    let server = TestServer::start().await;
    let pages = pages(&server).await;
    for (name, expected, page) in &pages {
        assert!(page.text().contains(expected), "{name}: {} {}", page.status, page.text());
    }
    // Each kind of page once, half of them in dark colours: starting a browser takes its time.
    let light = ["oauth", "form", "form-refused", "success", "mismatch", "denied"].map(|name| (name, "light"));
    let dark = ["oauth", "form-empty", "success", "provider-error", "expired", "rejected"].map(|name| (name, "dark"));
    let views = [light, dark].concat();
    let kept = pages.into_iter().map(|(name, _, page)| (name.to_owned(), page)).collect();
    let gallery = Arc::new(Gallery { pages: kept, server: server.url.clone() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router =
        Router::new().route("/page/{name}", get(show)).route("/assets/{*path}", get(asset)).with_state(gallery);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut wrong = Vec::new();
    for pair in views.chunks(2) {
        let urls: Vec<String> = pair.iter().map(|(name, _)| format!("{origin}/page/{name}")).collect();
        let runs: Vec<_> = pair
            .iter()
            .zip(urls)
            .map(|((_, scheme), url)| {
                let scheme = (*scheme).to_owned();
                tokio::spawn(async move { script("axe.mjs", &["--url", &url, "--scheme", &scheme]).await })
            })
            .collect();
        for ((name, scheme), run) in pair.iter().zip(runs) {
            let (is_good, findings) = run.await.unwrap();
            if !is_good || findings != serde_json::json!([]) {
                wrong.push(format!("{name} ({scheme}): {findings:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
