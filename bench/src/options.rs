//! The command line: what is measured, how long, and which builds of the server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use crate::names;

/// Measures Switchboard against baselines that run next to it.
#[derive(Debug, Parser)]
#[command(name = "switchboard-bench", version)]
pub struct Cli {
    /// What to measure.
    #[arg(value_enum, default_value_t = Benchmark::All)]
    pub benchmark: Benchmark,
    /// Options of the measurement.
    #[command(flatten)]
    pub options: Options,
    /// For the program's own use.
    #[command(flatten)]
    pub role: Role,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// Link requests against the baseline of two durable rows; also at a fixed rate.
    Link,
    /// Creation of sessions against the baseline of one durable row.
    Session,
    /// `GET` of an ACTIVE account against static JSON of the same size, and against `/livez`.
    Poll,
    /// `/livez` against static JSON of the same size.
    Livez,
    /// `proxy_execute` against a bare proxy, a proxy that takes the same POST, and no proxy.
    Proxy,
    /// `execute` of a tool against `proxy_execute` of the same request, of the first build.
    Tool,
    /// Writes to files and syncs per link, counted.
    Counts,
    /// Links next to 10^3, 10^5, 10^6 accounts; 10^7 with `--scale-max 7`.
    Scale,
    /// Start-up time, memory, size of the binary.
    Start,
    /// Accounts whose tokens expire within one minute; takes minutes, so it is not part of `all`.
    Wave,
    /// Clients that read nothing, slow clients, too many clients; large responses; a log that is not read.
    Strain,
    /// Latency while refreshes are due, a project is deleted and accounts are listed; takes minutes.
    Mixed,
    /// Links that expire as quickly as they are made: the backlog of the sweep, and latency; takes `--minutes`.
    Sweep,
    /// The tool search at 10,000 and 100,000 tools, without a server.
    Search,
    /// All but `wave`, `strain`, `mixed`, `sweep` and `search`.
    All,
}

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Seconds per measurement, 1 to 60.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Number of rounds, 1 to 25; the median is reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=25))]
    pub rounds: u64,
    /// Numbers of connections; above 64 only for links.
    #[arg(long, default_values_t = [1, 16, 64, 256], value_delimiter = ',', value_parser = connections)]
    pub connections: Vec<usize>,
    /// Server to measure, as often as there are builds to compare [default: the one next to this program].
    #[arg(long, value_name = "[NAME=]PATH")]
    pub switchboard: Vec<Build>,
    /// Links per second of the measurement at a fixed rate [default: half of what each server reached; 5000 in
    /// `sweep`].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Greatest power of ten of accounts in `scale`, 3 to 7.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=7))]
    pub scale_max: u32,
    /// Folder on the disk to measure; a temporary folder is created in it [default: next to this program].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Log filter of the server [default: the server's own].
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Number of accounts of `wave` and `mixed`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2_000..=1_000_000))]
    pub accounts: u64,
    /// Duration of `sweep` in minutes, 2 to 60.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=60))]
    pub minutes: u32,
    /// Response time of the token endpoint of `wave` and `mixed`, in milliseconds.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=5_000))]
    pub provider_ms: u64,
    /// Folder with the operations and sentences of `search`.
    #[arg(long, value_name = "DIR", default_value = "target/search")]
    pub search_data: PathBuf,
    /// File for the server's log [default: none].
    #[arg(long, value_name = "FILE")]
    pub server_log: Option<PathBuf>,
    /// Also write the results as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also write the tables into a document, between its markers `<!-- measured: … -->`.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// Modes in which this program starts itself.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct Role {
    /// Serve the baselines of links and sessions on a database created by Switchboard.
    #[arg(long, hide = true, value_name = "DATABASE")]
    pub baseline: Option<PathBuf>,
    /// Serve both bare proxies to this address.
    #[arg(long, hide = true, value_name = "ADDR")]
    pub bare_proxy: Option<SocketAddr>,
    /// Serve JSON of this many bytes.
    #[arg(long, hide = true, value_name = "BYTES")]
    pub fixed: Option<usize>,
    /// Serve the provider of the wave, with this response time in milliseconds.
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    pub issuer: Option<u64>,
    /// Serve the upstream.
    #[arg(long, hide = true)]
    pub upstream: bool,
}

/// A server to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Name in tables.
    pub name: String,
    /// The program.
    pub path: PathBuf,
}

impl FromStr for Build {
    type Err = String;

    /// `NAME=PATH`, or a path, whose name is `switchboard`.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        match text.split_once('=') {
            Some((_, "")) => Err("there is no path after =".to_owned()),
            Some((name, path)) if is_name(name) => Ok(Self { name: name.to_owned(), path: path.into() }),
            _ => Ok(Self { name: names::PRODUCT.to_owned(), path: text.into() }),
        }
    }
}

impl Options {
    /// The builds to measure; by default the server next to this program.
    pub fn builds(&self, beside: &Path) -> Result<Vec<Build>> {
        let mut builds = self.switchboard.clone();
        if builds.is_empty() {
            builds.push(Build { name: names::PRODUCT.to_owned(), path: beside.join("switchboard") });
        }
        for (index, Build { name, path }) in builds.iter().enumerate() {
            if !path.is_file() {
                bail!("no server at {}: build it with the same profile, or name it with --switchboard", path.display());
            }
            if names::FLOORS.contains(&name.as_str()) || builds[..index].iter().any(|earlier| earlier.name == *name) {
                bail!("two servers have the name {name}; name each with --switchboard NAME=PATH");
            }
        }
        Ok(builds)
    }

    /// Numbers of connections for what needs no more than 64.
    pub fn few_connections(&self) -> Vec<usize> {
        self.connections.iter().copied().filter(|connections| *connections <= 64).collect()
    }
}

fn connections(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error| format!("{error}"))?;
    if (1..=1_024).contains(&number) { Ok(number) } else { Err("takes 1 to 1024".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_path_with_or_without_a_name() {
        let build = |name: &str, path: &str| Ok(Build { name: name.to_owned(), path: path.into() });
        assert_eq!("old=/a/b".parse(), build("old", "/a/b"));
        assert_eq!("/a/b".parse(), build("switchboard", "/a/b"));
        assert_eq!("/a=c/b".parse(), build("switchboard", "/a=c/b"));
        assert!("old=".parse::<Build>().is_err());
    }

    #[test]
    fn every_build_has_a_name_of_its_own() {
        let own = std::env::current_exe().unwrap().display().to_string();
        let builds = |texts: &[String]| {
            let arguments = texts.iter().flat_map(|text| ["--switchboard", text.as_str()]);
            let cli = Cli::parse_from(["bench", "link"].into_iter().chain(arguments));
            cli.options.builds(Path::new("/"))
        };
        assert_eq!(builds(&[format!("old={own}"), own.clone()]).unwrap().len(), 2);
        assert!(builds(&[own.clone(), own.clone()]).is_err());
        assert!(builds(&[format!("baseline_link={own}")]).is_err());
        assert!(builds(&["/no/such/file".to_owned()]).is_err());
        assert!(builds(&[]).is_err(), "there is none at /switchboard");
    }
}
