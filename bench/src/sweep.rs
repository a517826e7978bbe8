//! Does the server end links as quickly as they expire, and do callers notice? Links are made at a fixed rate and
//! never opened. After their short lifetime, as many have to be ended as are made.

use std::fmt::{self, Display, Formatter};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::backlog::{self, Look};
use crate::database;
use crate::goals::met;
use crate::load::Target;
use crate::open_loop::{RateSample, Records, run_at};
use crate::product::{Product, SESSIONS};
use crate::rounds::Bench;
use crate::stats::{Spread, float};

/// Links per second, unless `--rate` says otherwise.
const RATE: u32 = 5_000;
/// Number of connections.
const CONNECTIONS: usize = 64;
const MINUTE: Duration = Duration::from_mins(1);
/// The setting of the links' lifetime. No link of the warm-up expires within the first minute; the least possible
/// lifetime is a minute.
const LIFETIME: (&str, &str) = ("SWITCHBOARD_LINK_TTL_SECONDS", "65");
/// Before the measurement; fills caches and prepared statements.
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_CONNECTIONS: usize = 16;
/// Bar of the p99 of the later minutes, over that of the first.
const RATIO_BAR: f64 = 2.0;
/// The backlog grows if that of the last quarter is more than so many times that of the second …
const GROWTH: f64 = 1.2;
/// … and if it has more links than are made in this time. The job runs every two seconds, so as many are overdue in
/// any case.
const PAUSE_S: f64 = 2.0;

/// Results.
#[derive(Debug, Serialize)]
pub struct Sweep {
    /// Links per second that were asked for.
    pub rate: u32,
    /// One per minute. No link expired in the first.
    pub minutes: Vec<RateSample>,
    /// All minutes after the first.
    pub later: RateSample,
    /// What was overdue, every ten seconds.
    pub looks: Vec<Look>,
    /// Number of links that were made, without the warm-up.
    pub made: usize,
    /// Number of links that have ended, with those of the warm-up.
    pub ended: usize,
}

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>) -> Result<Sweep> {
    let data_dir = bench.folder.join("sweep");
    let product = Product::start_setting(bench, &data_dir, LIFETIME)?;
    let requests = product.link_requests(&product.sessions(SESSIONS).await?).await?;
    let target = Target { name: "link".to_owned(), process: &product.process, requests: Arc::new(requests) };
    target.load(WARM_UP_CONNECTIONS, WARM_UP).await.context("warming up")?;
    let (rate, minutes) = (bench.options.rate.unwrap_or(RATE), bench.options.minutes);
    let (running, stop) = mpsc::channel::<()>();
    // On a thread of its own: a look takes some time, for which no request should wait.
    let watch = thread::Builder::new().name("backlog".to_owned());
    let watch = watch.spawn({
        let data_dir = data_dir.clone();
        move || backlog::watch(&data_dir, &stop)
    });
    let watch = watch.context("cannot start a thread")?;
    let records = run_at(&target, f64::from(rate), CONNECTIONS, MINUTE * minutes).await;
    drop(running);
    let looks = watch.join().ok().context("the thread that looks at the backlog panicked")??;
    Sweep::new(rate, minutes, &records?, looks, database::ended_links(&data_dir)?)
}

impl Sweep {
    fn new(rate: u32, minutes: u32, records: &Records, looks: Vec<Look>, ended: usize) -> Result<Self> {
        let minute = |number: u32| {
            let sample = records.sample_of(&(MINUTE * number..MINUTE * (number + 1)));
            sample.with_context(|| format!("no link was made in minute {}", number + 1))
        };
        let by_minute: Vec<RateSample> = (0..minutes).map(minute).collect::<Result<_>>()?;
        let later =
            records.sample_of(&(MINUTE..MINUTE * minutes)).context("no link was made after the first minute")?;
        let made = by_minute.iter().map(|minute| minute.answers).sum();
        Ok(Self { rate, minutes: by_minute, later, looks, made, ended })
    }

    /// The p99 of one sample over that of the first minute.
    fn ratio(&self, of: &RateSample) -> f64 {
        self.minutes.first().map_or(f64::NAN, |first| of.p99_us / first.p99_us)
    }

