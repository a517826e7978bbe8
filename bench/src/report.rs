//! The results: as Markdown, and as JSON.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::counts::Count;
use crate::goals::{GOALS, Judged, Verdict, cpu, mib, rate};
use crate::load::Sample;
use crate::machine::Machine;
use crate::names::UPSTREAM;
use crate::open_loop::AtRate;
use crate::process::Memory;
use crate::proxy;
use crate::rounds::{Bench, Comparison, Level, Run};
use crate::scale::{self, Scale};
use crate::start::Start;
use crate::stats::Spread;

/// All results.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// Names of the builds; others are compared with the first.
    pub builds: Vec<String>,
    /// Seconds per measurement.
    pub seconds: u64,
    /// Rounds.
    pub rounds: u64,
    /// Operations beside their baselines.
    pub comparisons: Vec<Comparison>,
    /// Links at a fixed rate.
    pub at_rate: Vec<AtRate>,
    /// System calls per link.
    pub counts: Vec<Count>,
    /// Links next to many accounts.
    pub scale: Option<Scale>,
    /// Start-up, memory, size.
    pub starts: Vec<Start>,
    /// The goals that what was measured is held against.
    pub goals: Vec<Judged>,
}

impl Report {
    /// An empty report.
    pub fn new(bench: &Bench<'_>) -> Self {
        Self {
            machine: Machine::describe(&bench.folder),
            builds: bench.builds.iter().map(|build| build.name.clone()).collect(),
            seconds: bench.options.seconds,
            rounds: bench.options.rounds,
            comparisons: Vec::new(),
            at_rate: Vec::new(),
            counts: Vec::new(),
            scale: None,
            starts: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Holds the results against the goals; what was not measured has none.
    pub fn judge(&mut self) {
        self.goals = GOALS.iter().filter_map(|goal| goal.judge(self)).collect();
    }

    /// One operation.
    pub fn comparison(&self, name: &str) -> Option<&Comparison> {
        self.comparisons.iter().find(|comparison| comparison.name == name)
    }

    /// The ratio of one figure of two servers, within the rounds of one operation.
    pub fn ratio(
        &self,
        comparison: &str,
        connections: usize,
        (name, to): (&str, &str),
        figure: fn(&Sample) -> f64,
    ) -> Option<Spread> {
        self.comparison(comparison)?.level(connections)?.ratio(name, to, figure)
    }

    /// Number of errors of a build in all measurements; `None` without any.
    pub fn errors(&self, build: &str) -> Option<usize> {
        let levels = self.comparisons.iter().flat_map(|comparison| &comparison.levels);
        let runs = levels.filter_map(|level| level.run(build)).map(Run::errors);
        let at_rate = self.at_rate.iter().filter(|run| run.name == build).flat_map(|run| &run.samples);
        let all: Vec<usize> = runs.chain(at_rate.map(|sample| sample.errors)).collect();
        (!all.is_empty()).then(|| all.iter().sum())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}.", self.machine)?;
        let Self { rounds, seconds, .. } = self;
        writeln!(f, "Medians of {rounds} rounds of {seconds} s, with the range of the rounds in brackets.")?;
        if !self.goals.is_empty() {
            self.write_goals(f)?;
        }
        for comparison in &self.comparisons {
            write_comparison(f, comparison, &self.builds)?;
            if comparison.name == proxy::NAME {
                write_added(f, comparison)?;
            }
        }
        if !self.at_rate.is_empty() {
            self.write_at_rate(f)?;
        }
        if !self.counts.is_empty() {
            writeln!(f, "\n### link: system calls at 1 connection\n")?;
            writeln!(f, "| | writes to files per link | syncs per link |\n|---|---:|---:|")?;
            for Count { name, writes, syncs } in &self.counts {
                writeln!(f, "| {name} | {writes:.2} | {syncs:.2} |")?;
            }
        }
        if let Some(scale) = &self.scale {
            self.write_scale(f, scale)?;
        }
        if !self.starts.is_empty() {
            self.write_starts(f)?;
        }
        Ok(())
    }
}

impl Report {
    fn write_goals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### Goals\n")?;
        writeln!(f, "| | unit | bar | goal | {} |", self.builds.join(" | "))?;
        writeln!(f, "|---|---|---:|---:|{}", "---|".repeat(self.builds.len()))?;
        for Judged { name, unit, is_minimum, bar, goal, verdicts } in &self.goals {
            let sign = if *is_minimum { "≥" } else { "≤" };
            write!(f, "| {name} | {unit} | {sign} {bar} | {sign} {goal} |")?;
            for verdict in verdicts {
                match verdict {
                    Some(verdict) => write!(f, " {}: {} |", range(verdict.measured), judgement(verdict))?,
                    None => write!(f, " not measured |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_at_rate(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### link at a fixed rate: latency from when a request was due\n")?;
        writeln!(
            f,
            "| | req/s | connections | rounds | p50 ms | p99 ms | p99.9 ms | longest stall ms | sent late, p99 ms | errors |"
        )?;
        writeln!(f, "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|")?;
        for run in &self.at_rate {
            let AtRate { name, rate, connections, seconds, samples } = run;
            let errors: usize = samples.iter().map(|sample| sample.errors).sum();
            writeln!(
                f,
                "| {name} | {rate:.0} | {connections} | {} of {seconds} s | {} | {} | {} | {:.1} | {} | {errors} |",
                samples.len(),
                range(run.spread(|sample| sample.p50_us / 1e3)),
                range(run.spread(|sample| sample.p99_us / 1e3)),
                range(run.spread(|sample| sample.p999_us / 1e3)),
                run.stall_ms(),
                range(run.spread(|sample| sample.late_p99_us / 1e3)),
            )?;
        }
        Ok(())
    }

    fn write_scale(&self, f: &mut Formatter<'_>, scale: &Scale) -> fmt::Result {
        writeln!(f, "\n### link next to many accounts, {} connections\n", scale::CONNECTIONS)?;
        writeln!(f, "| | accounts | req/s | p99 ms | CPU µs | req/s, of 10^3 | CPU, of 10^3 |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        for build in &self.builds {
            for &exponent in &scale.exponents {
                let name = scale::name(build, exponent);
                let Some(run) = scale.level.run(&name) else { continue };
                let of_least =
                    |figure| scale.level.ratio(&name, &scale::name(build, 3), figure).map_or(String::new(), range);
                writeln!(
                    f,
                    "| {build} | 10^{exponent} | {} | {} |",
                    figures(run),
                    [of_least(rate), of_least(cpu)].join(" | ")
                )?;
            }
        }
        Ok(())
    }

    fn write_starts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### Start, memory, size\n")?;
        writeln!(
            f,
            "| | database MiB | exec to first 200 of `/livez`, ms | idle VmRSS MiB | idle RssAnon MiB | binary MiB |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|")?;
        for Start { name, database_bytes, ready_ms, idle, binary_bytes } in &self.starts {
            let Memory { resident_kib, anonymous_kib } = idle;
            writeln!(
                f,
                "| {name} | {:.1} | {} | {:.1} | {:.1} | {:.1} |",
                mib(*database_bytes),
                range(*ready_ms),
                f64::from(*resident_kib) / 1_024.0,
                f64::from(*anonymous_kib) / 1_024.0,
                mib(*binary_bytes)
            )?;
        }
        Ok(())
    }
}

/// A table of all servers; builds with their ratios to the baselines and to the first build.
fn write_comparison(f: &mut Formatter<'_>, comparison: &Comparison, builds: &[String]) -> fmt::Result {
    let Comparison { name, title, floors, levels, memory } = comparison;
    writeln!(f, "\n### {name}: {title}\n")?;
    let mut references: Vec<&str> = floors.clone();
    references.extend(builds.first().filter(|_| builds.len() > 1).map(String::as_str));
    write!(f, "| connections | | req/s | p50 ms | p99 ms | CPU µs | errors |")?;
    for reference in &references {
        write!(f, " req/s, of {reference} | CPU, of {reference} |")?;
    }
    writeln!(f, "\n|---:|---|---:|---:|---:|---:|---:|{}", "---:|---:|".repeat(references.len()))?;
    for level in levels {
        for run in &level.runs {
            write!(f, "| {} | {} | {} | {} |", level.connections, run.name, all_figures(run), run.errors())?;
            for reference in &references {
                write!(f, " {} |", ratios(level, run, reference, builds))?;
            }
            writeln!(f)?;
        }
    }
    writeln!(f)?;
    for usage in memory {
        let mib = |kib: u32| f64::from(kib) / 1_024.0;
        let (before, after) = (usage.before, usage.after);
        writeln!(
            f,
            "- memory of {}: RssAnon {:.1} MiB before the load, {:.1} after it; VmRSS {:.1} and {:.1}",
            usage.name,
            mib(before.anonymous_kib),
            mib(after.anonymous_kib),
            mib(before.resident_kib),
            mib(after.resident_kib)
        )?;
    }
    Ok(())
}

/// Two cells: the ratio of requests per second and of CPU. Empty for a baseline and for the reference itself.
fn ratios(level: &Level, run: &Run, reference: &str, builds: &[String]) -> String {
    let is_compared = builds.contains(&run.name) && run.name != reference;
    let ratio = |figure| level.ratio(&run.name, reference, figure).filter(|_| is_compared).map_or(String::new(), range);
    [ratio(rate), ratio(cpu)].join(" | ")
}

/// What the proxies add to the upstream's median latency.
fn write_added(f: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    writeln!(f, "\nAdded to the p50 of the upstream:\n")?;
    writeln!(f, "| connections | | added p50 µs | of bare proxy | of POST proxy |\n|---:|---|---:|---:|---:|")?;
    for level in &comparison.levels {
        for run in level.runs.iter().filter(|run| run.name != UPSTREAM) {
            let Some(added) = proxy::added_us(level, &run.name) else { continue };
            write!(
                f,
                "| {} | {} | {:.0} ({:.0}–{:.0}) |",
                level.connections, run.name, added.median, added.min, added.max
            )?;
            for floor in &comparison.floors {
                let ratio = proxy::added_ratio(level, &run.name, floor).filter(|_| run.name != *floor);
                write!(f, " {} |", ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")))?;
            }
            writeln!(f)?;
        }
    }
    Ok(())
}

/// Four cells: requests per second, p50, p99, CPU.
fn all_figures(run: &Run) -> String {
    let median = |figure: fn(&Sample) -> f64| run.spread(figure).median;
    format!(
        "{:.0} | {:.2} | {:.2} | {:.0}",
        median(rate),
        median(|sample| sample.p50_us) / 1e3,
        median(|sample| sample.p99_us) / 1e3,
        median(cpu)
    )
}

/// Three cells: requests per second, p99, CPU.
fn figures(run: &Run) -> String {
    let median = |figure: fn(&Sample) -> f64| run.spread(figure).median;
    format!("{:.0} | {:.2} | {:.0}", median(rate), median(|sample| sample.p99_us) / 1e3, median(cpu))
}

fn judgement(verdict: &Verdict) -> &'static str {
    match (verdict.meets_bar, verdict.meets_goal) {
        (_, true) => "goal met",
        (true, false) => "bar met",
        (false, false) => "**missed**",
    }
}

/// Median and range of the rounds; only the median of what was measured once.
fn range(spread: Spread) -> String {
    if spread.max > spread.min {
        format!("{:.2} ({:.2}–{:.2})", spread.median, spread.min, spread.max)
    } else {
        format!("{:.2}", spread.median)
    }
}

#[cfg(test)]
mod tests;
