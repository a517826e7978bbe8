//! The write-ahead log stays small while much is written, and is emptied afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use switchboard_store::{Store, Unit, meta};
use switchboard_types::Timestamp;

/// Size of the log in MiB.
fn log_size(folder: &Path) -> u64 {
    folder.join("test.db-wal").metadata().map_or(0, |file| file.len() >> 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_small_under_load_and_is_emptied_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    let loads: Vec<_> = (0..8)
        .map(|load| {
            let (store, folder) = (store.clone(), folder.path().to_owned());
            tokio::spawn(async move {
                let mut largest = 0;
                for number in 0_u16..400 {
                    // Each time another value: pages that stay the same are not written.
                    let value = number.to_be_bytes().repeat(16 << 10);
                    store.apply(Unit::new().with(meta::put(&format!("{load}-{}", number % 20), value))).await.unwrap();
                    largest = largest.max(log_size(&folder));
                }
                largest
            })
        })
        .collect();
    let mut largest = 0;
    for load in loads {
        largest = largest.max(load.await.unwrap());
    }
    assert!(largest < 64, "{largest} MiB after writing 100");
    let end = Instant::now() + Duration::from_secs(30);
    while folder.path().join("test.db-wal").metadata().unwrap().len() > 0 {
        assert!(Instant::now() < end, "the log still has {} MiB", log_size(folder.path()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_are_handed_over_together_share_a_commit_and_are_refused_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    assert!(store.apply_each(Vec::new()).await.is_empty());
    let before = store.commits();
    let puts = (0..100).map(|number| Unit::new().with(meta::put(&format!("a{number}"), b"x".to_vec()))).collect();
    assert!(store.apply_each(puts).await.iter().all(Result::is_ok));
    assert_eq!(store.commits() - before, 1);
    let gone = switchboard_store::api_keys::revoke(&"pr_1".into(), "key_1", Timestamp::EPOCH);
    let units = vec![
        Unit::new().with(meta::put("b0", b"x".to_vec())),
        Unit::new().with(meta::put("b1", b"x".to_vec())).with(gone),
        Unit::new().with(meta::put("b2", b"x".to_vec())),
    ];
    let applied: Vec<bool> = store.apply_each(units).await.iter().map(Result::is_ok).collect();
    assert_eq!(applied, [true, false, true]);
    assert_eq!(store.commits() - before, 2);
    for (name, is_there) in [("a0", true), ("a99", true), ("b0", true), ("b1", false), ("b2", true)] {
        assert_eq!(store.meta(name).await.unwrap().is_some(), is_there, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_a_request_does_not_wait_for_those_of_the_background() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    let before = store.commits();
    let (background, (sent, is_sent)) = (store.clone(), std::sync::mpsc::channel());
    let thread = std::thread::spawn(move || {
        switchboard_store::enter_background();
        let puts =
            (0..10_000).map(|number| Unit::new().with(meta::put(&format!("a{number}"), b"x".to_vec()))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let applying = background.apply_each(puts);
            sent.send(()).unwrap();
            assert!(applying.await.iter().all(Result::is_ok));
        });
    });
    is_sent.recv().unwrap();
    while store.commits() == before {
        tokio::task::yield_now().await;
    }
    store.apply(Unit::new().with(meta::put("b", b"x".to_vec()))).await.unwrap();
    assert!(store.meta("a9999").await.unwrap().is_none(), "it would have waited for all others");
    thread.join().unwrap();
    assert!(store.meta("a9999").await.unwrap().is_some());
    // 64 of them share a commit, one of them also with the request's.
    assert_eq!(store.commits() - before, 10_000_u64.div_ceil(64));
}
