//! Requests at a fixed rate, whether or not earlier ones were answered. A request's latency counts from the
//! moment at which it was due, so that a server that stalls is charged for every request of that time, not
//! only for those that were in flight (no coordinated omission).

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use crate::load::{Connection, TIMEOUT, Target};
use crate::options::Options;
use crate::rounds::{Level, orders};
use crate::stats::{Spread, micros, per_mille, percentile};

/// Fewest connections.
const CONNECTIONS: usize = 16;
/// A measurement takes this many times as long as others, at most a minute: stalls are seconds apart.
const LENGTHS: u64 = 6;
const LONGEST: u64 = 60;

/// One server's rounds at its rate.
#[derive(Debug, Serialize)]
pub struct AtRate {
    /// The server.
    pub name: String,
    /// Requests per second.
    pub rate: f64,
    /// Connections that carried them.
    pub connections: usize,
    /// Seconds per round.
    pub seconds: u64,
    /// One per round.
    pub samples: Vec<RateSample>,
}

/// Results of one round. All times are in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RateSample {
    /// Responses with status 2xx.
    pub answers: usize,
    /// Other statuses, broken connections and missing responses.
    pub errors: usize,
    /// Latency from the moment at which a request was due.
    pub p50_us: f64,
    /// See `p50_us`.
    pub p99_us: f64,
    /// See `p50_us`.
    pub p999_us: f64,
    /// See `p50_us`.
    pub max_us: f64,
    /// Longest time without an answer to any request while at least one was due.
    pub stall_us: f64,
    /// How late requests were sent: the load generator was late, or every connection waited for an answer.
    pub late_p99_us: f64,
}

impl AtRate {
    /// One value over all rounds.
    pub fn spread(&self, figure: impl Fn(&RateSample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(figure))
    }

    /// The longest stall of all rounds, in milliseconds.
    pub fn stall_ms(&self) -> f64 {
        self.spread(|sample| sample.stall_us).max / 1e3
    }
}

/// A request that was answered, or failed. Times are microseconds since the start, which has to be less than 71
/// minutes ago: there may be millions of records.
#[derive(Clone, Copy, Debug)]
struct Record {
    due: u32,
    sent: u32,
    done: u32,
    is_success: bool,
}

/// All requests of a run.
#[derive(Debug)]
pub struct Records(Vec<Record>);

impl Records {
    /// Sums up all requests. `None` if nothing was answered.
    pub fn sample(&self) -> Option<RateSample> {
        summary(self.0.clone())
    }

    /// Sums up the requests that were due between two times since the start. `None` if none of them was answered.
    pub fn sample_of(&self, due: &Range<Duration>) -> Option<RateSample> {
        let is_due = |record: &&Record| due.contains(&Duration::from_micros(record.due.into()));
        summary(self.0.iter().filter(is_due).copied().collect())
    }
}

