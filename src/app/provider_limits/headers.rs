//! What an answer says about limits: `Retry-After` (RFC 9110 section 10.2.3), `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers, in its forms so far), `X-RateLimit-*`, and the names of the toolkit's file.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap};
use switchboard_catalog::{LimitHeaders, RateLimit, RateLimitUnit, Toolkit};
use switchboard_types::Timestamp;

use crate::app::provider::retry_after;

/// A number of seconds above this is a moment since 1970, and one above the second a moment in milliseconds.
const EPOCH: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e11;
/// A budget of more calls than can be on their way is not counted.
const FAR: u32 = 512;
/// The beginning of a body that is searched for the text of a refusal, in bytes.
const MAX_SEARCHED: usize = 16 * 1_024;
/// A provider that asks for a longer pause asks for nothing.
const MAX_ASKED: Duration = Duration::from_hours(7 * 24);
/// Longest pause that is kept. After it, a call finds out whether the provider still refuses.
const MAX_PAUSE: Duration = Duration::from_hours(1);

const LIMITS: [&str; 3] = ["x-ratelimit-limit", "x-rate-limit-limit", "ratelimit-limit"];
const REMAINING: [&str; 3] = ["x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"];
const RESETS: [&str; 4] = ["x-ratelimit-reset-after", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"];
/// Names of budgets.
const NAMES: [&str; 2] = ["x-ratelimit-resource", "x-ratelimit-bucket"];

/// What an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LimitReport {
    /// The provider refused the call because of a limit.
    pub is_refusal: bool,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// Calls in a window.
    pub limit: Option<u32>,
    /// Calls that are left in this one.
    pub remaining: Option<u32>,
    /// When it ends.
    pub resets_in: Option<Duration>,
    /// How long a window is.
    pub window: Option<Duration>,
    /// Calls that become possible again in a second, where there are no windows.
    pub refill: Option<u32>,
    /// A number for the name of the budget.
    pub name: Option<u64>,
}

impl LimitReport {
    /// What the head of an answer says.
    pub fn by(toolkit: &Toolkit, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Self {
        let mut report = Self { is_refusal: status == StatusCode::TOO_MANY_REQUESTS, ..Self::default() };
        let own = toolkit.limit_headers.as_ref();
        if let Some(own) = own {
            report.by_names(own, headers, now);
        }
        if report.remaining.is_none() {
            report.by_common_names(headers, now);
        }
        if report.remaining.is_none() {
            report.by_fields(headers);
        }
        for rule in toolkit.rate_limits.iter().filter(|rule| rule.body_contains.is_none()) {
            report.by_rule(rule, status, headers, now);
        }
        if report.is_refusal {
            report.retry_after = report.retry_after.or_else(|| asked_pause(headers, now));
        }
        report
    }

    /// The texts in the body by which a toolkit's rules know a refusal, with what this head says then.
    pub fn by_bodies<'t>(
        self,
        toolkit: &'t Toolkit,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Vec<(&'t str, Self)> {
        let rules = toolkit.rate_limits.iter().filter(|rule| rule.status == status.as_u16());
        let reports = rules.filter_map(|rule| {
            let mut report = self;
            report.by_rule(rule, status, headers, now);
            Some((rule.body_contains.as_deref()?, report)).filter(|(_, report)| report.is_refusal)
        });
        reports.collect()
    }

    /// The one of them whose text is in the body, and otherwise this.
    #[must_use]
    pub fn or_by_body(self, bodies: &[(&str, Self)], body: &[u8]) -> Self {
        let body = &body[..body.len().min(MAX_SEARCHED)];
        let is_there =
            |text: &str| !text.is_empty() && body.windows(text.len()).any(|window| window == text.as_bytes());
        bodies.iter().find(|(text, _)| is_there(text)).map_or(self, |(_, report)| *report)
    }

    /// Whether it says anything that limits calls: a refusal, or a budget that is not far from its end.
    pub fn matters(&self) -> bool {
        self.is_refusal || self.remaining.is_some_and(|remaining| remaining < FAR)
    }

    fn by_rule(&mut self, rule: &RateLimit, status: StatusCode, headers: &HeaderMap, now: Timestamp) {
        let has_header = match (&rule.header, &rule.header_value) {
            (Some(name), Some(value)) => headers.get(name).is_some_and(|found| found == value.as_str()),
            _ => true,
        };
        if rule.status != status.as_u16() || !has_header {
            return;
        }
        self.is_refusal = true;
        let reset = rule.reset_header.as_deref().and_then(|name| reset(headers, name, rule.reset_unit, now));
        let asked = asked_pause(headers, now).or(reset.map(|pause| pause.min(MAX_PAUSE)));
        self.retry_after = asked.or(self.retry_after);
    }

