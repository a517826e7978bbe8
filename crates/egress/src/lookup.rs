//! Resolves names with the system resolver, on threads of its own: those of tokio would panic when the system
//! cannot start a thread.
//!
//! A few threads always run; more are started while look-ups wait, and stop after a while without work. A
//! look-up whose caller is gone is not started.
//!
//! The owner of a domain controls how slow its names are. Therefore each domain has a share of the threads
//! and of the queue, and domains take turns. A share is a seventh of the capacity that is left free: a single
//! domain gets an eighth of all, and thirty domains together still leave capacity for the next one. A domain
//! without a running look-up gets the next free thread.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Threads that always run.
const MIN_THREADS: usize = 2;
/// Maximum number of threads: this many names can be slow at once, 32 of one domain.
const MAX_THREADS: usize = 256;
/// Maximum number of queued names, 128 of one domain.
const MAX_QUEUED: usize = 1_024;
/// A domain may grow while the free capacity is at least this multiple of its use.
const FREE_FACTOR: usize = 7;
/// How long an idle thread lives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Labels below a country code under which registries sell names: `example.co.uk` is a domain, `co.uk` is
/// not. A missing label groups the names below it as one domain; a wrong one splits a domain.
const SECOND_LEVEL_LABELS: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

type LookupResult = io::Result<Vec<SocketAddr>>;

/// State that the threads share.
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    resolve: Box<dyn Fn(&str) -> LookupResult + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Domains with running or queued look-ups.
    domains: HashMap<String, Domain>,
    /// Domains with queued look-ups, each once, in the order of their turns.
    turns: VecDeque<String>,
    /// Number of queued names.
    waiting: usize,
    /// Number of running look-ups.
    running: usize,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

#[derive(Default)]
struct Domain {
    waiting: VecDeque<Job>,
    running: usize,
}

/// A name, and the callers that wait for its addresses.
struct Job {
    name: String,
    callers: Vec<oneshot::Sender<LookupResult>>,
}

/// The resolver's handle. Stops the threads when dropped.
pub(crate) struct LookupPool(Arc<Shared>);

impl Drop for LookupPool {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.work.notify_all();
    }
}

