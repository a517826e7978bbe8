//! The queue of jobs: one worker has a job at a time, a lease of a dead one runs out, and what a worker stores
//! is guarded by its fence. Revocations use it, also those that a program before it had queued.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::path::Path;

use switchboard_store::jobs::{self, JobCounts, JobKind, JobLease, JobRow, NewJob};
use switchboard_store::revocations::{self, FinishedRevocation, RevocationOutcome, RevocationRow, RevocationState};
use switchboard_store::{Refusal, Statement, Store, Unit, WriteError, meta};
use switchboard_types::{AccountParams, Scheme, Timestamp};

const KIND: JobKind = JobKind::Revocation;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("test.db")).unwrap()
}

async fn add(store: &Store, key: &str, lane: &str, run_at: i64) {
    let job = NewJob { kind: KIND, key, project: &"pr_1".into(), lane, run_at: at(run_at), created_at: at(1) };
    store.apply(Unit::new().with(jobs::insert(&job))).await.unwrap();
}

async fn due(store: &Store, now: i64) -> Vec<JobRow> {
    store.due_jobs(KIND, at(now), &[], 10).await.unwrap()
}

/// Takes a job, or says why not.
async fn take(store: &Store, job: &JobRow, now: i64, until: i64) -> Result<JobLease, Refusal> {
    let (statement, lease) = jobs::lease(job, at(now), at(until));
    refusal(store, Unit::new().with(statement)).await.map(|()| lease)
}

