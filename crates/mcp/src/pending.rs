//! Questions to clients with a handshake that wait for their answer, which arrives as a request of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;

/// Number of questions that wait at once.
const CAPACITY: usize = 10_000;

/// The result of an answer; none for an error.
type Answer = Option<Value>;
type Key = (String, String);

/// The questions that wait, by whose they are and their id.
#[derive(Debug, Default)]
pub struct Pending(Mutex<HashMap<Key, oneshot::Sender<Answer>>>);

/// A question that waits until it is answered or dropped.
#[derive(Debug)]
pub(crate) struct Question {
    pending: Arc<Pending>,
    key: Key,
    answer: oneshot::Receiver<Answer>,
}

impl Pending {
    /// Notes a question; none if too many wait.
    pub(crate) fn add(self: &Arc<Self>, scope: &str, id: String) -> Option<Question> {
        let (sender, answer) = oneshot::channel();
        let key = (scope.to_owned(), id);
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            return None;
        }
        waiting.insert(key.clone(), sender);
        Some(Question { pending: Arc::clone(self), key, answer })
    }

    /// Hands an answer to its question. Nothing happens if none waits for it.
    pub(crate) fn answer(&self, scope: &str, id: &str, answer: Answer) {
        let sender = self.lock().remove(&(scope.to_owned(), id.to_owned()));
        if let Some(sender) = sender {
            // The request that asked may have ended.
            let _ = sender.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, oneshot::Sender<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// The answer's result; none for an error.
    pub(crate) async fn answer(mut self) -> Answer {
        (&mut self.answer).await.ok().flatten()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_only_its_own_question() {
        let pending = Arc::new(Pending::default());
        let question = pending.add("one", "q".to_owned()).unwrap();
        pending.answer("other", "q", Some(1.into()));
        pending.answer("one", "r", Some(2.into()));
        pending.answer("one", "q", Some(3.into()));
        assert_eq!(question.answer().await, Some(3.into()));
        assert!(pending.lock().is_empty());
    }

    #[test]
    fn a_question_that_is_given_up_does_not_wait() {
        let pending = Arc::new(Pending::default());
        drop(pending.add("one", "q".to_owned()));
        assert!(pending.lock().is_empty());
    }
}
