//! The runtime of the background jobs: one thread with a lower priority than those that serve requests.
//!
//! A wave of due refreshes comes in bursts: one commit answers dozens of them, which are then all ready at once. On the
//! threads of the requests, every request would wait for the whole burst. Here it runs beside them, one after the other,
//! gives way when the processors are busy, and its writes wait for those of requests.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// The runtime. What runs on it is aborted when this is dropped.
#[derive(Debug)]
pub(super) struct Background {
    handle: Handle,
    /// Present until this is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts the thread, which calls `enter` first.
    ///
    /// # Errors
    /// The system cannot create it.
    pub(super) fn start(enter: fn()) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("background").enable_all().on_thread_start(enter);
        let runtime = builder.build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Runs a future there, with all tasks that it starts.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(work)
    }
}

impl Drop for Background {
    /// A runtime cannot wait for its threads within another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
