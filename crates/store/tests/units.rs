//! A unit is applied atomically, alone or in a group, and an acknowledged write is visible to every reader
//! and to the next process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::path::Path;

use switchboard_store::api_keys::{self, ApiKeyRow};
use switchboard_store::audit::AuditCursor;
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::projects::{self, Project};
use switchboard_store::sessions::{self, SessionRow};
use switchboard_store::{Refusal, Store, Unit, WriteError, audit, meta, project_deletion};
use switchboard_types::{AuditAction, AuditOutcome, Scheme, Timestamp};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn project(id: &str) -> Project {
    Project { id: id.into(), name: "Name".to_owned(), settings: "{}".to_owned(), created_at: at(1), updated_at: at(1) }
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("test.db")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_unit_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(Unit::new().with(projects::insert(&project("pr_1")))).await.unwrap();
    let unit = Unit::new()
        .with(projects::insert(&project("pr_2")))
        .with(meta::put("seen", b"x".to_vec()))
        .with(projects::insert(&project("pr_1")));
    let refused = store.apply(unit).await.unwrap_err();
    assert!(matches!(refused, WriteError::Refused(Refusal::ProjectExists)), "{refused}");
    assert!(store.project(&"pr_2".into()).await.unwrap().is_none());
    assert!(store.meta("seen").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_condition_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let unit =
        Unit::new().with(meta::put("seen", b"x".to_vec())).with(api_keys::revoke(&"pr_1".into(), "key_1", at(5)));
    let refused = store.apply(unit).await.unwrap_err();
    assert!(matches!(refused, WriteError::Refused(Refusal::ApiKeyNotFound)), "{refused}");
    assert!(store.meta("seen").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_units_do_not_affect_others_in_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(Unit::new().with(projects::insert(&project("taken")))).await.unwrap();
    let writes: Vec<_> = (0..400)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let own = project(&format!("pr_{number}"));
                let mut unit = Unit::new().with(projects::insert(&own));
                if number % 3 == 0 {
                    unit.push(projects::insert(&project("taken")));
                }
                (number, store.apply(unit).await.is_ok())
            })
        })
        .collect();
    for write in writes {
        let (number, applied) = write.await.unwrap();
        assert_eq!(applied, number % 3 != 0, "unit {number}");
        // Read your own acknowledged write, on any thread.
        let found = store.project(&format!("pr_{number}").into()).await.unwrap();
        assert_eq!(found.is_some(), applied, "unit {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    first.apply(Unit::new().with(projects::insert(&project("pr_1")))).await.unwrap();
    // A second process on the same file, while the first still runs.
    let second = open(folder.path());
    assert_eq!(second.project(&"pr_1".into()).await.unwrap().unwrap().name, "Name");
    second.apply(Unit::new().with(projects::insert(&project("pr_2")))).await.unwrap();
    assert!(first.project(&"pr_2".into()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_bound_by_placeholder_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(Unit::new().with(projects::insert(&project("pr_1")))).await.unwrap();
    let event = |id: &str, object: &str| audit::AuditEvent {
        id: id.into(),
        project_id: Some("pr_1".into()),
        at: at(7),
        actor: "cli".into(),
        action: AuditAction::ProjectCreate.into(),
        object: object.into(),
        outcome: AuditOutcome::Ok.into(),
        request_id: None,
        caller_request_id: None,
        detail: None,
    };
    let unit = Unit::new().with(audit::insert(event("evt_1", "pr_1"))).with(audit::insert(event("evt_2", "other")));
    store.apply(unit).await.unwrap();
    let found = store.audit_events(&"pr_1".into(), "pr_1").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].at.as_millis(), found[0].request_id.as_deref()), ("evt_1", 7, None));
    let unit = Unit::new().with(audit::insert(event("evt_3", "pr_1"))).with(audit::insert(event("evt_4", "pr_1")));
    store.apply(unit).await.unwrap();
    let newest = store.newest_audit_events(&"pr_1".into(), "pr_1", 2).await.unwrap();
    assert_eq!(newest.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["evt_3", "evt_4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_audit_log_goes_on_from_its_place_and_reads_words_of_other_versions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let file = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    for (id, action, outcome) in
        [("evt_1", "session.create", "ok"), ("evt_2", "session.renamed", "Ok"), ("evt_3", "link.end", "Why it ended")]
    {
        let sql =
            "INSERT INTO audit_events (id, at, actor, action, object, outcome) VALUES (?1, 1, 'cli', ?2, 'b', ?3)";
        file.execute(sql, [id, action, outcome]).unwrap();
    }
    let read = async |cursor: &AuditCursor, limit| {
        let events = store.audit_events_after(cursor, limit).await.unwrap();
        events.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    let mut cursor = AuditCursor::default();
    let events = store.audit_events_after(&cursor, 2).await.unwrap();
    let words: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.outcome.as_str())).collect();
    assert_eq!(words, [("session.create", "ok"), ("session.renamed", "Ok")]);
    let known: Vec<_> = events.iter().map(|event| (event.action.known(), event.outcome.known())).collect();
    assert_eq!(known, [(Some(AuditAction::SessionCreate), Some(AuditOutcome::Ok)), (None, None)]);
    cursor.pass(&events[0]);
    assert_eq!(read(&cursor, 1).await, ["evt_2"]);
    cursor.pass(&events[1]);
    assert_eq!(read(&cursor, 10).await, ["evt_3"]);
    assert_eq!(read(&AuditCursor::at("evt_2").until("evt_3"), 10).await, ["evt_2"]);
    assert_eq!(read(&AuditCursor::at("evt_4"), 10).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_events_of_an_object_are_found_in_order_also_those_of_the_millisecond_in_which_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (object, other) = ("ca_00VbK14Tkaaaaaaaaaaa", "ca_00VbK14Tkbbbbbbbbbbb");
    let ids = [
        ("evt_00VbK14Tj0", object),
        ("evt_00VbK14Tk", object),
        ("evt_00VbK14Tk0", object),
        ("evt_00VbK14Tk1", other),
        ("evt_00VbK14Tkzzzzzzzzzzz", object),
        ("evt_00VbK14Tl0", object),
        ("evt_00VbK14Tl1", other),
    ];
    for (id, object) in ids {
        let event = audit::AuditEvent {
            id: id.into(),
            project_id: Some("pr_1".into()),
            at: Timestamp::from_millis(7),
            actor: "cli".into(),
            action: AuditAction::LinkCreate.into(),
            object: object.into(),
            outcome: AuditOutcome::Ok.into(),
            request_id: None,
            caller_request_id: None,
            detail: None,
        };
        store.apply(Unit::new().with(audit::insert(event))).await.unwrap();
    }
    let of =
        |wanted: &str| -> Vec<&str> { ids.iter().filter(|(_, object)| *object == wanted).map(|(id, _)| *id).collect() };
    for wanted in [object, other] {
        let found = store.audit_events(&"pr_1".into(), wanted).await.unwrap();
        assert_eq!(found.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), of(wanted));
        for limit in 1..=5 {
            let newest = store.newest_audit_events(&"pr_1".into(), wanted, limit).await.unwrap();
            let all = of(wanted);
            let expected = &all[all.len().saturating_sub(usize::try_from(limit).unwrap())..];
            assert_eq!(newest.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), expected);
        }
        assert!(store.audit_events(&"pr_2".into(), wanted).await.unwrap().is_empty());
    }
}

