//! The log: a separate thread writes lines to stderr, so that a blocked or closed stderr does not
//! affect the server.
//!
//! Logging puts a finished line into a bounded queue. A line is lost and counted when the queue is
//! full, because the reader is slow or stalled, or when it cannot be written, because the reader is
//! gone or the disk is full. The log reports the number of lost lines as soon as it can be written
//! again.
//!
//! `tracing-appender` has a queue as well, but it prints with `println!` on shutdown, which blocks or
//! panics on the full or closed pipe, and it does not report losses.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Maximum queued bytes: some thousand lines. The writer may hold as many again.
const CAPACITY: usize = 1 << 20;
/// Pause between two writes, so that lines are written in batches.
const PAUSE: Duration = Duration::from_millis(2);
/// Pause before retrying a full non-blocking pipe.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(10);

/// The queue of this process, once [`start`] was called.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Lines of this process that could not be written.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

thread_local! {
    /// Whether this is the writer thread, whose reports about losses are always queued.
    static IS_WRITER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Starts the log of a server.
///
/// # Errors
/// The setting `log` is not a filter.
pub fn start(filter: &str, json: bool) -> Result<()> {
    let filter = EnvFilter::try_new(filter).context("setting log: takes a filter such as info or switchboard=debug")?;
    let queue = Queue::new(Arc::default());
    if let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() {
        // Not through `std`'s handle: a blocked writer would hold its lock.
        queue.start_writer(File::from(stderr));
    }
    let queue = QUEUE.get_or_init(|| queue);
    // At debug level, a line when a step of a request ends says how long it took.
    let steps = if filter.max_level_hint() >= Some(LevelFilter::DEBUG) { FmtSpan::CLOSE } else { FmtSpan::NONE };
    let builder = tracing_subscriber::fmt()
        .with_span_events(steps)
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .with_ansi(io::stderr().is_terminal())
        // Its own errors would be printed with `eprintln!`, which panics where stderr is closed.
        .log_internal_errors(false);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Prints a line for the operator without the log's format, through the log's thread if it runs.
pub fn print_line(line: &str) {
    match QUEUE.get() {
        Some(queue) => queue.push(format!("{line}\n").as_bytes()),
        // If stderr is closed, the line is dropped.
        None => drop(writeln!(io::stderr(), "{line}")),
    }
}

/// Waits until everything is written, up to a timeout: a stalled reader does not delay the end of the
/// process.
pub fn finish(timeout: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.finish(timeout);
    }
}

/// Lines lost since the start, for the metrics.
pub fn lost_lines() -> Counter {
    LOST.clone()
}

/// The location of a panic, and its text only if it is a literal: a formatted one may contain data.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let payload = panic.payload().downcast_ref::<&'static str>().copied();
    tracing::error!(place, payload, "panicked");
}

/// Queued lines.
#[derive(Clone, Debug)]
struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// The writer has work.
    work: Condvar,
    /// Everything is written.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Lost lines that have not been reported yet.
    lost: u64,
    /// The writer is waiting for work.
    is_idle: bool,
    is_stopping: bool,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, lines: u64) {
        self.pending().lost += lines;
        LOST.inc_by(lines);
    }
}

impl Queue {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Starts the thread. If that fails, lines are lost and counted.
    fn start_writer(&self, to: impl Write + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || run_writer(&shared, to));
        drop(started);
    }

    fn push(&self, line: &[u8]) {
        let mut pending = self.shared.pending();
        if pending.bytes.len() + line.len() > CAPACITY && !IS_WRITER.get() {
            pending.lost += 1;
            drop(pending);
            LOST.inc();
            return;
        }
        pending.bytes.extend_from_slice(line);
        let is_idle = std::mem::take(&mut pending.is_idle);
        drop(pending);
        if is_idle {
            self.shared.work.notify_one();
        }
    }

    fn finish(&self, timeout: Duration) {
        let end = Instant::now() + timeout;
        let mut pending = self.shared.pending();
        pending.is_stopping = true;
        self.shared.work.notify_one();
        while !(pending.bytes.is_empty() && pending.is_idle) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            pending = self.shared.done.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Receives the single write of a finished line. Never fails.
struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes queued lines for as long as the process lives.
fn run_writer(shared: &Shared, mut to: impl Write) {
    IS_WRITER.set(true);
    let mut batch = Vec::new();
    // Whether the last write ended inside a line.
    let mut is_partial = false;
    loop {
        let is_stopping = take(shared, &mut batch);
        if is_partial {
            batch.insert(0, b'\n');
        }
        let written = write_all(&mut to, &batch);
        if written < batch.len() {
            is_partial = if written > 0 { batch[written - 1] != b'\n' } else { is_partial };
            shared.lose(lines(&batch[written..]));
        } else {
            is_partial = false;
            report_lost_lines(shared);
        }
        if batch.capacity() > CAPACITY / 4 {
            batch = Vec::new();
        }
        if !is_stopping {
            thread::sleep(PAUSE);
        }
    }
}

/// Waits for lines and takes all of them into the empty batch. Returns whether the process is about to
/// end.
fn take(shared: &Shared, batch: &mut Vec<u8>) -> bool {
    batch.clear();
    let mut pending = shared.pending();
    while pending.bytes.is_empty() {
        pending.is_idle = true;
        shared.done.notify_all();
        pending = shared.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
    }
    pending.is_idle = false;
    std::mem::swap(&mut pending.bytes, batch);
    pending.is_stopping
}

/// Returns how many bytes could be written.
fn write_all(to: &mut impl Write, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return written,
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PIPE_PAUSE),
            Err(_) => return written,
        }
    }
    written
}

