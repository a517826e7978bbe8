//! Threads for reads that may take long, with fair scheduling between projects.
//!
//! Each project has its own queue, served round-robin. A project never occupies the last thread, so that
//! another project waits for at most one read, no matter how many are queued. All threads start with the
//! store.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::{Reading, reader};
use crate::read_counts::ReadCounter;
use crate::{ReadError, background};

/// Minimum and maximum number of threads; between them, one per processor.
const THREADS: (usize, usize) = (2, 4);
/// Maximum number of queued reads per project; more are refused.
const MAX_QUEUED: usize = 512;

type Task = Box<dyn FnOnce() + Send>;

/// The thread pool. The threads stop when it is dropped.
#[derive(Debug)]
pub(super) struct Scans {
    number: u64,
    path: Arc<Path>,
    counter: Arc<ReadCounter>,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Maximum number of concurrent reads per project.
    max_concurrent: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("max_concurrent", &self.max_concurrent).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    by_project: HashMap<String, Waiting>,
    /// Projects with queued reads, each once, in the order of their turns.
    turns: VecDeque<String>,
    is_closed: bool,
    /// No read is started.
    is_held: bool,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    running: usize,
}

impl Scans {
    /// Starts the threads.
    pub(super) fn start(number: u64, path: &Path, counter: Arc<ReadCounter>) -> std::io::Result<Self> {
        let threads = thread::available_parallelism().map_or(THREADS.0, usize::from).clamp(THREADS.0, THREADS.1);
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), max_concurrent: threads - 1 });
        let scans = Self { number, path: Arc::from(path), counter, shared: Arc::clone(&shared) };
        for index in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("store-scan-{index}")).spawn(move || {
                background::give_way();
                shared.work();
            })?;
        }
        Ok(scans)
    }

    /// For holding back reads.
    pub(super) fn holder(&self) -> Holder {
        Holder(Arc::clone(&self.shared))
    }

    /// Queues a read and waits for its result. It is skipped if its caller is gone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        project: &str,
        read: impl FnOnce(&Reading<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (answer, outcome) = oneshot::channel();
        let (number, path, counter) = (self.number, Arc::clone(&self.path), Arc::clone(&self.counter));
        let task: Task = Box::new(move || {
            if !answer.is_closed() {
                // If the caller is gone, nothing needs the result.
                let _ = answer.send(reader::with(number, &path, &counter, read));
            }
        });
        self.shared.push(project, task)?;
        outcome.await.unwrap_or_else(|_| Err(ReadError::Unavailable("the read was aborted".to_owned())))
    }
}

/// Holds back reads, so that those that are running end without others beside them.
#[derive(Debug)]
pub(super) struct Holder(Arc<Shared>);

impl Holder {
    /// No read is started until the result is dropped.
    pub(super) fn hold(&self) -> Held<'_> {
        self.0.lock().is_held = true;
        Held(&self.0)
    }
}

/// Reads wait while this exists.
#[derive(Debug)]
pub(super) struct Held<'a>(&'a Shared);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.lock().is_held = false;
        self.0.changed.notify_all();
    }
}

impl Drop for Scans {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn push(&self, project: &str, task: Task) -> Result<(), ReadError> {
        let mut queue = self.lock();
        let waiting = queue.by_project.entry(project.to_owned()).or_default();
        if waiting.tasks.len() >= MAX_QUEUED {
            return Err(ReadError::Busy);
        }
        waiting.tasks.push_back(task);
        if waiting.tasks.len() == 1 && waiting.running < self.max_concurrent {
            queue.turns.push_back(project.to_owned());
        }
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Loop of each thread, until the store is dropped.
    fn work(&self) {
        while let Some((project, task)) = self.next() {
            // A panic ends only this read; its caller gets an error.
            if catch_unwind(AssertUnwindSafe(task)).is_err() {
                tracing::error!("a read of the database panicked");
            }
            self.finished(&project);
        }
    }

