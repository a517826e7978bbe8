//! Interleaved rounds: every server in turn at every number of connections, repeatedly, so that a slow minute
//! of the disk affects all of them. The order changes from round to round, so that none always comes after
//! the same other.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::load::{Sample, Target};
use crate::options::{Build, Options};
use crate::process::Memory;
use crate::product::Product;
use crate::stats::Spread;

/// Before the first round; fills caches, pools and prepared statements.
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_CONNECTIONS: usize = 16;

/// Context of every measurement.
#[derive(Debug)]
pub struct Bench<'a> {
    /// This program.
    pub own: PathBuf,
    /// The servers; at least one.
    pub builds: Vec<Build>,
    /// Temporary folder on the measured disk.
    pub folder: PathBuf,
    /// Command-line options.
    pub options: &'a Options,
}

impl Bench<'_> {
    /// The build that others are compared with, and the only one of measurements without a comparison.
    pub fn first(&self) -> Result<&Build> {
        self.builds.first().context("there is no server to measure")
    }
}

/// One operation of all builds beside its baselines.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// What the goals call it.
    pub name: &'static str,
    /// What is requested.
    pub title: &'static str,
    /// Servers that ratios are taken to.
    pub floors: Vec<&'static str>,
    /// By number of connections.
    pub levels: Vec<Level>,
    /// By build.
    pub memory: Vec<MemoryUse>,
}

/// Memory of one build before and after its load.
#[derive(Debug, Serialize)]
pub struct MemoryUse {
    /// The build.
    pub name: String,
    /// When everything was set up.
    pub before: Memory,
    /// After the last round.
    pub after: Memory,
}

/// All rounds at one number of connections.
#[derive(Debug, Serialize)]
pub struct Level {
    /// Number of requests in flight.
    pub connections: usize,
    /// One per server.
    pub runs: Vec<Run>,
}

/// One server's rounds.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The server.
    pub name: String,
    /// One per round.
    pub samples: Vec<Sample>,
}

impl Run {
    /// One value over all rounds.
    pub fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(figure))
    }

    /// Number of errors in all rounds.
    pub fn errors(&self) -> usize {
        self.samples.iter().map(|sample| sample.errors).sum()
    }
}

impl Level {
    /// The rounds of one server.
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// A value computed from two servers' samples of the same round, over all rounds. `None` unless both were
    /// measured.
    pub fn compare(&self, name: &str, with: &str, figure: impl Fn(&Sample, &Sample) -> f64) -> Option<Spread> {
        let (own, other) = (self.run(name)?, self.run(with)?);
        Some(Spread::of(own.samples.iter().zip(&other.samples).map(|(own, other)| figure(own, other))))
    }

    /// The ratio of one figure of two servers within a round, over all rounds.
    pub fn ratio(&self, name: &str, to: &str, figure: fn(&Sample) -> f64) -> Option<Spread> {
        self.compare(name, to, |own, other| figure(own) / figure(other))
    }
}

impl Comparison {
    /// The measurement at one number of connections.
    pub fn level(&self, connections: usize) -> Option<&Level> {
        self.levels.iter().find(|level| level.connections == connections)
    }

    /// Measures the builds, which serve already, and their baselines.
    pub async fn measure(
        bench: &Bench<'_>,
        [name, title]: [&'static str; 2],
        floors: &[&'static str],
        connections: &[usize],
        (products, targets): (&[Product], &[Target<'_>]),
    ) -> Result<Self> {
        let memory = || products.iter().map(|product| product.process.memory()).collect::<Result<Vec<Memory>>>();
        let before = memory()?;
        let levels = interleave(name, bench.options, connections, targets).await?;
        let names = bench.builds.iter().map(|build| build.name.clone());
        let memory = names.zip(before).zip(memory()?);
        let memory = memory.map(|((name, before), after)| MemoryUse { name, before, after }).collect();
        Ok(Self { name, title, floors: floors.to_vec(), levels, memory })
    }
}

/// Measures all targets.
pub async fn interleave(
    title: &str,
    options: &Options,
    connections: &[usize],
    targets: &[Target<'_>],
) -> Result<Vec<Level>> {
    for target in targets {
        target.load(WARM_UP_CONNECTIONS, WARM_UP).await.with_context(|| format!("warming up {}", target.name))?;
    }
    let run = |target: &Target<'_>| Run { name: target.name.clone(), samples: Vec::new() };
    let level = |connections: &usize| Level { connections: *connections, runs: targets.iter().map(run).collect() };
    let mut levels: Vec<Level> = connections.iter().map(level).collect();
    let duration = Duration::from_secs(options.seconds);
    for (round, order) in orders(options.rounds, targets.len()).enumerate() {
        eprintln!("{title}: round {} of {}", round + 1, options.rounds);
        for level in &mut levels {
            for &index in &order {
                if let (Some(target), Some(run)) = (targets.get(index), level.runs.get_mut(index)) {
                    run.samples.push(target.load(level.connections, duration).await?);
                }
            }
        }
    }
    Ok(levels)
}

/// The order of the targets in each round: every one is first as often as the others.
pub fn orders(rounds: u64, targets: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..usize::try_from(rounds).unwrap_or(0)).map(move |round| {
        let mut order: Vec<usize> = (0..targets).collect();
        order.rotate_left(round % targets.max(1));
        order
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, rates: [f64; 3]) -> Run {
        let sample = |per_second| Sample { per_second, p50_us: 0.0, p99_us: 0.0, cpu_us: 0.0, errors: 1 };
        Run { name: name.to_owned(), samples: rates.map(sample).into() }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The disk of the third round was four times as fast for both.
        let runs = vec![run("baseline", [100.0, 200.0, 800.0]), run("server", [90.0, 160.0, 720.0])];
        let level = Level { connections: 64, runs };
        let ratio = level.ratio("server", "baseline", |sample| sample.per_second).unwrap();
        assert!((ratio.min - 0.8).abs() < 1e-9 && (ratio.median - 0.9).abs() < 1e-9 && (ratio.max - 0.9).abs() < 1e-9);
        assert!(level.compare("server", "unknown", |_, _| 0.0).is_none());
        assert_eq!(level.runs[0].errors(), 3);
    }

    #[test]
    fn each_target_is_first_in_turn_and_measured_in_every_round() {
        let orders: Vec<Vec<usize>> = orders(4, 3).collect();
        assert_eq!(orders, [vec![0, 1, 2], vec![1, 2, 0], vec![2, 0, 1], vec![0, 1, 2]]);
    }
}