/// Measures all targets, each at half of the rate that it reached in `levels`, or at `--rate`.
pub async fn measure(options: &Options, levels: &[Level], targets: &[Target<'_>]) -> Result<Vec<AtRate>> {
    let seconds = (options.seconds * LENGTHS).min(LONGEST);
    let mut runs = Vec::new();
    for target in targets {
        let (carried, connections) = greatest(levels, &target.name);
        let rate = options.rate.map_or(carried / 2.0, f64::from);
        if rate < 1.0 {
            bail!("{} reached no rate that could be halved; --rate sets one", target.name);
        }
        runs.push(AtRate { name: target.name.clone(), rate, connections, seconds, samples: Vec::new() });
    }
    for (round, order) in orders(options.rounds, targets.len()).enumerate() {
        eprintln!("link at a fixed rate: round {} of {}", round + 1, options.rounds);
        for index in order {
            if let (Some(target), Some(run)) = (targets.get(index), runs.get_mut(index)) {
                let records = run_at(target, run.rate, run.connections, Duration::from_secs(seconds)).await?;
                let sample = records.sample();
                run.samples.push(sample.with_context(|| {
                    format!("{} gave no answer of status 2xx at {:.0} a second", target.name, run.rate)
                })?);
            }
        }
    }
    Ok(runs)
}

/// The greatest median rate of a server, and the number of connections that carried it: with as many, a request
/// at half of that rate waits for a connection only when the server stalls. At least [`CONNECTIONS`].
fn greatest(levels: &[Level], name: &str) -> (f64, usize) {
    let rate = |level: &Level| Some((level.run(name)?.spread(|sample| sample.per_second).median, level.connections));
    let rates = levels.iter().filter_map(rate);
    let (rate, connections) = rates.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default();
    (rate, connections.max(CONNECTIONS))
}

/// Sends `rate` requests per second for a time, and waits for the answers.
pub async fn run_at(target: &Target<'_>, rate: f64, connections: usize, duration: Duration) -> Result<Records> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(target.process.address()).await?);
    }
    let (sender, due) = mpsc::unbounded_channel();
    let due = Arc::new(Mutex::new(due));
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for (index, connection) in opened.into_iter().enumerate() {
        let first = index * target.requests.len() / connections;
        let address = target.process.address();
        clients.spawn(client((address, connection), started, Arc::clone(&due), Arc::clone(&target.requests), first));
    }
    // On a thread of its own: the runtime's timers have a resolution of a millisecond.
    let pace = thread::Builder::new().name("pace".to_owned());
    let pace = pace.spawn(move || keep_pace(&sender, started, rate, duration)).context("cannot start a thread")?;
    let mut records = Vec::new();
    while let Some(done) = clients.join_next().await {
        records.extend(done?);
    }
    // It has ended: the clients end when it drops its sender.
    let _ = pace.join();
    Ok(Records(records))
}

/// Says when each request is due. Sleeps are late by a fraction of a millisecond; a request that is due
/// already is said at once.
fn keep_pace(sender: &UnboundedSender<Instant>, started: Instant, rate: f64, duration: Duration) {
    let mut number = 0_u32;
    loop {
        let after = Duration::from_secs_f64(f64::from(number) / rate);
        if after >= duration {
            return;
        }
        if let Some(pause) = after.checked_sub(started.elapsed()) {
            thread::sleep(pause);
        }
        if sender.send(started + after).is_err() {
            return;
        }
        number += 1;
    }
}

/// Sends the next request that is due, until there are none.
async fn client(
    (address, mut connection): (SocketAddr, Connection),
    started: Instant,
    due: Arc<Mutex<UnboundedReceiver<Instant>>>,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
) -> Vec<Record> {
    let since = |at: Instant| u32::try_from((at - started).as_micros()).unwrap_or(u32::MAX);
    let mut records = Vec::with_capacity(4_096);
    for request in requests.iter().cycle().skip(first) {
        let Some(due) = due.lock().await.recv().await else { break };
        let sent = Instant::now();
        let exchange = tokio::time::timeout(TIMEOUT, connection.exchange(request));
        let status = match exchange.await {
            Ok(Ok(answer)) => Some(answer.status),
            Ok(Err(_)) | Err(_) => None,
        };
        let is_success = status.is_some_and(|status| (200..300).contains(&status));
        records.push(Record { due: since(due), sent: since(sent), done: since(Instant::now()), is_success });
        if status.is_none() {
            let Ok(another) = Connection::open(address).await else { break };
            connection = another;
        }
    }
    records
}

/// `None` if nothing was answered.
fn summary(mut records: Vec<Record>) -> Option<RateSample> {
    records.sort_by_key(|record| record.done);
    let stall = longest_stall(&records);
    let sorted = |time: fn(&Record) -> u32| {
        let times = records.iter().filter(|record| record.is_success).map(time);
        let mut times: Vec<Duration> = times.map(|time| Duration::from_micros(time.into())).collect();
        times.sort_unstable();
        times
    };
    let latencies = sorted(|record| record.done.saturating_sub(record.due));
    let late = sorted(|record| record.sent.saturating_sub(record.due));
    (!latencies.is_empty()).then(|| RateSample {
        answers: latencies.len(),
        errors: records.len() - latencies.len(),
        p50_us: micros(percentile(&latencies, 50)),
        p99_us: micros(percentile(&latencies, 99)),
        p999_us: micros(per_mille(&latencies, 999)),
        max_us: micros(latencies.last().copied().unwrap_or_default()),
        stall_us: f64::from(stall),
        late_p99_us: micros(percentile(&late, 99)),
    })
}

