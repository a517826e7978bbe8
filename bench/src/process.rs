//! Server processes: started, measured through `/proc`, and always stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// Timeout for a server to print its address, or to stop when asked to.
const TIMEOUT: Duration = Duration::from_secs(20);
/// `USER_HZ`: `/proc/<pid>/stat` counts hundredths of a second on every current Linux.
const TICK: Duration = Duration::from_millis(10);

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// `VmRSS` in KiB: everything resident, the pages of the executable and of mapped files included.
    pub resident_kib: u32,
    /// `RssAnon` in KiB: what the process allocated. It does not depend on what else is in the page cache.
    pub anonymous_kib: u32,
}

impl Memory {
    /// From the text of `/proc/<pid>/status`.
    pub fn read(status: &str) -> Option<Self> {
        let kib = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            value.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self { resident_kib: kib("VmRSS")?, anonymous_kib: kib("RssAnon")? })
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Our own servers stop when this closes, even if this process is killed.
    _stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl Process {
    /// Starts a server and reads its stdout until `address_in` finds the address in it. Also returns the
    /// output.
    pub fn start(command: &mut Command, address_in: impl Fn(&str) -> Option<SocketAddr>) -> Result<(Self, String)> {
        let shown = command.get_program().display().to_string();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let stdin = child.stdin.take();
        let lines = lines_of(&mut child);
        // From here on, dropping kills the child; the address is set below.
        let mut process = Self { child, _stdin: stdin, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let deadline = Instant::now() + TIMEOUT;
        let mut printed = String::new();
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            printed.push_str(&line);
            printed.push('\n');
            if let Some(address) = address_in(&printed) {
                process.address = address;
                return Ok((process, printed));
            }
        }
        bail!("{shown} ended or said nothing of an address; --server-log FILE shows its log");
    }

    /// Starts a server that prints nothing, on a known address.
    pub fn start_on(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let shown = command.get_program().display().to_string();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self { child: child.with_context(|| format!("cannot start {shown}"))?, _stdin: None, address })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// User and system time so far, to the hundredth of a second.
    pub fn cpu(&self) -> Result<Duration> {
        let text = self.proc_file("stat")?;
        cpu_ticks(&text).map(|ticks| TICK * ticks).context("/proc/<pid>/stat is not as proc(5) says")
    }

    /// Process id.
    #[cfg(target_os = "linux")]
    pub fn id(&self) -> Result<nix::unistd::Pid> {
        Ok(nix::unistd::Pid::from_raw(self.child.id().try_into()?))
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u32> {
        Ok(self.memory()?.resident_kib)
    }

    /// Resident memory, and the anonymous part of it.
    pub fn memory(&self) -> Result<Memory> {
        Memory::read(&self.proc_file("status")?).context("the server has no resident memory: it has ended")
    }

    /// Number of open files, connections included.
    pub fn open_files(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.child.id());
        Ok(fs::read_dir(&path).with_context(|| format!("cannot read {path}"))?.count())
    }

    /// Stops it gracefully (SIGTERM), so that it closes its database.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().context("cannot run kill")?;
        if !asked.success() {
            bail!("the server had ended by itself");
        }
        let deadline = Instant::now() + TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("the server did not end within {TIMEOUT:?} of SIGTERM");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a child's stdout, read to the end, so that the child never blocks on it.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The receiver is gone once the address is known.
                let _ = sender.send(line);
            }
        });
    }
    lines
}

/// `utime` and `stime` (proc(5), fields 14 and 15); the program name before them may contain anything.
fn cpu_ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 100 200 300";
        assert_eq!(cpu_ticks(stat), Some(12));
        assert_eq!(cpu_ticks("42 (a"), None);
    }

    #[test]
    fn resident_and_anonymous_memory_are_told_apart() {
        let status = "Name:\tx\nVmRSS:\t   26624 kB\nRssAnon:\t   11264 kB\nRssFile:\t   15360 kB\n";
        assert_eq!(Memory::read(status), Some(Memory { resident_kib: 26_624, anonymous_kib: 11_264 }));
        assert_eq!(Memory::read("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_silent_program_is_an_error() {
        let error = Process::start(&mut Command::new("true"), |_| None).unwrap_err();
        assert!(error.to_string().contains("said nothing"), "{error}");
    }
}
