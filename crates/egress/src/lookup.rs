//! Names become addresses by the system's resolver, on threads of our own: tokio's would panic when the
//! system gives no thread.
//!
//! A few threads are there from the start; more come while look-ups wait, and go when they have had
//! nothing to do for a while. A look-up that nobody waits for any more is not begun.
//!
//! Whoever owns a domain decides how slow its names are. So each domain has a share of the threads and
//! of the places to wait, and domains take turns. A share is a seventh of what all of them leave free: one
//! domain alone gets an eighth of the whole, and thirty together still leave something for the next one.
//! A domain of which nothing runs gets the next thread that is free.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Threads that stay.
const FEW: usize = 2;
/// Threads at most: so many names can be slow at once, 32 of them of one domain.
const MOST: usize = 256;
/// Names that may wait for a thread, 128 of them of one domain.
const WAITING: usize = 1_024;
/// How many times a domain's share must still be free.
const LEFT_FREE: usize = 7;
/// How long a thread stays without work.
const IDLE: Duration = Duration::from_secs(10);
/// Words under a country's code that registries sell names below: `example.co.uk` is a domain, `co.uk` is
/// none. A word that is missing here puts the names below it together; one too many splits a domain.
const REGISTRIES: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

type Answer = io::Result<Vec<SocketAddr>>;

/// The threads' common state.
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    resolve: Box<dyn Fn(&str) -> Answer + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Those of which something runs or waits.
    domains: HashMap<String, Domain>,
    /// Those of which something waits, each once, the next one first.
    turns: VecDeque<String>,
    /// Names that wait, of all domains.
    waiting: usize,
    /// Names that are being looked up, of all domains.
    running: usize,
    threads: usize,
    idle: usize,
    is_over: bool,
}

#[derive(Default)]
struct Domain {
    waiting: VecDeque<Job>,
    running: usize,
}

/// A name, and who waits for its addresses.
struct Job {
    name: String,
    callers: Vec<oneshot::Sender<Answer>>,
}

/// Whoever looks names up. Ends the threads when it goes.
pub(crate) struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.work.notify_all();
    }
}

impl Owner {
    /// Starts the few threads.
    pub(crate) fn system() -> Self {
        Self::with(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    fn with(resolve: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Shared { state: Mutex::default(), work: Condvar::new(), resolve: Box::new(resolve) };
        let owner = Self(Arc::new(shared));
        for _ in 0..FEW {
            // Where there is none now, a look-up tries again.
            let _ = owner.0.start_thread(&mut owner.0.state());
        }
        owner
    }

    /// The addresses of a name. Fails at once as [`io::ErrorKind::TimedOut`] where its domain has too many
    /// names that wait: none of them would be found in time.
    pub(crate) async fn look_up(&self, name: String) -> Answer {
        self.0.enqueue(name)?.await.map_err(|_| io::Error::other("the look-up was given up"))?
    }
}

impl Shared {
    fn enqueue(self: &Arc<Self>, name: String) -> io::Result<oneshot::Receiver<Answer>> {
        let mut state = self.state();
        // Whoever has a thread waits for it; nobody waits for none.
        if state.threads == 0 {
            self.start_thread(&mut state)?;
        }
        let (caller, asked) = oneshot::channel();
        if !state.push(name, caller) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "too many names of this domain wait"));
        }
        self.call_thread(&mut state);
        Ok(asked)
    }

    /// Wakes or starts a thread if there is something to do. Each thread that takes something calls the
    /// next one, so one is enough here.
    fn call_thread(self: &Arc<Self>, state: &mut State) {
        if state.next().is_none() {
            return;
        }
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.threads < MOST {
            // Without another thread, those that are there get to it in turn.
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
    /// Whether the name may wait for its turn. One that waits already is looked up once for all who ask.
    fn push(&mut self, name: String, caller: oneshot::Sender<Answer>) -> bool {
        let key = domain_of(&name);
        let of_domain = self.domains.get_mut(&key).map(|domain| &mut domain.waiting);
        if let Some(job) = of_domain.into_iter().flatten().find(|job| job.name == name) {
            job.callers.push(caller);
            return true;
        }
        let own = self.domains.get(&key).map_or(0, |domain| domain.waiting.len());
        if own >= WAITING.saturating_sub(self.waiting) / LEFT_FREE && !self.has_thread_for_new(&key) {
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

    /// Whether a domain with nothing to do so far will get a thread at once, whatever else waits.
    fn has_thread_for_new(&self, key: &str) -> bool {
        let others_first = self.turns.iter().filter(|key| self.runs(key) == 0).count();
        !self.domains.contains_key(key) && self.running + others_first < MOST
    }

    fn runs(&self, key: &str) -> usize {
        self.domains.get(key).map_or(0, |domain| domain.running)
    }

    /// Which of the turns is next: the first one's whose domain may have another thread.
    fn next(&self) -> Option<usize> {
        let share = MOST.saturating_sub(self.running) / LEFT_FREE;
        self.turns.iter().position(|key| self.runs(key) < share.max(1))
    }

    /// The next name. Its domain comes last then.
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
    /// Looks the name up and tells all who still wait.
    fn run(self, resolve: &dyn Fn(&str) -> Answer) {
        if self.callers.iter().all(oneshot::Sender::is_closed) {
            return;
        }
        // A panic ends one look-up; its callers are told, and the domain gets its thread back.
        let found = catch_unwind(AssertUnwindSafe(|| resolve(&self.name)))
            .unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")));
        for caller in self.callers {
            let answer =
                found.as_ref().map(Clone::clone).map_err(|error| io::Error::new(error.kind(), error.to_string()));
            // Whoever asked may have gone meanwhile.
            let _ = caller.send(answer);
        }
    }
}

fn work(shared: &Arc<Shared>) {
    let mut state = shared.state();
    while !state.is_over {
        if let Some((key, job)) = state.take() {
            shared.call_thread(&mut state);
            drop(state);
            job.run(&*shared.resolve);
            state = shared.state();
            state.finished(&key);
            continue;
        }
        state.idle += 1;
        let (woken, waited) = shared.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.next().is_none() && state.threads > FEW {
            break;
        }
    }
    state.threads -= 1;
}

/// The domain that a name is of: as a rule its last two labels. Whoever answers for it answers for the
/// name, too.
fn domain_of(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = name.rsplit('.').take(3).collect();
    let length = match labels[..] {
        [country, word, _] if country.len() == 2 && REGISTRIES.contains(&word) => 3,
        _ => 2,
    };
    let start = labels.iter().take(length).map(|label| label.len() + 1).sum::<usize>() - 1;
    name[name.len() - start..].to_owned()
}

#[cfg(test)]
mod tests;