/// The longest time between two answers in a row in which a request was due that had none. `records` are in
/// the order of their answers. In microseconds.
fn longest_stall(records: &[Record]) -> u32 {
    let mut longest = 0;
    // From the end: the earliest moment at which a request was due that was not answered before.
    let mut waiting_since: Option<u32> = None;
    for (index, record) in records.iter().enumerate().rev() {
        let since = waiting_since.map_or(record.due, |since| since.min(record.due));
        waiting_since = Some(since);
        let before = index.checked_sub(1).and_then(|before| records.get(before)).map(|before| before.done);
        let began = before.map_or(since, |before| before.max(since));
        longest = longest.max(record.done.saturating_sub(began));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Sample;
    use crate::rounds::Run;

    /// Due and answered after so many milliseconds.
    fn records(times: &[(u32, u32)]) -> Vec<Record> {
        let record = |due, done| Record { due: due * 1_000, sent: due * 1_000, done: done * 1_000, is_success: true };
        times.iter().map(|&(due, done)| record(due, done)).collect()
    }

    #[test]
    fn a_request_that_waits_behind_a_stall_is_charged_for_it() {
        // One a millisecond; the server stands still from 2 to 10.
        let times: Vec<(u32, u32)> = (0..20).map(|due| (due, if (2..10).contains(&due) { 10 } else { due })).collect();
        let sample = summary(records(&times)).unwrap();
        assert!((sample.p99_us - 8_000.0).abs() < 1.0, "{sample:?}");
        assert!((sample.stall_us - 8_000.0).abs() < 1.0, "{sample:?}");
        assert!((sample.max_us - 8_000.0).abs() < 1.0, "{sample:?}");
        assert_eq!((sample.answers, sample.errors), (20, 0));
    }

    #[test]
    fn a_request_belongs_to_the_time_at_which_it_was_due() {
        let records = Records(records(&[(1, 2), (9, 30), (10, 11)]));
        let sample = records.sample_of(&(Duration::ZERO..Duration::from_millis(10))).unwrap();
        assert_eq!(sample.answers, 2);
        assert!((sample.max_us - 21_000.0).abs() < 1.0, "{sample:?}");
        assert_eq!(records.sample().unwrap().answers, 3);
        assert!(records.sample_of(&(Duration::from_secs(1)..Duration::from_secs(2))).is_none());
    }

    #[test]
    fn a_pause_in_which_nothing_is_due_is_no_stall() {
        assert_eq!(longest_stall(&records(&[(0, 1), (500, 502)])), 2_000);
    }

    #[test]
    fn one_slow_answer_beside_quick_ones_is_no_stall() {
        let times = records(&[(1, 2), (3, 4), (5, 6), (7, 8), (0, 9)]);
        assert_eq!(longest_stall(&times), 2_000);
    }

    #[test]
    fn nothing_answered_is_no_measurement() {
        assert!(summary(Vec::new()).is_none());
        let mut failed = records(&[(0, 1)]);
        failed[0].is_success = false;
        assert!(summary(failed).is_none());
    }

    #[test]
    fn the_rate_is_that_of_the_level_that_carried_most() {
        let level = |connections, per_second| {
            let sample = Sample { per_second, p50_us: 0.0, p99_us: 0.0, cpu_us: 0.0, errors: 0 };
            Level { connections, runs: vec![Run { name: "server".to_owned(), samples: vec![sample] }] }
        };
        let levels = [level(1, 900.0), level(64, 9_000.0), level(256, 8_000.0)];
        assert_eq!(greatest(&levels, "server"), (9_000.0, 64));
        assert_eq!(greatest(&levels[..1], "server"), (900.0, 16));
        assert_eq!(greatest(&levels, "unknown"), (0.0, 16));
    }
}
