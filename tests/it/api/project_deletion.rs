//! A project is emptied in batches, completely, with the requested options, by any server.

use serde_json::json;

use super::help::{Upstream, connect_key, sql};
use crate::support::server::TestServer;

/// A project with more of everything than a batch has: accounts with credentials and without, open links,
/// sessions.
async fn large_project() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).start().await;
    connect_key(&server.api, "u", "up").await;
    let session = server.api.session("v", "up").await;
    server.api.link(&session, "up").await;
    for statement in [
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1100)
         INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
           account_type, params, credential_sealed, created_at, updated_at)
         SELECT 'ca_copy' || n, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id, account_type,
           params, credential_sealed, created_at, updated_at
         FROM number, (SELECT * FROM connected_accounts WHERE credential_sealed IS NOT NULL)",
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 350)
         INSERT INTO links (id, project_id, account_id, token_hash, created_at, expires_at, purpose)
         SELECT 'lt_copy' || n, project_id, account_id, token_hash, created_at, expires_at, purpose
         FROM number, (SELECT * FROM links WHERE finished_at IS NULL)",
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 700)
         INSERT INTO sessions (id, project_id, user_id, config, config_version, created_at, updated_at)
         SELECT 'trs_copy' || n, project_id, user_id, config, 1, created_at, updated_at
         FROM number, (SELECT * FROM sessions LIMIT 1)",
    ] {
        sql(&server.database(), statement);
    }
    (server, upstream)
}

/// What still lives: accounts, credentials, auth configs, sessions, links, projects that are not marked,
/// kept numbers, and revocations that were queued.
fn left(server: &TestServer) -> serde_json::Value {
    sql(
        &server.database(),
        "SELECT (SELECT COUNT(*) FROM connected_accounts WHERE deleted_at IS NULL),
           (SELECT COUNT(*) FROM connected_accounts WHERE credential_sealed IS NOT NULL),
           (SELECT COUNT(*) FROM auth_configs WHERE deleted_at IS NULL),
           (SELECT COUNT(*) FROM sessions WHERE deleted_at IS NULL),
           (SELECT COUNT(*) FROM links WHERE finished_at IS NULL),
           (SELECT COUNT(*) FROM projects WHERE deleted_at IS NOT NULL AND emptied_at IS NULL),
           (SELECT COUNT(*) FROM account_counts),
           (SELECT COUNT(*) FROM revocations)",
    )[0]
    .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_project_is_emptied_completely_and_without_revocation_if_requested() {
    let (server, _upstream) = large_project().await;
    assert_eq!(left(&server), json!([1102, 1101, 1, 702, 351, 0, 1, 0]));
    let key = server.organization_key().await;
    let url = format!("{}/api/v3.1/org/owner/project/{}?revoke_on_delete=false", server.url, server.project_id);
    let headers = [("x-org-api-key", key.as_str())];
    let answer = server.api.http.send("DELETE", &url, &headers, "").await.expect(200);
    assert_eq!(answer, json!({ "status": "success" }));
    assert_eq!(left(&server), json!([0, 0, 0, 0, 0, 0, 0, 0]));
    let again = server.api.http.send("DELETE", &url, &headers, "").await;
    assert_eq!(again.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_config_with_many_accounts_is_deleted_with_all_of_them() {
    for (query, revocations) in [("?revoke_on_delete=false", 0), ("", 1101)] {
        let (server, _upstream) = large_project().await;
        let config = sql(&server.database(), "SELECT id FROM auth_configs")[0][0].as_str().unwrap().to_owned();
        // Half of them never were connected.
        sql(
            &server.database(),
            "INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
               account_type, params, created_at, updated_at)
             SELECT 'ca_never' || id, project_id, user_id, toolkit, auth_config_id, scheme, 'EXPIRED', word_id,
               account_type, params, created_at, updated_at FROM connected_accounts",
        );
        server.api.delete(&format!("/auth_configs/{config}{query}")).await.expect(200);
        let left = left(&server);
        assert_eq!((&left[0], &left[1], &left[2], &left[6]), (&json!(0), &json!(0), &json!(0), &json!(0)), "{left}");
        assert_eq!(left[7], revocations);
        server.api.delete(&format!("/auth_configs/{config}{query}")).await.expect_error(404, "AuthConfig_NotFound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continued_project_deletion_keeps_its_revocation_option() {
    for (revokes, revocations) in [(0, 0), (1, 1101)] {
        let (server, _upstream) = large_project().await;
        // As a server that was stopped leaves it.
        sql(&server.database(), &format!("UPDATE projects SET deleted_at = 1, revokes_on_delete = {revokes}"));
        server.app.project_deletion.empty_deleted().await.unwrap();
        assert_eq!(left(&server), json!([0, 0, 0, 0, 0, 0, 0, revocations]));
        // An empty project is not looked at again.
        let marked = || sql(&server.database(), "SELECT emptied_at FROM projects");
        let before = marked();
        server.app.project_deletion.empty_deleted().await.unwrap();
        assert_eq!(marked(), before);
    }
}
