//! Pages that few flows show have the headers of all pages (R77): how to connect, which of several is meant,
//! the code that is entered at the provider, the way back, too many visits, the reference.

use serde_json::json;
use switchboard::app::project::ProjectSettings;
use switchboard::config::Layer;

use super::flow::{expect_done, offer, offer_with, press, provider_url, until_callback};
use super::pages::{check, check_form};
use super::{choices, device};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const CALLBACK: &str = "https://app.example.com/done";
const WITH_APP: &str = "'self' https://app.example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_how_to_connect() {
    let server = TestServer::start().await;
    let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "auth_scheme": "choose" })).await;
    let mut browser = Browser::new("alice");
    check_form("the ways", &browser.get(&link.page).await, 200, "'self'");
    check_form("no way chosen", &press(&mut browser, &link.page).await, 422, "'self'");
    // A browser of before `Sec-Fetch-Site` names the page's origin, since the page lets it.
    let origin = [("origin", server.url.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let chosen = Http::new().send("POST", &link.page, &origin, "auth_scheme=API_KEY").await;
    check("a way is chosen", &chosen, 303, "'self'");
    check_form("its form", &browser.get(&link.page).await, 200, "'self'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_a_choice_of_places() {
    let server = choices::server(ProjectSettings::default()).await;
    let link = offer_with(&server.api, "user-1", "spaces", &json!({ "callback_url": CALLBACK })).await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let asked = browser.get(&callback).await;
    check("the way to the question", &asked, 303, "'self'");
    let question = asked.header("location").unwrap().to_owned();
    check_form("the question", &browser.get(&question).await, 200, WITH_APP);
    check_form("no answer", &browser.submit(&question, &[]).await, 422, WITH_APP);
    check("a question of another browser", &Browser::new("bob").get(&question).await, 403, "'self'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_a_code() {
    let provider = Provider::oidc(&[]);
    let endpoint = provider.text("device_authorization_endpoint").to_owned();
    let file = device::toolkit(&provider, &endpoint, "");
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    provider.auth_config(&server.api, "tk").await;
    let link = offer_with(&server.api, "user-1", "tk", &json!({ "callback_url": CALLBACK })).await;
    let mut browser = Browser::new("alice");
    let code = provider_url(&press(&mut browser, &link.page).await);
    check("the code", &browser.get(&code).await, 200, WITH_APP);
    check("a code of another browser", &Browser::new("bob").get(&code).await, 403, "'self'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_names_the_app_and_the_reference() {
    let server = TestServer::start().await;
    let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "callback_url": CALLBACK })).await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let back = browser.get(&callback).await;
    check("the way to the app", &back, 303, "'self'");
    check("the app's name", &browser.get(back.header("location").unwrap()).await, 200, "'self'");
    check("the reference", &browser.get(&format!("{}/docs", server.url)).await, 200, "'self'");
    let link = offer(&server.api, "sandbox").await;
    let callback = until_callback(&mut browser, &link).await;
    expect_done(&browser.get(&callback).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_a_rate_limited_visitor() {
    let layer = Layer { rate_limit_per_address_per_minute: Some(1), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    let page = format!("{}/link/unknown", server.url);
    check("the first", &Http::new().send("GET", &page, &[], "").await, 404, "'self'");
    let refused = Http::new().send("GET", &page, &[], "").await;
    check("too many", &refused, 429, "'self'");
    assert!(refused.header("retry-after").is_some());
}
