//! What is demanded of the figures: a bar that a release has to meet, and the goal that is worked towards.

use serde::Serialize;

use crate::load::Sample;
use crate::names::{BARE, BASELINE_LINK, BASELINE_SESSION, POST_FLOOR, PROXIED, STATIC};
use crate::open_loop::AtRate;
use crate::report::Report;
use crate::start::Start;
use crate::stats::Spread;
use crate::{link, poll, proxy, scale, session, tool};

const MIB: f64 = 1_024.0 * 1_024.0;

/// A figure with two limits.
pub struct Goal {
    /// What is measured.
    pub name: &'static str,
    /// Unit of all numbers.
    pub unit: &'static str,
    /// Whether the limits are minima.
    pub is_minimum: bool,
    /// Limit that has to be met.
    pub bar: f64,
    /// Limit that is worked towards.
    pub aim: f64,
    /// The figure of one build; `None` if it was not measured.
    measure: fn(&Report, &str) -> Option<Spread>,
}

/// A figure of one build, judged.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdict {
    /// The figure, over all rounds.
    pub measured: Spread,
    /// Whether its median meets the bar.
    pub meets_bar: bool,
    /// Whether its median meets the goal.
    pub meets_goal: bool,
}

/// One row of the table of goals.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// What is measured.
    pub name: &'static str,
    /// Unit of all numbers.
    pub unit: &'static str,
    /// Whether the limits are minima.
    pub is_minimum: bool,
    /// See [`Goal`].
    pub bar: f64,
    /// See [`Goal`].
    pub goal: f64,
    /// One per build, in their order; `None` if it was not measured.
    pub verdicts: Vec<Option<Verdict>>,
}

impl Goal {
    /// The row of the table; `None` if it was measured for no build.
    pub fn judge(&self, report: &Report) -> Option<Judged> {
        let verdict = |build: &String| Some(self.verdict((self.measure)(report, build)?));
        let verdicts: Vec<Option<Verdict>> = report.builds.iter().map(verdict).collect();
        let Self { name, unit, is_minimum, bar, aim: goal, .. } = *self;
        verdicts.iter().any(Option::is_some).then_some(Judged { name, unit, is_minimum, bar, goal, verdicts })
    }

    /// A figure that is no number meets nothing.
    fn verdict(&self, measured: Spread) -> Verdict {
        let meets = |limit| if self.is_minimum { measured.median >= limit } else { measured.median <= limit };
        Verdict { measured, meets_bar: meets(self.bar), meets_goal: meets(self.aim) }
    }
}

const fn at_most(
    name: &'static str,
    unit: &'static str,
    [bar, aim]: [f64; 2],
    measure: fn(&Report, &str) -> Option<Spread>,
) -> Goal {
    Goal { name, unit, is_minimum: false, bar, aim, measure }
}

const fn at_least(
    name: &'static str,
    unit: &'static str,
    [bar, aim]: [f64; 2],
    measure: fn(&Report, &str) -> Option<Spread>,
) -> Goal {
    Goal { name, unit, is_minimum: true, bar, aim, measure }
}

