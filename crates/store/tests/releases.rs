//! Releases of toolkits and the sets that sessions use.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::time::Duration;

use switchboard_store::projects::{self, Project};
use switchboard_store::releases::{self, ReleaseRow};
use switchboard_store::sessions::SessionRow;
use switchboard_store::{Refusal, Store, Unit, WriteError, sessions};
use switchboard_types::Timestamp;

const DAY: Duration = Duration::from_hours(24);

fn day(number: u32) -> Timestamp {
    Timestamp::from_millis(0) + DAY * number
}

fn release(version: &str) -> ReleaseRow {
    ReleaseRow {
        digest: format!("digest of {version}"),
        toolkit: "up".to_owned(),
        version: version.to_owned(),
        name: "Up".to_owned(),
        tools: vec![1, 2, 3],
    }
}

/// A set of one release; its id.
async fn set(store: &Store, version: &str, now: Timestamp) -> i64 {
    let release = release(version);
    let mut unit = Unit::new().with(releases::insert(&release, now));
    unit.extend(releases::insert_set(version, [("up", release.digest.as_str())].into_iter(), now));
    store.apply(unit).await.unwrap();
    store.release_set_id(version).await.unwrap().unwrap()
}

fn session(set: Option<i64>) -> SessionRow {
    SessionRow {
        id: "trs_1".into(),
        project_id: "pr_1".into(),
        user_id: "u".to_owned(),
        config: "{}".to_owned(),
        config_version: 1,
        created_at: day(1),
        release_set: set,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_or_a_server_uses_is_kept_and_the_rest_is_deleted_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("switchboard.db")).unwrap();
    let project = Project {
        id: "pr_1".into(),
        name: "p".to_owned(),
        settings: "{}".to_owned(),
        created_at: day(1),
        updated_at: day(1),
    };
    store.apply(Unit::new().with(projects::insert(&project))).await.unwrap();
    let (old, new) = (set(&store, "1", day(1)).await, set(&store, "2", day(1)).await);
    assert_eq!(set(&store, "1", day(1)).await, old, "the same set");
    store.apply(sessions::insert(&session(None))).await.unwrap();
    let moved =
        |before, after| Unit::new().with(releases::move_session(&"pr_1".into(), &"trs_1".into(), before, after));
    store.apply(moved(None, old)).await.unwrap();
    let refused = store.apply(moved(None, new)).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::SessionChanged))), "{refused:?}");
    let stored = store.session(&"pr_1".into(), &"trs_1".into()).await.unwrap().unwrap();
    assert_eq!(stored.release_set, Some(old));
    assert_eq!(store.release("digest of 1").await.unwrap().unwrap().tools, [1, 2, 3]);

    let versions = async || {
        let labels = store.releases().await.unwrap();
        labels.into_iter().map(|label| label.version).collect::<Vec<_>>()
    };
    let sweep = async |now: u32| {
        store.apply(Unit::new().with(releases::mark_seen(new, day(now)))).await.unwrap();
        store.apply(releases::delete_unused(day(now - 10), day(now))).await.unwrap();
    };
    for now in [11, 20, 30] {
        sweep(now).await;
    }
    assert_eq!(versions().await, ["2", "1"]);
    store.apply(Unit::new().with(sessions::delete(&"pr_1".into(), &"trs_1".into(), day(30)))).await.unwrap();
    sweep(40).await;
    assert_eq!(store.release_set(old).await.unwrap().len(), 1, "not before its time");
    sweep(41).await;
    assert_eq!(store.release_set(old).await.unwrap(), []);
    sweep(60).await;
    assert_eq!(versions().await, ["2"]);
    assert_eq!(store.release_set(new).await.unwrap().len(), 1, "a server offers it");
    assert!(set(&store, "3", day(60)).await > new, "no id is used again");
}
