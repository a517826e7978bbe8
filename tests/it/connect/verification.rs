//! Who finishes a connection is who it was for: the developer confirms it before a token is asked
//! for (R05, contract section 3.8).

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;

use crate::api::help::sql;
use crate::support::browser::Browser;
use crate::support::http::Reply;
use crate::support::server::TestServer;

const VERIFIER: &str = "https://app.test/verify?from=switchboard";

async fn server() -> TestServer {
    let settings =
        ProjectSettings { oauth_callback_verifier_url: Some(VERIFIER.to_owned()), ..ProjectSettings::default() };
    TestServer::builder().project(settings).start().await
}

/// A person finishes a link; the account and the session URI that their browser carried to the app.
async fn finished_by(server: &TestServer, person: &str, link: &Value) -> (String, String) {
    let url = link["redirect_url"].as_str().unwrap();
    let landing = Browser::new(person).follow(url, |url| url.host_str() == Some("app.test")).await;
    assert_eq!(landing.url.path(), "/verify", "{landing:?}");
    let pairs: Vec<(String, String)> = landing.url.query_pairs().into_owned().collect();
    assert_eq!(pairs[0], ("from".to_owned(), "switchboard".to_owned()), "its own query is kept");
    assert_eq!((pairs.len(), pairs[1].0.as_str()), (2, "session_uri"), "and nothing else is added");
    assert!(pairs[1].1.starts_with("session_"));
    let account = link["connected_account_id"].as_str().unwrap().to_owned();
    assert_eq!(server.api.status(&account).await, "INITIATED");
    (account, pairs[1].1.clone())
}

