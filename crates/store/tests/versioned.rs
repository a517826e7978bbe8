//! A cache of rows never returns what a process changed before, once the change was acknowledged.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use switchboard_store::api_keys::{self, ApiKeyRow};
use switchboard_store::projects::{self, Project};
use switchboard_store::{ReadError, Store, Topic, Unit, Versioned};
use switchboard_types::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1);
const HASH: [u8; 32] = [7; 32];
/// Longer than a test.
const LONG: Duration = Duration::from_mins(10);

/// Whether the key is revoked, as one process remembers it.
struct Reader {
    store: Store,
    cache: Versioned<[u8; 32], bool>,
    reads: AtomicUsize,
}

impl Reader {
    fn open(path: &Path, lifetime: Duration) -> Self {
        let store = Store::open(path).unwrap();
        Self { store, cache: Versioned::new(Topic::ApiKeys, lifetime, |_| true), reads: AtomicUsize::new(0) }
    }

    /// None if there is no such key.
    async fn is_revoked(&self) -> Option<bool> {
        let read = async || {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let row = self.store.api_key_by_hash(HASH).await?;
            Ok::<_, ReadError>(row.map(|row| row.revoked_at.is_some()))
        };
        self.cache.get(&self.store, HASH, read).await.unwrap()
    }

    fn reads(&self) -> usize {
        self.reads.swap(0, Ordering::SeqCst)
    }
}

/// A database with a project and a key.
async fn database() -> (tempfile::TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Store::open(&path).unwrap();
    let project = Project {
        id: "pr_1".into(),
        name: "Name".to_owned(),
        settings: "{}".to_owned(),
        created_at: NOW,
        updated_at: NOW,
    };
    store.apply(Unit::new().with(projects::insert(&project))).await.unwrap();
    let key = ApiKeyRow {
        id: "key_1".to_owned(),
        project_id: "pr_1".into(),
        name: "Name".to_owned(),
        prefix: "ak_".to_owned(),
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        permissions: None,
        allowed_ips: None,
        session_id: None,
    };
    store.apply(api_keys::insert(&key, HASH)).await.unwrap();
    (folder, path, store)
}

async fn revoke(store: &Store) {
    store.apply(Unit::new().with(api_keys::revoke(&"pr_1".into(), "key_1", NOW))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_read_once_until_any_process_changes_it() {
    let (_folder, path, other) = database().await;
    let reader = Reader::open(&path, LONG);
    for _ in 0..3 {
        assert_eq!(reader.is_revoked().await, Some(false));
    }
    assert_eq!(reader.reads(), 1);
    other.apply(Unit::new().with(api_keys::touch("key_1", NOW))).await.unwrap();
    assert_eq!(reader.is_revoked().await, Some(false));
    assert_eq!(reader.reads(), 0, "its use changes nothing");
    revoke(&other).await;
    for _ in 0..3 {
        assert_eq!(reader.is_revoked().await, Some(true));
    }
    assert_eq!(reader.reads(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_change_is_seen_under_concurrent_reads() {
    let (_folder, path, other) = database().await;
    let reader = Arc::new(Reader::open(&path, LONG));
    let is_acknowledged = Arc::new(AtomicBool::new(false));
    let readers = (0..4).map(|_| {
        let (reader, is_acknowledged) = (Arc::clone(&reader), Arc::clone(&is_acknowledged));
        tokio::spawn(async move {
            loop {
                let was_acknowledged = is_acknowledged.load(Ordering::SeqCst);
                let is_revoked = reader.is_revoked().await;
                if was_acknowledged {
                    return is_revoked;
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    revoke(&other).await;
    is_acknowledged.store(true, Ordering::SeqCst);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Some(true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_that_is_restored_is_seen_after_the_lifetime() {
    let (folder, path, other) = database().await;
    let copy = folder.path().join("copy.db");
    Connection::open(&path).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    revoke(&other).await;
    let reader = Reader::open(&path, Duration::from_millis(200));
    assert_eq!(reader.is_revoked().await, Some(true));
    // What a restored copy holds, under the running reader; nothing of it goes through a store.
    let restored = Connection::open(&path).unwrap();
    restored.execute("ATTACH ?1 AS copy", [copy.to_str().unwrap()]).unwrap();
    restored
        .execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM api_keys; INSERT INTO api_keys SELECT * FROM copy.api_keys; COMMIT",
        )
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while reader.is_revoked().await != Some(false) {
        assert!(Instant::now() < end, "the restored row is not seen");
    }
}
