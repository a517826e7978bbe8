//! Baselines of links and of new sessions: the same server framework, and a group commit of the same rows, two
//! for a link and one for a session.
//!
//! No key, no policy, no parsing, no audit event. Everything below the rows matches the product. The product
//! creates the database, so that schema, indexes and foreign keys are the same; pragmas, checkpoints, key
//! order and column sizes are copied here. The writer is simpler: no SAVEPOINT, because nothing can be
//! refused, and statements are bound directly.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use rand::Rng;
use rusqlite::{CachedStatement, Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::listen;
use crate::product::SESSIONS;

/// Path of the two rows of a link.
pub const LINK: &str = "/link";
/// Path of the row of a session.
pub const SESSION: &str = "/session";

/// As in `crates/store/src/sqlite`.
const QUEUE: usize = 4_096;
const GROUP: usize = 512;
const CACHE_KIB: i64 = 8 << 10;
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
const TRUNCATE_PAGES: i64 = 32_768;

/// An arbitrary time with the id length of today; only the order matters here.
const EPOCH_MS: u64 = 1_795_000_000_000;
const LINK_TTL_MS: u64 = 600_000;

struct Job {
    rows: Rows,
    user: u64,
    now: u64,
    written: oneshot::Sender<()>,
}

enum Rows {
    Link { account_id: String, link_id: String, token_hash: [u8; 32] },
    Session { id: String },
}

#[derive(Clone)]
struct Baseline {
    jobs: mpsc::Sender<Job>,
    started: Instant,
    requests: Arc<AtomicU64>,
}

/// Serves the baseline on a database created by the product.
pub fn run(database: &Path) -> Result<()> {
    let connection = open(database).with_context(|| format!("cannot open {}", database.display()))?;
    let project: String = connection
        .query_row("SELECT id FROM projects LIMIT 1", [], |row| row.get(0))
        .context("the database has no project")?;
    let (jobs, waiting) = mpsc::channel(QUEUE);
    // Named as in the product, so that their system calls are told apart.
    start("store-writer", move || write(&connection, &project, waiting))?;
    let path = database.to_owned();
    start("store-checkpoint", move || checkpoint(&path))?;
    let baseline = Baseline { jobs, started: Instant::now(), requests: Arc::default() };
    let router = Router::new().route(LINK, post(create_link)).route(SESSION, post(create_session));
    listen::run(async { Ok(router.with_state(baseline)) })
}

fn start(name: &str, work: impl FnOnce() -> rusqlite::Result<()> + Send + 'static) -> Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = work() {
            eprintln!("baseline: {error}");
        }
    })?;
    Ok(())
}

/// Reads the body, as the product must, but ignores it.
async fn create_link(State(baseline): State<Baseline>, _: Bytes) -> Response {
    let now = baseline.now();
    let account_id = id("ca_", now);
    let link_id = id("lt_", now);
    let mut token_hash = [0; 32];
    rand::rng().fill_bytes(&mut token_hash);
    let answer = format!(
        r#"{{"link_token":"{link_id}","redirect_url":"/link/{link_id}","connected_account_id":"{account_id}"}}"#
    );
    baseline.store(Rows::Link { account_id, link_id, token_hash }, now, answer).await
}

/// The same for a session.
async fn create_session(State(baseline): State<Baseline>, _: Bytes) -> Response {
    let now = baseline.now();
    let id = id("trs_", now);
    let answer = format!(r#"{{"session_id":"{id}"}}"#);
    baseline.store(Rows::Session { id }, now, answer).await
}

impl Baseline {
    fn now(&self) -> u64 {
        EPOCH_MS + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0)
    }

    /// Responds when the rows are on disk.
    async fn store(&self, rows: Rows, now: u64, answer: String) -> Response {
        let user = self.requests.fetch_add(1, Ordering::Relaxed) % SESSIONS;
        let (written, done) = oneshot::channel();
        if self.jobs.send(Job { rows, user, now, written }).await.is_err() || done.await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
    }
}