async fn refusal(store: &Store, unit: Unit) -> Result<(), Refusal> {
    match store.apply(unit).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_on_one_file_one_gets_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(folder.path()), open(folder.path()));
    add(&first, "rvk_1", "github", 100).await;
    assert!(due(&second, 99).await.is_empty(), "not before its time");
    let seen = (due(&first, 100).await, due(&second, 100).await);
    assert_eq!((seen.0.len(), seen.0[0].tries), (1, 0));
    assert_eq!(seen.0, seen.1);
    let taken = tokio::join!(take(&first, &seen.0[0], 100, 160), take(&second, &seen.1[0], 100, 160));
    let results = [taken.0.map(drop), taken.1.map(drop)];
    assert!(results.contains(&Ok(())) && results.contains(&Err(Refusal::JobTaken)), "{results:?}");
    assert!(due(&first, 159).await.is_empty(), "it is leased");
    // The worker died: its lease runs out.
    let again = due(&second, 160).await;
    assert_eq!((again[0].tries, again[0].fence.0), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stores_nothing_once_another_one_has_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    add(&store, "rvk_1", "github", 100).await;
    let slow = take(&store, &due(&store, 100).await[0], 100, 160).await.unwrap();
    let quick = take(&store, &due(&store, 160).await[0], 160, 220).await.unwrap();
    let with_outcome = |statement: Statement| Unit::new().with(meta::put("outcome", b"x".to_vec())).with(statement);
    for statement in [jobs::finish(&slow), jobs::reschedule(&slow, at(500), "late")] {
        assert_eq!(refusal(&store, with_outcome(statement)).await, Err(Refusal::JobLeaseLost));
    }
    assert!(store.meta("outcome").await.unwrap().is_none());
    refusal(&store, with_outcome(jobs::reschedule(&quick, at(500), "busy"))).await.unwrap();
    assert!(store.meta("outcome").await.unwrap().is_some());
    // Its lease has ended with that.
    assert_eq!(refusal(&store, with_outcome(jobs::finish(&quick))).await, Err(Refusal::JobLeaseLost));
    assert_eq!((due(&store, 499).await.len(), due(&store, 500).await[0].tries), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_lease_ran_out_stores_its_outcome_if_no_other_has_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    add(&store, "rvk_1", "github", 100).await;
    let lease = take(&store, &due(&store, 100).await[0], 100, 160).await.unwrap();
    // Another server has seen that it is due, and comes too late.
    let seen = due(&store, 200).await;
    refusal(&store, Unit::new().with(jobs::finish(&lease))).await.unwrap();
    assert_eq!(take(&store, &seen[0], 200, 260).await.map(drop), Err(Refusal::JobTaken));
    assert!(due(&store, i64::MAX).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn due_jobs_come_in_order_without_those_of_full_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (key, lane, run_at) in [("rvk_3", "a", 30), ("rvk_1", "b", 10), ("rvk_2", "c", 20), ("rvk_4", "b", 99)] {
        add(&store, key, lane, run_at).await;
    }
    let keys = async |except: &[&str], limit| {
        let except: Vec<String> = except.iter().map(ToString::to_string).collect();
        let found = store.due_jobs(KIND, at(50), &except, limit).await.unwrap();
        found.into_iter().map(|job| job.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[], 10).await, ["rvk_1", "rvk_2", "rvk_3"]);
    assert_eq!(keys(&[], 1).await, ["rvk_1"]);
    assert_eq!(keys(&["b", "a"], 10).await, ["rvk_2"]);
    let twice =
        NewJob { kind: KIND, key: "rvk_1", project: &"pr_1".into(), lane: "a", run_at: at(1), created_at: at(1) };
    assert_eq!(refusal(&store, Unit::new().with(jobs::insert(&twice))).await, Err(Refusal::JobExists));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_counted_by_state_and_failed_ones_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.job_counts(KIND, at(1)).await.unwrap(), JobCounts::default());
    for (key, run_at) in [("rvk_1", 10), ("rvk_2", 20), ("rvk_3", 30), ("rvk_4", 40), ("rvk_5", 900)] {
        add(&store, key, "github", run_at).await;
    }
    let jobs = due(&store, 50).await;
    // One run is over, one goes on, one died: its job is due since its lease ran out.
    let over = take(&store, &jobs[0], 50, 110).await.unwrap();
    store.apply(Unit::new().with(jobs::reschedule(&over, at(800), "503"))).await.unwrap();
    take(&store, &jobs[1], 50, 110).await.unwrap();
    take(&store, &jobs[2], 50, 60).await.unwrap();
    let counts = store.job_counts(KIND, at(70)).await.unwrap();
    assert_eq!(counts, JobCounts { waiting: 2, due: 2, leased: 1, oldest_due_at: Some(at(40)) });
    let failed = store.failed_jobs(KIND, 10).await.unwrap();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let job = &failed[0];
    assert_eq!(
        (job.key.as_str(), job.tries, job.next_run_at.as_millis(), job.detail.as_str()),
        ("rvk_1", 1, 800, "503")
    );
}

fn revocation(id: &str, next_try_at: i64, verification: Option<&str>) -> RevocationRow {
    RevocationRow {
        id: id.to_owned(),
        job_id: "rvj_1".to_owned(),
        project_id: "pr_1".into(),
        account_id: "ca_1".into(),
        toolkit: "github".to_owned(),
        auth_config_id: "ac_1".into(),
        scheme: Scheme::OAuth2,
        is_managed: false,
        params: AccountParams::default(),
        state: RevocationState::Pending { material: b"sealed".to_vec(), next_try_at: at(next_try_at) },
        tokens: "[]".to_owned(),
        detail: None,
        tries: 0,
        created_at: at(1),
        pending_verification_id: verification.map(str::to_owned),
    }
}

async fn next_try_at(store: &Store, id: &str) -> Option<i64> {
    match store.revocation(&"pr_1".into(), id).await.unwrap()?.state {
        RevocationState::Pending { next_try_at, .. } => Some(next_try_at.as_millis()),
        RevocationState::Finished { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_revocation_ends_its_job_and_keeps_the_number_of_tries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(revocations::insert(&revocation("rvk_1", 100, None))).await.unwrap();
    let lease = take(&store, &due(&store, 100).await[0], 100, 160).await.unwrap();
    let row = store.revocation(&"pr_1".into(), "rvk_1").await.unwrap().unwrap();
    assert_eq!((row.tries, next_try_at(&store, "rvk_1").await), (1, Some(160)), "the end of the lease");
    let unit = Unit::new().with(jobs::reschedule(&lease, at(300), "503"));
    let unit = unit.with(revocations::record_tokens(&"pr_1".into(), "rvk_1", r#"["refresh_token"]"#));
    store.apply(unit).await.unwrap();
    let row = store.revocation(&"pr_1".into(), "rvk_1").await.unwrap().unwrap();
    assert_eq!((row.tries, row.detail.as_deref(), row.tokens.as_str()), (1, Some("503"), r#"["refresh_token"]"#));
    assert_eq!(next_try_at(&store, "rvk_1").await, Some(300));
    let lease = take(&store, &due(&store, 300).await[0], 300, 360).await.unwrap();
    let finished = FinishedRevocation {
        outcome: RevocationOutcome::Revoked,
        tokens: "[]".to_owned(),
        detail: None,
        tries: 2,
        grant: None,
        at: at(301),
    };
    let unit = Unit::new().with(jobs::finish(&lease)).with(revocations::finish(&"pr_1".into(), "rvk_1", &finished));
    store.apply(unit).await.unwrap();
    let row = store.revocation(&"pr_1".into(), "rvk_1").await.unwrap().unwrap();
    assert_eq!((row.tries, row.detail), (2, None));
    assert_eq!(row.state, RevocationState::Finished { outcome: RevocationOutcome::Revoked, at: at(301) });
    assert!(due(&store, i64::MAX).await.is_empty());
}

/// A database in which a user has to choose, with the link and verification of that.
fn waiting_for_a_choice(folder: &Path) -> Store {
    let store = open(folder);
    let file = rusqlite::Connection::open(folder.join("test.db")).unwrap();
    file.execute_batch(
        "INSERT INTO verifications (id, project_id, link_id, account_id, auth_config_version, token_hash, kind, params,
           created_at, expires_at) VALUES ('vf_1', 'pr_1', 'lt_1', 'ca_1', 1, x'00', 'choice', '{}', 1, 100)",
    )
    .unwrap();
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_revocation_can_be_postponed_made_due_and_cancelled_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = waiting_for_a_choice(folder.path());
    store.apply(revocations::insert(&revocation("rvk_1", 100, Some("vf_1")))).await.unwrap();
    let seen = due(&store, 100).await;
    refusal(&store, Unit::new().with(revocations::postpone(&"pr_1".into(), "vf_1", at(200)))).await.unwrap();
    assert_eq!(take(&store, &seen[0], 100, 160).await.map(drop), Err(Refusal::JobTaken), "it was postponed meanwhile");
    store
        .apply(Unit::new().with(revocations::postpone_of_account(&"pr_1".into(), &"ca_1".into(), at(150))))
        .await
        .unwrap();
    assert_eq!(next_try_at(&store, "rvk_1").await, Some(200), "never earlier");
    store
        .apply(Unit::new().with(revocations::postpone_of_account(&"pr_1".into(), &"ca_1".into(), at(250))))
        .await
        .unwrap();
    assert_eq!(next_try_at(&store, "rvk_1").await, Some(250));

    // A second one, which is taken: nothing changes it any more.
    store.apply(revocations::insert(&revocation("rvk_2", 300, Some("vf_1")))).await.unwrap();
    store
        .apply(Unit::new().with(revocations::postpone_of_account(&"pr_1".into(), &"ca_1".into(), at(300))))
        .await
        .unwrap();
    let jobs = due(&store, 300).await;
    let taken = jobs.iter().find(|job| job.key == "rvk_2").unwrap();
    take(&store, taken, 300, 360).await.unwrap();
    store.apply(revocations::cancel_conditional(&"pr_1".into(), "vf_1")).await.unwrap();
    assert!(store.revocation(&"pr_1".into(), "rvk_1").await.unwrap().is_none());
    assert_eq!(next_try_at(&store, "rvk_2").await, Some(360));
    store.apply(revocations::cancel_conditional_of_account(&"pr_1".into(), &"ca_1".into())).await.unwrap();
    store.apply(revocations::make_unconditional(&"pr_1".into(), "vf_1", at(1))).await.unwrap();
    let row = store.revocation(&"pr_1".into(), "rvk_2").await.unwrap().unwrap();
    assert_eq!(row.pending_verification_id.as_deref(), Some("vf_1"));
    let postponed = refusal(&store, Unit::new().with(revocations::postpone(&"pr_1".into(), "vf_1", at(900)))).await;
    assert_eq!(postponed, Err(Refusal::AlreadyBeingRevoked));
    // Its worker may withdraw it.
    assert_eq!(due(&store, 360).await.len(), 1);
    let lease = take(&store, &due(&store, 360).await[0], 360, 420).await.unwrap();
    let unit = Unit::new().with(jobs::finish(&lease)).with(revocations::withdraw(&"pr_1".into(), "rvk_2"));
    store.apply(unit).await.unwrap();
    assert!(
        store.revocation(&"pr_1".into(), "rvk_2").await.unwrap().is_none() && due(&store, i64::MAX).await.is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_is_made_unconditional_is_due_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = waiting_for_a_choice(folder.path());
    store.apply(revocations::insert(&revocation("rvk_1", 900, Some("vf_1")))).await.unwrap();
    store.apply(revocations::make_unconditional(&"pr_1".into(), "vf_1", at(50))).await.unwrap();
    store.apply(revocations::cancel_conditional_of_account(&"pr_1".into(), &"ca_1".into())).await.unwrap();
    assert_eq!((next_try_at(&store, "rvk_1").await, due(&store, 50).await.len()), (Some(50), 1));
}

/// Revocations of the version before the queue: their columns said when each is tried.
#[tokio::test(flavor = "multi_thread")]
async fn pending_revocations_of_an_earlier_program_become_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    file.execute_batch("CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)").unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let mut paths: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().take_while(|path| !path.ends_with("0015_jobs.sql")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        file.execute_batch(&std::fs::read_to_string(path).unwrap()).unwrap();
        let row = (name[..4].parse::<i64>().unwrap(), &name[5..]);
        file.execute("INSERT INTO schema_migrations (number, name) VALUES (?1, ?2)", row).unwrap();
    }
    file.execute_batch(
        "INSERT INTO revocations (id, job_id, project_id, account_id, toolkit, auth_config_id, is_managed,
           material_sealed, params, outcome, tokens, detail, tries, next_try_at, created_at, finished_at, scheme)
         VALUES
           ('rvk_new', 'rvj_1', 'pr_1', 'ca_1', 'github', 'ac_1', 0, x'01', '{}', NULL, '[]', NULL, 0, 100, 90, NULL, 'OAUTH2'),
           ('rvk_tried', 'rvj_1', 'pr_1', 'ca_2', 'slack', 'ac_1', 0, x'02', '{}', NULL, '[\"refresh_token\"]', '503', 3, 200, 80, NULL, 'OAUTH2'),
           ('rvk_over', 'rvj_1', 'pr_1', 'ca_3', 'slack', 'ac_1', 0, NULL, '{}', 'failed', '[]', 'Given up', 9, 300, 70, 310, 'OAUTH2')",
    )
    .unwrap();
    drop(file);

    let store = open(folder.path());
    let jobs = due(&store, 200).await;
    let found: Vec<_> = jobs
        .iter()
        .map(|job| (job.key.as_str(), job.lane.as_str(), job.tries, job.fence.0, job.created_at.as_millis()))
        .collect();
    assert_eq!(found, [("rvk_new", "github", 0, 0, 90), ("rvk_tried", "slack", 3, 0, 80)]);
    assert!(due(&store, 99).await.is_empty());
    let row = store.revocation(&"pr_1".into(), "rvk_tried").await.unwrap().unwrap();
    assert_eq!((row.tries, row.detail.as_deref(), row.tokens.as_str()), (3, Some("503"), r#"["refresh_token"]"#));
    assert_eq!(row.state, RevocationState::Pending { material: vec![2], next_try_at: at(200) });
    let row = store.revocation(&"pr_1".into(), "rvk_over").await.unwrap().unwrap();
    assert_eq!((row.tries, row.detail.as_deref()), (9, Some("Given up")));
    assert_eq!(row.state, RevocationState::Finished { outcome: RevocationOutcome::Failed, at: at(310) });
}
