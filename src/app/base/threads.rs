//! A fixed pool of threads for blocking work: file access, which may be slow, and large texts. The runtime's
//! blocking pool panics if the system cannot create a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::{io, thread};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// The threads. They stop when this is dropped.
#[derive(Debug)]
pub struct Threads(mpsc::Sender<Work>);

impl Threads {
    /// Starts `count` threads. More work than that waits in a queue.
    ///
    /// # Errors
    /// The system cannot create a thread.
    pub fn start(name: &str, count: usize) -> io::Result<Self> {
        let (sender, work) = mpsc::channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..count {
            let work = Arc::clone(&work);
            thread::Builder::new().name(name.to_owned()).spawn(move || run_queued(&work))?;
        }
        Ok(Self(sender))
    }

    /// Runs `work` on one of the threads, unless the caller has gone by then.
    ///
    /// # Errors
    /// The work panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (answer, done) = oneshot::channel();
        let sent = self.0.send(Box::new(move || {
            if !answer.is_closed() {
                // The caller may have gone meanwhile.
                let _ = answer.send(work());
            }
        }));
        sent.map_err(|_| io::Error::other("there is no thread for it"))?;
        done.await.map_err(|_| io::Error::other("work on another thread panicked"))
    }
}

fn run_queued(work: &Mutex<mpsc::Receiver<Work>>) {
    loop {
        // Waits for work while holding the lock; the other threads wait for the lock.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        // The caller learns of a panic because its channel closes.
        drop(catch_unwind(AssertUnwindSafe(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_does_not_end_the_thread() {
        let threads = Threads::start("test", 2).unwrap();
        for _ in 0..4 {
            assert!(threads.run(|| panic!("on a thread")).await.is_err());
        }
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
    }
}