/// Prefix, nine base62 digits of time, eleven random ones: 23 or 24 characters that sort by time.
fn id(prefix: &str, now: u64) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |number: u64| char::from(ALPHABET[usize::try_from(number % 62).unwrap_or(0)]);
    let mut chance = [0; 11];
    rand::rng().fill_bytes(&mut chance);
    let mut text = String::with_capacity(prefix.len() + 20);
    text.push_str(prefix);
    text.extend((0..9).rev().map(|place| digit(now / 62_u64.pow(place))));
    text.extend(chance.iter().map(|byte| digit(u64::from(*byte))));
    text
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// The statements of both operations, with what is the same in all rows.
struct Inserts<'a> {
    account: CachedStatement<'a>,
    link: CachedStatement<'a>,
    session: CachedStatement<'a>,
    project: &'a str,
    auth_config: String,
    sessions: Vec<String>,
}

impl<'a> Inserts<'a> {
    fn prepare(connection: &'a Connection, project: &'a str) -> rusqlite::Result<Self> {
        let account = connection.prepare_cached(
            "INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, alias,
               word_id, account_type, acl, params, created_at, updated_at)
             VALUES (?1, ?2, ?3, 'sandbox', ?4, 'OAUTH2', 'INITIALIZING', NULL,
               'sandbox_silver-castle', 'PRIVATE', NULL, '{}', ?5, ?5)",
        )?;
        let link = connection.prepare_cached(
            "INSERT INTO links (id, project_id, session_id, account_id, token_hash, callback_url, created_at,
               expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?7)",
        )?;
        let session = connection.prepare_cached(
            "INSERT INTO sessions (id, project_id, user_id, config, config_version, created_at, updated_at)
             VALUES (?1, ?2, ?3, '{}', 1, ?4, ?4)",
        )?;
        let sessions = (0..SESSIONS).map(|_| id("trs_", EPOCH_MS)).collect();
        Ok(Self { account, link, session, project, auth_config: id("ac_", EPOCH_MS), sessions })
    }

    fn run(&mut self, job: &Job) -> rusqlite::Result<()> {
        let user = format!("user-{:04}", job.user);
        let now = job.now.cast_signed();
        match &job.rows {
            Rows::Link { account_id, link_id, token_hash } => {
                let session = usize::try_from(job.user).ok().and_then(|user| self.sessions.get(user));
                self.account.execute(params![account_id, self.project, user, self.auth_config, now])?;
                let expires_at = (job.now + LINK_TTL_MS).cast_signed();
                self.link.execute(params![link_id, self.project, session, account_id, token_hash, now, expires_at])?;
            }
            Rows::Session { id } => {
                self.session.execute(params![id, self.project, user, now])?;
            }
        }
        Ok(())
    }
}

/// Drains the queue into one transaction and responds after COMMIT.
fn write(connection: &Connection, project: &str, mut waiting: mpsc::Receiver<Job>) -> rusqlite::Result<()> {
    let mut inserts = Inserts::prepare(connection, project)?;
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = waiting.blocking_recv() {
        group.push(first);
        while group.len() < GROUP
            && let Ok(job) = waiting.try_recv()
        {
            group.push(job);
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for job in &group {
            inserts.run(job)?;
        }
        connection.execute_batch("COMMIT")?;
        for job in group.drain(..) {
            // If the client is gone, nothing needs the result.
            let _ = job.written.send(());
        }
    }
    Ok(())
}

fn checkpoint(database: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    loop {
        thread::sleep(CHECKPOINT_INTERVAL);
        let pages: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
        if pages > TRUNCATE_PAGES {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_products_form_and_sort_by_time() {
        let (older, newer) = (id("ca_", EPOCH_MS), id("ca_", EPOCH_MS + 1));
        assert_eq!(older.len(), "ca_".len() + 20);
        assert!(older < newer, "{older} {newer}");
    }
}