    /// Waits for the next read; `None` when the store is dropped.
    fn next(&self) -> Option<(String, Task)> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if !queue.is_held
                && let Some(taken) = queue.take(self.max_concurrent)
            {
                return Some(taken);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finished(&self, project: &str) {
        let mut queue = self.lock();
        let Some(waiting) = queue.by_project.get_mut(project) else { return };
        let was_full = waiting.running == self.max_concurrent;
        waiting.running -= 1;
        let (has_tasks, is_idle) = (!waiting.tasks.is_empty(), waiting.running == 0);
        if has_tasks && was_full {
            queue.turns.push_back(project.to_owned());
            drop(queue);
            self.changed.notify_one();
        } else if !has_tasks && is_idle {
            queue.by_project.remove(project);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes a read of the first project in line, which then moves to the end.
    fn take(&mut self, max_concurrent: usize) -> Option<(String, Task)> {
        while let Some(project) = self.turns.pop_front() {
            let Some(waiting) = self.by_project.get_mut(&project) else { continue };
            let Some(task) = waiting.tasks.pop_front() else { continue };
            waiting.running += 1;
            if !waiting.tasks.is_empty() && waiting.running < max_concurrent {
                self.turns.push_back(project.clone());
            }
            return Some((project, task));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn scans() -> (tempfile::TempDir, Scans) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        let scans = Scans::start(u64::MAX, &path, Arc::default()).unwrap();
        (folder, scans)
    }

    /// A read that blocks until the sender is dropped.
    fn blocked_read(stop: mpsc::Receiver<()>) -> impl FnOnce(&Reading<'_>) -> Result<(), ReadError> + Send {
        move |_| {
            let _ = stop.recv();
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_busy_project_leaves_a_thread_to_the_others() {
        let (_folder, scans) = scans();
        let scans = Arc::new(scans);
        let mut stops = Vec::new();
        let mut noisy = Vec::new();
        for _ in 0..20 {
            let (stop, stopped) = mpsc::channel();
            stops.push(stop);
            let scans = Arc::clone(&scans);
            noisy.push(tokio::spawn(async move { scans.run("noisy", blocked_read(stopped)).await }));
        }
        for _ in 0..3 {
            let quiet = scans.run("quiet", |reading| reading.count("SELECT 7", &[]));
            let quiet = tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("its turn came");
            assert_eq!(quiet.unwrap(), 7);
        }
        drop(stops);
        for read in noisy {
            read.await.unwrap().unwrap();
        }
        // The last result is sent a moment before its thread has finished.
        while !scans.shared.lock().by_project.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_ends_only_one_read() {
        let (_folder, scans) = scans();
        for _ in 0..10 {
            let ended = scans.run("a", |_| -> Result<(), ReadError> { panic!("in a test") }).await;
            assert!(matches!(ended, Err(ReadError::Unavailable(_))));
        }
        assert_eq!(scans.run("a", |reading| reading.count("SELECT 7", &[])).await.unwrap(), 7);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reads_beyond_the_queue_limit_are_refused_and_the_others_still_run() {
        let (_folder, scans) = scans();
        let scans = Arc::new(scans);
        let max = scans.shared.max_concurrent;
        let (mut reads, mut stops) = (Vec::new(), Vec::new());
        for _ in 0..=max + MAX_QUEUED {
            let (stop, stopped) = mpsc::channel();
            stops.push(stop);
            let pool = Arc::clone(&scans);
            reads.push(tokio::spawn(async move { pool.run("a", blocked_read(stopped)).await }));
            // Start all reads that may run before queueing more.
            while reads.len() <= max
                && scans.shared.lock().by_project.get("a").is_none_or(|waiting| waiting.running < reads.len())
            {
                tokio::task::yield_now().await;
            }
        }
        // One read too many: it is refused at once while all others are blocked.
        while !reads.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        assert_eq!(scans.run("b", |reading| reading.count("SELECT 7", &[])).await.unwrap(), 7);
        drop(stops);
        let mut refused = 0;
        for read in reads {
            match read.await.unwrap() {
                Ok(()) => {}
                Err(ReadError::Busy) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(refused, 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn reads_give_way_to_the_threads_that_serve_requests() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let (_folder, scans) = scans();
        let of_server = priority();
        let of_reads = scans.run("a", move |_| Ok(priority())).await.unwrap();
        assert_eq!(of_reads, (of_server + background::NICENESS).min(19));
        assert_eq!(priority(), of_server);
    }
}
