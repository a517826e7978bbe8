//! The results as tables and as JSON, with the goals.

use std::fmt::{self, Display, Formatter, Write};

use serde::Serialize;

use crate::link::{self, Link};
use crate::proxy::{self, Proxy};
use crate::rounds::Level;
use crate::start::Start;
use crate::stats::Spread;
use crate::{Options, load::Sample};

/// All results.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Number of logical processors, shared by servers and load generator.
    pub cpus: usize,
    /// Seconds per measurement.
    pub seconds: u64,
    /// Rounds.
    pub rounds: u64,
    /// Links and their baseline.
    pub link: Option<Link>,
    /// `proxy_execute` and its baselines.
    pub proxy: Option<Proxy>,
    /// Start-up, memory, size.
    pub start: Option<Start>,
    /// The goals, and whether they were met.
    pub goals: Vec<Goal>,
}

/// One goal.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// Name.
    pub name: &'static str,
    /// Measured value.
    pub measured: f64,
    /// Minimum or maximum, see `at_least`.
    pub limit: f64,
    /// Whether `limit` is a minimum.
    pub at_least: bool,
    /// Unit of both numbers.
    pub unit: &'static str,
}

impl Goal {
    /// Whether it was met; NaN never meets a goal.
    pub fn is_met(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }
}

const MIB: f64 = 1_024.0 * 1_024.0;

impl Report {
    /// An empty report.
    pub fn new(options: &Options) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, Into::into);
        let (seconds, rounds) = (options.seconds, options.rounds);
        Self { cpus, seconds, rounds, link: None, proxy: None, start: None, goals: Vec::new() }
    }

    /// Compares the results with the goals; missing results have none.
    pub fn judge(&mut self) {
        let mut goals = Vec::new();
        let busy = self.link.as_ref().and_then(|link| link.levels.iter().find(|level| level.connections == 64));
        if let Some(ratio) = busy.and_then(link_rate) {
            let name = "link requests per second at 64 connections";
            goals.push(Goal { name, measured: ratio.median, limit: 0.75, at_least: true, unit: "x baseline_link" });
        }
        let single = self.proxy.as_ref().and_then(|proxy| proxy.levels.iter().find(|level| level.connections == 1));
        if let Some(added) = single.and_then(Added::of) {
            let name = "time added by proxy_execute at 1 connection (p50)";
            goals.push(Goal { name, measured: added.ratio(), limit: 1.6, at_least: false, unit: "x bare proxy" });
        }
        if let Some(start) = &self.start {
            let at_most = |name, measured, limit, unit| Goal { name, measured, limit, at_least: false, unit };
            goals.push(at_most("start-up", start.ready_ms.median, 60.0, "ms"));
            goals.push(at_most("idle memory", f64::from(start.idle_kib) / 1_024.0, 25.0, "MiB"));
            goals.push(at_most("binary", mib(start.binary_bytes), 25.0, "MiB"));
        }
        self.goals = goals;
    }
}

fn mib(bytes: u64) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / MIB
}

/// Requests per second, relative to the baseline.
fn link_rate(level: &Level) -> Option<Spread> {
    level.compare(link::PRODUCT, link::BASELINE, |own, baseline| own.per_second / baseline.per_second)
}

/// The latency that two proxies add to the p50 of the upstream measured with them.
struct Added {
    own_us: Spread,
    bare_us: Spread,
}

impl Added {
    fn of(level: &Level) -> Option<Self> {
        let added = |name| level.compare(name, proxy::DIRECT, |proxy, direct| proxy.p50_us - direct.p50_us);
        Some(Self { own_us: added(proxy::PRODUCT)?, bare_us: added(proxy::BARE)? })
    }

