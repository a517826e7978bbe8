//! Counts what a process writes to files, and how often it waits for the disk, by following its system calls
//! with ptrace(2). The counts are exact and independent of the load of the machine. A process may follow its
//! own children without further rights; a container that forbids ptrace(2) forbids this, too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Pause when no thread has stopped. Each one that has stopped waits up to this long.
const PAUSE: Duration = Duration::from_micros(20);
/// Timeout for all threads to be followed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// System calls of one or several threads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// Writes at a place of a file: `pwrite64`, `pwritev`, `pwritev2`. Sockets, pipes and logs are written to
    /// with other calls.
    pub writes: u64,
    /// `fsync` and `fdatasync`.
    pub syncs: u64,
}

/// System calls by the name of the thread that made them.
pub type ByThread = BTreeMap<String, Calls>;

/// The calls of all threads but those with one name.
pub fn all_but(by_thread: &ByThread, name: &str) -> Calls {
    // Linux keeps this many bytes of a thread's name.
    let name = name.get(..15).unwrap_or(name);
    let others = by_thread.iter().filter(|(thread, _)| *thread != name);
    others.fold(Calls::default(), |sum, (_, calls)| Calls {
        writes: sum.writes + calls.writes,
        syncs: sum.syncs + calls.syncs,
    })
}

/// A process that is followed, until this is finished or dropped.
#[derive(Debug)]
pub struct Follower {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<ByThread>>>,
}

impl Follower {
    /// Follows all threads of a process, present and future. It must be a child of this one.
    pub fn start(process: Pid) -> io::Result<Self> {
        let (ready, is_ready) = mpsc::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let follow = {
            let ended = Arc::clone(&ended);
            // Only the thread that began to follow may go on with it. When it ends, so does the following.
            move || Following::begin(process)?.run(&ready, &ended)
        };
        let thread = thread::Builder::new().name("follower".to_owned()).spawn(follow)?;
        let mut follower = Self { ended, thread: Some(thread) };
        match is_ready.recv_timeout(TIMEOUT) {
            Ok(()) => Ok(follower),
            Err(_) => Err(follower.end().err().unwrap_or_else(|| io::Error::other("the process cannot be followed"))),
        }
    }

    /// What the process called since the start.
    pub fn finish(mut self) -> io::Result<ByThread> {
        self.end()
    }

    fn end(&mut self) -> io::Result<ByThread> {
        self.ended.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or_else(|| io::Error::other("the process is not followed any more"))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("following the process panicked")))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Finished, or given up.
        let _ = self.end();
    }
}

/// One thread of the process.
#[derive(Default)]
struct Thread {
    name: String,
    /// Whether its next stop at a system call is the end of one.
    is_in_call: bool,
    calls: Calls,
}

/// All threads that are followed, and those that were.
struct Following {
    process: Pid,
    threads: HashMap<Pid, Thread>,
    /// Threads that have not stopped for the first time.
    awaited: HashSet<Pid>,
}

impl Following {
    /// Stops all threads that the process has.
    fn begin(process: Pid) -> io::Result<Self> {
        let mut following = Self { process, threads: HashMap::new(), awaited: HashSet::new() };
        // A thread that starts meanwhile is in the next list.
        while following.add_threads()? > 0 {}
        following.awaited = following.threads.keys().copied().collect();
        Ok(following)
    }

    fn add_threads(&mut self) -> io::Result<usize> {
        let mut added = 0;
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.process))? {
            let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let thread = Pid::from_raw(id);
            if self.threads.contains_key(&thread) {
                continue;
            }
            match ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE) {
                // It ended, or was followed with the thread that started it.
                Err(Errno::ESRCH | Errno::EPERM) if added > 0 => continue,
                outcome => outcome?,
            }
            ptrace::interrupt(thread)?;
            self.threads.insert(thread, Thread { name: self.name(thread), ..Thread::default() });
            added += 1;
        }
        Ok(added)
    }

    fn name(&self, thread: Pid) -> String {
        let path = format!("/proc/{}/task/{thread}/comm", self.process);
        std::fs::read_to_string(path).map(|name| name.trim_end().to_owned()).unwrap_or_default()
    }

    /// Resumes every thread that stops, and counts what it stopped for.
    fn run(mut self, ready: &mpsc::Sender<()>, ended: &AtomicBool) -> io::Result<ByThread> {
        // Not the children of this process's other threads.
        let options = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
        let mut is_ready = false;
        while !ended.load(Ordering::Relaxed) {
            match waitpid(None::<Pid>, Some(options)) {
                Ok(WaitStatus::StillAlive) => thread::sleep(PAUSE),
                Ok(WaitStatus::PtraceSyscall(thread)) => self.stopped_at_call(thread)?,
                Ok(WaitStatus::PtraceEvent(thread, ..)) => {
                    resume(thread, None)?;
                    self.awaited.remove(&thread);
                }
                Ok(WaitStatus::Stopped(thread, signal)) => resume(thread, Some(signal))?,
                Ok(WaitStatus::Exited(thread, _)) => {
                    self.awaited.remove(&thread);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                // Nothing is left to follow.
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(error.into()),
            }
            if !is_ready && self.awaited.is_empty() {
                is_ready = true;
                // The other side may have given up.
                let _ = ready.send(());
            }
        }
        let mut sums = ByThread::new();
        for Thread { name, calls, .. } in self.threads.into_values() {
            let sum = sums.entry(name).or_default();
            sum.writes += calls.writes;
            sum.syncs += calls.syncs;
        }
        Ok(sums)
    }

    fn stopped_at_call(&mut self, id: Pid) -> io::Result<()> {
        if !self.threads.contains_key(&id) {
            let thread = Thread { name: self.name(id), ..Thread::default() };
            self.threads.insert(id, thread);
        }
        let thread = self.threads.entry(id).or_default();
        thread.is_in_call = !thread.is_in_call;
        if thread.is_in_call {
            match ptrace::getregs(id).map(|registers| call_number(&registers)) {
                Ok(libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_pwritev2) => thread.calls.writes += 1,
                Ok(libc::SYS_fsync | libc::SYS_fdatasync) => thread.calls.syncs += 1,
                Ok(_) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        resume(id, None)
    }
}

/// Resumes a thread until its next system call, with the signal that it stopped for. It may have ended.
fn resume(thread: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::syscall(thread, signal) {
        Err(Errno::ESRCH) => Ok(()),
        outcome => Ok(outcome?),
    }
}

#[cfg(target_arch = "x86_64")]
fn call_number(registers: &libc::user_regs_struct) -> libc::c_long {
    registers.orig_rax.cast_signed()
}

#[cfg(target_arch = "aarch64")]
fn call_number(registers: &libc::user_regs_struct) -> libc::c_long {
    registers.regs[8].cast_signed()
}
