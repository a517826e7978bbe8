//! The real program as a process: what a user starts, what `kill -9` ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use super::http::Api;

/// Path of the program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_switchboard");

/// An address that a program may listen on again and again, `127.a.b.c:port`. No other test uses it: a
/// free port of 127.0.0.1 may be taken by another test's connection before the program starts.
pub fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    format!("127.{}.{b}.{c}:{}", 64 + a % 64, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A running `switchboard dev`. Killed when dropped.
pub struct Dev {
    pub child: Child,
    pub url: String,
    /// Printed at the first start only.
    pub key: Option<String>,
    /// Everything printed before it served.
    pub printed: String,
}

impl Dev {
    /// Starts `dev` on a free port and waits until it has printed its walk-through.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", data_dir, arguments, Stdio::null())
    }

    /// The same on a given address, with stderr (the log) going somewhere.
    pub fn start_on(listen: &str, data_dir: &Path, arguments: &[&str], log: impl Into<Stdio>) -> Self {
        Self::spawn(Self::command(listen, data_dir, arguments).stderr(log))
    }

    /// The same, and it ends as by a power cut when it reaches a named place (`crates/store/src/failpoint.rs`).
    pub fn start_until(place: &str, listen: &str, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut command = Self::command(listen, data_dir, arguments);
        Self::spawn(command.env("SWITCHBOARD_FAILPOINT", place).stderr(Stdio::null()))
    }

    /// The same, in a shell that first runs a command, such as one that sets a limit.
    pub fn start_after(first: &str, data_dir: &Path, arguments: &[&str], log: impl Into<Stdio>) -> Self {
        let program = Self::command("127.0.0.1:0", data_dir, arguments);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first}; exec \"$0\" \"$@\"")]).arg(program.get_program());
        Self::spawn(command.args(program.get_args()).stderr(log))
    }

    fn command(listen: &str, data_dir: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["dev", "--listen", listen, "--data-dir"]).arg(data_dir).args(arguments);
        command
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains("Stop with Ctrl-C") {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "dev ended early: {printed}");
            printed.push_str(&line);
        }
        let word = |label: &str| {
            let line = printed.lines().find(|line| line.starts_with(label)).unwrap();
            line[label.len()..].split_whitespace().next().unwrap().to_owned()
        };
        let key = Some(word("API key")).filter(|key| key.starts_with("ak_"));
        // Keeps the pipe empty; ends with the process.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { url: word("Server"), key, child, printed }
    }

    /// A client with the key that the first start printed.
    pub fn api(&self) -> Api {
        Api::new(&self.url, self.key.as_deref().unwrap())
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end: exit code, stdout, stderr.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM).args(arguments).env_remove("SWITCHBOARD_LOG").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// All that is left of a pipe.
pub fn drain(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}
