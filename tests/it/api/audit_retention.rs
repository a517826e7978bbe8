//! Audit events past their retention: whole segments go, a tombstone stays, the rest can be checked.

use std::time::Duration;

use rusqlite::Connection;
use switchboard::app::audit::check::Kind;
use switchboard::config::Layer;

use super::audit_log::{attacker, check, kinds, make_sessions, open_copy};
use crate::support::server::TestServer;

const DAY: Duration = Duration::from_hours(24);

/// A server that keeps audit events for so many days, with events of three days, sealed by themselves.
async fn three_days(keep: u32) -> TestServer {
    let layer = Layer { audit_retention_days: Some(keep), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    for _ in 0..3 {
        make_sessions(&server, &server.api, 4).await;
        server.app.audit_log.seal_all().await.unwrap();
        server.clock.advance(DAY);
    }
    server
}

fn rows(server: &TestServer, what: &str) -> i64 {
    let database = Connection::open(server.database()).unwrap();
    database.query_row(&format!("SELECT COUNT(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_without_limit_by_default() {
    let server = three_days(0).await;
    server.clock.advance(DAY * 10_000);
    assert_eq!(server.app.audit_log.drop_old_events(DAY).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_segments_are_deleted_and_a_tombstone_keeps_the_chain_verifiable() {
    let server = three_days(2).await;
    let all = rows(&server, "audit_events");
    let segments = rows(&server, "audit_segments");
    // The first day's are three days old now, the second day's two and a second, the third day's one.
    let dropped = server.app.audit_log.drop_old_events(DAY).await.unwrap();
    assert_eq!(dropped, all - 4);
    assert_eq!(rows(&server, "audit_events"), 4);
    let report = check(&server.app).await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.sealed_events, report.dropped_events, report.newest_segment), (4, dropped, segments));
    assert_eq!(server.app.audit_log.drop_old_events(DAY).await.unwrap(), 0, "once is enough");
    // The next day one more goes; the older tombstone is part of the newer one.
    make_sessions(&server, &server.api, 1).await;
    server.app.audit_log.seal_all().await.unwrap();
    server.clock.advance(DAY);
    assert_eq!(server.app.audit_log.drop_old_events(DAY).await.unwrap(), 4);
    let report = check(&server.app).await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.sealed_events, report.dropped_events), (1, dropped + 4));
    assert_eq!(rows(&server, "audit_segments WHERE dropped_at IS NOT NULL"), 1);
    // Everything may go; sealing goes on behind it.
    server.clock.advance(DAY * 9);
    assert_eq!(server.app.audit_log.drop_old_events(DAY).await.unwrap(), 1);
    make_sessions(&server, &server.api, 2).await;
    server.app.audit_log.seal_all().await.unwrap();
    let report = check(&server.app).await;
    assert!(report.intact && report.sealed_events == 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_tombstone_names_can_be_deleted() {
    let server = three_days(2).await;
    server.app.audit_log.drop_old_events(DAY).await.unwrap();
    let database = Connection::open(server.database()).unwrap();
    for sql in [
        "DELETE FROM audit_events",
        "DELETE FROM audit_segments",
        "DELETE FROM audit_segments WHERE dropped_at IS NOT NULL",
        "UPDATE audit_segments SET events = 1",
        "UPDATE audit_segments SET dropped_at = 1 WHERE dropped_at IS NOT NULL",
        "INSERT OR REPLACE INTO audit_segments SELECT * FROM audit_segments",
    ] {
        let refused = database.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert!(check(&server.app).await.intact);
}

/// Adds an event older than all others.
fn add_below_tombstone(server: &TestServer) -> Connection {
    let database = attacker(&server.database());
    let columns = "at, actor, action, object, outcome";
    let insert =
        format!("INSERT INTO audit_events (id, {columns}) VALUES ('evt_00000000000000000000', 1, 'a', 'b', 'c', 'd')");
    database.execute_batch(&insert).unwrap();
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn events_inserted_into_a_deleted_range_are_detected() {
    let server = three_days(2).await;
    server.app.audit_log.drop_old_events(DAY).await.unwrap();
    let database = add_below_tombstone(&server);
    assert_eq!(kinds(&check(&server.app).await), [Kind::Inserted]);
    database.execute_batch("DELETE FROM audit_events WHERE id = 'evt_00000000000000000000'").unwrap();
    database.execute_batch("UPDATE audit_segments SET dropped_events = 1 WHERE dropped_at IS NOT NULL").unwrap();
    assert_eq!(kinds(&check(&server.app).await), [Kind::TombstoneChanged]);
}

/// Adds events of one millisecond, the one after the newest, as a server writes them after its clock has
/// gone back. Returns the id of the one in the middle.
fn add_events_of_one_moment(server: &TestServer, count: i64) -> String {
    let database = Connection::open(server.database()).unwrap();
    let end: String = database.query_row("SELECT MAX(until_id) FROM audit_segments", [], |row| row.get(0)).unwrap();
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
         INSERT INTO audit_events (id, project_id, at, actor, action, object, outcome)
         SELECT '{end}' || printf('%011d', i), '{}', 1, 'cli', 'a.b', 'c', 'ok' FROM n",
        server.project_id
    );
    database.execute_batch(&sql).unwrap();
    format!("{end}{:011}", count / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_range_is_deleted_in_batches_and_an_interrupted_deletion_is_finished() {
    let server = three_days(2).await;
    server.app.audit_log.drop_old_events(DAY).await.unwrap();
    let middle = add_events_of_one_moment(&server, 1_300);
    server.app.audit_log.seal_all().await.unwrap();
    server.clock.advance(DAY * 3);
    // The third day's four go in one batch with nothing else; the large range begins after them.
    let database = Connection::open(server.database()).unwrap();
    let stop = format!(
        "CREATE TRIGGER stop BEFORE DELETE ON audit_events WHEN OLD.id = '{middle}'
         BEGIN SELECT RAISE(ABORT, 'a test stops here'); END"
    );
    database.execute_batch(&stop).unwrap();
    server.app.audit_log.drop_old_events(DAY).await.unwrap_err();
    assert_eq!(rows(&server, "audit_events"), 1_300 - 500, "one batch went, and the one that failed is whole");
    let report = check(&server.app).await;
    assert!(report.intact, "half-way: {report:?}");
    database.execute_batch("DROP TRIGGER stop").unwrap();
    // The server is told to end in the middle, too.
    server.app.core.stopping.cancel();
    server.app.audit_log.drop_old_events(Duration::ZERO).await.unwrap();
    assert_eq!(rows(&server, "audit_events"), 1_300 - 1_000);
    assert!(check(&server.app).await.intact, "told to end");
    let next = open_copy(&server, &server.database()).await;
    next.audit_log.drop_old_events(Duration::ZERO).await.unwrap();
    assert_eq!((rows(&server, "audit_events"), rows(&server, "audit_segments")), (0, 1));
    // What lies below the tombstone now is not retention's.
    add_below_tombstone(&server);
    assert_eq!(kinds(&check(&next).await), [Kind::Inserted]);
}

/// Deleted events cannot be restored, so a wrong clock alone must not delete them.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_deletes_nothing_for_a_long_time() {
    let server = three_days(2).await;
    // Three days in a row, with a round every day.
    server.app.audit_log.drop_old_events(DAY).await.unwrap();
    assert_eq!(rows(&server, "audit_events"), 4, "of yesterday");
    server.clock.advance(DAY * 365);
    make_sessions(&server, &server.api, 1).await;
    server.app.audit_log.seal_all().await.unwrap();
    let minute = Duration::from_mins(1);
    for _ in 0..60 {
        assert_eq!(server.app.audit_log.drop_old_events(minute).await.unwrap(), 0);
    }
    // A process that has just begun does not know how much time has passed.
    assert_eq!(server.app.audit_log.drop_old_events(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(rows(&server, "audit_events"), 5);
    // Where the clock stays like that, hours do what days would have done.
    assert_eq!(server.app.audit_log.drop_old_events(minute * 60).await.unwrap(), 0);
    assert_eq!(server.app.audit_log.drop_old_events(minute * 60).await.unwrap(), 4);
}