    fn by_names(&mut self, own: &LimitHeaders, headers: &HeaderMap, now: Timestamp) {
        let of = |name: &Option<String>| name.as_deref().and_then(|name| number(headers, name)).map(integer);
        if let Some((used, limit)) = own.used.as_deref().and_then(|name| text(headers, name)?.split_once('/')) {
            let (used, limit) = (used.trim().parse().ok(), limit.trim().parse().ok());
            self.limit = limit;
            self.remaining = limit.zip(used).map(|(limit, used)| limit.saturating_sub(used));
        } else {
            self.limit = of(&own.limit);
            self.remaining = of(&own.remaining);
        }
        if self.remaining.is_some() {
            self.resets_in = own.reset.as_deref().and_then(|name| reset(headers, name, own.reset_unit, now));
            self.window = own.window.map(|seconds| Duration::from_secs(seconds.into()));
            self.refill = own.refill;
        }
    }

    fn by_common_names(&mut self, headers: &HeaderMap, now: Timestamp) {
        let Some(remaining) = REMAINING.iter().find_map(|name| number(headers, name)) else { return };
        self.remaining = Some(integer(remaining));
        let limit = LIMITS.iter().find_map(|name| text(headers, name));
        self.limit = limit.and_then(first_number).map(integer);
        self.window = limit.and_then(|text| parameter(text, "w")).map(seconds);
        self.resets_in = RESETS.iter().find_map(|name| moment(number(headers, name)?, headers, now));
        let name = NAMES.iter().find_map(|name| headers.get(*name));
        self.name =
            name.map(|name| name.as_bytes().iter().fold(0, |hash: u64, byte| hash.wrapping_mul(31) ^ u64::from(*byte)));
    }

    fn by_fields(&mut self, headers: &HeaderMap) {
        let Some(field) = text(headers, "ratelimit") else { return };
        // The first of several policies, as the draft orders them.
        let field = field.split_once(',').filter(|(first, _)| first.contains(';')).map_or(field, |(first, _)| first);
        let any = |names: [&str; 2]| names.iter().find_map(|name| parameter(field, name));
        self.remaining = any(["r", "remaining"]).map(integer);
        self.resets_in = any(["t", "reset"]).map(seconds);
        let policy = text(headers, "ratelimit-policy").unwrap_or_default();
        self.limit =
            parameter(policy, "q").or_else(|| parameter(field, "limit")).or_else(|| first_number(policy)).map(integer);
        self.window = parameter(policy, "w").map(seconds);
    }
}

/// `Retry-After`, unless it is too long to be meant.
fn asked_pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(headers, now).filter(|pause| *pause <= MAX_ASKED).map(|pause| pause.min(MAX_PAUSE))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    first_number(text(headers, name)?)
}

