//! Waiting for what happens by itself: asked again and again, with an end.

use std::time::{Duration, Instant};

/// Longest wait, unless a test says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// What a question may answer: `true`, `Some`, `Ok` end the waiting.
pub trait Answer {
    type Found;

    /// What was found, or what is there instead.
    fn found(self) -> Result<Self::Found, String>;
}

impl Answer for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "not yet".to_owned())
    }
}

impl<T> Answer for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: ToString> Answer for Result<T, E> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Asks until there is an answer. Fails with `what` was waited for and what was there instead.
pub async fn until<A: Answer>(what: &str, ask: impl AsyncFnMut() -> A) -> A::Found {
    within(PATIENCE, what, ask).await
}

/// The same with a patience of its own.
pub async fn within<A: Answer>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> A) -> A::Found {
    let deadline = Instant::now() + patience;
    loop {
        match ask().await.found() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "{what}: {instead} after {patience:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
