//! Many links that expire at once end as each of them would alone, in few commits.

use std::time::Duration;

use rusqlite::Connection;

use super::flow::{offer, until_callback};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Links that one activation comes to.
const BATCH: usize = 2_000;

/// Copies of an unopened link and its account, made at the same time.
fn copy(database: &Connection, account: &str, copies: usize) {
    database
        .execute_batch(&format!(
            "BEGIN;
             CREATE TEMP TABLE number AS
               WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {copies}) SELECT n FROM number;
             INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
               account_type, params, link_id, created_at, updated_at)
             SELECT 'ca_copy' || n, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id, account_type,
               params, substr(link_id, 1, 12) || 'copy' || n, created_at, updated_at
             FROM number, (SELECT * FROM connected_accounts WHERE id = '{account}');
             INSERT INTO links (id, project_id, account_id, token_hash, created_at, expires_at, purpose, prefill_sealed)
             SELECT substr(id, 1, 12) || 'copy' || n, project_id, 'ca_copy' || n, token_hash, created_at, expires_at, purpose, X'07'
             FROM number, (SELECT * FROM links WHERE account_id = '{account}');
             COMMIT"
        ))
        .unwrap();
}

fn count(database: &Connection, rows: &str) -> usize {
    let count: i64 = database.query_row(&format!("SELECT COUNT(*) FROM {rows}"), [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_links_expire_in_one_activation_and_a_commit_for_each_32() {
    let server = TestServer::start().await;
    let (unopened, opened, refused) =
        (offer(&server.api, "sandbox").await, offer(&server.api, "sandbox").await, offer(&server.api, "sandbox").await);
    let (elsewhere, deleted) = (offer(&server.api, "sandbox").await, offer(&server.api, "sandbox").await);
    until_callback(&mut Browser::new("alice"), &opened).await;
    let database = Connection::open(server.database()).unwrap();
    copy(&database, &unopened.account, BATCH - 5);
    // As an earlier version or a command may leave them: a reason, a connection by other means, a deletion.
    for change in [
        format!("UPDATE connected_accounts SET status_reason = 'access_denied: no' WHERE id = '{}'", refused.account),
        format!("UPDATE connected_accounts SET status = 'ACTIVE' WHERE id = '{}'", elsewhere.account),
        format!("UPDATE connected_accounts SET deleted_at = 1 WHERE id = '{}'", deleted.account),
    ] {
        assert_eq!(database.execute(&change, []).unwrap(), 1, "{change}");
    }
    server.clock.advance(Duration::from_mins(21));
    let before = server.app.core.store.commits();
    assert_eq!(server.app.sweeps.expire_links().await.unwrap(), BATCH);
    // Each step of 500 ends its last group and itself; a refused unit takes one more, for what is left of it. On a busy
    // machine, the first round of the job that deletes old rows may come meanwhile: it has seven units.
    let commits = server.app.core.store.commits() - before;
    assert!(commits <= 4 * (16 + 1) + 1 + 7, "{commits}");
    assert_eq!(server.app.sweeps.expire_links().await.unwrap(), 0);

    let now = server.app.core.now().as_millis();
    let expired = format!("status = 'EXPIRED' AND status_reason = 'link_expired: 10 minutes' AND updated_at = {now}");
    assert_eq!(count(&database, &format!("connected_accounts WHERE {expired}")), BATCH - 3);
    let ended = format!("finished_at = {now} AND prefill_sealed IS NULL AND exchange_by IS NULL");
    assert_eq!(count(&database, &format!("links WHERE {ended} AND outcome = 'expired'")), BATCH - 1);
    assert_eq!(count(&database, &format!("links WHERE {ended} AND outcome = 'failed'")), 1);
    let failed = "status = 'FAILED' AND status_reason = 'access_denied: no'";
    assert_eq!(count(&database, &format!("connected_accounts WHERE id = '{}' AND {failed}", refused.account)), 1);
    assert_eq!(server.api.status(&elsewhere.account).await, "ACTIVE");
    let waiting = "attempts WHERE consumed_at IS NULL OR verifier_sealed IS NOT NULL";
    assert_eq!(count(&database, waiting), 0);
    // One event for each account that ended with its link.
    let events = "audit_events WHERE action = 'link.end' AND actor = 'system'";
    assert_eq!(count(&database, events), BATCH - 2);
    assert_eq!(
        count(&database, "(SELECT DISTINCT object, detail ->> 'link_id' FROM audit_events WHERE action = 'link.end')"),
        BATCH - 2
    );
    assert_eq!(count(&database, &format!("{events} AND detail ->> 'reason' = 'link_expired'")), BATCH - 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_without_links_writes_nothing() {
    let server = TestServer::start().await;
    offer(&server.api, "sandbox").await;
    server.clock.advance(Duration::from_mins(21));
    assert_eq!(server.app.sweeps.expire_links().await.unwrap(), 1);
    let database = Connection::open(server.database()).unwrap();
    let position =
        || -> String { database.query_row("SELECT until_id FROM link_sweep", [], |row| row.get(0)).unwrap() };
    let before = position();
    for _ in 0..3 {
        server.clock.advance(Duration::from_mins(21));
        assert_eq!(server.app.sweeps.expire_links().await.unwrap(), 0);
    }
    assert_eq!(position(), before);
}
