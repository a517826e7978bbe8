//! A future that is polled again in place when it is woken while it is polled.
//!
//! An HTTP/1 connection often wakes itself: reading a request's body, or handing over a response, wakes the task that
//! is just running. A runtime of several threads then puts the task into a queue and wakes another thread for it, which
//! costs two system calls and an interrupt for each request. Here such a task is polled again at once.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Maximum number of polls in place. After them, the task goes back to the runtime's queue, so that a connection that
/// always has something to do leaves time to others.
const MAX_POLLS: usize = 8;

/// Not being polled: a wake-up is passed to the task.
const IDLE: u8 = 0;
/// Being polled.
const POLLED: u8 = 1;
/// Woken since the poll began.
const WOKEN: u8 = 2;

/// Wraps the future of a task.
pub struct Repoll<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    /// Made of `wakes`, once.
    waker: Waker,
}

/// Receives the wake-ups of the inner future.
struct Wakes {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl<F> Repoll<F> {
    /// Wraps a future.
    pub fn new(future: F) -> Self {
        let wakes = Arc::new(Wakes { state: AtomicU8::new(IDLE), task: Mutex::new(Waker::noop().clone()) });
        Self { future: Box::pin(future), waker: Waker::from(Arc::clone(&wakes)), wakes }
    }
}

impl<F: Future> Future for Repoll<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.wakes.remember(context.waker());
        for _ in 0..MAX_POLLS {
            this.wakes.state.store(POLLED, Ordering::SeqCst);
            if let Poll::Ready(output) = this.future.as_mut().poll(&mut Context::from_waker(&this.waker)) {
                return Poll::Ready(output);
            }
            let ended = this.wakes.state.compare_exchange(POLLED, IDLE, Ordering::SeqCst, Ordering::SeqCst);
            if ended.is_ok() {
                return Poll::Pending;
            }
        }
        // Woken again. From here on wake-ups reach the task, and this one does too.
        this.wakes.state.store(IDLE, Ordering::SeqCst);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wakes {
    /// The task to wake. It is set before the state is left, so that no wake-up reaches an earlier one.
    fn remember(&self, waker: &Waker) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(waker);
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self.state.compare_exchange(POLLED, WOKEN, Ordering::SeqCst, Ordering::SeqCst);
        if noted == Err(IDLE) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

impl<F> fmt::Debug for Repoll<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Repoll")
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Counts the wake-ups that reach the task.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls a future that wakes itself at its first `times` polls, once. Returns the number of its polls and of the
    /// wake-ups of its task.
    fn poll_once(times: usize) -> (usize, usize) {
        let (polls, woken) = (AtomicUsize::new(0), Arc::new(Count::default()));
        let mut future = Repoll::new(poll_fn(|context| {
            if polls.fetch_add(1, Ordering::SeqCst) < times {
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        }));
        let task = Waker::from(Arc::clone(&woken));
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&task)).is_pending());
        drop(future);
        (polls.into_inner(), woken.0.load(Ordering::SeqCst))
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_in_place() {
        assert_eq!(poll_once(0), (1, 0));
        assert_eq!(poll_once(1), (2, 0));
        assert_eq!(poll_once(3), (4, 0));
    }

    #[test]
    fn a_future_that_always_wakes_itself_goes_back_to_the_queue() {
        assert_eq!(poll_once(usize::MAX), (MAX_POLLS, 1));
    }

    #[test]
    fn a_wake_up_between_two_polls_reaches_the_task() {
        let (count, kept) = (Arc::new(Count::default()), Arc::new(Mutex::new(None)));
        let keep = Arc::clone(&kept);
        let mut repoll = Repoll::new(poll_fn(move |context| {
            *keep.lock().unwrap() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        let waker = Waker::from(Arc::clone(&count));
        assert!(Pin::new(&mut repoll).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        kept.lock().unwrap().take().unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    /// Every message that another thread sends must be received: a wake-up that is lost at any moment between two
    /// polls would leave the receiver waiting without end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_up_is_lost_between_threads() {
        const MESSAGES: usize = 200_000;
        let receivers = (0..4).map(|_| {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(Repoll::new(async move {
                for number in 0..MESSAGES {
                    sender.send(number).await.unwrap();
                }
            }));
            tokio::spawn(Repoll::new(async move {
                let mut count = 0;
                while let Some(number) = receiver.recv().await {
                    assert_eq!(number, count);
                    count += 1;
                }
                count
            }))
        });
        for running in receivers.collect::<Vec<_>>() {
            let done = tokio::time::timeout(Duration::from_mins(2), running).await;
            assert_eq!(done.expect("a wake-up was lost").unwrap(), MESSAGES);
        }
    }
}
