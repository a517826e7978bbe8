//! The queue of a budget: it takes one call of each session in turn, so that a session with many calls does not keep the
//! others waiting.

use std::collections::VecDeque;
use std::time::Instant;

use switchboard_types::CompactString;
use tokio::sync::oneshot;

/// Calls that may wait for one budget.
const CAPACITY: usize = 1_000;

/// Calls that wait for a turn `T`, by session.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// The next session is the first.
    sessions: VecDeque<(CompactString, VecDeque<Waiter<T>>)>,
}

#[derive(Debug)]
struct Waiter<T> {
    weight: u32,
    turn: oneshot::Sender<T>,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting<T>(oneshot::Receiver<T>);

impl<T> Waiting<T> {
    /// Its turn, if it comes until then.
    pub(super) async fn until(mut self, until: Instant) -> Option<T> {
        if let Ok(turn) = tokio::time::timeout_at(until.into(), &mut self.0).await {
            return turn.ok();
        }
        // It may have come just now.
        self.0.close();
        self.0.try_recv().ok()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { sessions: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Adds a call. None if the queue is full.
    pub(super) fn push(&mut self, session: &str, weight: u32) -> Option<Waiting<T>> {
        if self.sessions.iter().map(|(_, calls)| calls.len()).sum::<usize>() >= CAPACITY {
            return None;
        }
        let (turn, waiting) = oneshot::channel();
        let waiter = Waiter { weight, turn };
        match self.sessions.iter_mut().find(|(known, _)| known == session) {
            Some((_, calls)) => calls.push_back(waiter),
            None => self.sessions.push_back((session.into(), [waiter].into())),
        }
        Some(Waiting(waiting))
    }

    /// The weight of the next call; none if no one waits any more.
    pub(super) fn next(&mut self) -> Option<u32> {
        while let Some((_, calls)) = self.sessions.front_mut() {
            while calls.front().is_some_and(|call| call.turn.is_closed()) {
                calls.pop_front();
            }
            if let Some(call) = calls.front() {
                return Some(call.weight);
            }
            self.sessions.pop_front();
        }
        None
    }

    /// Gives the next call its turn.
    ///
    /// # Errors
    /// It no longer wants it.
    pub(super) fn give(&mut self, turn: T) -> Result<(), T> {
        let Some((session, mut calls)) = self.sessions.pop_front() else { return Err(turn) };
        let call = calls.pop_front();
        if !calls.is_empty() {
            self.sessions.push_back((session, calls));
        }
        match call {
            Some(call) => call.turn.send(turn),
            None => Err(turn),
        }
    }

    /// The weight of all calls that get their turn before a further one of a session.
    pub(super) fn ahead_of(&self, session: &str) -> u32 {
        let own = self.sessions.iter().find(|(known, _)| known == session).map_or(0, |(_, calls)| calls.len());
        let before = self.sessions.iter().map(|(known, calls)| {
            let turns = if known == session { own } else { own + 1 };
            calls.iter().take(turns).map(|call| call.weight).fold(0, u32::saturating_add)
        });
        before.fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_take_turns() {
        let mut queue = Queue::default();
        let mut waiting: Vec<(&str, Waiting<()>)> = Vec::new();
        for session in ["a", "a", "a", "a", "b", "c", "b"] {
            waiting.push((session, queue.push(session, 1).unwrap()));
        }
        assert_eq!((queue.ahead_of("a"), queue.ahead_of("b"), queue.ahead_of("d")), (7, 6, 3));
        let mut order = String::new();
        while queue.next().is_some() {
            queue.give(()).unwrap();
            let index = waiting.iter_mut().position(|(_, waiting)| waiting.0.try_recv().is_ok()).unwrap();
            order.push_str(waiting.remove(index).0);
        }
        assert_eq!(order, "abcabaa");
    }

    #[test]
    fn a_call_that_no_longer_waits_is_left_out_and_a_full_queue_takes_none() {
        let mut queue = Queue::default();
        drop(queue.push("a", 3));
        let _second = queue.push("b", 5).unwrap();
        assert_eq!(queue.next(), Some(5));
        let waiting: Vec<_> = (1..CAPACITY).map(|_| queue.push("a", 1).unwrap()).collect();
        assert!(queue.push("c", 1).is_none());
        drop(waiting);
        queue.give(()).unwrap();
        assert_eq!(queue.next(), None);
        assert!(queue.is_empty());
    }
}
