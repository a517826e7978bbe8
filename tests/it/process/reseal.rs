//! Data of a version that bound secrets to less: it is resealed once, before anything is served; afterwards values
//! that are sealed in the old way are refused (R70).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::Connection;
use serde_json::json;
use switchboard::config::Layer;
use switchboard::server::{self, Environment};
use switchboard_store::Unit;
use switchboard_store::accounts::AccountRow;
use switchboard_store::revocations::{self, RevocationRow, RevocationState};
use switchboard_store::verifications::{self, ParkedKind, VerificationRow};
use switchboard_types::{AccountParams, Timestamp};
use switchboard_vault::Secrets;

use super::at_rest::{connected, open};
use crate::support::browser::Browser;
use crate::support::connected::second_server;
use crate::support::first_layout::{FirstLayout, accounts_in_layout, forget_markers};
use crate::support::process::{Dev, PROGRAM};
use crate::support::server::TestServer;

fn set(database: &Connection, table: &str, column: &str, key: (&str, &str), sealed: &[u8]) {
    let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {} = ?2", key.0);
    assert_eq!(database.execute(&sql, (sealed, key.1)).unwrap(), 1, "{table}.{column} of {}", key.1);
}

/// Everything that can be sealed goes on working.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_an_earlier_version_still_works() {
    let server = TestServer::start().await;
    let (app, project) = (&server.app, server.project_id.as_str());
    let (session, account) = connected(&server.api, "alice").await;
    let (_, doomed) = connected(&server.api, "bob").await;
    // A client and shared fields, a known field of a link, a flow under way, a remembered answer.
    let shared = json!({ "type": "use_custom_auth", "authScheme": "API_KEY",
        "shared_connection_fields": { "generic_api_key": "sandbox_alice_key" } });
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": shared });
    let sharing = server.api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone();
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
        "credentials": { "client_id": "test", "client_secret": "first-layout-secret" } } });
    let client = server.api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone();
    let keyed =
        server.api.get(&format!("/connected_accounts/{account}")).await.expect(200)["auth_config"]["id"].clone();
    let known = json!({ "authScheme": "API_KEY", "val": { "generic_api_key": "sandbox_alice_key" } });
    let body = json!({ "auth_config_id": keyed, "user_id": "known", "connection_data": known });
    let link = server.api.post("/connected_accounts/link", &body).await.expect(201);
    let (sharing, client) = (sharing.as_str().unwrap(), client.as_str().unwrap());
    server.api.delete(&format!("/connected_accounts/{doomed}")).await.expect(200);
    // A browser is at the provider; an answer is remembered.
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_composio_managed_auth" } });
    let managed = server.api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone();
    let body = json!({ "user_id": "at-the-provider", "toolkits": { "enable": ["sandbox"] },
        "auth_configs": { "sandbox": managed } });
    let oauth = server.api.post("/tool_router/session", &body).await.expect(201)["session_id"].clone();
    let oauth = oauth.as_str().unwrap();
    let offered = server.api.link(oauth, "sandbox").await;
    let mut browser = Browser::new("alice");
    let away = browser.submit(offered["redirect_url"].as_str().unwrap(), &[("action", "continue")]).await;
    let away = away.header("location").unwrap().to_owned();
    let key = [("idempotency-key", "remembered")];
    let body = json!({ "user_id": "remembered" }).to_string();
    let remembered = server.api.call_with("POST", "/tool_router/session", &key, body.clone()).await.expect(201);

    let old = FirstLayout::of(server.dir.path());
    let database = open(&server.database());
    let row = app.core.store.account(&project.into(), &account.as_str().into()).await.unwrap().unwrap();
    let secrets = app.credentials.open_credential(&row).unwrap();
    let place = |table, row, column| [project, table, row, column];
    let sealed = old.seal_secrets(place("connected_accounts", &account, "credential_sealed"), &secrets);
    set(&database, "connected_accounts", "credential_sealed", ("id", &account), &sealed);
    let row = app.core.store.auth_config(&project.into(), &sharing.into()).await.unwrap().unwrap();
    let fields = app.credentials.open_shared(&row).unwrap();
    let sealed = old.seal_secrets(place("auth_configs", sharing, "shared_sealed"), &fields);
    set(&database, "auth_configs", "shared_sealed", ("id", sharing), &sealed);
    let row = app.core.store.auth_config(&project.into(), &client.into()).await.unwrap().unwrap();
    let secrets = app.credentials.open_auth_config(&row).unwrap();
    let sealed = old.seal_secrets(place("auth_configs", client, "credentials_sealed"), &secrets);
    set(&database, "auth_configs", "credentials_sealed", ("id", client), &sealed);
    let link_id = &link["link_token"].as_str().unwrap()[..23];
    let fields = Secrets::from([("generic_api_key", "sandbox_alice_key".into())]);
    let sealed = old.seal_secrets(place("links", link_id, "prefill_sealed"), &fields);
    set(&database, "links", "prefill_sealed", ("id", link_id), &sealed);
    let id: String = database.query_row("SELECT id FROM attempts", [], |row| row.get(0)).unwrap();
    let attempt = app.core.store.attempt(&id).await.unwrap().unwrap();
    let row = app.core.store.account(&project.into(), &attempt.account_id).await.unwrap().unwrap();
    let verifier = app.credentials.open_verifier(&attempt, &row).unwrap().unwrap();
    let sealed = old.seal(place("attempts", &id, "verifier_sealed"), verifier.expose().as_bytes());
    set(&database, "attempts", "verifier_sealed", ("id", &id), &sealed);
    let sealed =
        old.seal(place("idempotency_keys", "remembered", "response_sealed"), remembered.to_string().as_bytes());
    set(&database, "idempotency_keys", "response_sealed", ("key", "remembered"), &sealed);
    let (parked, pending) = waiting(project, &row, &old);
    let unit = Unit::new().with(verifications::insert(&parked)).and(revocations::insert(&pending));
    app.core.store.apply(unit).await.unwrap();
    set(
        &database,
        "meta",
        "value",
        ("name", "key_check"),
        &old.seal(["", "meta", "key_check", "value"], b"switchboard"),
    );
    forget_markers(server.dir.path(), &database);

    let api = second_server(&server).await;
    assert_eq!(accounts_in_layout(&database, 1), 0);
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
    let read = async |id: &str| app.core.store.auth_config(&project.into(), &id.into()).await.unwrap().unwrap();
    let secrets = app.credentials.open_auth_config(&read(client).await).unwrap();
    assert_eq!(secrets.get("client_secret"), Some("first-layout-secret"));
    assert_eq!(
        app.credentials.open_shared(&read(sharing).await).unwrap().get("generic_api_key"),
        Some("sandbox_alice_key")
    );
    let row = app.core.store.link(&link_id.into()).await.unwrap().unwrap();
    let for_account = app.core.store.account(&project.into(), &row.account_id).await.unwrap().unwrap();
    assert_eq!(
        app.credentials.open_prefill(&row, &for_account).unwrap().get("generic_api_key"),
        Some("sandbox_alice_key")
    );
    assert!(server.dir.path().join("seal-layout").exists());
    let again = server.api.call_with("POST", "/tool_router/session", &key, body.clone()).await.expect(201);
    assert_eq!(again, remembered);
    browser.follow(&away, |_| false).await;
    let connected = api
        .get(&format!("/connected_accounts/{}", offered["connected_account_id"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!(connected["status"], "ACTIVE", "{}", connected["status_reason"]);
    let row = app.core.store.account(&project.into(), &parked.account_id).await.unwrap().unwrap();
    let parked = app.core.store.verification(&project.into(), &parked.id).await.unwrap().unwrap();
    assert_eq!(app.credentials.open_pending(&parked, &row).unwrap().get("code"), Some("waiting"));
    let pending = app.core.store.revocation(&project.into(), &pending.id).await.unwrap().unwrap();
    let RevocationState::Pending { material, .. } = &pending.state else { panic!("{pending:?}") };
    assert_eq!(app.credentials.open_revocation(&pending, material).unwrap().get("access_token"), Some("waiting"));
}

/// A code that waits for the developer's word, and a token that waits for its provider.
fn waiting(project: &str, account: &AccountRow, old: &FirstLayout) -> (VerificationRow, RevocationRow) {
    let parked = Secrets::from([("code", "waiting".into())]);
    let verification = VerificationRow {
        id: "session_waiting".to_owned(),
        project_id: project.into(),
        link_id: "lt_none".into(),
        attempt_id: None,
        account_id: account.id.clone(),
        auth_config_version: Timestamp::EPOCH,
        token_hash: Vec::new(),
        kind: ParkedKind::Code,
        parked_sealed: Some(old.seal_secrets([project, "verifications", "session_waiting", "parked_sealed"], &parked)),
        params: Box::new(AccountParams::parse(r#"{"fields":{"site":"https://a.example"}}"#).unwrap()),
        redirect_uri: Some("https://app.example/back".to_owned()),
        created_at: account.created_at,
        expires_at: Timestamp::MAX,
        consumed_at: None,
    };
    let material = Secrets::from([("access_token", "waiting".into())]);
    let material = old.seal_secrets([project, "revocations", "rvk_waiting", "material_sealed"], &material);
    let revocation = RevocationRow {
        id: "rvk_waiting".to_owned(),
        job_id: "rvj_waiting".to_owned(),
        project_id: project.into(),
        account_id: account.id.clone(),
        toolkit: account.toolkit.clone(),
        auth_config_id: account.auth_config_id.clone(),
        scheme: account.scheme,
        is_managed: true,
        params: AccountParams::default(),
        state: RevocationState::Pending { material, next_try_at: Timestamp::MAX },
        tokens: "[]".to_owned(),
        detail: None,
        tries: 0,
        created_at: account.created_at,
        pending_verification_id: None,
    };
    (verification, revocation)
}

/// A token that waited in a file for the database is stored, and works.
#[tokio::test(flavor = "multi_thread")]
async fn a_spooled_credential_of_an_earlier_version_is_stored() {
    let server = TestServer::start().await;
    let (session, account) = connected(&server.api, "alice").await;
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let old = FirstLayout::of(server.dir.path());
    let place = [&*server.project_id, "connected_accounts", &*account, "credential_sealed"];
    let spooled = |key: &str| {
        let sealed = old.seal_secrets(place, &Secrets::from([("generic_api_key", key.into())]));
        json!({ "project_id": server.project_id, "account_id": account, "fence": row.refresh_fence,
            "credential": BASE64.encode(sealed), "params": row.params.to_text(), "expires_at": null, "now": row.updated_at })
    };
    let spool = server.dir.path().join("switchboard.db.spool");
    std::fs::create_dir_all(&spool).unwrap();
    let file = spool.join(format!("{account}-{}.json", row.refresh_fence));
    std::fs::write(&file, spooled("sandbox_bob_key").to_string()).unwrap();
    // An attacker who can write files, and has an old value, cannot put it into its row: the markers prevent it.
    let api = second_server(&server).await;
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
    assert!(file.exists());
    forget_markers(server.dir.path(), &open(&server.database()));
    let api = second_server(&server).await;
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "bob");
    assert!(!file.exists());
}

/// A data folder of an earlier program with this many accounts besides one, whose id is given.
async fn folder_with(data: &Path, count: usize) -> String {
    let mut dev = Dev::start(data, &["--log", "off"]);
    let api = crate::support::http::Api::new(&dev.url, dev.key.as_deref().unwrap());
    let (_, account) = connected(&api, "alice").await;
    dev.kill();
    let database = open(&data.join("switchboard.db"));
    FirstLayout::of(data).add_accounts(&database, &account, count);
    forget_markers(data, &database);
    account
}

fn layer(data: &Path) -> Layer {
    let layer = Layer { data_dir: Some(data.to_owned()), keep_accounts_alive: Some(false), ..Layer::default() };
    layer.overlay(Layer::defaults().unwrap())
}

async fn app_on(data: &Path) -> anyhow::Result<std::sync::Arc<switchboard::app::App>> {
    let environment = Environment { with_sandbox: true, allow_loopback: true, ..Environment::default() };
    server::open(layer(data).check()?, environment).await
}

/// All the accounts that were added open, each with its own key.
async fn assert_all_open(data: &Path, count: usize) {
    let database = open(&data.join("switchboard.db"));
    assert_eq!((accounts_in_layout(&database, 1), accounts_in_layout(&database, 2)), (0, count + 1));
    let app = app_on(data).await.unwrap();
    let project: String = database.query_row("SELECT id FROM projects", [], |row| row.get(0)).unwrap();
    for number in 0..count {
        let row = app
            .core
            .store
            .account(&project.as_str().into(), &format!("ca_old_{number:07}").into())
            .await
            .unwrap()
            .unwrap();
        let secrets = app.credentials.open_credential(&row).unwrap();
        assert_eq!(secrets.get("generic_api_key"), Some(&*format!("sandbox_alice_key_{number}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_reseal_continues_at_the_next_start() {
    const COUNT: usize = 5_000;
    let folder = tempfile::tempdir().unwrap();
    folder_with(folder.path(), COUNT).await;
    let mut command = Command::new(PROGRAM);
    command.args(["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
    command.env("SWITCHBOARD_FAILPOINT", "reseal_page").stdout(Stdio::null()).stderr(Stdio::null());
    assert!(!command.status().unwrap().success());
    let database = open(&folder.path().join("switchboard.db"));
    let half = (accounts_in_layout(&database, 1), accounts_in_layout(&database, 2));
    assert!(half.0 > 0 && half.1 > 1, "{half:?}");
    assert!(!folder.path().join("seal-layout").exists());
    Dev::start(folder.path(), &[]).kill();
    assert_all_open(folder.path(), COUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_may_reseal_at_once() {
    const COUNT: usize = 5_000;
    let folder = tempfile::tempdir().unwrap();
    folder_with(folder.path(), COUNT).await;
    let start = || {
        let data = folder.path().to_owned();
        tokio::spawn(async move { app_on(&data).await.map(drop) })
    };
    for started in [start(), start(), start()] {
        started.await.unwrap().unwrap();
    }
    assert_all_open(folder.path(), COUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_value_that_is_written_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    folder_with(data, 1).await;
    let database = open(&data.join("switchboard.db"));
    let old: Vec<u8> = database
        .query_row("SELECT credential_sealed FROM connected_accounts WHERE id = 'ca_old_0000000'", [], |row| row.get(0))
        .unwrap();
    app_on(data).await.unwrap();
    let project: String = database.query_row("SELECT id FROM projects", [], |row| row.get(0)).unwrap();
    // An earlier value is written back, and its row is changed to another user.
    let sql = "UPDATE connected_accounts SET credential_sealed = ?1, user_id = 'mallory' WHERE id = 'ca_old_0000000'";
    let put_back = || assert_eq!(database.execute(sql, [&old]).unwrap(), 1);
    let is_refused = async || {
        let app = app_on(data).await.unwrap();
        let row = app.core.store.account(&project.as_str().into(), &"ca_old_0000000".into()).await.unwrap().unwrap();
        assert_eq!(row.user_id, "mallory");
        let error = app.credentials.open_credential(&row).unwrap_err();
        assert_eq!(error.code(), switchboard::error::Code::CredentialUnreadable);
        assert_eq!(accounts_in_layout(&database, 1), 1, "it was not sealed anew");
    };
    put_back();
    is_refused().await;
    // Without the file, the database still says so; and the file comes back.
    std::fs::remove_file(data.join("seal-layout")).unwrap();
    is_refused().await;
    assert!(data.join("seal-layout").exists());
    // Without the database's word, the file does, and says what to do after restoring a backup.
    database.execute("DELETE FROM meta WHERE name = 'seal_layout'", []).unwrap();
    let error = format!("{:#}", app_on(data).await.unwrap_err());
    assert!(error.contains("seal-layout says that none was left") && error.contains("restoring a backup"), "{error}");
    assert_eq!(accounts_in_layout(&database, 1), 1);
    // Once the old value is gone, the database's word comes back, too.
    database.execute("UPDATE connected_accounts SET credential_sealed = NULL WHERE id = 'ca_old_0000000'", []).unwrap();
    app_on(data).await.unwrap();
    put_back();
    std::fs::remove_file(data.join("seal-layout")).unwrap();
    is_refused().await;
    // A marker of another key is none.
    let other = tempfile::tempdir().unwrap();
    folder_with(other.path(), 0).await;
    app_on(other.path()).await.unwrap();
    std::fs::copy(other.path().join("seal-layout"), data.join("seal-layout")).unwrap();
    let error = format!("{:#}", app_on(data).await.unwrap_err());
    assert!(error.contains("does not fit the master key"), "{error}");
}

/// How long it takes: `cargo nextest run --release -p switchboard --test flows million_accounts --run-ignored only
/// --no-capture`, with `ACCOUNTS=` for another number; the figure is in bench/README.md.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_million_accounts_are_resealed() {
    let count = std::env::var("ACCOUNTS").map_or(1_000_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    folder_with(folder.path(), count).await;
    let before = Instant::now();
    app_on(folder.path()).await.unwrap();
    println!("{count} accounts sealed anew in {:.1?}", before.elapsed());
    let again = Instant::now();
    app_on(folder.path()).await.unwrap();
    println!("the next start takes {:.1?}", again.elapsed());
    let database = open(&folder.path().join("switchboard.db"));
    assert_eq!((accounts_in_layout(&database, 1), accounts_in_layout(&database, 2)), (0, count + 1));
}
