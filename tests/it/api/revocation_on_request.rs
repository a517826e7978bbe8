//! `POST …/revoke` waits for the provider's word, and the command line revokes many accounts at once
//! (R42, R76; contract section 4.6).

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::id::Kind;

use super::help::{Upstream, connect_key, finish_oauth, http, sql, text, unknown, with_upstream};
use super::revocation::{Tokens, oauth_account, with_revocation_at};
use crate::support::connected::finished;
use crate::support::http::{Api, Reply};
use crate::support::process::run;
use crate::support::server::TestServer;

pub async fn revoke(api: &Api, account: &str) -> Reply {
    // As the SDKs send it: no body, but sometimes a content type.
    api.call("POST", &format!("/connected_accounts/{account}/revoke"), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_on_request_waits_for_the_provider() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    let tokens = Tokens::of(&server, &account).await;
    let revoked = revoke(&server.api, &account).await.expect(200);
    assert_eq!(
        revoked,
        json!({ "revoked_tokens": ["refresh_token", "access_token"],
            "connected_account": { "id": account, "status": "REVOKED" } })
    );
    assert_eq!(tokens.at_provider(&server).await, (401, 400));
    let read = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(
        (&read["status"], &read["status_reason"]),
        (&json!("REVOKED"), &json!("Revoked via user-initiated revoke endpoint"))
    );
    assert!(read["state"]["val"].get("access_token").is_none(), "{read}");
    let again = revoke(&server.api, &account).await.expect(200);
    assert_eq!(again["revoked_tokens"], json!([]));
    let held = sql(&server.database(), "SELECT COUNT(*) FROM connected_accounts WHERE credential_sealed IS NOT NULL");
    assert_eq!(held, json!([[0]]));
    // Nothing is left for a deletion to revoke.
    let deleted = server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(deleted, json!({ "success": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_stays_active_when_its_provider_fails_to_revoke() {
    let upstream = Upstream::start().await;
    upstream.play(http("503 Service Unavailable", "", b""));
    let server = with_revocation_at(&upstream).await;
    let session = server.api.session("u", "rv").await;
    let account = finish_oauth(&server.api, &server.api.link(&session, "rv").await).await;
    let refused = revoke(&server.api, &account).await;
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    refused.expect_error(502, "Upstream_Unreachable");
    assert_eq!(server.api.status(&account).await, "ACTIVE");
    // Not held any longer: its refresh works at once.
    server.clock.advance(Duration::from_mins(5));
    server.api.proxy_get(&session, "rv", "/api/me").await.expect(200);
    upstream.play(http("200 OK", "", b""));
    revoke(&server.api, &account).await.expect(200);
    assert_eq!(server.api.status(&account).await, "REVOKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_revoked_is_refused_with_the_reason() {
    let (server, _upstream) = with_upstream().await;
    let (_, keyed) = connect_key(&server.api, "u", "up").await;
    revoke(&server.api, &keyed).await.expect_error(400, "ConnectedAccount_BadRequest");
    assert_eq!(server.api.status(&keyed).await, "ACTIVE");

    let session = server.api.session("u", "sandbox").await;
    let unopened = text(&server.api.link(&session, "sandbox").await, "connected_account_id");
    let refused = revoke(&server.api, &unopened).await;
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let error = refused.expect_error(409, "ConnectedAccount_Conflict");
    assert_eq!(error["code"], 607);

    let other = server.other_project("Other").await;
    for (api, account) in [(&other, &keyed), (&server.api, &unknown(Kind::ConnectedAccount))] {
        revoke(api, account).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_revokes_the_accounts_of_one_toolkit_or_user() {
    let server = TestServer::start().await;
    let mut accounts = Vec::new();
    for user in ["a", "b", "c"] {
        let account = oauth_account(&server, user, "sandbox").await;
        let tokens = Tokens::of(&server, &account).await;
        accounts.push((account, tokens));
    }
    let data = server.dir.path().to_str().unwrap();
    let command = |more: &[&str]| {
        // The command has the real time, which is ahead of the server's.
        server.clock.advance(Duration::from_mins(1));
        let all = [&["revoke", "--json", "--data-dir", data, "--project", &server.project_id], more].concat();
        let (code, stdout, stderr) = run(&all);
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<Value>(&stdout).unwrap()
    };
    assert_eq!(command(&["--toolkit", "github"]), json!({ "revoke_job_id": null, "accounts": 0 }));
    let one = command(&["--user", "a"]);
    assert_eq!(one["accounts"], 1);
    assert_eq!(finished(&server.api, &text(&one, "revoke_job_id")).await["revoked"], 1);
    assert_eq!(accounts[0].1.at_provider(&server).await, (401, 400));
    assert_eq!(server.api.status(&accounts[1].0).await, "ACTIVE");
    let all = command(&["--toolkit", "SANDBOX"]);
    assert_eq!(finished(&server.api, &text(&all, "revoke_job_id")).await["revoked"], 2);
    for (account, tokens) in &accounts {
        let read = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        assert_eq!((&read["status"], &read["status_reason"]), (&json!("REVOKED"), &json!("Revoked via admin tool")));
        assert_eq!(tokens.at_provider(&server).await, (401, 400));
    }
    let (code, _, stderr) = run(&["revoke", "--data-dir", data, "--project", "pr_nobody"]);
    assert!(code == Some(1) && stderr.contains("pr_nobody"), "{stderr}");
}