/// The number at the beginning of a text: of `100`, `100;w=60` and `100, 100;w=60`.
fn first_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The value of `name=value` in a list separated by `;` or `,`.
fn parameter(text: &str, name: &str) -> Option<f64> {
    let value = text.split([';', ',']).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
    first_number(value)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a number saturates")]
fn integer(number: f64) -> u32 {
    number as u32
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or(MAX_PAUSE)
}

/// The time until a moment that is a number of seconds, or a moment since 1970.
fn moment(number: f64, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if number < EPOCH {
        return Some(seconds(number));
    }
    let at = if number < EPOCH_MILLIS { number * 1_000.0 } else { number };
    until(at, headers, now)
}

/// The time until a moment in milliseconds since 1970, by the provider's clock where the answer has it.
fn until(at: f64, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let date = text(headers, header::DATE.as_str()).and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
    let now = date.map_or(now.as_millis(), |date| date.timestamp_millis());
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
    Duration::try_from_secs_f64(((at - now as f64) / 1_000.0).max(0.0)).ok()
}

fn reset(headers: &HeaderMap, name: &str, unit: RateLimitUnit, now: Timestamp) -> Option<Duration> {
    let number = number(headers, name)?;
    match unit {
        RateLimitUnit::Seconds => Some(seconds(number)),
        RateLimitUnit::Epoch => until(number * 1_000.0, headers, now),
        RateLimitUnit::EpochMilliseconds => until(number, headers, now),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn report(status: u16, lines: &[(&str, &str)]) -> LimitReport {
        let catalog = switchboard_catalog::Catalog::builtin();
        report_of(catalog.get("sandbox").unwrap(), status, lines)
    }

    fn report_of(toolkit: &Toolkit, status: u16, lines: &[(&str, &str)]) -> LimitReport {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let now = Timestamp::from_millis(1_795_000_000_000);
        LimitReport::by(toolkit, StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    fn numbers(report: LimitReport) -> (Option<u32>, Option<u32>, Option<u64>, Option<u64>) {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        (report.limit, report.remaining, seconds(report.resets_in), seconds(report.window))
    }

    #[test]
    fn the_forms_of_headers_are_read() {
        for (lines, expected) in [
            (&[][..], (None, None, None, None)),
            (&[("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "9")], (Some(10), Some(9), None, None)),
            (
                &[("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "30")],
                (Some(10), Some(9), Some(30), None),
            ),
            (
                &[("x-rate-limit-limit", "10"), ("x-rate-limit-remaining", "9"), ("x-rate-limit-reset", "1795000060")],
                (Some(10), Some(9), Some(60), None),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000060000")],
                (None, Some(0), Some(60), None),
            ),
            // By the provider's clock, which is a minute behind.
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1794999990"),
                    ("date", "Wed, 18 Nov 2026 11:05:40 GMT"),
                ],
                (None, Some(0), Some(50), None),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "1"),
                    ("x-ratelimit-reset", "1795000060"),
                    ("x-ratelimit-reset-after", "2.5"),
                ],
                (None, Some(1), Some(2), None),
            ),
            (
                &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "50"), ("ratelimit-reset", "30")],
                (Some(100), Some(50), Some(30), Some(60)),
            ),
            (&[("ratelimit", "limit=100, remaining=50, reset=30")], (Some(100), Some(50), Some(30), None)),
            (
                &[("ratelimit", "\"default\";r=50;t=30"), ("ratelimit-policy", "\"default\";q=100;w=60")],
                (Some(100), Some(50), Some(30), Some(60)),
            ),
            (&[("x-ratelimit-remaining", "many")], (None, None, None, None)),
            (&[("x-ratelimit-remaining", "99999999999999")], (None, Some(u32::MAX), None, None)),
        ] {
            assert_eq!(numbers(report(200, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_long() {
        let pause = |lines: &[(&str, &str)]| report(429, lines).retry_after.map(|pause| pause.as_secs());
        assert_eq!(pause(&[]), None);
        assert_eq!(pause(&[("retry-after", "30")]), Some(30));
        assert_eq!(pause(&[("retry-after", "Wed, 18 Nov 2026 11:07:40 GMT")]), Some(60));
        assert_eq!(pause(&[("retry-after", "86400")]), Some(3_600), "asked again after an hour");
        assert_eq!(pause(&[("retry-after", "18446744073709551615")]), None);
        assert!(report(429, &[]).is_refusal && !report(200, &[("retry-after", "30")]).is_refusal);
        assert!(!report(200, &[("x-ratelimit-remaining", "4999")]).matters(), "far away");
    }

    #[test]
    fn a_toolkit_says_what_its_provider_means() {
        let mut toolkit = Toolkit::clone(switchboard_catalog::Catalog::builtin().get("github").unwrap());
        let lines = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000060")];
        let report = report_of(&toolkit, 403, &lines);
        assert_eq!((report.is_refusal, report.retry_after), (true, Some(Duration::from_mins(1))));
        let text = "the secondary rate limit";
        let (status, headers) = (StatusCode::FORBIDDEN, HeaderMap::new());
        let now = Timestamp::from_millis(0);
        let head = LimitReport::by(&toolkit, status, &headers, now);
        let bodies = head.by_bodies(&toolkit, status, &headers, now);
        assert!(!head.is_refusal && head.or_by_body(&bodies, text.as_bytes()).is_refusal);
        assert!(!head.or_by_body(&bodies, b"not allowed").is_refusal);
        toolkit.limit_headers = Some(LimitHeaders {
            used: Some("x-calls".to_owned()),
            refill: Some(2),
            limit: None,
            remaining: None,
            reset: None,
            reset_unit: RateLimitUnit::Seconds,
            window: None,
        });
        let report = report_of(&toolkit, 200, &[("x-calls", "32/40")]);
        assert_eq!((report.limit, report.remaining, report.refill), (Some(40), Some(8), Some(2)));
    }

    #[test]
    fn a_toolkit_names_each_header_of_a_limit() {
        let mut toolkit = Toolkit::clone(switchboard_catalog::Catalog::builtin().get("github").unwrap());
        toolkit.limit_headers = Some(LimitHeaders {
            used: None,
            refill: None,
            limit: Some("x-max".to_owned()),
            remaining: Some("x-left".to_owned()),
            reset: Some("x-end".to_owned()),
            reset_unit: RateLimitUnit::Epoch,
            window: Some(60),
        });
        let report = report_of(&toolkit, 200, &[("x-max", "100"), ("x-left", "7"), ("x-end", "1795000030")]);
        assert_eq!((report.limit, report.remaining), (Some(100), Some(7)));
        assert_eq!((report.resets_in, report.window), (Some(Duration::from_secs(30)), Some(Duration::from_mins(1))));
    }
}
