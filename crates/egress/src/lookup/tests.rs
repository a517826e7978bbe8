//! Fairness between domains. Slow names block until the test releases them.

use tokio::task::JoinSet;

use super::*;

/// Longer than any step takes, and shorter than the test timeout.
const LONG: Duration = Duration::from_secs(20);

fn addresses() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([192, 0, 2, 1], 0))]
}

/// Blocks look-ups until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open));
    }
}

/// A resolver that blocks names containing `slow` until the gate is opened.
fn with_slow_names() -> (Arc<LookupPool>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let slow = Arc::clone(&gate);
    let pool = LookupPool::with(move |name| {
        if name.contains("slow") {
            slow.pass();
        }
        Ok(addresses())
    });
    (Arc::new(pool), gate)
}

/// Starts look-ups of all names at once, in order.
fn ask(
    pool: &Arc<LookupPool>,
    names: impl Iterator<Item = String>,
) -> Vec<io::Result<oneshot::Receiver<LookupResult>>> {
    names.map(|name| pool.0.enqueue(name)).collect()
}

/// Waits until this number of look-ups are running.
async fn until_running(pool: &LookupPool, count: usize) {
    let all_run = async {
        while pool.0.state().running != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, all_run).await.expect("so many run");
}

async fn quick(pool: &LookupPool, name: &str) {
    let addresses = tokio::time::timeout(LONG, pool.look_up(name.to_owned())).await.expect("its turn came");
    assert_eq!(addresses.unwrap().len(), 1);
}

#[tokio::test]
async fn five_hundred_slow_names_of_one_domain_do_not_delay_others() {
    let (pool, gate) = with_slow_names();
    let result = ask(&pool, (0..32).map(|number| format!("{number}.slow.example")));
    until_running(&pool, 32).await;
    let more = ask(&pool, (32..500).map(|number| format!("{number}.a.SLOW.example.")));
    assert_eq!(pool.0.state().running, 32, "of one domain");
    let refused: Vec<_> = more.iter().filter_map(|result| result.as_ref().err()).map(io::Error::kind).collect();
    assert_eq!(refused, vec![io::ErrorKind::TimedOut; 500 - 32 - 128]);
    for number in 0..300 {
        quick(&pool, &format!("{number}.quick.example")).await;
    }
    gate.open();
    for waiting in result.into_iter().chain(more).flatten() {
        assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
    }
    until_running(&pool, 0).await;
    assert!(pool.0.state().domains.is_empty(), "nothing is left of them");
}

#[tokio::test]
async fn thirty_slow_domains_leave_a_thread_for_the_next_one() {
    let (pool, gate) = with_slow_names();
    let names = (0..30).flat_map(|number| (0..500).map(move |name| format!("{name}.slow{number}.example")));
    let result = ask(&pool, names);
    quick(&pool, "quick.example").await;
    gate.open();
    for waiting in result.into_iter().flatten() {
        assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
    }
}

#[test]
fn domains_take_turns() {
    let mut state = State::default();
    for name in ["1.a.example", "2.a.example", "3.a.example", "1.b.example", "2.b.example", "1.c.example"] {
        assert!(state.push(name.to_owned(), oneshot::channel().0));
    }
    let order: Vec<String> = std::iter::from_fn(|| state.take()).map(|(_, job)| job.name).collect();
    assert_eq!(order, ["1.a.example", "1.b.example", "1.c.example", "2.a.example", "2.b.example", "3.a.example"]);
}

#[test]
fn the_last_threads_are_for_domains_that_have_none() {
    let mut state = State { running: MAX_THREADS - 1, ..State::default() };
    state.domains.insert("a.example".to_owned(), Domain { running: 1, ..Domain::default() });
    for name in ["2.a.example", "1.b.example"] {
        assert!(state.push(name.to_owned(), oneshot::channel().0));
    }
    assert_eq!(state.take().unwrap().1.name, "1.b.example");
}

#[tokio::test]
async fn a_queued_name_is_looked_up_once_for_all_callers() {
    let (pool, gate) = with_slow_names();
    let first = ask(&pool, (0..32).map(|number| format!("{number}.slow.example")));
    until_running(&pool, 32).await;
    let rest = ask(&pool, (0..2_000).map(|_| "slow.example".to_owned()));
    assert_eq!(pool.0.state().waiting, 1);
    gate.open();
    let mut answers = JoinSet::new();
    for result in first.into_iter().chain(rest) {
        answers.spawn(result.unwrap());
    }
    assert_eq!(answers.join_all().await.into_iter().filter(|answer| answer.as_ref().unwrap().is_ok()).count(), 2_032);
}

#[tokio::test]
async fn a_panic_ends_only_one_look_up() {
    let pool = LookupPool::with(|name| if name == "bad.example" { panic!("in a test") } else { Ok(addresses()) });
    for _ in 0..50 {
        assert!(pool.look_up("bad.example".to_owned()).await.is_err());
    }
    quick(&pool, "good.example").await;
    until_running(&pool, 0).await;
}

#[test]
fn domain_of_returns_the_registrable_domain() {
    for (name, domain) in [
        ("api.example.com", "example.com"),
        ("a.b.c.Example.COM.", "example.com"),
        ("example.com", "example.com"),
        ("api.example.co.uk", "example.co.uk"),
        ("other.co.uk", "other.co.uk"),
        ("co.uk", "co.uk"),
        ("a.example.de", "example.de"),
        ("a.com.example.de", "example.de"),
        ("localhost", "localhost"),
        ("..", ""),
        ("", ""),
        ("a..b", ".b"),
    ] {
        assert_eq!(domain_of(name), domain, "{name}");
    }
}

#[tokio::test]
async fn names_are_resolved_and_failures_told() {
    let pool = LookupPool::system();
    assert!(!pool.look_up("localhost".to_owned()).await.unwrap().is_empty());
    assert!(pool.look_up("no such name".to_owned()).await.is_err());
}
