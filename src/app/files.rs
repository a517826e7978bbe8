//! Work on files, on threads that are there from the start: disks may be slow, and the runtime's own
//! threads for such work panic when the system gives none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

/// What may be slow at once; the rest waits.
const THREADS: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub struct Files(mpsc::Sender<Work>);

impl Files {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start() -> io::Result<Self> {
        let (give, work) = mpsc::channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..THREADS {
            let work = Arc::clone(&work);
            thread::Builder::new().name("files".to_owned()).spawn(move || work_off(&work))?;
        }
        Ok(Self(give))
    }

    /// Does something on one of the threads.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (answer, done) = oneshot::channel();
        let given = self.0.send(Box::new(move || {
            // Whoever asked may have gone.
            let _ = answer.send(work());
        }));
        given.map_err(|_| io::Error::other("there is no thread for files"))?;
        done.await.map_err(|_| io::Error::other("work on files panicked"))
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
        let files = Files::start().unwrap();
        for _ in 0..2 * THREADS {
            assert!(files.run(|| panic!("on a thread")).await.is_err());
        }
        assert_eq!(files.run(|| 7).await.unwrap(), 7);
    }
}