    /// Ratio of the medians. In a single round the bare proxy may seem to add almost nothing or less, which
    /// would give an arbitrary ratio. NaN if that is true of the median, too.
    fn ratio(&self) -> f64 {
        let (own, bare) = (self.own_us.median, self.bare_us.median);
        if own > 0.0 && bare > 0.0 { own / bare } else { f64::NAN }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cpus, seconds, rounds, .. } = self;
        writeln!(
            f,
            "{cpus} processors shared by servers and load generator; medians of {rounds} rounds of {seconds} s"
        )?;
        if let Some(link) = &self.link {
            writeln!(f, "\nlink: POST …/link, account and link written durably")?;
            levels(f, &link.levels, &[link::BASELINE])?;
            writeln!(f, "  memory of switchboard afterwards {:.1} MiB", f64::from(link.resident_kib) / 1_024.0)?;
        }
        if let Some(proxy) = &self.proxy {
            writeln!(f, "\nproxy: GET of 1 KiB JSON through proxy_execute")?;
            levels(f, &proxy.levels, &[proxy::BARE])?;
            writeln!(f, "  added to the p50 of the upstream, µs: switchboard; bare proxy; ratio of the medians")?;
            for level in &proxy.levels {
                if let Some(added) = Added::of(level) {
                    let Added { own_us, bare_us } = &added;
                    let ratio = added.ratio();
                    writeln!(f, "  {:>4}  {}; {}; {ratio:.2}", level.connections, rounded(*own_us), rounded(*bare_us))?;
                }
            }
            writeln!(f, "  memory of switchboard afterwards {:.1} MiB", f64::from(proxy.resident_kib) / 1_024.0)?;
        }
        if let Some(start) = &self.start {
            writeln!(f, "\nstart: switchboard serve on a database of {:.1} MiB", mib(start.database_bytes))?;
            writeln!(f, "  exec to first 200 of /livez   {} ms", range(start.ready_ms))?;
            writeln!(f, "  idle memory                   {:.1} MiB", f64::from(start.idle_kib) / 1_024.0)?;
            writeln!(f, "  binary                        {:.1} MiB", mib(start.binary_bytes))?;
        }
        writeln!(f, "\ngoals")?;
        for goal in &self.goals {
            let word = if goal.is_met() { "met   " } else { "missed" };
            let sign = if goal.at_least { "≥" } else { "≤" };
            let Goal { name, measured, limit, unit, .. } = goal;
            writeln!(f, "  {word}  {name:<50} {measured:>7.2} {unit} (goal {sign} {limit})")?;
        }
        Ok(())
    }
}

/// A table of all servers; those after the named baseline with their ratios to it.
fn levels(f: &mut Formatter<'_>, levels: &[Level], baselines: &[&str]) -> fmt::Result {
    writeln!(
        f,
        "  {:>4}  {:<12} {:>8} {:>9} {:>9} {:>8} {:>7}   ratio of req/s, of CPU",
        "conn", "", "req/s", "p50 ms", "p99 ms", "CPU µs", "errors"
    )?;
    for level in levels {
        for run in &level.runs {
            let median = |figure: fn(&Sample) -> f64| run.spread(figure).median;
            let mut ratios = String::new();
            for baseline in baselines.iter().filter(|baseline| **baseline != run.name && run.name != proxy::DIRECT) {
                let rate = level.compare(run.name, baseline, |own, baseline| own.per_second / baseline.per_second);
                let cpu = level.compare(run.name, baseline, |own, baseline| own.cpu_us / baseline.cpu_us);
                if let (Some(rate), Some(cpu)) = (rate, cpu) {
                    write!(ratios, "   {}, {}", range(rate), range(cpu))?;
                }
            }
            writeln!(
                f,
                "  {:>4}  {:<12} {:>8.0} {:>9.2} {:>9.2} {:>8.0} {:>7}{ratios}",
                level.connections,
                run.name,
                median(|sample| sample.per_second),
                median(|sample| sample.p50_us) / 1e3,
                median(|sample| sample.p99_us) / 1e3,
                median(|sample| sample.cpu_us),
                run.errors(),
            )?;
        }
    }
    Ok(())
}

/// Median and range of the rounds.
fn range(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
}

fn rounded(spread: Spread) -> String {
    format!("{:.0} ({:.0}–{:.0})", spread.median, spread.min, spread.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Run;

    fn level(direct: f64, bare: f64, own: f64) -> Level {
        let run = |name, p50_us| {
            let sample = Sample { per_second: 1.0, p50_us, p99_us: p50_us, cpu_us: 1.0, errors: 0 };
            Run { name, samples: vec![sample] }
        };
        let runs = vec![run(proxy::DIRECT, direct), run(proxy::BARE, bare), run(proxy::PRODUCT, own)];
        Level { connections: 1, runs }
    }

    #[test]
    fn added_time_is_over_the_upstreams_own() {
        assert!((Added::of(&level(40.0, 140.0, 190.0)).unwrap().ratio() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_proxy_measured_faster_than_no_proxy_meets_no_goal() {
        let options = Options {
            accounts: 2_000,
            provider_ms: 0,
            seconds: 1,
            rounds: 1,
            connections: vec![1],
            switchboard: None,
            data_dir: None,
            log: None,
            server_log: None,
            json: None,
        };
        let mut report = Report::new(&options);
        report.proxy = Some(Proxy { levels: vec![level(40.0, 30.0, 190.0)], resident_kib: 1 });
        report.judge();
        assert_eq!(report.goals.len(), 1);
        assert!(!report.goals[0].is_met(), "{report}");
    }

    #[test]
    fn a_goal_without_a_number_is_not_met() {
        let goal = |measured, at_least| Goal { name: "", measured, limit: 1.0, at_least, unit: "" };
        assert!(goal(1.0, true).is_met() && goal(1.0, false).is_met());
        assert!(!goal(0.9, true).is_met() && !goal(1.1, false).is_met());
        assert!(!goal(f64::NAN, true).is_met() && !goal(f64::NAN, false).is_met());
    }
}
