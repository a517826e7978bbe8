//! A worker with a kind of job that does what its key says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use switchboard_catalog::{Catalog, Folders, PlainHttp};
use switchboard_store::jobs::{JobCounts, JobKind, NewJob};
use switchboard_store::{Store, meta};
use switchboard_types::Timestamp;
use switchboard_vault::{KeyRing, SystemEntropy};
use tokio::sync::Notify;

use super::*;
use crate::app::base::account_locks::AccountLocks;
use crate::app::base::catalog::CurrentCatalog;
use crate::app::base::connection_waiters::ConnectionWaiters;
use crate::app::base::threads::Threads;
use crate::app::credential::Credentials;
use crate::app::project::Projects;
use crate::app::project::keys::Keys;
use crate::app::queue::Policy;
use crate::config::Layer;
use crate::time::{Clock, DAY, millis};

const LEASE: Duration = Duration::from_secs(6);

/// A clock that a test sets.
#[derive(Clone, Default)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A kind of job.
struct Scripted {
    core: Arc<Core>,
    clock: SetClock,
    wake: Notify,
}

impl QueuedJob for Scripted {
    const KIND: JobKind = JobKind::Revocation;
    const POLICY: Policy = Policy {
        max_concurrent: 3,
        max_concurrent_per_lane: 2,
        lease: Duration::from_secs(6),
        initial_backoff: Duration::from_secs(4),
        max_backoff: Duration::from_mins(1),
        deadline: Duration::from_hours(24),
    };
    type Held = ();

    fn wake(&self) -> &Notify {
        &self.wake
    }

    async fn run(&self, job: &LeasedJob<'_>, (): &mut ()) -> Result<Outcome> {
        let unit = Unit::new().with(meta::put("outcome", job.key().as_bytes().to_vec()));
        match job.key() {
            "unreadable" => Err(Error::new(Code::Internal, "no such row")),
            key if key.starts_with("endless") => std::future::pending().await,
            "overtaken" => {
                // This server stands still until another one has taken the job.
                self.clock.0.fetch_add(millis(LEASE), Ordering::SeqCst);
                let now = self.clock.now();
                let due = self.core.store.due_jobs(Self::KIND, now, &[], 1).await?;
                let (statement, _) = jobs::lease(&due[0], now, now + LEASE);
                self.core.store.apply(Unit::new().with(statement)).await?;
                Ok(Outcome::Done(unit))
            }
            "failing" => match job.retry("no answer", None) {
                Some(retry) => Ok(Outcome::Retry(retry, unit)),
                None => Ok(Outcome::Done(Unit::new())),
            },
            _ => Ok(Outcome::Done(unit)),
        }
    }
}

fn core(folder: &Path, clock: &SetClock) -> Arc<Core> {
    let own = Layer { data_dir: Some(folder.to_owned()), ..Layer::default() };
    let settings = own.overlay(Layer::defaults().unwrap()).check().unwrap().settings;
    Arc::new(Core {
        store: Store::open(&folder.join("switchboard.db")).unwrap(),
        catalog: CurrentCatalog::new(Catalog::builtin(), Folders::open(&[], PlainHttp::default()).unwrap()),
        settings,
        builtins: BTreeMap::new(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SystemEntropy),
        files: Threads::start("files", 1).unwrap(),
        tasks: tokio_util::task::TaskTracker::new(),
        account_locks: AccountLocks::default(),
        connection_waiters: ConnectionWaiters::default(),
        metrics: Arc::default(),
        ready_at: AtomicI64::new(0),
        stopping: CancellationToken::new(),
    })
}