#[test]
fn the_audit_log_is_append_only() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let file = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    file.execute_batch(
        "INSERT INTO audit_events (id, at, actor, action, object, outcome) VALUES ('evt_1', 1, 'cli', 'a', 'b', 'ok')",
    )
    .unwrap();
    let columns = "id, at, actor, action, object, outcome";
    let other = format!("INTO audit_events ({columns}) VALUES ('evt_1', 1, 'nobody', 'a', 'b', 'ok')");
    for statement in [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        &format!("INSERT OR REPLACE {other}"),
        &format!("REPLACE {other}"),
        &format!("INSERT {other} ON CONFLICT (id) DO UPDATE SET actor = excluded.actor"),
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events",
    ] {
        let error = file.execute_batch(statement).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    let actor: String = file.query_row("SELECT actor FROM audit_events", [], |row| row.get(0)).unwrap();
    assert_eq!(actor, "cli");
}

#[test]
fn a_newer_schema_is_refused_and_an_old_one_is_not_migrated_twice() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    drop(open(folder.path()));
    let file = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    file.execute_batch("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from_the_future')").unwrap();
    let error = Store::open(&folder.path().join("test.db")).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("schema version 9999"), "{cause}");
}

#[test]
fn a_command_does_not_migrate_under_a_running_older_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    drop(open(folder.path()));
    let open_beside = || Store::open_beside_a_server(&path).map(drop);
    let server = open(folder.path());
    open_beside().unwrap();
    drop(server);
    // A server of the previous version: it has the database open, and migrations are missing.
    let server = rusqlite::Connection::open(&path).unwrap();
    server.execute_batch("DELETE FROM schema_migrations WHERE number >= 12").unwrap();
    let error = open_beside().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("another process is using it: stop the server first"), "{cause}");
    let version: i64 = server.query_row("SELECT MAX(number) FROM schema_migrations", [], |row| row.get(0)).unwrap();
    drop(server);
    // Without another process it is migrated; here this fails because the tables already exist.
    let error = open_beside().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("cannot migrate") && version > 0, "{cause}");
}

