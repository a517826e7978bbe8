//! The audit log's segments: every change that a writer of the database makes to sealed events,
//! or to the segments, is detected (R92).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use switchboard::app::audit::check::{Kind, Report};
use switchboard::app::{Actor, App};
use switchboard::config::Layer;
use switchboard::server;
use switchboard_store::Unit;

use crate::support::http::Api;
use crate::support::server::TestServer;
use switchboard_types::{AuditAction, AuditOutcome};

/// A connection of an attacker who can write to the file, and removes the triggers first.
pub fn attacker(database: &Path) -> Connection {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut triggers = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
    let names: Vec<String> = triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(triggers);
    assert!(!names.is_empty());
    for name in names {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection
}

/// Opens a copy of a server's database, or that itself, with that server's key and a copy of its head.
pub async fn open_copy(server: &TestServer, database: &Path) -> Arc<App> {
    let head = database.with_extension("head");
    std::fs::copy(server.app.audit_log.head_file(), &head).unwrap();
    let layer = Layer {
        data_dir: Some(server.dir.path().to_owned()),
        database_url: Some(format!("sqlite:{}", database.display())),
        audit_head_file: Some(head),
        audit_retention_days: Some(2),
        ..Layer::default()
    };
    let config = layer.overlay(Layer::defaults().unwrap()).check().unwrap();
    server::open_for_audit(config).await.unwrap()
}

pub async fn check(app: &App) -> Report {
    app.audit_log.check(None, app.audit_log.head_file()).await.unwrap()
}

pub fn kinds(report: &Report) -> Vec<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

/// Some events of a project, a moment later than what was before.
pub async fn make_sessions(server: &TestServer, api: &Api, count: usize) {
    server.clock.advance(Duration::from_secs(1));
    for _ in 0..count {
        api.session("user-1", "sandbox").await;
    }
}

/// A server whose log has two sealed ranges of two projects and three events that are not sealed.
async fn sealed_server() -> TestServer {
    let server = TestServer::start().await;
    let other = server.other_project("Other").await;
    make_sessions(&server, &server.api, 5).await;
    make_sessions(&server, &other, 4).await;
    server.app.audit_log.seal_all().await.unwrap();
    make_sessions(&server, &server.api, 6).await;
    server.app.audit_log.seal_all().await.unwrap();
    make_sessions(&server, &server.api, 3).await;
    server
}

fn count(database: &Path, what: &str) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row(&format!("SELECT COUNT(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_log_is_intact_and_reports_its_unsealed_events() {
    let server = sealed_server().await;
    let report = check(&server.app).await;
    assert!(report.intact, "{report:?}");
    let all = count(&server.database(), "audit_events");
    assert_eq!((report.unsealed_events, report.sealed_events), (3, all - 3));
    assert_eq!(report.segments, report.newest_segment);
    let of_project =
        server.app.audit_log.check(Some(&server.project_id), server.app.audit_log.head_file()).await.unwrap();
    let own = count(&server.database(), &format!("audit_events WHERE project_id = '{}'", server.project_id));
    assert!(of_project.intact);
    assert_eq!((of_project.unsealed_events, of_project.sealed_events), (3, own - 3));
    // Nothing to seal makes no segment.
    assert_eq!(server.app.audit_log.seal_all().await.unwrap(), 3);
    assert_eq!(server.app.audit_log.seal_all().await.unwrap(), 0);
    assert_eq!(check(&server.app).await.unsealed_events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_sealed_events_is_detected() {
    use Kind::{Changed, Inserted, Missing, SegmentChanged, SegmentMissing, TombstoneChanged, Truncated, UnknownKey};
    let server = sealed_server().await;
    let project = server.project_id.clone();
    // The oldest sealed event of the project, and the newest segment.
    let row = format!("(SELECT MIN(id) FROM audit_events WHERE project_id = '{project}')");
    let next = format!("(SELECT MIN(id) FROM audit_events WHERE project_id = '{project}' AND id > {row})");
    let newest = "(SELECT MAX(number) FROM audit_segments)";
    let columns = "project_id, at, actor, action, object, outcome, request_id, detail, caller_request_id";
    let cases: Vec<(&str, String, Vec<Kind>)> = vec![
        ("change", format!("UPDATE audit_events SET outcome = 'denied' WHERE id = {row}"), vec![Changed]),
        ("change NULL to nothing", format!("UPDATE audit_events SET request_id = '' WHERE id = {row}"), vec![Changed]),
        ("delete", format!("DELETE FROM audit_events WHERE id = {row}"), vec![Missing]),
        ("insert", format!("INSERT INTO audit_events (id, {columns}) SELECT id || 'x', {columns} FROM audit_events WHERE id = {row}"), vec![Inserted]),
        ("insert into a project that had none", format!("INSERT INTO audit_events (id, {columns}) SELECT id || 'x', 'pr_nobody', at, actor, action, object, outcome, NULL, NULL, NULL FROM audit_events WHERE id = {row}"), vec![Inserted]),
        ("replace", format!("REPLACE INTO audit_events (id, {columns}) SELECT id, project_id, at, 'nobody', action, object, outcome, request_id, detail, caller_request_id FROM audit_events WHERE id = {row}"), vec![Changed]),
        ("swap two", format!("CREATE TEMP TABLE two AS SELECT {row} AS a, {next} AS b;
            UPDATE audit_events SET id = 'evt_swap' WHERE id = (SELECT a FROM two);
            UPDATE audit_events SET id = (SELECT a FROM two) WHERE id = (SELECT b FROM two);
            UPDATE audit_events SET id = (SELECT b FROM two) WHERE id = 'evt_swap'"), vec![Changed]),
        ("move to another project", format!("UPDATE audit_events SET project_id = 'pr_nobody' WHERE id = {row}"), vec![Missing, Inserted]),
        ("move to a later range", format!("UPDATE audit_events SET id = (SELECT until_id FROM audit_segments WHERE number = 1) || 'x' WHERE id = {row}"), vec![Missing, Inserted]),
        ("change a segment", format!("UPDATE audit_segments SET sealed_at = 1 WHERE number = {newest} - 1"), vec![SegmentChanged]),
        ("change a segment's MAC", format!("UPDATE audit_segments SET mac = zeroblob(32) WHERE number = {newest}"), vec![Kind::HeadDiffers, SegmentChanged]),
        ("name another key", "UPDATE audit_segments SET key_id = '00000000' WHERE number = 2".to_owned(), vec![UnknownKey]),
        ("cut out a segment", "DELETE FROM audit_segments WHERE number = 2".to_owned(), vec![SegmentMissing]),
        ("cut the first segment", "DELETE FROM audit_segments WHERE number = 1".to_owned(), vec![SegmentMissing]),
        ("cut the newest segment", format!("DELETE FROM audit_segments WHERE number = {newest}"), vec![Truncated]),
        ("cut the newest events", format!("DELETE FROM audit_events WHERE id >= (SELECT from_id FROM audit_segments WHERE number = {newest}); DELETE FROM audit_segments WHERE number = {newest}"), vec![Truncated]),
        ("cut all segments", "DELETE FROM audit_segments".to_owned(), vec![Truncated]),
        ("forge a tombstone", format!("UPDATE audit_segments SET dropped_at = 1, dropped_events = 3, drop_key_id = key_id, drop_mac = mac WHERE number = {newest};
            DELETE FROM audit_segments WHERE number < {newest}; DELETE FROM audit_events"), vec![TombstoneChanged]),
    ];
    for (index, (name, sql, expected)) in cases.iter().enumerate() {
        let copy = server.dir.path().join(format!("copy-{index}.db"));
        let source = Connection::open(server.database()).unwrap();
        source.execute_batch(&format!("VACUUM INTO '{}'", copy.display())).unwrap();
        assert!(check(&*open_copy(&server, &copy).await).await.intact, "{name}: before");
        attacker(&copy).execute_batch(sql).unwrap_or_else(|error| panic!("{name}: {error}"));
        let app = open_copy(&server, &copy).await;
        let report = check(&app).await;
        assert!(!report.intact && expected.iter().all(|kind| kinds(&report).contains(kind)), "{name}: {report:?}");
        // Sealing goes on, and hides nothing.
        app.audit_log.seal_all().await.unwrap();
        let later = check(&app).await;
        let still = expected.iter().all(|kind| {
            kinds(&later).contains(kind) || (*kind == Truncated && kinds(&later).contains(&Kind::HeadDiffers))
        });
        assert!(!later.intact && still, "{name}, later: {later:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_reported_for_its_project_only() {
    let server = sealed_server().await;
    let sql = format!(
        "UPDATE audit_events SET outcome = 'x' WHERE project_id <> '{}' AND action = 'session.create'",
        server.project_id
    );
    attacker(&server.database()).execute_batch(&sql).unwrap();
    let own = server.app.audit_log.check(Some(&server.project_id), server.app.audit_log.head_file()).await.unwrap();
    assert!(own.intact, "{own:?}");
    let all = check(&server.app).await;
    assert_eq!(kinds(&all), [Kind::Changed]);
    assert_ne!(all.findings[0].project_id.as_ref(), Some(&server.project_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_is_reported_until_the_operator_accepts_it() {
    let server = TestServer::start().await;
    server.app.audit_log.seal_all().await.unwrap();
    let old = server.dir.path().join("old.db");
    Connection::open(server.database()).unwrap().execute_batch(&format!("VACUUM INTO '{}'", old.display())).unwrap();
    make_sessions(&server, &server.api, 2).await;
    server.app.audit_log.seal_all().await.unwrap();
    let head = std::fs::read(server.app.audit_log.head_file()).unwrap();
    let app = open_copy(&server, &old).await;
    assert_eq!(kinds(&check(&app).await), [Kind::Truncated]);
    // A server that goes on with it seals new events and leaves the proof in place.
    for _ in 0..3 {
        let actor = Actor::cli(&server.project_id);
        app.core
            .store
            .apply(Unit::new().with(app.core.audit(&actor, AuditAction::SessionUpdate, "c", AuditOutcome::Ok, None)))
            .await
            .unwrap();
        app.audit_log.seal_all().await.unwrap();
    }
    assert_eq!(std::fs::read(app.audit_log.head_file()).unwrap(), head);
    assert_eq!(kinds(&check(&app).await), [Kind::HeadDiffers]);
    app.audit_log.accept_head().await.unwrap();
    let report = check(&app).await;
    assert!(report.intact, "{report:?}");
    let detail: String = Connection::open(&old)
        .unwrap()
        .query_row("SELECT detail FROM audit_events WHERE action = 'audit.accept_head'", [], |row| row.get(0))
        .unwrap();
    let before: serde_json::Value = serde_json::from_slice(&head).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&detail).unwrap()["before"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_invalid_head_is_reported_and_not_recreated() {
    let server = sealed_server().await;
    std::fs::remove_file(server.app.audit_log.head_file()).unwrap();
    assert_eq!(kinds(&check(&server.app).await), [Kind::HeadMissing]);
    server.app.audit_log.seal_all().await.unwrap();
    assert!(!server.app.audit_log.head_file().exists());
    std::fs::write(server.app.audit_log.head_file(), "{}").unwrap();
    server.app.audit_log.seal_all().await.unwrap();
    assert_eq!(kinds(&check(&server.app).await), [Kind::HeadUnreadable]);
    server.app.audit_log.accept_head().await.unwrap();
    assert!(check(&server.app).await.intact);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_event_is_stored_after_the_sealed_ones_and_keeps_its_time() {
    let server = TestServer::start().await;
    let actor = Actor::cli(&server.project_id);
    let written_at = switchboard::time::Clock::now(&server.clock);
    let held_up =
        Unit::new().with(server.app.core.audit(&actor, AuditAction::SessionUpdate, "x", AuditOutcome::Ok, None));
    make_sessions(&server, &server.api, 4).await;
    server.app.audit_log.seal_all().await.unwrap();
    // The same unit twice: the second is refused as one that is there, and not because of the time.
    server.app.core.store.apply(held_up).await.unwrap();
    let report = check(&server.app).await;
    assert!(report.intact && report.unsealed_events == 1, "{report:?}");
    make_sessions(&server, &server.api, 1).await;
    server.app.audit_log.seal_all().await.unwrap();
    assert!(check(&server.app).await.intact);
    let events = server.app.core.store.audit_events(&server.project_id, "x").await.unwrap();
    assert_eq!((events.len(), events[0].at), (1, written_at));
    assert!(switchboard::id::Kind::AuditEvent.admits(&events[0].id), "{}", events[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_seal_and_write_concurrently_make_one_chain() {
    let server = TestServer::start().await;
    let another = async || {
        let layer = Layer { data_dir: Some(server.dir.path().to_owned()), ..Layer::default() };
        server::open_for_audit(layer.overlay(Layer::defaults().unwrap()).check().unwrap()).await.unwrap()
    };
    let others = [another().await, another().await];
    let mut work = tokio::task::JoinSet::new();
    for app in [Arc::clone(&server.app), Arc::clone(&others[0]), Arc::clone(&others[1])] {
        let (writer, project) = (Arc::clone(&app), server.project_id.clone());
        work.spawn(async move {
            for _ in 0..300 {
                let actor = Actor::cli(&project.as_str().into());
                let unit = Unit::new().with(writer.core.audit(
                    &actor,
                    AuditAction::SessionUpdate,
                    "c",
                    AuditOutcome::Ok,
                    None,
                ));
                writer.core.store.apply(unit).await.unwrap();
            }
        });
        work.spawn(async move {
            for _ in 0..40 {
                app.audit_log.seal_all().await.unwrap();
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    server.app.audit_log.seal_all().await.unwrap();
    let report = check(&server.app).await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.unsealed_events, report.sealed_events), (0, count(&server.database(), "audit_events")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_events_are_sealed_and_checked_in_seconds() {
    const EVENTS: i64 = 100_000;
    let server = TestServer::start().await;
    server.app.audit_log.seal_all().await.unwrap();
    let before = count(&server.database(), "audit_events");
    let base = switchboard::id::Kind::AuditEvent
        .mint(switchboard::time::Clock::now(&server.clock), &switchboard_vault::SystemEntropy);
    // Ids after all that are there, a hundred of one millisecond.
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {EVENTS})
         INSERT INTO audit_events (id, project_id, at, actor, action, object, outcome)
         SELECT '{}' || printf('%05d', 10000 + i / 100) || printf('%011d', i), 'pr_' || (i % 7), i, 'cli', 'a.b', 'c', 'ok' FROM n",
        &base[..8].replace(&base[7..8], "z")
    );
    Connection::open(server.database()).unwrap().execute_batch(&sql).unwrap();
    let started = std::time::Instant::now();
    assert_eq!(server.app.audit_log.seal_all().await.unwrap(), EVENTS);
    let sealed = started.elapsed();
    let report = check(&server.app).await;
    assert!(report.intact, "{:?}", report.findings);
    assert_eq!(report.sealed_events, EVENTS + before);
    assert!(report.segments > EVENTS / 1_000, "{}", report.segments);
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "sealed after {sealed:?}, checked after {:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_id_of_the_audit_log_is_ours_and_the_callers_stands_beside() {
    let server = TestServer::start().await;
    let body = serde_json::json!({ "user_id": "user-1" });
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let headers = [("x-request-id", "anothers-request"), ("content-type", "application/json")];
        let reply = server.api.call_with("POST", "/tool_router/session", &headers, body.to_string()).await;
        assert_eq!(reply.header("x-request-id"), Some("anothers-request"));
        sessions.push(reply.expect(201)["session_id"].as_str().unwrap().to_owned());
    }
    let mut own = std::collections::BTreeSet::new();
    for session in &sessions {
        let events = server.app.core.store.audit_events(&server.project_id, session).await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].caller_request_id.as_deref(), Some("anothers-request"));
        own.insert(events[0].request_id.clone().unwrap());
    }
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|id| switchboard::id::Kind::Request.admits(id)), "{own:?}");
    // Where the caller sent none, or a harmful one, there is ours alone.
    let made = server.api.session("user-1", "sandbox").await;
    let events = server.app.core.store.audit_events(&server.project_id, &made).await.unwrap();
    assert_eq!(events[0].caller_request_id, None);
}