fn lines(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.split(|byte| *byte == b'\n').count() - 1).unwrap_or(u64::MAX)
}

/// Logs how many lines are missing at this place. It goes through the queue to have the log's format.
fn report_lost_lines(shared: &Shared) {
    let lost = std::mem::take(&mut shared.pending().lost);
    if lost > 0 {
        tracing::error!(lines = lost, "log lines were lost: they could not be written, or not fast enough");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A stderr that does what the test says: fails, or waits to be told.
    struct Pipe {
        outcomes: mpsc::Receiver<io::Result<()>>,
        written: Written,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.outcomes.recv().unwrap_or(Ok(()))?;
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Written = Arc<Mutex<Vec<u8>>>;

    fn queue() -> (Queue, mpsc::Sender<io::Result<()>>, Written) {
        let (tell, outcomes) = mpsc::channel();
        let written = Written::default();
        let queue = Queue::new(Arc::default());
        queue.start_writer(Pipe { outcomes, written: Arc::clone(&written) });
        (queue, tell, written)
    }

    fn text(written: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_are_written_in_order_and_all_of_them_at_the_end() {
        let (queue, tell, written) = queue();
        drop(tell);
        let mut expected = String::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            queue.push(line.as_bytes());
            expected.push_str(&line);
        }
        queue.finish(Duration::from_secs(30));
        assert_eq!(text(&written), expected);
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_nothing_else() {
        let (queue, tell, written) = queue();
        let line = [b"x".repeat(1_023), b"\n".to_vec()].concat();
        let started = Instant::now();
        // Ten times what has room: in the queue and once more in the writer's hands.
        for _ in 0..10 * CAPACITY / line.len() {
            queue.push(&line);
        }
        queue.finish(Duration::from_millis(50));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        assert!(queue.shared.pending().bytes.len() <= CAPACITY);
        let lost = queue.shared.pending().lost;
        assert!(lost >= 8 * 1_024, "{lost}");
        drop(tell);
        queue.finish(Duration::from_secs(30));
        let kept = u64::try_from(text(&written).len() / line.len()).unwrap();
        assert_eq!(kept + lost, 10 * 1_024);
    }

    #[test]
    fn a_write_that_fails_loses_its_lines_and_the_next_one_is_tried() {
        let (queue, tell, written) = queue();
        for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull, ErrorKind::FileTooLarge] {
            tell.send(Err(kind.into())).unwrap();
            queue.push(b"one\ntwo\n");
            queue.finish(Duration::from_secs(30));
        }
        assert_eq!((queue.shared.pending().lost, text(&written).as_str()), (6, ""));
        drop(tell);
        queue.push(b"three\n");
        queue.finish(Duration::from_secs(30));
        assert_eq!(text(&written), "three\n");
    }

    #[test]
    fn a_pipe_that_is_full_and_does_not_block_is_tried_again() {
        let (queue, tell, written) = queue();
        tell.send(Err(ErrorKind::WouldBlock.into())).unwrap();
        tell.send(Err(ErrorKind::Interrupted.into())).unwrap();
        drop(tell);
        queue.push(b"one\n");
        queue.finish(Duration::from_secs(30));
        assert_eq!((queue.shared.pending().lost, text(&written).as_str()), (0, "one\n"));
    }
}
