//! What an attacker gets who has the database file, or can write to it: nothing that was
//! deleted (R75), and no use of another row's credential (R70).

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use switchboard::error::Code;

use super::needles::{contains, files_under};
use crate::support::browser::Browser;
use crate::support::connected::announce_change;
use crate::support::http::{Api, Reply};
use crate::support::process::Dev;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// A connection like that of any other program.
pub fn open(database: &Path) -> Connection {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// A session of a user that connects the sandbox with an API key.
pub async fn key_session(api: &Api, user: &str) -> String {
    let configs = api.get("/auth_configs?toolkit_slug=sandbox").await.expect(200);
    let is_key = |config: &&Value| config["auth_scheme"] == "API_KEY";
    let id = if let Some(config) = configs["items"].as_array().unwrap().iter().find(is_key) {
        config["id"].clone()
    } else {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY" } });
        api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone()
    };
    let body = json!({ "user_id": user, "toolkits": { "enable": ["sandbox"] }, "auth_configs": { "sandbox": id } });
    api.post("/tool_router/session", &body).await.expect(201)["session_id"].as_str().unwrap().to_owned()
}

/// A session whose user has connected with that user's sandbox key: session, account.
pub async fn connected(api: &Api, user: &str) -> (String, String) {
    let session = key_session(api, user).await;
    let link = api.link(&session, "sandbox").await;
    let form = [("generic_api_key", &*format!("sandbox_{user}_key"))];
    let reply = Browser::new(user).submit(link["redirect_url"].as_str().unwrap(), &form).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    (session, link["connected_account_id"].as_str().unwrap().to_owned())
}

fn sealed(database: &Connection, account: &str) -> Option<Vec<u8>> {
    let sql = "SELECT credential_sealed FROM connected_accounts WHERE id = ?1";
    database.query_row(sql, [account], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_moved_to_another_row_cannot_be_opened() {
    let server = TestServer::start().await;
    let (alices, alice) = connected(&server.api, "alice").await;
    let (bobs, bob) = connected(&server.api, "bob").await;
    let database = open(&server.database());
    let put = |account: &str, credential: &[u8]| {
        let sql = "UPDATE connected_accounts SET credential_sealed = ?2 WHERE id = ?1";
        assert_eq!(database.execute(sql, (account, credential)).unwrap(), 1);
        announce_change(&server.database());
    };
    let (of_alice, of_bob) = (sealed(&database, &alice).unwrap(), sealed(&database, &bob).unwrap());
    let damaged = [&of_alice[..of_alice.len() - 1], &[of_alice.last().unwrap() ^ 1]].concat();
    let swapped = [
        ("swapped", of_bob.clone(), of_alice.clone()),
        ("one bit flipped", damaged, of_bob[..40].to_vec()),
        ("empty", Vec::new(), b"sandbox_alice_key".to_vec()),
    ];
    for (how, for_alice, for_bob) in swapped {
        put(&alice, &for_alice);
        put(&bob, &for_bob);
        for session in [&alices, &bobs] {
            let reply = server.api.proxy_get(session, "sandbox", "/me").await;
            let error = reply.expect_error(500, "credential_unreadable");
            assert!(!error.to_string().contains("@sandbox.example"), "{how}: {error}");
        }
        // The advice of the error works.
        let reply: Reply = server.api.get(&format!("/connected_accounts/{alice}")).await;
        assert_ne!(reply.status, 404, "{how}");
    }
    put(&alice, &of_alice);
    put(&bob, &of_bob);
    for (session, user) in [(&alices, "alice"), (&bobs, "bob")] {
        let answer = server.api.proxy_get(session, "sandbox", "/me").await.expect(200);
        assert_eq!(answer["data"]["username"], user, "back in their places they are good");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_in_a_row_rewritten_for_another_user_cannot_be_opened() {
    let server = TestServer::start().await;
    let (alices, alice) = connected(&server.api, "alice").await;
    let config = server.api.get(&format!("/connected_accounts/{alice}")).await.expect(200)["auth_config"]["id"].clone();
    let database = open(&server.database());
    let rewrite = |set: &str| {
        let sql = format!("UPDATE connected_accounts SET {set} WHERE id = ?1");
        assert_eq!(database.execute(&sql, [&alice]).unwrap(), 1, "{set}");
        announce_change(&server.database());
    };
    // Its user's credential does not become another user's.
    rewrite("user_id = 'mallory'");
    let mallorys = key_session(&server.api, "mallory").await;
    let answer = server.api.proxy_get(&mallorys, "sandbox", "/me").await;
    answer.expect_error(500, "credential_unreadable");
    rewrite("user_id = 'alice'");
    // Nor does it go elsewhere, or become another thing.
    let whole: String =
        database.query_row("SELECT params FROM connected_accounts WHERE id = ?1", [&alice], |row| row.get(0)).unwrap();
    for (set, back) in [
        ("toolkit = 'github'", "toolkit = 'sandbox'".to_owned()),
        ("auth_config_id = 'ac_other'", format!("auth_config_id = '{}'", config.as_str().unwrap())),
        ("account_type = 'SHARED'", "account_type = 'PRIVATE'".to_owned()),
        ("scheme = 'BEARER_TOKEN'", "scheme = 'API_KEY'".to_owned()),
        ("params = '{\"fields\":{\"site\":\"https://evil.example\"}}'", format!("params = '{whole}'")),
        ("params = '{\"captured\":{\"site\":\"https://evil.example\"}}'", format!("params = '{whole}'")),
        ("project_id = 'pr_other'", format!("project_id = '{}'", server.project_id)),
    ] {
        rewrite(set);
        let project = if set.starts_with("project_id") { "pr_other" } else { &server.project_id };
        let row = server.app.core.store.account(&project.into(), &alice.as_str().into()).await.unwrap().unwrap();
        let error = server.app.credentials.open_credential(&row).unwrap_err();
        assert_eq!(error.code(), Code::CredentialUnreadable, "{set}");
        rewrite(&back);
    }
    assert_eq!(server.api.proxy_get(&alices, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_and_its_shared_fields_are_bound_to_their_toolkit_and_to_each_other() {
    let server = TestServer::start().await;
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
        "credentials": { "client_id": "test", "client_secret": "a-secret" } } });
    let id = server.api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone();
    let id = id.as_str().unwrap();
    let database = open(&server.database());
    for (set, back) in [
        ("toolkit = 'github'", "toolkit = 'sandbox'"),
        ("scheme = 'DCR_OAUTH'", "scheme = 'OAUTH2'"),
        ("shared_sealed = X'0203'", "shared_sealed = NULL"),
    ] {
        for (set, is_good) in [(set, false), (back, true)] {
            let sql = format!("UPDATE auth_configs SET {set} WHERE id = ?1");
            assert_eq!(database.execute(&sql, [id]).unwrap(), 1);
            announce_change(&server.database());
            let row = server.app.core.store.auth_config(&server.project_id, &id.into()).await.unwrap().unwrap();
            let opened = server.app.credentials.open_auth_config(&row).map_err(|error| error.code());
            assert_eq!(opened.is_ok(), is_good, "{set}: {opened:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_credential_does_not_hide_the_other_accounts() {
    let server = TestServer::start().await;
    let (_, alice) = connected(&server.api, "alice").await;
    let (bobs, bob) = connected(&server.api, "bob").await;
    let database = open(&server.database());
    let sql = "UPDATE connected_accounts SET credential_sealed = zeroblob(80) WHERE id = ?1";
    assert_eq!(database.execute(sql, [&alice]).unwrap(), 1);
    announce_change(&server.database());

    assert_eq!(server.api.proxy_get(&bobs, "sandbox", "/me").await.expect(200)["data"]["username"], "bob");
    // "Delete the account and connect it again": for that it has to be found and deleted.
    let list = server.api.get("/connected_accounts").await.expect(200);
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert!(ids.contains(&&json!(alice)) && ids.contains(&&json!(bob)), "{ids:?}");
    server.api.delete(&format!("/connected_accounts/{alice}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_moved_to_another_auth_config_cannot_be_opened() {
    let server = TestServer::start().await;
    let mut configs = Vec::new();
    for secret in ["sandbox-secret-of-one", "sandbox-secret-of-other"] {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
            "credentials": { "client_id": "test", "client_secret": secret } } });
        let made = server.api.post("/auth_configs", &body).await.expect(201);
        configs.push(made["auth_config"]["id"].as_str().unwrap().to_owned());
    }
    let database = open(&server.database());
    let sql = "UPDATE auth_configs SET credentials_sealed = (SELECT credentials_sealed FROM auth_configs WHERE id = ?2) WHERE id = ?1";
    assert_eq!(database.execute(sql, [&configs[0], &configs[1]]).unwrap(), 1);
    server.api.get(&format!("/auth_configs/{}", configs[0])).await.expect_error(500, "credential_unreadable");
    server.api.get(&format!("/auth_configs/{}", configs[1])).await.expect(200);
}

/// An account that a user has connected, and its credential's bytes in the database.
async fn connected_and_sealed(api: &Api, database: &Connection, user: &str) -> (String, Vec<u8>) {
    let (_, account) = connected(api, user).await;
    let bytes = sealed(database, &account).unwrap();
    (account, bytes)
}

/// The database and what belongs to it, in one.
fn database_bytes(folder: &Path) -> Vec<u8> {
    let files = files_under(folder).into_iter().filter(|(name, _)| name.starts_with("switchboard.db"));
    files.flat_map(|(_, bytes)| bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_credential_leaves_no_bytes_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let api = dev.api();
    let database = open(&folder.path().join("switchboard.db"));
    let (_, of_kept) = connected_and_sealed(&api, &database, "alice").await;
    let (deleted, of_deleted) = connected_and_sealed(&api, &database, "bob").await;
    let before = database_bytes(folder.path());
    assert!(contains(&before, &of_kept) && contains(&before, &of_deleted));

    api.delete(&format!("/connected_accounts/{deleted}")).await.expect(200);
    assert_eq!(sealed(&database, &deleted), None);
    let checkpoint = || database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
    until("a checkpoint", async || checkpoint() == 0).await;
    let after = database_bytes(folder.path());
    assert!(!contains(&after, &of_deleted), "the ciphertext is still in the files");
    assert!(contains(&after, &of_kept), "the other one is still there");
    assert_eq!(dev.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_stopped_leaves_no_deleted_credential_in_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let api = dev.api();
    let database = open(&folder.path().join("switchboard.db"));
    let (_, of_kept) = connected_and_sealed(&api, &database, "alice").await;
    let (deleted, of_deleted) = connected_and_sealed(&api, &database, "bob").await;
    drop(database);
    api.delete(&format!("/connected_accounts/{deleted}")).await.expect(200);
    assert_eq!(dev.terminate(), Some(0));
    let after = database_bytes(folder.path());
    assert!(contains(&after, &of_kept));
    assert!(!contains(&after, &of_deleted), "the ciphertext is still in the files");
}