    /// The number of overdue links in one quarter of the run, from 0: its median.
    fn backlog(&self, quarter: usize) -> f64 {
        let bound = |quarter: usize| self.looks.len() * quarter / 4;
        let looks = self.looks.get(bound(quarter)..bound(quarter + 1)).unwrap_or_default();
        Spread::of(looks.iter().map(|look| float(look.overdue))).median
    }

    /// Whether the backlog of the last quarter is larger than that of the second.
    fn grows(&self) -> bool {
        let (second, last) = (self.backlog(1), self.backlog(3));
        last > second * GROWTH && last - second > f64::from(self.rate) * PAUSE_S
    }

    /// The greatest backlog of a minute, from 0, and for how many seconds the oldest link was overdue then.
    fn worst(&self, minute: u64) -> (usize, f64) {
        let of_minute = |look: &&Look| (look.at_s - 1) / MINUTE.as_secs() == minute;
        let worst = self.looks.iter().filter(of_minute).max_by_key(|look| look.overdue);
        worst.map_or((0, 0.0), |look| (look.overdue, Duration::from_millis(look.oldest_ms).as_secs_f64()))
    }
}

impl Display for Sweep {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { rate, minutes, later, made, ended, .. } = self;
        writeln!(f, "\n### sweep: {rate} links a second, each valid for {} s\n", LIFETIME.1)?;
        writeln!(
            f,
            "| minute | links/s | p50 ms | p99 ms | p99.9 ms | longest stall ms | sent late, p99 ms | errors | most overdue | the oldest for s |"
        )?;
        writeln!(f, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for (number, minute) in (0..).zip(minutes) {
            let times = [minute.p50_us, minute.p99_us, minute.p999_us, minute.stall_us, minute.late_p99_us];
            let times = times.map(|time| format!("{:.2}", time / 1e3)).join(" | ");
            let per_second = float(minute.answers) / MINUTE.as_secs_f64();
            let (overdue, oldest) = self.worst(number);
            let errors = minute.errors;
            writeln!(f, "| {} | {per_second:.0} | {times} | {errors} | {overdue} | {oldest:.1} |", number + 1)?;
        }
        let slowest = minutes.iter().skip(1).map(|minute| self.ratio(minute)).fold(0.0, f64::max);
        writeln!(
            f,
            "\n- p99 of the later minutes over that of the first, in which no link expired: {:.2} (worst minute {slowest:.2}), bar ≤ {RATIO_BAR}: {}",
            self.ratio(later),
            met(self.ratio(later) <= RATIO_BAR)
        )?;
        writeln!(
            f,
            "- backlog, median of the second quarter {:.0}, of the last {:.0}; it does not grow: {}",
            self.backlog(1),
            self.backlog(3),
            met(!self.grows())
        )?;
        writeln!(f, "- links: {made} made, {ended} ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(overdue: [usize; 8]) -> Sweep {
        let sample = RateSample {
            answers: 1,
            errors: 0,
            p50_us: 1.0,
            p99_us: 2.0,
            p999_us: 3.0,
            max_us: 3.0,
            stall_us: 1.0,
            late_p99_us: 0.0,
        };
        let look = |(at_s, overdue)| Look { at_s, overdue, oldest_ms: 1_500 };
        let looks = (1..).map(|number| number * 10).zip(overdue).map(look).collect();
        Sweep { rate: 1_000, minutes: vec![sample; 2], later: sample, looks, made: 2, ended: 1 }
    }

    #[test]
    fn a_backlog_grows_if_the_last_quarter_is_worse_than_the_second() {
        assert!(!sweep([0, 0, 5_000, 5_000, 9_000, 9_000, 5_500, 6_000]).grows());
        assert!(sweep([0, 0, 5_000, 5_000, 9_000, 9_000, 12_000, 14_000]).grows());
        // What is made between two runs of the job.
        assert!(!sweep([0, 0, 0, 0, 0, 0, 2_000, 1_000]).grows());
    }

    #[test]
    fn a_minute_has_the_looks_up_to_its_end() {
        let sweep = sweep([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!([sweep.worst(0).0, sweep.worst(1).0, sweep.worst(2).0], [6, 8, 0]);
    }
}
