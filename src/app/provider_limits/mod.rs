//! Limits of providers: how many calls an account may make at a host, as the provider's answers say. Calls wait here for
//! their turn instead of being refused there.
//!
//! Nothing is limited until a provider says so: in the headers of an answer (`headers.rs`), or by refusing a call. What it
//! says is kept per account, host and *budget* (`budget.rs`), because many providers have several: searches have another
//! one than reads. Which budget a call uses is known once a call of the same kind was answered: of the same tool, or with
//! the same beginning of its path.
//!
//! Calls of one account wait in a queue that takes one of each session in turn (`queue.rs`), for at most [`MAX_WAIT`] and
//! not beyond the call's own deadline. One that would wait longer is refused at once, with the time after which it can be
//! made. A tool counts for as many calls as its file says (`weight`).
//!
//! All of it is in memory, for as many accounts as are in use ([`CAPACITY`]), and each server counts for itself. Only a
//! pause that a provider asks for is stored, when it begins, so that a restart keeps it. A call to an account without a
//! known limit costs a look at a counter, and the answer a look at its headers.

mod budget;
mod headers;
mod host;
mod pauses;
mod queue;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::app::base::core::Core;
use crate::error::{Code, Error, Result};

use budget::Next;
pub use budget::Turn;
pub use headers::LimitReport;
use host::Host;

/// Longest time that a call waits for its turn.
pub const MAX_WAIT: Duration = Duration::from_secs(5);
/// Hosts of accounts that are remembered; of more, the one that was used longest ago is forgotten.
const CAPACITY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(8_191);

/// Whose limit a call counts for.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The account, or the toolkit for a call without one.
    pub account: &'a str,
    /// Host of the request.
    pub host: &'a str,
    /// A number for what is called ([`ProviderLimits::kind`]).
    pub kind: u64,
    /// How many calls it counts for.
    pub weight: u32,
}

/// What providers have said about limits.
pub struct ProviderLimits {
    core: Arc<Core>,
    hasher: RandomState,
    hosts: Mutex<LruCache<u64, Arc<Host>>>,
    /// Number of hosts, so that a call need not take the lock while there are none.
    known: AtomicUsize,
}

crate::redacted_debug!(ProviderLimits);

impl ProviderLimits {
    /// Knows no limits.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            hasher: RandomState::new(),
            hosts: Mutex::new(LruCache::new(CAPACITY)),
            known: AtomicUsize::new(0),
        }
    }

    /// Waits until a call may be sent. `session` is in whose queue it waits.
    ///
    /// # Errors
    /// It would wait for too long. The error says after how many seconds it can be made.
    pub async fn turn(&self, caller: Caller<'_>, session: &str, deadline: Instant) -> Result<Turn> {
        if self.known.load(Ordering::Relaxed) == 0 {
            return Ok(Turn::default());
        }
        let Some(host) = self.lock().get(&self.key(caller)).cloned() else { return Ok(Turn::default()) };
        let Some(budget) = host.budget_of(caller.kind) else { return Ok(Turn::default()) };
        let until = deadline.min(Instant::now() + MAX_WAIT);
        let waiting = match budget.take(caller.weight, session, until) {
            Next::Send(turn) => return Ok(turn),
            Next::Refuse(pause) => return Err(refused(pause)),
            Next::Queue(waiting) => waiting,
        };
        self.core.tasks.spawn(Arc::clone(&budget).give_turns());
        waiting.until(until).await.ok_or_else(|| refused(budget.pause(caller.weight)))
    }

    /// Learns from an answer.
    pub fn learn(&self, caller: Caller<'_>, report: LimitReport) {
        let known = self.known.load(Ordering::Relaxed) > 0;
        if !report.matters() && !known {
            return;
        }
        let mut hosts = self.lock();
        let key = self.key(caller);
        let host = match hosts.get(&key) {
            Some(host) => Arc::clone(host),
            None if report.matters() => {
                let host = Arc::new(Host::default());
                hosts.put(key, Arc::clone(&host));
                self.known.store(hosts.len(), Ordering::Relaxed);
                host
            }
            None => return,
        };
        drop(hosts);
        if let Some(until) = host.learn(caller.kind, report) {
            self.store_pause(caller, &host, until);
        }
    }

    /// A number for what is called: a tool, or else the beginning of a path.
    pub fn kind(&self, tool: Option<&str>, path: &str) -> u64 {
        let first = path.trim_start_matches('/').split('/').next();
        self.hasher.hash_one(tool.or(first))
    }

    fn key(&self, caller: Caller<'_>) -> u64 {
        self.hasher.hash_one((caller.account, caller.host))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<u64, Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error for a call that is not sent.
fn refused(pause: Duration) -> Error {
    // In whole seconds, and not too early.
    let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
    let seconds = seconds.max(1);
    Error::of(Code::ProviderLimitReached, &[("seconds", &seconds)]).retry_after(seconds)
}
