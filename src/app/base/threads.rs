//! Work that takes a thread for a while, on threads that are there from the start: files, since disks may be
//! slow, and large texts. The runtime's own threads for such work panic when the system gives none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::{io, thread};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub struct Threads(mpsc::Sender<Work>);

impl Threads {
    /// Starts `count` threads: so much may be under way at once, the rest waits its turn.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(name: &str, count: usize) -> io::Result<Self> {
        let (give, work) = mpsc::channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..count {
            let work = Arc::clone(&work);
            thread::Builder::new().name(name.to_owned()).spawn(move || work_off(&work))?;
        }
        Ok(Self(give))
    }

    /// Does something on one of the threads, unless the caller has gone by then.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (answer, done) = oneshot::channel();
        let given = self.0.send(Box::new(move || {
            if !answer.is_closed() {
                // The caller may have gone meanwhile.
                let _ = answer.send(work());
            }
        }));
        given.map_err(|_| io::Error::other("there is no thread for it"))?;
        done.await.map_err(|_| io::Error::other("work on another thread panicked"))
    }
}

fn work_off(work: &Mutex<mpsc::Receiver<Work>>) {
    loop {
        // Waits with the lock: the others wait for it instead.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        // Whoever waits for its outcome learns of a panic by the channel.
        drop(catch_unwind(AssertUnwindSafe(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_takes_no_thread_away() {
        let threads = Threads::start("test", 2).unwrap();
        for _ in 0..4 {
            assert!(threads.run(|| panic!("on a thread")).await.is_err());
        }
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
    }
}
