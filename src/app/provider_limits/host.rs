//! The budgets of an account at a host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::headers::LimitReport;

/// Budgets of one account at one host. Providers have a few.
const MAX_BUDGETS: usize = 8;
/// Kinds of calls whose budget is known.
const MAX_KINDS: usize = 256;
/// A pause that is stored again when it is longer by this.
const LONGER: Duration = Duration::from_secs(1);

/// What an account may do at a host.
#[derive(Debug, Default)]
pub(super) struct Host(Mutex<Budgets>);

#[derive(Debug, Default)]
struct Budgets {
    all: Vec<Named>,
    /// Which budget calls of a kind use.
    of_kinds: HashMap<u64, usize>,
    /// Until when the pause is that was stored last.
    stored_until: Option<Instant>,
}

#[derive(Debug)]
struct Named {
    /// The provider's name for it, as a number; none if it gives none.
    name: Option<u64>,
    /// It is known by its refusals only.
    is_unknown: bool,
    budget: Arc<Budget>,
}

impl Host {
    /// The budget of calls of a kind; none if no limit of theirs is known.
    pub(super) fn budget_of(&self, kind: u64) -> Option<Arc<Budget>> {
        let budgets = self.lock();
        let index = budgets.of_kinds.get(&kind).copied();
        // Of a kind that was not called yet: the only one, or the one that all calls share.
        let index = index.or_else(|| (budgets.all.len() == 1).then_some(0));
        let index = index.or_else(|| budgets.all.iter().position(|named| named.is_unknown))?;
        budgets.all.get(index).map(|named| Arc::clone(&named.budget))
    }

    /// Learns from an answer to a call of a kind. The pause that has begun, if there is one.
    pub(super) fn learn(&self, kind: u64, report: LimitReport) -> Option<Instant> {
        let mut budgets = self.lock();
        let budget = budgets.reported(kind, report)?;
        let until = budget.learn(report)?;
        if report.limit.is_none() {
            // It is not said which budget is meant: all are.
            budgets.all.iter().for_each(|named| named.budget.pause_until(until));
        }
        Some(until)
    }

    /// No call is sent before then.
    pub(super) fn pause_until(&self, until: Instant) {
        let mut budgets = self.lock();
        budgets.stored_until = Some(until);
        budgets.unknown().pause_until(until);
    }

    /// Whether a pause has to be stored: a longer one than that which is.
    pub(super) fn is_longer(&self, until: Instant) -> bool {
        let mut budgets = self.lock();
        if budgets.stored_until.is_some_and(|stored| until < stored + LONGER) {
            return false;
        }
        budgets.stored_until = Some(until);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Budgets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budgets {
    /// The budget that an answer is about. None if it says nothing, of no budget that is known.
    fn reported(&mut self, kind: u64, report: LimitReport) -> Option<Arc<Budget>> {
        let known = self.of_kinds.get(&kind).copied();
        let Some(limit) = report.limit else {
            let known = known.or_else(|| self.all.iter().position(|named| named.is_unknown));
            let known = known.and_then(|index| self.all.get(index)).map(|named| Arc::clone(&named.budget));
            return known.or_else(|| report.matters().then(|| self.unknown()));
        };
        let is_named = |named: &Named| !named.is_unknown && named.name == report.name;
        let known = known.filter(|index| self.all.get(*index).is_some_and(is_named));
        let same = |named: &Named| is_named(named) && named.budget.has_limit(limit);
        let index = known.or_else(|| self.all.iter().position(same)).unwrap_or_else(|| self.add(report.name, false));
        if self.of_kinds.len() >= MAX_KINDS {
            self.of_kinds.clear();
        }
        self.of_kinds.insert(kind, index);
        self.all.get(index).map(|named| Arc::clone(&named.budget))
    }

    /// The budget of calls whose limit is not known, but whose refusals are.
    fn unknown(&mut self) -> Arc<Budget> {
        let index = self.all.iter().position(|named| named.is_unknown).unwrap_or_else(|| self.add(None, true));
        Arc::clone(&self.all[index].budget)
    }

    fn add(&mut self, name: Option<u64>, is_unknown: bool) -> usize {
        if self.all.len() >= MAX_BUDGETS {
            self.all.clear();
            self.of_kinds.clear();
        }
        self.all.push(Named { name, is_unknown, budget: Arc::default() });
        self.all.len() - 1
    }
}