impl LookupPool {
    /// Starts the permanent threads.
    pub(crate) fn system() -> Self {
        Self::with(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    fn with(resolve: impl Fn(&str) -> LookupResult + Send + Sync + 'static) -> Self {
        let shared = Shared { state: Mutex::default(), work: Condvar::new(), resolve: Box::new(resolve) };
        let pool = Self(Arc::new(shared));
        for _ in 0..MIN_THREADS {
            // If no thread can be started now, a look-up tries again.
            let _ = pool.0.start_thread(&mut pool.0.state());
        }
        pool
    }

    /// The addresses of a name. Fails at once with [`io::ErrorKind::TimedOut`] if too many names of its
    /// domain are queued: none would be resolved in time.
    pub(crate) async fn look_up(&self, name: String) -> LookupResult {
        self.0.enqueue(name)?.await.map_err(|_| io::Error::other("the look-up was given up"))?
    }
}

impl Shared {
    fn enqueue(self: &Arc<Self>, name: String) -> io::Result<oneshot::Receiver<LookupResult>> {
        let mut state = self.state();
        // With a thread the caller can wait; without one it fails.
        if state.threads == 0 {
            self.start_thread(&mut state)?;
        }
        let (caller, result) = oneshot::channel();
        if !state.push(name, caller) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "too many names of this domain wait"));
        }
        self.wake_thread(&mut state);
        Ok(result)
    }

    /// Wakes or starts a thread if there is work. Each thread that takes work calls this again, so that one
    /// is enough here.
    fn wake_thread(self: &Arc<Self>, state: &mut State) {
        if state.next().is_none() {
            return;
        }
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.threads < MAX_THREADS {
            // Without another thread, the running ones get to it in turn.
            let _ = self.start_thread(state);
        }
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let shared = Arc::clone(self);
        thread::Builder::new().name("lookup".to_owned()).spawn(move || work(&shared))?;
        state.threads += 1;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Queues a name, unless its domain's queue is full. A name that is queued already is looked up once for
    /// all callers.
    fn push(&mut self, name: String, caller: oneshot::Sender<LookupResult>) -> bool {
        let key = domain_of(&name);
        let of_domain = self.domains.get_mut(&key).map(|domain| &mut domain.waiting);
        if let Some(job) = of_domain.into_iter().flatten().find(|job| job.name == name) {
            job.callers.push(caller);
            return true;
        }
        let own = self.domains.get(&key).map_or(0, |domain| domain.waiting.len());
        if own >= MAX_QUEUED.saturating_sub(self.waiting) / FREE_FACTOR && !self.can_start_new_domain(&key) {
            return false;
        }
        let domain = self.domains.entry(key.clone()).or_default();
        domain.waiting.push_back(Job { name, callers: vec![caller] });
        self.waiting += 1;
        if domain.waiting.len() == 1 {
            self.turns.push_back(key);
        }
        true
    }

    /// Whether a domain without look-ups would get a thread at once, whatever else is queued.
    fn can_start_new_domain(&self, key: &str) -> bool {
        let others_first = self.turns.iter().filter(|key| self.runs(key) == 0).count();
        !self.domains.contains_key(key) && self.running + others_first < MAX_THREADS
    }

    fn runs(&self, key: &str) -> usize {
        self.domains.get(key).map_or(0, |domain| domain.running)
    }

    /// Index of the next turn: the first domain that may use another thread.
    fn next(&self) -> Option<usize> {
        let share = MAX_THREADS.saturating_sub(self.running) / FREE_FACTOR;
        self.turns.iter().position(|key| self.runs(key) < share.max(1))
    }

    /// Takes the next name. Its domain moves to the end.
    fn take(&mut self) -> Option<(String, Job)> {
        let key = self.next().and_then(|at| self.turns.remove(at))?;
        let domain = self.domains.get_mut(&key)?;
        let job = domain.waiting.pop_front()?;
        domain.running += 1;
        self.running += 1;
        self.waiting -= 1;
        if !domain.waiting.is_empty() {
            self.turns.push_back(key.clone());
        }
        Some((key, job))
    }

    fn finished(&mut self, key: &str) {
        let Some(domain) = self.domains.get_mut(key) else { return };
        domain.running -= 1;
        self.running -= 1;
        if domain.running == 0 && domain.waiting.is_empty() {
            self.domains.remove(key);
        }
    }
}

impl Job {
    /// Resolves the name and sends the result to all callers.
    fn run(self, resolve: &dyn Fn(&str) -> LookupResult) {
        if self.callers.iter().all(oneshot::Sender::is_closed) {
            return;
        }
        // A panic ends only this look-up: its callers get an error and the domain gets its thread back.
        let found = catch_unwind(AssertUnwindSafe(|| resolve(&self.name)))
            .unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")));
        for caller in self.callers {
            let result =
                found.as_ref().map(Clone::clone).map_err(|error| io::Error::new(error.kind(), error.to_string()));
            // The caller may be gone.
            let _ = caller.send(result);
        }
    }
}

fn work(shared: &Arc<Shared>) {
    let mut state = shared.state();
    while !state.is_closed {
        if let Some((key, job)) = state.take() {
            shared.wake_thread(&mut state);
            drop(state);
            job.run(&*shared.resolve);
            state = shared.state();
            state.finished(&key);
            continue;
        }
        state.idle += 1;
        let (woken, waited) = shared.work.wait_timeout(state, IDLE_TIMEOUT).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.next().is_none() && state.threads > MIN_THREADS {
            break;
        }
    }
    state.threads -= 1;
}

/// The domain of a name, usually its last two labels: the unit that one owner controls.
fn domain_of(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = name.rsplit('.').take(3).collect();
    let length = match labels[..] {
        [country, word, _] if country.len() == 2 && SECOND_LEVEL_LABELS.contains(&word) => 3,
        _ => 2,
    };
    let start = labels.iter().take(length).map(|label| label.len() + 1).sum::<usize>() - 1;
    name[name.len() - start..].to_owned()
}

#[cfg(test)]
mod tests;
