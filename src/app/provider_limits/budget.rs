//! A budget: how many calls may be made until when. A provider says so with each answer; in between, calls that are sent
//! are counted here, and those on their way are taken for calls that the answer did not count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::headers::LimitReport;
use super::queue::{Queue, Waiting};

/// Two ends of a window that are closer are the same: providers round them to seconds.
const SAME_WINDOW: Duration = Duration::from_millis(500);
/// Pause after the first refusal by a provider that asks for none; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_FIRST_PAUSE: Duration = Duration::from_mins(1);
/// Calls at once above which a budget that was exceeded once is no longer slowed down.
const ENOUGH: u32 = 32;

/// A budget of one account at one host.
#[derive(Debug, Default)]
pub(super) struct Budget {
    state: Mutex<State>,
    /// A call was answered, or something was learnt.
    changed: Notify,
}

/// Whether a call may be sent.
pub(super) enum Next {
    /// It may.
    Send(Turn),
    /// It waits.
    Queue(Waiting<Turn>),
    /// Not before this time has passed.
    Refuse(Duration),
}

/// A call that may be sent. It counts as being on its way until this is dropped.
#[derive(Debug, Default)]
pub struct Turn(Option<(Arc<Budget>, u32)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((budget, weight)) = self.0.take() {
            budget.answered(weight);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Calls that may be sent; not known if there is none.
    remaining: Option<f64>,
    limit: Option<u32>,
    window: Option<Duration>,
    resets_at: Option<Instant>,
    /// Calls that become possible in a second, and since when they have been counted.
    refill: Option<(u32, Instant)>,
    paused_until: Option<Instant>,
    /// Weight of the calls on their way.
    on_their_way: u32,
    /// Weight of the calls that may be on their way, after a refusal by a provider that says no numbers.
    at_once: Option<u32>,
    /// Refusals in a row.
    refusals: u32,
    queue: Queue<Turn>,
    /// A task gives those in the queue their turns.
    has_task: bool,
}

/// When a call can be sent.
#[derive(Debug, PartialEq)]
enum When {
    Now,
    At(Instant),
    /// When a call is answered.
    Answered,
}

impl Budget {
    /// Whether a call of a session may be sent. Then, or while it waits for that, it is counted.
    pub(super) fn take(self: &Arc<Self>, weight: u32, session: &str, until: Instant) -> Next {
        let mut state = self.lock();
        let now = Instant::now();
        if state.queue.is_empty() && state.when(weight, now) == When::Now {
            state.send(weight);
            return Next::Send(self.turn(weight));
        }
        let pause = state.pause(weight, session, now);
        if now + pause > until {
            return Next::Refuse(pause);
        }
        match state.queue.push(session, weight) {
            Some(waiting) => Next::Queue(waiting),
            None => Next::Refuse(pause.max(super::MAX_WAIT)),
        }
    }

    fn turn(self: &Arc<Self>, weight: u32) -> Turn {
        Turn(Some((Arc::clone(self), weight)))
    }

    /// How long a call of this weight would have to wait now.
    pub(super) fn pause(&self, weight: u32) -> Duration {
        self.lock().pause(weight, "", Instant::now())
    }

    /// A call was answered, or ended in another way.
    pub(super) fn answered(&self, weight: u32) {
        let mut state = self.lock();
        state.on_their_way = state.on_their_way.saturating_sub(weight);
        drop(state);
        self.changed.notify_one();
    }

    /// Learns from an answer. The pause that has begun, if there is one.
    pub(super) fn learn(&self, report: LimitReport) -> Option<Instant> {
        let pause = self.lock().learn(report, Instant::now());
        self.changed.notify_one();
        pause
    }

    /// No call is sent before then.
    pub(super) fn pause_until(&self, until: Instant) {
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Whether an answer is about this budget.
    pub(super) fn has_limit(&self, limit: u32) -> bool {
        self.lock().limit == Some(limit)
    }

    /// Gives those in the queue their turns, until it is empty. One task does it at a time.
    pub(super) async fn give_turns(self: Arc<Self>) {
        if std::mem::replace(&mut self.lock().has_task, true) {
            return;
        }
        while let Some(when) = self.give_due_turns() {
            let changed = self.changed.notified();
            match when {
                When::At(at) => {
                    let _ = tokio::time::timeout_at(at.into(), changed).await;
                }
                When::Now | When::Answered => changed.await,
            }
        }
    }

    /// Gives the turns that are due. When the next one is; none if the queue is empty.
    fn give_due_turns(self: &Arc<Self>) -> Option<When> {
        let mut state = self.lock();
        loop {
            let Some(weight) = state.queue.next() else {
                state.has_task = false;
                return None;
            };
            match state.when(weight, Instant::now()) {
                When::Now => {
                    state.send(weight);
                    if let Err(mut unwanted) = state.queue.give(self.turn(weight)) {
                        // Its drop would take the lock.
                        unwanted.0 = None;
                        state.take_back(weight);
                    }
                }
                later => return Some(later),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, weight: u32) {
        self.on_their_way = self.on_their_way.saturating_add(weight);
        if let Some(remaining) = &mut self.remaining {
            *remaining = (*remaining - f64::from(weight)).max(0.0);
        }
    }

    /// A call was not sent after all.
    fn take_back(&mut self, weight: u32) {
        self.on_their_way = self.on_their_way.saturating_sub(weight);
        if let Some(remaining) = &mut self.remaining {
            *remaining += f64::from(weight);
        }
    }

    /// When a call of this weight can be sent, if none waits.
    fn when(&mut self, weight: u32, now: Instant) -> When {
        if let Some(until) = self.paused_until {
            if now < until {
                return When::At(until);
            }
            self.paused_until = None;
        }
        self.refresh(now);
        if self.on_their_way > 0
            && self.at_once.is_some_and(|at_once| self.on_their_way.saturating_add(weight) > at_once)
        {
            return When::Answered;
        }
        // A call of more weight than the limit is sent when all of it is left.
        let needed = f64::from(self.limit.map_or(weight, |limit| weight.min(limit)));
        let Some(remaining) = self.remaining.filter(|remaining| *remaining < needed) else { return When::Now };
        match (self.resets_at, self.refill) {
            (_, Some((refill, _))) if refill > 0 => {
                When::At(now + Duration::from_secs_f64((needed - remaining) / f64::from(refill)))
            }
            (Some(at), _) => When::At(at),
            (None, _) if self.on_their_way > 0 => When::Answered,
            // It is not known when the budget begins again: the next call finds out.
            (None, _) => When::Now,
        }
    }

    /// A window that has ended gives way to the next one.
    fn refresh(&mut self, now: Instant) {
        if self.resets_at.is_some_and(|at| at <= now) {
            self.remaining = self.limit.map(f64::from);
            self.resets_at = self.limit.and(self.window).map(|window| now + window);
        }
        if let (Some(remaining), Some((refill, since))) = (&mut self.remaining, &mut self.refill) {
            *remaining += f64::from(*refill) * now.saturating_duration_since(*since).as_secs_f64();
            *remaining = self.limit.map_or(*remaining, |limit| remaining.min(f64::from(limit)));
            *since = now;
        }
    }

    /// How long a call of a session would wait, by what is known.
    fn pause(&mut self, weight: u32, session: &str, now: Instant) -> Duration {
        let first = match self.when(weight, now) {
            When::At(at) => at.saturating_duration_since(now),
            When::Now | When::Answered => Duration::ZERO,
        };
        let needed = f64::from(self.queue.ahead_of(session).saturating_add(weight));
        let left = if first.is_zero() { self.remaining.unwrap_or(needed) } else { 0.0 };
        match (self.refill, self.limit, self.window) {
            (Some((refill, _)), ..) if refill > 0 => {
                first.max(Duration::from_secs_f64((needed - left).max(0.0) / f64::from(refill)))
            }
            (_, Some(limit), Some(window)) if limit > 0 => {
                let windows = ((needed - left) / f64::from(limit)).ceil().max(0.0);
                // The first wait is for the first of them.
                let further = if first.is_zero() { windows } else { windows - 1.0 };
                first + window.mul_f64(further.clamp(0.0, 1e6))
            }
            _ => first,
        }
    }

    fn learn(&mut self, report: LimitReport, now: Instant) -> Option<Instant> {
        self.limit = report.limit.or(self.limit);
        self.window = report.window.or(self.window);
        if let Some(refill) = report.refill {
            self.refill = Some((refill, now));
        }
        if report.is_refusal { Some(self.refused(report, now)) } else { self.allowed(report, now) }
    }

    fn refused(&mut self, report: LimitReport, now: Instant) -> Instant {
        self.refusals = self.refusals.saturating_add(1);
        let own = FIRST_PAUSE.saturating_mul(1 << (self.refusals - 1).min(6)).min(MAX_FIRST_PAUSE);
        let asked = report.retry_after.filter(|pause| !pause.is_zero());
        let until = now + asked.or(report.resets_in.filter(|_| report.remaining == Some(0))).unwrap_or(own);
        self.paused_until = self.paused_until.max(Some(until));
        // What is left after it is the next window's, if the provider has said how much that is.
        self.remaining = self.limit.map(|_| 0.0);
        self.resets_at = self.limit.map(|_| until);
        if self.limit.is_none() {
            self.at_once = Some(1);
        }
        until
    }

    fn allowed(&mut self, report: LimitReport, now: Instant) -> Option<Instant> {
        self.refusals = 0;
        self.at_once = self.at_once.map(|at_once| at_once + 1).filter(|at_once| *at_once < ENOUGH);
        let remaining = f64::from(report.remaining?.saturating_sub(self.on_their_way));
        let resets_at = report.resets_in.or(report.window).map(|time| now + time);
        let is_next = match (self.resets_at, resets_at) {
            (Some(known), Some(at)) => at > known + SAME_WINDOW,
            (Some(_), None) => false,
            (None, _) => true,
        };
        match self.remaining {
            // An answer that was overtaken by another one says more than is left.
            Some(known) if !is_next => {
                self.remaining = Some(known.min(remaining));
                self.resets_at = self.resets_at.max(resets_at);
            }
            _ => {
                self.remaining = Some(remaining);
                self.resets_at = resets_at;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn report(remaining: u32) -> LimitReport {
        LimitReport { limit: Some(10), remaining: Some(remaining), resets_in: Some(SECOND), ..LimitReport::default() }
    }

    #[test]
    fn calls_on_their_way_count_before_they_are_answered() {
        let (mut state, now) = (State::default(), Instant::now());
        state.learn(report(3), now);
        for _ in 0..3 {
            assert_eq!(state.when(1, now), When::Now);
            state.send(1);
        }
        assert_eq!(state.when(1, now), When::At(now + SECOND));
        // Answers in another order than they were given.
        for remaining in [0, 2, 1] {
            state.on_their_way -= 1;
            state.learn(report(remaining), now);
        }
        assert_eq!(state.when(1, now), When::At(now + SECOND));
        assert_eq!(state.when(1, now + SECOND), When::Now);
        assert_eq!(state.remaining, Some(10.0), "the next window");
    }

    #[test]
    fn a_heavy_call_waits_for_as_much() {
        let (mut state, now) = (State::default(), Instant::now());
        state.learn(report(4), now);
        assert_eq!(state.when(5, now), When::At(now + SECOND));
        assert_eq!(state.when(4, now), When::Now);
        assert_eq!(state.when(50, now + SECOND), When::Now, "all of the limit is left");
    }

    #[test]
    fn a_refusal_pauses_and_the_next_calls_come_slowly() {
        let (mut state, now) = (State::default(), Instant::now());
        let refusal = LimitReport { is_refusal: true, retry_after: Some(3 * SECOND), ..LimitReport::default() };
        assert_eq!(state.learn(refusal, now), Some(now + 3 * SECOND));
        assert_eq!(state.when(1, now), When::At(now + 3 * SECOND));
        let later = now + 3 * SECOND;
        assert_eq!(state.when(1, later), When::Now);
        state.send(1);
        assert_eq!(state.when(1, later), When::Answered);
        state.on_their_way = 0;
        state.learn(LimitReport::default(), later);
        state.send(1);
        assert_eq!(state.when(1, later), When::Now, "two at once");
        let without = LimitReport { is_refusal: true, ..LimitReport::default() };
        assert_eq!(state.learn(without, later), Some(later + SECOND));
        assert_eq!(state.learn(without, later), Some(later + 2 * SECOND), "and longer each time");
    }

    #[test]
    fn a_budget_that_refills_evenly_gives_calls_one_by_one() {
        let (mut state, now) = (State::default(), Instant::now());
        state
            .learn(LimitReport { limit: Some(40), remaining: Some(0), refill: Some(2), ..LimitReport::default() }, now);
        assert_eq!(state.when(1, now), When::At(now + SECOND / 2));
        assert_eq!(state.when(1, now + SECOND / 2), When::Now);
        state.send(1);
        assert_eq!(state.when(2, now + SECOND / 2), When::At(now + SECOND * 3 / 2));
    }

    #[test]
    fn a_wait_is_told_by_the_windows_that_it_takes() {
        let (mut state, now) = (State::default(), Instant::now());
        state.learn(LimitReport { window: Some(SECOND), ..report(0) }, now);
        let _waiting: Vec<_> = (0..25).map(|_| state.queue.push("a", 1)).collect();
        assert_eq!(state.pause(1, "a", now), 3 * SECOND);
        assert_eq!(state.pause(1, "b", now), SECOND, "after one call of the other session");
    }
}