/// A worker on a database of its own.
struct World {
    core: Arc<Core>,
    clock: SetClock,
    worker: Worker<Scripted>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::default();
        let core = core(folder.path(), &clock);
        let projects = Arc::new(Projects::new(Arc::clone(&core), Arc::new(Keys::new(Arc::clone(&core)))));
        let ring = KeyRing::ephemeral(Arc::new(SystemEntropy));
        let credentials = Arc::new(Credentials::new(Arc::clone(&core), projects, ring));
        let spool = Arc::new(Spool::new(Arc::clone(&core), credentials, folder.path().join("spool")));
        let job = Arc::new(Scripted { core: Arc::clone(&core), clock: clock.clone(), wake: Notify::new() });
        Self { worker: Worker::new(Arc::clone(&core), spool, job), core, clock, _folder: folder }
    }

    async fn add(&self, key: &str, lane: &str) {
        let kind = JobKind::Revocation;
        let job =
            NewJob { kind, key, project: &"pr_1".into(), lane, run_at: self.clock.now(), created_at: Timestamp::EPOCH };
        self.core.store.apply(Unit::new().with(jobs::insert(&job))).await.unwrap();
    }

    async fn start(&mut self) -> usize {
        self.worker.start_due(&CancellationToken::new()).await.unwrap()
    }

    /// Starts what is due, and waits until all runs have ended.
    async fn run(&mut self) {
        self.start().await;
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    async fn counts(&self) -> (i64, i64, i64) {
        let counts = self.core.store.job_counts(JobKind::Revocation, self.clock.now()).await.unwrap();
        let JobCounts { waiting, due, leased, .. } = counts;
        (waiting, due, leased)
    }

    /// Number of runs and last failure of the only job.
    async fn failure(&self) -> (i64, String) {
        let failed = self.core.store.failed_jobs(JobKind::Revocation, 2).await.unwrap();
        assert_eq!(failed.len(), 1, "{failed:?}");
        (failed[0].tries, failed[0].detail.clone())
    }

    async fn outcome(&self) -> Option<Vec<u8>> {
        self.core.store.meta("outcome").await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_done_is_deleted_with_its_outcome_stored() {
    let mut world = World::new();
    world.add("simple", "a").await;
    world.run().await;
    assert_eq!((world.outcome().await.as_deref(), world.counts().await), (Some(&b"simple"[..]), (0, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_waits_and_is_given_up_at_its_deadline() {
    let mut world = World::new();
    world.add("failing", "a").await;
    world.run().await;
    assert_eq!(world.counts().await, (1, 0, 0));
    assert_eq!(world.failure().await, (1, "no answer".to_owned()));
    assert!(world.outcome().await.is_some(), "what the run achieved is stored");
    world.clock.0.store(millis(DAY), Ordering::SeqCst);
    world.run().await;
    assert_eq!(world.counts().await, (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_run_here_is_never_given_up() {
    let mut world = World::new();
    world.add("unreadable", "a").await;
    for tries in 1..=2 {
        world.clock.0.fetch_add(millis(DAY), Ordering::SeqCst);
        world.run().await;
        assert_eq!((world.counts().await, world.failure().await), ((1, 0, 0), (tries, "no such row".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_end_is_aborted_before_its_lease_ends() {
    let mut world = World::new();
    world.add("endless", "a").await;
    world.run().await;
    assert_eq!(world.counts().await, (1, 0, 0));
    assert_eq!(world.failure().await, (1, "The run took longer than its lease".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_job_another_one_has_stores_nothing() {
    let mut world = World::new();
    world.add("overtaken", "a").await;
    world.run().await;
    assert_eq!((world.outcome().await, world.counts().await), (None, (0, 0, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_leaves_room_for_others_within_the_limit_of_all() {
    let mut world = World::new();
    for number in 0..40 {
        world.add(&format!("endless-{number}"), "slow").await;
    }
    world.clock.0.store(1, Ordering::SeqCst);
    for key in ["endless-first", "endless-second"] {
        world.add(key, "other").await;
    }
    assert_eq!(world.start().await, 3, "two of the slow lane, and the third of all");
    assert_eq!(world.counts().await, (0, 39, 3));
    let others = world
        .core
        .store
        .due_jobs(JobKind::Revocation, Timestamp::from_millis(1), &["slow".to_owned()], 10)
        .await
        .unwrap();
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(world.start().await, 0, "there is no room");
}
