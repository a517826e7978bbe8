//! Which units share a transaction, and in which order.
//!
//! Units of background threads ([`crate::background`]) wait for those of requests, and a group takes only some of
//! them, so that a request does not wait while dozens of refreshes are committed.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};

use crate::{Unit, WriteError, background};

/// Maximum number of units per transaction.
const MAX_GROUP: usize = 512;
/// Statements of background units per group: more of them wait for the next one. A unit with more stands alone.
const MAX_BACKGROUND: usize = 64;

pub(super) type Outcome = Result<Vec<usize>, WriteError>;

/// A unit and who waits for it.
pub(super) struct Job {
    pub(super) unit: Unit,
    pub(super) answer: oneshot::Sender<Outcome>,
    is_background: bool,
}

impl Job {
    /// A job of the calling thread.
    pub(super) fn new(unit: Unit) -> (Self, oneshot::Receiver<Outcome>) {
        let (answer, outcome) = oneshot::channel();
        (Self { unit, answer, is_background: background::is_background() }, outcome)
    }
}

/// What is put into the queue.
pub(super) enum Message {
    One(Job),
    /// These share a commit, as far as they fit.
    Together(Vec<Job>),
}

/// The jobs that were taken from the queue.
#[derive(Default)]
pub(super) struct Taken {
    /// Those of the next transaction.
    pub(super) group: Vec<Job>,
    /// Those of background threads that wait for their turn.
    later: VecDeque<Job>,
}

impl Taken {
    pub(super) fn add(&mut self, message: Message) {
        match message {
            Message::One(job) => self.add_job(job),
            Message::Together(jobs) => jobs.into_iter().for_each(|job| self.add_job(job)),
        }
    }

    /// Whether no job waits for its turn.
    pub(super) fn is_empty(&self) -> bool {
        self.later.is_empty()
    }

    /// Takes what is waiting. The last message may take the group beyond [`MAX_GROUP`].
    pub(super) fn take_waiting(&mut self, waiting: &mut mpsc::Receiver<Message>) {
        while self.group.len() < MAX_GROUP
            && let Ok(message) = waiting.try_recv()
        {
            self.add(message);
        }
    }

    fn add_job(&mut self, job: Job) {
        if job.is_background { self.later.push_back(job) } else { self.group.push(job) }
    }

    /// Adds the background jobs whose turn it is to the group.
    pub(super) fn add_background(&mut self) {
        let mut statements = 0;
        while let Some(job) = self.later.front() {
            statements += job.unit.statements.len();
            if statements > MAX_BACKGROUND && statements > job.unit.statements.len() {
                return;
            }
            self.group.extend(self.later.pop_front());
        }
    }
}