/// All goals, in the order of the table.
pub const GOALS: [Goal; 21] = [
    at_most("link: CPU per request at 64 connections", "x baseline_link", [1.5, 1.2], |report, build| {
        link_ratio(report, build, 64, cpu)
    }),
    at_least("link: requests per second at 16 connections", "x baseline_link", [0.70, 0.90], |report, build| {
        link_ratio(report, build, 16, rate)
    }),
    at_least("link: requests per second at 64 connections", "x baseline_link", [0.70, 0.90], |report, build| {
        link_ratio(report, build, 64, rate)
    }),
    at_least("link: requests per second at 256 connections", "x baseline_link", [0.70, 0.90], |report, build| {
        link_ratio(report, build, 256, rate)
    }),
    at_most("link: p99 at 64 connections", "x baseline_link", [1.5, 1.2], |report, build| {
        link_ratio(report, build, 64, |sample| sample.p99_us)
    }),
    at_most("link at a fixed rate: p99 from when due", "ms", [5.0, 3.0], |report, build| {
        at_rate(report, build).map(|run| run.spread(|sample| sample.p99_us / 1e3))
    }),
    at_most("link at a fixed rate: longest stall", "ms", [20.0, 10.0], |report, build| {
        at_rate(report, build).map(|run| Spread::single(run.stall_ms()))
    }),
    at_most("link at 1 connection: writes to files", "per link", [14.0, 14.0], |report, build| {
        report.counts.iter().find(|count| count.name == build).map(|count| Spread::single(count.writes))
    }),
    at_most("link at 1 connection: syncs", "per link", [1.05, 1.05], |report, build| {
        report.counts.iter().find(|count| count.name == build).map(|count| Spread::single(count.syncs))
    }),
    at_most("proxy_execute: added p50 at 1 connection", "x bare proxy", [2.0, 1.3], |report, build| {
        added(report, build, BARE)
    }),
    at_most("proxy_execute: added p50 at 1 connection", "x POST proxy", [1.4, 1.15], |report, build| {
        added(report, build, POST_FLOOR)
    }),
    at_least("proxy_execute: requests per second at 16 connections", "x bare proxy", [0.55, 0.80], |report, build| {
        report.ratio(proxy::NAME, 16, (build, BARE), rate)
    }),
    at_most(
        "execute of a tool that reads: CPU per request at 16 connections",
        "x proxy_execute",
        [1.15, 1.15],
        |report, build| report.ratio(tool::NAME, 16, (build, PROXIED), cpu),
    ),
    at_least("GET account: requests per second at 16 connections", "x static JSON", [0.65, 0.80], |report, build| {
        report.ratio(poll::NAME, 16, (build, STATIC), rate)
    }),
    at_most("session: CPU per request at 64 connections", "x baseline_session", [2.0, 1.3], |report, build| {
        report.ratio(session::NAME, 64, (build, BASELINE_SESSION), cpu)
    }),
    at_most("link: CPU per request next to 10^6 accounts", "x next to 10^3", [1.15, 1.1], |report, build| {
        scaled(report, build, 6)
    }),
    at_most("link: CPU per request next to 10^7 accounts", "x next to 10^3", [1.6, 1.3], |report, build| {
        scaled(report, build, 7)
    }),
    at_most("start: exec to first answer", "ms", [15.0, 15.0], |report, build| {
        start(report, build).map(|start| start.ready_ms)
    }),
    at_most("idle memory (RssAnon)", "MiB", [14.0, 14.0], |report, build| {
        start(report, build).map(|start| Spread::single(f64::from(start.idle.anonymous_kib) / 1_024.0))
    }),
    at_most("binary", "MiB", [20.0, 20.0], |report, build| {
        start(report, build).map(|start| Spread::single(mib(start.binary_bytes)))
    }),
    at_most("errors", "responses", [0.0, 0.0], |report, build| {
        let errors = report.errors(build);
        errors.map(|errors| Spread::single(f64::from(u32::try_from(errors).unwrap_or(u32::MAX))))
    }),
];

/// A verdict on one bar, in tables.
pub fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**missed**" }
}

/// Requests per second.
pub fn rate(sample: &Sample) -> f64 {
    sample.per_second
}

/// Server CPU per request.
pub fn cpu(sample: &Sample) -> f64 {
    sample.cpu_us
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / MIB
}

fn link_ratio(report: &Report, build: &str, connections: usize, figure: fn(&Sample) -> f64) -> Option<Spread> {
    report.ratio(link::NAME, connections, (build, BASELINE_LINK), figure)
}

fn at_rate<'a>(report: &'a Report, build: &str) -> Option<&'a AtRate> {
    report.at_rate.iter().find(|run| run.name == build)
}

fn added(report: &Report, build: &str, floor: &str) -> Option<Spread> {
    let level = report.comparison(proxy::NAME)?.level(1)?;
    proxy::added_ratio(level, build, floor).map(Spread::single)
}

fn scaled(report: &Report, build: &str, exponent: u32) -> Option<Spread> {
    let level = &report.scale.as_ref()?.level;
    level.ratio(&scale::name(build, exponent), &scale::name(build, 3), cpu)
}

fn start<'a>(report: &'a Report, build: &str) -> Option<&'a Start> {
    report.starts.iter().find(|start| start.name == build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_both_limits() {
        let goal = at_most("", "", [1.5, 1.2], |_, _| None);
        let met = |number| {
            let verdict = goal.verdict(Spread::single(number));
            (verdict.meets_bar, verdict.meets_goal)
        };
        assert_eq!([met(1.2), met(1.3), met(1.6)], [(true, true), (true, false), (false, false)]);
        assert_eq!(met(f64::NAN), (false, false));
        let minimum = at_least("", "", [0.7, 0.9], |_, _| None);
        let verdict = minimum.verdict(Spread::single(0.8));
        assert!(verdict.meets_bar && !verdict.meets_goal);
        assert!(!minimum.verdict(Spread::single(f64::NAN)).meets_bar);
    }

    #[test]
    fn no_goal_is_below_its_bar() {
        for goal in GOALS {
            assert!(if goal.is_minimum { goal.aim >= goal.bar } else { goal.aim <= goal.bar }, "{}", goal.name);
        }
    }
}
