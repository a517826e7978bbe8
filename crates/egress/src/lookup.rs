//! Names become addresses by the system's resolver, on threads of our own: tokio's would panic when the
//! system gives no thread.
//!
//! A few threads are there from the start; more come while look-ups wait, and go when they have had
//! nothing to do for a while. A look-up that nobody waits for any more is not begun.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Threads that stay.
const FEW: usize = 2;
/// Threads at most: so many names can be slow at once.
const MOST: usize = 256;
/// Look-ups that may wait for a thread.
const WAITING: usize = 1_024;
/// How long a thread stays without work.
const IDLE: Duration = Duration::from_secs(10);

type Answer = io::Result<Vec<SocketAddr>>;

/// The threads, shared by clones.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    resolve: fn(&str) -> Answer,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(String, oneshot::Sender<Answer>)>,
    threads: usize,
    idle: usize,
    is_over: bool,
}

/// Ends the threads when the last user has gone.
pub(crate) struct Owner(Resolver);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.0.state().is_over = true;
        self.0.0.work.notify_all();
    }
}

impl Owner {
    /// Starts the few threads.
    pub(crate) fn system() -> Self {
        Self::with(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    fn with(resolve: fn(&str) -> Answer) -> Self {
        let shared = Shared { state: Mutex::default(), work: Condvar::new(), resolve };
        let resolver = Resolver(Arc::new(shared));
        for _ in 0..FEW {
            // Where there is none now, a look-up tries again.
            let _ = resolver.start_thread(&mut resolver.0.state());
        }
        Self(resolver)
    }

    /// The addresses of a name.
    pub(crate) async fn look_up(&self, name: String) -> Answer {
        self.0.enqueue(name)?.await.map_err(|_| io::Error::other("the look-up was given up"))?
    }
}

impl Resolver {
    fn enqueue(&self, name: String) -> io::Result<oneshot::Receiver<Answer>> {
        let mut state = self.0.state();
        if state.waiting.len() >= WAITING {
            return Err(io::Error::other("too many names are being looked up"));
        }
        if state.idle <= state.waiting.len() && state.threads < MOST {
            let started = self.start_thread(&mut state);
            // Whoever has a thread waits for it; nobody waits for none.
            if state.threads == 0 {
                started?;
            }
        }
        let (answer, asked) = oneshot::channel();
        state.waiting.push_back((name, answer));
        drop(state);
        self.0.work.notify_one();
        Ok(asked)
    }

    fn start_thread(&self, state: &mut State) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("lookup".to_owned()).spawn(move || work(&shared))?;
        state.threads += 1;
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if state.is_over {
            state.threads -= 1;
            return;
        }
        if let Some((name, answer)) = state.waiting.pop_front() {
            drop(state);
            if !answer.is_closed() {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send((shared.resolve)(&name));
            }
            state = shared.state();
            continue;
        }
        state.idle += 1;
        let (woken, waited) = shared.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if waited.timed_out() && state.waiting.is_empty() && state.threads > FEW {
            state.threads -= 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slow_names_hold_up_no_other() {
        let owner = Arc::new(Owner::with(|name| {
            if name == "slow" {
                thread::sleep(Duration::from_secs(20));
            }
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
        }));
        for _ in 0..20 {
            let owner = Arc::clone(&owner);
            tokio::spawn(async move { owner.look_up("slow".to_owned()).await });
        }
        tokio::task::yield_now().await;
        let quick = tokio::time::timeout(Duration::from_secs(10), owner.look_up("quick".to_owned())).await;
        assert_eq!(quick.unwrap().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn names_are_resolved_and_failures_told() {
        let owner = Owner::system();
        assert!(!owner.look_up("localhost".to_owned()).await.unwrap().is_empty());
        assert!(owner.look_up("no such name".to_owned()).await.is_err());
    }
}
