//! Who waits until a user has connected an account, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_types::ProjectId;
use tokio::sync::Notify;

type User = (ProjectId, String);

/// Wakes those that wait for a user's accounts. A user takes no memory unless a call waits for them.
#[derive(Debug, Default)]
pub struct ConnectionWaiters(Mutex<HashMap<User, Arc<Notify>>>);

/// A place among those that wait for a user.
#[derive(Debug)]
pub struct Waiting<'w> {
    waiters: &'w ConnectionWaiters,
    user: User,
    notify: Option<Arc<Notify>>,
}

impl ConnectionWaiters {
    /// Waits for a user from now on.
    pub fn wait_for(&self, project: &ProjectId, user: &str) -> Waiting<'_> {
        let user = (project.clone(), user.to_owned());
        let notify = Arc::clone(self.lock().entry(user.clone()).or_default());
        Waiting { waiters: self, user, notify: Some(notify) }
    }

    /// Wakes those that wait for a user: one of the accounts has another status.
    pub fn wake(&self, project: &ProjectId, user: &str) {
        let waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        if let Some(notify) = waiting.get(&(project.clone(), user.to_owned())) {
            notify.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<User, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// Resolves at the next change after this call, even if it comes before the future is polled.
    pub fn change(&self) -> impl Future<Output = ()> + '_ {
        let notified = self.notify.as_ref().map(|notify| {
            let mut notified = Box::pin(notify.notified());
            notified.as_mut().enable();
            notified
        });
        async move {
            if let Some(notified) = notified {
                notified.await;
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        self.notify = None;
        if waiting.get(&self.user).is_some_and(|notify| Arc::strong_count(notify) == 1) {
            waiting.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_those_that_wait_for_a_user_are_woken() {
        let waiters = ConnectionWaiters::default();
        let project = ProjectId::from("pr_1");
        let (ana, other) = (waiters.wait_for(&project, "ana"), waiters.wait_for(&project, "ben"));
        let (change, others) = (ana.change(), other.change());
        waiters.wake(&project, "ana");
        change.await;
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), others).await.is_err());
        drop((ana, other));
        assert!(waiters.lock().is_empty());
    }
}
