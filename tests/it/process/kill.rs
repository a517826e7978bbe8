//! `kill -9` at any moment loses nothing that was acknowledged and leaves nothing half-made (F01).
//!
//! Clients keep a ledger of the 2xx answers they got. After each kill the server is started again
//! on the same files, and the ledger is compared with what it answers then.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::at_rest::key_session;
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address};

/// Fifty clients are one address here; a limit on it would hide what is looked for.
const DEV: &[&str] = &["--log", "off", "--rate-limit-per-address-per-minute", "0"];

const CYCLES: u64 = 20;
const CLIENTS: usize = 50;
const LONGEST_START: Duration = Duration::from_secs(3);
/// Changes when the killing moments are to change.
const SEED: u64 = 20_261_122;

/// What the server has said it did.
#[derive(Default)]
struct Ledger {
    sessions: Vec<String>,
    /// Account → page of its link, not used by any client.
    links: HashMap<String, String>,
    /// Accounts connected, and not meddled with since.
    active: Vec<String>,
    deleted: Vec<String>,
    proxied: usize,
}

/// A client that may lose its server at any time: `None` then.
struct Client {
    api: Api,
    session: String,
    proxy_session: String,
    ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    async fn post(&self, path: &str, body: &Value) -> Option<Reply> {
        let headers = [("x-api-key", self.api.key.as_str()), ("content-type", "application/json")];
        let url = format!("{}{path}", self.api.base);
        self.api.http.try_send("POST", &url, &headers, body.to_string()).await.ok()
    }

    async fn link(&self) -> Option<Value> {
        let path = format!("/tool_router/session/{}/link", self.session);
        Some(self.post(&path, &json!({ "toolkit": "sandbox" })).await?.expect(201))
    }

    /// A link and its form; the account, once the page has said that it is connected.
    async fn connect(&self) -> Option<String> {
        let link = self.link().await?;
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        let url = link["redirect_url"].as_str().unwrap();
        let form = "generic_api_key=sandbox_alice_key&action=continue";
        let reply = self.api.http.try_send("POST", url, &headers, form).await.ok()?;
        // 422: the sandbox, which dies with the server, did not answer any more.
        assert!([303, 422].contains(&reply.status), "{} {}", reply.status, reply.text());
        (reply.status == 303).then(|| link["connected_account_id"].as_str().unwrap().to_owned())
    }

    async fn delete(&self, account: &str) -> Option<Reply> {
        let headers = [("x-api-key", self.api.key.as_str())];
        let url = format!("{}/connected_accounts/{account}", self.api.base);
        self.api.http.try_send("DELETE", &url, &headers, "").await.ok()
    }