#[test]
fn many_processes_may_open_an_empty_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let openings: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || Store::open(&path).map(drop))
        })
        .collect();
    for opening in openings {
        opening.join().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_to_a_deleted_project_or_auth_config() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (key, session, config) = (api_key("key_1"), session("trs_1"), auth_config("ac_1"));
    let add = || {
        [
            api_keys::insert(&key, [1; 32]),
            sessions::insert(&session),
            auth_configs::insert(&config),
            auth_configs::insert_first_managed(&config),
        ]
    };
    for unit in add() {
        let refused = store.apply(unit).await.unwrap_err();
        assert!(matches!(refused, WriteError::Refused(Refusal::ProjectGone)), "{refused}");
    }
    store.apply(Unit::new().with(projects::insert(&project("pr_1")))).await.unwrap();
    let [_, with_session, with_config, _] = add();
    store.apply(with_session.and(with_config)).await.unwrap();
    let again = store.apply(auth_configs::insert_first_managed(&auth_config("ac_2"))).await.unwrap_err();
    assert!(matches!(again, WriteError::Refused(Refusal::ManagedAuthConfigExists)), "{again}");
    store.apply(project_deletion::close(&"pr_1".into(), false, at(2))).await.unwrap();
    for unit in add() {
        let refused = store.apply(unit).await.unwrap_err();
        assert!(matches!(refused, WriteError::Refused(Refusal::ProjectGone)), "{refused}");
    }
    let busy = store.apply(project_deletion::mark_empty(&"pr_1".into(), at(3))).await.unwrap_err();
    assert!(matches!(busy, WriteError::Refused(Refusal::ProjectNotEmpty)), "{busy}");
    store.apply(Unit::new().with(project_deletion::end_sessions(&"pr_1".into(), at(3)))).await.unwrap();
    assert_eq!(store.apply(project_deletion::end_auth_configs(&"pr_1".into(), at(3))).await.unwrap(), [0, 0, 1]);
    store.apply(project_deletion::mark_empty(&"pr_1".into(), at(3))).await.unwrap();
}

fn api_key(id: &str) -> ApiKeyRow {
    ApiKeyRow {
        id: id.to_owned(),
        project_id: "pr_1".into(),
        name: "n".to_owned(),
        prefix: "ak_".to_owned(),
        created_at: at(1),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        permissions: None,
        allowed_ips: None,
        session_id: None,
    }
}

fn session(id: &str) -> SessionRow {
    SessionRow {
        id: id.into(),
        project_id: "pr_1".into(),
        user_id: "u".to_owned(),
        config: "{}".to_owned(),
        config_version: 1,
        created_at: at(1),
        release_set: None,
    }
}

fn auth_config(id: &str) -> AuthConfigRow {
    AuthConfigRow {
        id: id.into(),
        project_id: "pr_1".into(),
        toolkit: "up".to_owned(),
        name: "n".to_owned(),
        scheme: Scheme::ApiKey,
        is_managed: true,
        is_enabled: true,
        is_enabled_for_tool_router: true,
        settings: "{}".to_owned(),
        credentials_sealed: None,
        shared_sealed: None,
        created_at: at(1),
        updated_at: at(1),
    }
}