async fn complete(server: &TestServer, session_uri: &str, user: &str) -> Reply {
    let body = json!({ "session_uri": session_uri, "user_id": user });
    server.api.post("/connected_accounts/complete_auth", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_active_after_its_user_is_confirmed() {
    let server = server().await;
    let session = server.api.session("alice-in-app", "sandbox").await;
    let (account, uri) = finished_by(&server, "alice", &server.api.link(&session, "sandbox").await).await;
    // Not usable yet.
    assert_eq!(server.api.proxy_get(&session, "sandbox", "/me").await.status, 404);
    let answer = complete(&server, &uri, "alice-in-app").await.expect(200);
    assert_eq!(answer, json!({ "connected_account_id": account, "toolkit_slug": "sandbox" }));
    assert_eq!(server.api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
    // Once only.
    complete(&server, &uri, "alice-in-app").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_sent_to_another_user_connects_no_account() {
    let server = server().await;
    let session = server.api.session("mallory", "sandbox").await;
    // Mallory sends her link to Bob, who goes the whole way.
    let (account, uri) = finished_by(&server, "bob", &server.api.link(&session, "sandbox").await).await;
    let error = complete(&server, &uri, "bob").await.expect_error(400, "ConnectedAccount_BadRequest");
    assert!(error["suggested_fix"].as_str().unwrap().contains("Nothing was connected"), "{error}");
    let view = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(view["status"], "FAILED");
    assert!(view["status_reason"].as_str().unwrap().starts_with("IDENTITY_VERIFICATION_FAILED"));
    // Not even with the right name afterwards.
    complete(&server, &uri, "mallory").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
    assert_eq!(server.api.proxy_get(&session, "sandbox", "/me").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_connection_ends_and_its_code_is_erased() {
    let server = server().await;
    let session = server.api.session("u", "sandbox").await;
    let (account, uri) = finished_by(&server, "alice", &server.api.link(&session, "sandbox").await).await;
    server.clock.advance(Duration::from_mins(12));
    complete(&server, &uri, "u").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&account).await, "EXPIRED");
    let parked = sql(&server.database(), "SELECT COUNT(*) FROM verifications WHERE parked_sealed IS NOT NULL");
    assert_eq!(parked, json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_session_uris_get_the_same_response() {
    let server = server().await;
    let session = server.api.session("u", "sandbox").await;
    let (_, uri) = finished_by(&server, "alice", &server.api.link(&session, "sandbox").await).await;
    let changed = format!("{}x", &uri[..uri.len() - 1]);
    for wrong in ["session_x", "x", changed.as_str(), "session_00000000000000000000000000000000000000000000000"] {
        let error = complete(&server, wrong, "u").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
        assert_eq!(error["message"], "Auth session not found", "{wrong}");
    }
    // Another project's key does not find it either.
    let other = server.app.projects.create("cli", "other", &ProjectSettings::default()).await.unwrap();
    let foreign = crate::support::http::Api::new(&server.url, other.key.expose());
    let body = json!({ "session_uri": uri, "user_id": "u" });
    foreign
        .post("/connected_accounts/complete_auth", &body)
        .await
        .expect_error(404, "ConnectedAccount_AuthSessionNotFound");
    for body in [json!({}), json!({ "session_uri": "", "user_id": "u" }), json!({ "session_uri": uri, "user_id": "" })]
    {
        server.api.post("/connected_accounts/complete_auth", &body).await.expect_error(400, "HTTP_BadRequest");
    }
    complete(&server, &uri, "u").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_confirmations_connect_once() {
    let server = server().await;
    let session = server.api.session("u", "sandbox").await;
    let (account, uri) = finished_by(&server, "alice", &server.api.link(&session, "sandbox").await).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (api, body) = (server.api.clone(), json!({ "session_uri": uri, "user_id": "u" }));
            tokio::spawn(async move { api.post("/connected_accounts/complete_auth", &body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[404; 19][..]));
    assert_eq!(server.api.status(&account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entered_key_waits_for_confirmation_too() {
    let (upstream, settings) = (
        crate::api::help::Upstream::start().await,
        ProjectSettings { oauth_callback_verifier_url: Some(VERIFIER.to_owned()), ..ProjectSettings::default() },
    );
    let server = TestServer::builder().project(settings).toolkit("up", &upstream.toolkit("up")).start().await;
    crate::api::help::auth_config(&server.api, "up", "API_KEY").await;
    let session = server.api.session("u", "up").await;
    let link = server.api.link(&session, "up").await;
    let form = [("generic_api_key", crate::api::help::KEY)];
    let reply = Browser::new("visitor").submit(link["redirect_url"].as_str().unwrap(), &form).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let location = url::Url::parse(reply.header("location").unwrap()).unwrap();
    let uri = location.query_pairs().find(|(name, _)| name == "session_uri").unwrap().1.into_owned();
    let account = link["connected_account_id"].as_str().unwrap();
    assert_ne!(server.api.status(account).await, "ACTIVE");
    complete(&server, &uri, "u").await.expect(200);
    assert_eq!(server.api.status(account).await, "ACTIVE");
}

fn parked(server: &TestServer) -> Value {
    sql(
        &server.database(),
        "SELECT (SELECT COUNT(*) FROM verifications WHERE parked_sealed IS NOT NULL),
                (SELECT COUNT(*) FROM attempts WHERE verifier_sealed IS NOT NULL)",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_confirmation_is_deleted_with_its_account_and_with_its_auth_config() {
    let server = server().await;
    for of_config in [false, true] {
        let session = server.api.session("u", "sandbox").await;
        let (account, uri) = finished_by(&server, "alice", &server.api.link(&session, "sandbox").await).await;
        // One more that is still at the provider.
        let open = server.api.link(&session, "sandbox").await;
        let opened = Browser::new("bob").submit(open["redirect_url"].as_str().unwrap(), &[]).await;
        assert_eq!((opened.status, parked(&server)), (303, json!([[1, 1]])));
        let view = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        if of_config {
            let config = view["auth_config"]["id"].as_str().unwrap();
            server.api.delete(&format!("/auth_configs/{config}?revoke_on_delete=false")).await.expect(200);
        } else {
            for account in [account.as_str(), open["connected_account_id"].as_str().unwrap()] {
                server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
            }
        }
        assert_eq!(parked(&server), json!([[0, 0]]), "of_config: {of_config}");
        complete(&server, &uri, "u").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_link_ends_an_earlier_pending_confirmation() {
    let server = server().await;
    let session = server.api.session("u", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    let url = link["redirect_url"].as_str().unwrap();
    let mut browser = Browser::new("alice");
    let uri_at = async |browser: &mut Browser, url: &str| {
        let landing = browser.follow(url, |url| url.host_str() == Some("app.test")).await;
        landing.url.query_pairs().find(|(name, _)| name == "session_uri").unwrap().1.into_owned()
    };
    let first = uri_at(&mut browser, url).await;
    // The cookie of the first run is spent; the developer offers the account's user another link.
    let refresh = format!("/connected_accounts/{}/refresh", link["connected_account_id"].as_str().unwrap());
    let again = server.api.call("POST", &refresh, "").await.expect(200);
    let second = uri_at(&mut browser, again["redirect_url"].as_str().unwrap()).await;
    complete(&server, &first, "u").await.expect_error(404, "ConnectedAccount_AuthSessionNotFound");
    complete(&server, &second, "u").await.expect(200);
}
