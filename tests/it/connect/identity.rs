//! Who an account is: shown, expected, and not replaced by another.

use serde_json::{Value, json};

use super::flow::sql;
use crate::support::browser::Browser;
use crate::support::server::TestServer;

async fn link_for(server: &TestServer, session: &str, expected: Value) -> Value {
    let body = json!({ "toolkit": "sandbox", "expected_identity": expected });
    server.api.post(&format!("/tool_router/session/{session}/link"), &body).await.expect(201)
}

async fn follow(person: &str, link: &Value) -> String {
    let landing = Browser::new(person).follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    landing.reply.unwrap().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_shows_its_identity_and_lifetime() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    follow("alice", &link).await;
    let path = format!("/connected_accounts/{}", link["connected_account_id"].as_str().unwrap());
    let shown = server.api.get(&path).await.expect(200);
    let expected = json!({ "id": "user_alice", "email": "alice@sandbox.example", "name": "Alice Example" });
    assert_eq!(shown["identity"], expected, "{shown}");
    assert_eq!(shown["scopes"]["missing"], json!([]), "{shown}");
    let lifetime = &shown["lifetime"];
    let (due, end) =
        (lifetime["refresh_due_at"].as_str().unwrap(), lifetime["access_token_expires_at"].as_str().unwrap());
    assert!(due < end, "{lifetime}");
    let listed = server.api.get("/connected_accounts").await.expect(200);
    assert_eq!(listed["items"][0]["identity"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_one_account_refuses_another_and_revokes_its_tokens() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    for expected in [
        json!({ "id": "user_alice" }),
        json!({ "email": "ALICE@sandbox.example" }),
        json!({ "email_domain": "sandbox.example", "id": "user_alice" }),
    ] {
        let link = link_for(&server, &session, expected.clone()).await;
        let page = follow("bob", &link).await;
        // The page shows which account signed in, and never which one was expected.
        assert!(page.contains("as bob@sandbox.example,") && page.contains("Try with another account"), "{page}");
        assert!(!page.to_lowercase().contains("alice") && !page.contains("It said"), "{expected}: {page}");
        let account = link["connected_account_id"].as_str().unwrap();
        let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        assert_eq!(shown["status"], "INITIATED", "{shown}");
        let reason = "account_mismatch: another account signed in than the one that is expected";
        assert_eq!(shown["status_reason"], reason, "{shown}");
        let link = link_for(&server, &session, expected).await;
        follow("alice", &link).await;
        assert_eq!(server.api.status(link["connected_account_id"].as_str().unwrap()).await, "ACTIVE");
    }
}

/// Nor in the audit log, which cannot be cleaned, nor in the redirect to the app.
#[tokio::test(flavor = "multi_thread")]
async fn no_e_mail_address_is_disclosed_and_the_identity_is_deleted_with_the_account() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let body = json!({ "toolkit": "sandbox", "expected_identity": { "email": "alice@sandbox.example" },
        "callback_url": "http://localhost:1/done" });
    let path = format!("/tool_router/session/{session}/link");
    let link = server.api.post(&path, &body).await.expect(201);
    let is_back = |url: &url::Url| url.port() == Some(1);
    let landing = Browser::new("bob").follow(link["redirect_url"].as_str().unwrap(), is_back).await;
    let told = landing.url.query().unwrap();
    assert!(told.contains("status=failed") && told.contains("error=account_mismatch"), "{told}");
    let shown =
        server.api.get(&format!("/connected_accounts/{}", link["connected_account_id"].as_str().unwrap())).await;
    let shown = shown.expect(200);
    assert_eq!(shown["status"], "FAILED", "the app was told: {shown}");
    let audit = sql(&server, "SELECT * FROM audit_events");
    for text in [told, &shown.to_string(), &audit] {
        assert!(!text.contains("alice") && !text.contains("bob"), "{text}");
    }

    let link = server.api.link(&session, "sandbox").await;
    follow("alice", &link).await;
    let account = link["connected_account_id"].as_str().unwrap();
    let row = format!("SELECT params, identity_id FROM connected_accounts WHERE id = '{account}'");
    assert!(sql(&server, &row).contains("alice@sandbox.example"));
    server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(sql(&server, &row).trim(), "[('{}', None)]");
    let revoked = sql(&server, &format!("SELECT params FROM revocations WHERE account_id = '{account}'"));
    // Whose grant is revoked stays known by the provider's own identifier, and by no address.
    let revoked = revoked.replace(r#""identity":{"id":"user_alice"}"#, "the identifier");
    assert!(revoked.contains("the identifier") && !revoked.contains("alice"), "{revoked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_expected_identity_is_refused_at_once() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    for (expected, at) in [
        (json!({}), "expected_identity"),
        (json!({ "email": "" }), "expected_identity.email"),
        (json!({ "tenant_id": "T1" }), "expected_identity"),
        (json!({ "id": "a\nb" }), "expected_identity.id"),
    ] {
        let body = json!({ "toolkit": "sandbox", "expected_identity": expected });
        let path = format!("/tool_router/session/{session}/link");
        let error = server.api.post(&path, &body).await.expect_error(400, "HTTP_BadRequest");
        let told = error["errors"][0].as_str().unwrap();
        assert!(told.contains(&format!("payload.{at}")), "{expected}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_changes_its_account_only_if_that_is_allowed() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    follow("alice", &link).await;
    let account = link["connected_account_id"].as_str().unwrap();
    // Without a refresh token only the user can go on.
    let path = format!("/connected_accounts/{account}");
    let expire = async || {
        let row = server.app.core.store.account(&server.project_id, &account.into()).await.unwrap().unwrap();
        let reason = switchboard_types::ReasonCode::GrantEnded.into();
        let statement = row.expire(row.refresh_fence, &reason, server.app.core.now());
        server.app.core.store.apply(switchboard_store::Unit::new().with(statement)).await.unwrap();
    };
    expire().await;
    // At every try: an ended account still belongs to the same account at the provider.
    for _ in 0..2 {
        let again = server.api.post(&format!("{path}/refresh"), &json!({})).await.expect(200);
        let page = follow("bob", &again).await;
        assert!(page.contains("as bob@sandbox.example,") && !page.contains("alice"), "{page}");
        let shown = server.api.get(&path).await.expect(200);
        assert_eq!(shown["status"], "INITIATED", "{shown}");
        let reason = "account_mismatch: another account signed in than the one that this connection belongs to";
        assert_eq!(shown["status_reason"], reason, "{shown}");
    }
    let again = server.api.post(&format!("{path}/refresh"), &json!({})).await.expect(200);
    follow("alice", &again).await;
    assert_eq!(server.api.status(account).await, "ACTIVE");
    expire().await;
    let again = server.api.post(&format!("{path}/refresh"), &json!({ "allow_account_change": true })).await.expect(200);
    follow("bob", &again).await;
    let shown = server.api.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["identity"]["id"]), (&json!("ACTIVE"), &json!("user_bob")), "{shown}");
}
