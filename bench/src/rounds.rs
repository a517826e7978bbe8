//! Interleaved rounds: every server in turn at every number of connections, repeatedly, so that a slow minute
//! of the disk affects all of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::Options;
use crate::load::{Sample, Target};
use crate::stats::Spread;

/// Before the first round; fills caches, pools and prepared statements.
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_CONNECTIONS: usize = 16;

/// Context of every measurement.
#[derive(Debug)]
pub struct Bench<'a> {
    /// This program.
    pub own: PathBuf,
    /// The server.
    pub binary: PathBuf,
    /// Temporary folder on the measured disk.
    pub folder: PathBuf,
    /// Command-line options.
    pub options: &'a Options,
}

/// All rounds at one number of connections.
#[derive(Debug, Serialize)]
pub struct Level {
    /// Number of requests in flight.
    pub connections: usize,
    /// One per server, in the order of measurement.
    pub runs: Vec<Run>,
}

/// One server's rounds.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The server.
    pub name: &'static str,
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
    /// A value computed from two servers' samples of the same round, over all rounds. `None` unless both were
    /// measured.
    pub fn compare(&self, name: &str, with: &str, figure: impl Fn(&Sample, &Sample) -> f64) -> Option<Spread> {
        let find = |name: &str| self.runs.iter().find(|run| run.name == name);
        let (own, other) = (find(name)?, find(with)?);
        Some(Spread::of(own.samples.iter().zip(&other.samples).map(|(own, other)| figure(own, other))))
    }
}

/// Measures all targets.
pub async fn interleave(title: &str, options: &Options, targets: &[Target<'_>]) -> Result<Vec<Level>> {
    for target in targets {
        target.load(WARM_UP_CONNECTIONS, WARM_UP).await.with_context(|| format!("warming up {}", target.name))?;
    }
    let run = |target: &Target<'_>| Run { name: target.name, samples: Vec::new() };
    let level = |connections: &usize| Level { connections: *connections, runs: targets.iter().map(run).collect() };
    let mut levels: Vec<Level> = options.connections.iter().map(level).collect();
    let duration = Duration::from_secs(options.seconds);
    for round in 1..=options.rounds {
        eprintln!("{title}: round {round} of {}", options.rounds);
        for level in &mut levels {
            for (target, run) in targets.iter().zip(&mut level.runs) {
                run.samples.push(target.load(level.connections, duration).await?);
            }
        }
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &'static str, rates: [f64; 3]) -> Run {
        let sample = |per_second| Sample { per_second, p50_us: 0.0, p99_us: 0.0, cpu_us: 0.0, errors: 1 };
        Run { name, samples: rates.map(sample).into() }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The disk of the third round was four times as fast for both.
        let runs = vec![run("baseline", [100.0, 200.0, 800.0]), run("server", [90.0, 160.0, 720.0])];
        let level = Level { connections: 64, runs };
        let ratio = level.compare("server", "baseline", |own, baseline| own.per_second / baseline.per_second).unwrap();
        assert!((ratio.min - 0.8).abs() < 1e-9 && (ratio.median - 0.9).abs() < 1e-9 && (ratio.max - 0.9).abs() < 1e-9);
        assert!(level.compare("server", "nobody", |_, _| 0.0).is_none());
        assert_eq!(level.runs[0].errors(), 3);
    }
}
