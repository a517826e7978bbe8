//! The database takes no writes just when a provider has rotated a token (R36): the new token is
//! kept, spooled, and stored as soon as it can be; by the next process if this one dies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::connected::{Connected, second_server};
use crate::support::providers::Provider;
use crate::support::wait::until;

fn spool_files(database: &Path) -> Vec<PathBuf> {
    let folder = PathBuf::from(format!("{}.spool", database.display()));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect()
}

/// Holds the database's only write lock until it is dropped.
fn lock_writes(database: &Path) -> Connection {
    let lock = Connection::open(database).unwrap();
    lock.busy_timeout(Duration::from_secs(20)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock
}

/// Starts a call on an expired account and takes the write lock between the provider's answer and
/// the commit.
fn outage_during_a_refresh(
    runtime: &Runtime,
    provider: &Provider,
    connected: &Connected,
) -> (Connection, tokio::task::JoinHandle<u16>) {
    connected.expire();
    runtime.block_on(provider.fault(&json!({ "path": "/token", "delay_ms": 500, "times": 1 })));
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let call = runtime.spawn(async move { api.proxy_get(&session, "tk", "/api/me").await.status });
    runtime.block_on(until("the refresh", async || provider.grants("refresh_token").await == 1));
    let lock = lock_writes(&connected.server.database());
    runtime.block_on(until("spooling", async || !spool_files(&connected.server.database()).is_empty()));
    (lock, call)
}

#[test]
fn a_rotated_token_outlives_an_outage_of_the_database() {
    let runtime = Runtime::new().unwrap();
    let provider = Provider::oidc(&[]);
    let connected = runtime.block_on(Connected::at(&provider, ""));
    let (lock, call) = outage_during_a_refresh(&runtime, &provider, &connected);
    let spooled = std::fs::read_to_string(&spool_files(&connected.server.database())[0]).unwrap();
    assert!(!spooled.contains("access_token"), "the spool holds sealed bytes only: {spooled}");
    drop(lock);
    assert_eq!(runtime.block_on(call).unwrap(), 200);
    runtime.block_on(until("emptying the spool", async || spool_files(&connected.server.database()).is_empty()));
    connected.expire();
    assert_eq!(runtime.block_on(connected.call()), 200, "the family is alive");
    assert_eq!(runtime.block_on(provider.grants("refresh_token")), 2);
}

#[test]
fn a_rotated_token_outlives_the_process_that_could_not_store_it() {
    let first = Runtime::new().unwrap();
    let provider = Provider::oidc(&[]);
    let connected = first.block_on(Connected::at(&provider, ""));
    let (lock, _call) = outage_during_a_refresh(&first, &provider, &connected);
    // The process dies. Its writer thread gives up within the five seconds that it waits for a lock.
    first.shutdown_background();
    std::thread::sleep(Duration::from_secs(6));
    drop(lock);
    assert_eq!(spool_files(&connected.server.database()).len(), 1);

    let second = Runtime::new().unwrap();
    let api = second.block_on(second_server(&connected.server));
    assert!(spool_files(&connected.server.database()).is_empty(), "stored at start");
    let reply = second.block_on(api.proxy_get(&connected.session, "tk", "/api/me"));
    assert_eq!(reply.expect(200)["status"], 200);
    assert_eq!(second.block_on(provider.grants("refresh_token")), 1, "the new token was enough");
    connected.expire();
    assert_eq!(second.block_on(api.proxy_get(&connected.session, "tk", "/api/me")).status, 200, "the family is alive");
}

/// Whether a newer token waits in a file is not known: the old refresh token stays at home.
#[test]
fn an_unreadable_spool_is_not_treated_as_empty() {
    let runtime = Runtime::new().unwrap();
    let provider = Provider::oidc(&[]);
    let connected = runtime.block_on(Connected::at(&provider, ""));
    let spool = PathBuf::from(format!("{}.spool", connected.server.database().display()));
    std::fs::write(&spool, "not a folder").unwrap();
    connected.expire();
    let reply = runtime.block_on(connected.server.api.proxy_get(&connected.session, "tk", "/api/me"));
    reply.expect_error(503, "credential_store_unavailable");
    assert_eq!(runtime.block_on(provider.grants("refresh_token")), 0);
    std::fs::remove_file(&spool).unwrap();
    assert_eq!(runtime.block_on(connected.call()), 200);
    assert_eq!(runtime.block_on(provider.grants("refresh_token")), 1);
}