    /// One kind of work, repeated until the server is gone.
    async fn work(self, kind: usize) -> Option<()> {
        let note = |write: &dyn Fn(&mut Ledger)| write(&mut self.ledger.lock().unwrap());
        loop {
            match kind % 5 {
                0 => {
                    let body = json!({ "user_id": "user-1", "toolkits": { "enable": ["sandbox"] } });
                    let made = self.post("/tool_router/session", &body).await?.expect(201);
                    note(&|it| it.sessions.push(made["session_id"].as_str().unwrap().to_owned()));
                }
                1 => {
                    let link = self.link().await?;
                    let text = |name: &str| link[name].as_str().unwrap().to_owned();
                    note(&|it| drop(it.links.insert(text("connected_account_id"), text("redirect_url"))));
                }
                2 => {
                    let account = self.connect().await?;
                    note(&|it| it.active.push(account.clone()));
                }
                3 => {
                    let account = self.connect().await?;
                    let reply = self.delete(&account).await?;
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    note(&|it| it.deleted.push(account.clone()));
                }
                _ => {
                    let path = format!("/tool_router/session/{}/proxy_execute", self.proxy_session);
                    let body = json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET" });
                    let reply = self.post(&path, &body).await?;
                    // 502, 504: the sandbox died with the server, a moment before it.
                    if ![502, 504].contains(&reply.status) {
                        assert_eq!(reply.expect(200)["data"]["username"], "alice");
                        note(&|it| it.proxied += 1);
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let listen = own_address();
    let mut dev = Dev::start_on(&listen, folder.path(), DEV, Stdio::null());
    let key = dev.key.clone().unwrap();
    let session = key_session(&dev.api(), "user-1").await;
    let proxy_session = key_session(&dev.api(), "user-2").await;
    let link = dev.api().link(&proxy_session, "sandbox").await;
    let url = link["redirect_url"].as_str().unwrap();
    let connected = Browser::new("alice").submit(url, &[("generic_api_key", "sandbox_alice_key")]).await;
    assert_eq!(connected.status, 303, "{}", connected.text());

    let (mut random, mut total) = (SEED, [0; 5]);
    for cycle in 0..CYCLES {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let alive = Duration::from_millis(5 + (random >> 33) % 796);
        let ledger: Arc<Mutex<Ledger>> = Arc::default();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|kind| {
                let (session, proxy_session) = (session.clone(), proxy_session.clone());
                let client =
                    Client { api: Api::new(&dev.url, &key), session, proxy_session, ledger: Arc::clone(&ledger) };
                tokio::spawn(client.work(kind))
            })
            .collect();
        tokio::time::sleep(alive).await;
        dev.kill();
        for client in clients {
            client.await.unwrap();
        }
        let started = Instant::now();
        dev = Dev::start_on(&listen, folder.path(), DEV, Stdio::null());
        assert!(started.elapsed() < LONGEST_START, "cycle {cycle}: started in {:?}", started.elapsed());
        let ledger = std::mem::take(&mut *ledger.lock().unwrap());
        let counts =
            [ledger.sessions.len(), ledger.links.len(), ledger.active.len(), ledger.deleted.len(), ledger.proxied];
        println!("cycle {cycle}: killed after {alive:?}, acknowledged {counts:?}, started in {:?}", started.elapsed());
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        compare(Api::new(&dev.url, &key), ledger).await;
        nothing_is_half_made(&folder.path().join("switchboard.db"));
    }
    assert!(total.iter().all(|count| *count > 20), "too little was acknowledged to prove anything: {total:?}");
}

/// Every acknowledged thing is there, as it was acknowledged.
async fn compare(api: Api, ledger: Ledger) {
    let status = |api: Api, account: String| async move {
        let reply = api.get(&format!("/connected_accounts/{account}")).await;
        if reply.status == 404 { "gone".to_owned() } else { reply.expect(200)["status"].as_str().unwrap().to_owned() }
    };
    let mut checks = JoinSet::new();
    for id in ledger.sessions {
        make_room(&mut checks).await;
        let api = api.clone();
        checks.spawn(async move {
            let reply = api.get(&format!("/tool_router/session/{id}")).await;
            assert_eq!(reply.expect(200)["session_id"], json!(id));
        });
    }
    for (account, url) in ledger.links {
        make_room(&mut checks).await;
        let api = api.clone();
        checks.spawn(async move {
            let page = api.http.send("GET", &url, &[], "").await;
            assert!(
                page.status == 200 && page.text().contains("generic_api_key"),
                "link of {account}: {}",
                page.text()
            );
            assert_eq!(status(api, account).await, "INITIALIZING");
        });
    }
    for (accounts, expected) in [(ledger.active, "ACTIVE"), (ledger.deleted, "gone")] {
        for account in accounts {
            make_room(&mut checks).await;
            let api = api.clone();
            checks.spawn(async move { assert_eq!(status(api, account).await, expected) });
        }
    }
    while let Some(check) = checks.join_next().await {
        check.unwrap();
    }
}

/// Fewer checks at once than the server admits connections of one address.
async fn make_room(checks: &mut JoinSet<()>) {
    while checks.len() >= 256 {
        checks.join_next().await.unwrap().unwrap();
    }
}

/// Whatever was acknowledged or not: rows that belong together are there together.
fn nothing_is_half_made(database: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(database, flags).unwrap();
    let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    for (what, sql) in [
        (
            "a link without its account",
            "SELECT COUNT(*) FROM links WHERE account_id NOT IN (SELECT id FROM connected_accounts)",
        ),
        (
            "an account without its link",
            "SELECT COUNT(*) FROM connected_accounts WHERE id NOT IN (SELECT account_id FROM links)",
        ),
        (
            "an active account without a credential",
            "SELECT COUNT(*) FROM connected_accounts WHERE deleted_at IS NULL AND status = 'ACTIVE' AND credential_sealed IS NULL",
        ),
        (
            "a credential without an active account",
            "SELECT COUNT(*) FROM connected_accounts WHERE credential_sealed IS NOT NULL AND (status <> 'ACTIVE' OR deleted_at IS NOT NULL)",
        ),
        (
            "an active account with an open link",
            "SELECT COUNT(*) FROM connected_accounts a JOIN links l ON l.account_id = a.id WHERE a.status = 'ACTIVE' AND l.finished_at IS NULL",
        ),
        (
            "a finished link of an unfinished account",
            "SELECT COUNT(*) FROM connected_accounts a JOIN links l ON l.account_id = a.id WHERE a.deleted_at IS NULL AND a.status IN ('INITIALIZING', 'INITIATED') AND l.finished_at IS NOT NULL",
        ),
        (
            "a link without an audit event",
            "SELECT COUNT(*) FROM connected_accounts WHERE id NOT IN (SELECT object FROM audit_events)",
        ),
        (
            "a session without an audit event",
            "SELECT COUNT(*) FROM sessions WHERE id NOT IN (SELECT object FROM audit_events)",
        ),
    ] {
        let count: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{what}");
    }
}
