//! What the figures were measured on, without names or paths.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;

use serde::Serialize;

/// A description of the machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Number of logical processors, shared by servers and load generator.
    pub processors: usize,
    /// Model of the processor.
    pub model: String,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// Version of Linux.
    pub kernel: String,
    /// File system that was measured.
    pub file_system: String,
    /// Load average of the minute before the measurement: above some tenths, others were at work.
    pub load: String,
}

impl Machine {
    /// This machine, with the file system of a folder. What cannot be found is `unknown`.
    pub fn describe(folder: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let first_word = |text: &str| text.split_whitespace().next().unwrap_or("unknown").to_owned();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Self {
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            model: model(&read("/proc/cpuinfo")),
            memory_gib: memory_gib(&read("/proc/meminfo")),
            kernel: first_word(&read("/proc/sys/kernel/osrelease")),
            file_system: file_system(&read("/proc/mounts"), &folder),
            load: first_word(&read("/proc/loadavg")),
        }
    }
}

fn model(cpuinfo: &str) -> String {
    let value = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    value.map_or("unknown", |(_, model)| model).to_owned()
}

fn memory_gib(meminfo: &str) -> u64 {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0).div_ceil(1 << 20)
}

/// The type of the last mount whose path is the beginning of the folder's.
fn file_system(mounts: &str, folder: &Path) -> String {
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let above = mounts.lines().filter_map(mount).filter(|(path, _)| folder.starts_with(path));
    above.max_by_key(|(path, _)| path.len()).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { processors, model, memory_gib, kernel, file_system, load } = self;
        write!(
            f,
            "{processors} processors ({model}), {memory_gib} GiB of memory, Linux {kernel}, {file_system}; \
             load average before the measurement {load}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "/dev/a / ext4 rw 0 0\nproc /proc proc rw 0 0\ntmpfs /data/fast tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/data/fast/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/data/faster")), "ext4");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn memory_and_model_are_read_as_linux_writes_them() {
        assert_eq!(memory_gib("MemTotal:       24567890 kB\nMemFree: 1 kB\n"), 24);
        assert_eq!(model("processor\t: 0\nmodel name\t: A CPU @ 2.0GHz\n"), "A CPU @ 2.0GHz");
        assert_eq!(model(""), "unknown");
    }
}
