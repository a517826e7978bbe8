//! The sweep of expired links finds each of them once it may end, wherever it stands in the order of ids.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use switchboard_store::links::{self, LinkChoice, LinkPurpose, NewLink, OverdueLink};
use switchboard_store::{Store, Unit};
use switchboard_types::{AccountId, LinkId, LinkOutcome, ProjectId, Timestamp};

/// Adds a link that expires at a time.
async fn add(store: &Store, id: &str, expires_at: i64) {
    let (project, account) = (ProjectId::from("pr_1"), AccountId::from("ca_1"));
    let link = NewLink {
        id: &LinkId::from(id),
        project_id: &project,
        session_id: None,
        account_id: &account,
        token_hash: [7; 32],
        callback_url: None,
        purpose: LinkPurpose::Connect,
        choice: LinkChoice::None,
        prefill_sealed: None,
        expected: None,
        created_at: Timestamp::EPOCH,
        expires_at: Timestamp::from_millis(expires_at),
    };
    store.apply(Unit::new().with(links::insert(&link))).await.unwrap();
}

async fn end(store: &Store, id: &str) {
    store.apply(links::end(&LinkId::from(id), LinkOutcome::Expired, Timestamp::from_millis(1))).await.unwrap();
}

fn ids(overdue: &[OverdueLink]) -> Vec<&str> {
    overdue.iter().map(|overdue| overdue.link.id.as_str()).collect()
}

/// The overdue links of the next step of two links, and whether it is the last.
async fn step(store: &Store, before: &str, now: i64) -> Option<(Vec<String>, bool)> {
    let step = store.sweep_step(before.to_owned(), Timestamp::from_millis(now), Timestamp::EPOCH, 2).await.unwrap()?;
    let found = ids(&step.overdue).into_iter().map(str::to_owned).collect();
    store.apply(links::end_step(&step.until_id)).await.unwrap();
    Some((found, step.is_last))
}

/// The overdue links that have a time of their own.
async fn own_time(store: &Store, now: i64) -> Vec<String> {
    let overdue = store.overdue_links(Timestamp::from_millis(now), Timestamp::EPOCH, 10).await.unwrap();
    ids(&overdue).into_iter().map(str::to_owned).collect()
}

async fn open_ids(store: &Store, after: &str, limit: i64) -> (Vec<String>, String) {
    let open = store.open_links_of_project(&"pr_1".into(), after, limit).await.unwrap();
    (open.ids.iter().map(LinkId::to_string).collect(), open.after)
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_covers_a_range_of_ids_and_what_it_leaves_open_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    // The second has ended, and the third lives longer than the others.
    for (id, expires_at) in [("lt_1", 10), ("lt_2", 10), ("lt_3", 50), ("lt_4", 10), ("lt_5", 20)] {
        add(&store, id, expires_at).await;
    }
    end(&store, "lt_2").await;
    assert_eq!(own_time(&store, 100).await, texts(&[]), "a new link is in no index");
    assert_eq!(step(&store, "lt_5", 10).await, Some((texts(&["lt_1"]), false)));
    end(&store, "lt_1").await;
    assert_eq!(step(&store, "lt_5", 10).await, Some((texts(&["lt_4"]), true)));
    assert_eq!(step(&store, "lt_5", 10).await, None, "nothing is read twice");
    // The fourth was not ended: it is found until it is.
    assert_eq!(own_time(&store, 10).await, texts(&["lt_4"]));
    end(&store, "lt_4").await;
    assert_eq!(own_time(&store, 49).await, texts(&[]));
    assert_eq!(own_time(&store, 50).await, texts(&["lt_3"]));
    assert_eq!(step(&store, "lt_9", 20).await, Some((texts(&["lt_5"]), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_added_behind_the_sweep_is_found_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    assert_eq!(step(&store, "lt_5", 10).await, None, "without links there is no step");
    add(&store, "lt_2", 30).await;
    end(&store, "lt_2").await;
    assert_eq!(step(&store, "lt_5", 10).await, Some((texts(&[]), true)));
    assert_eq!(step(&store, "lt_3", 10).await, None, "the sweep does not go back");
    add(&store, "lt_4", 30).await;
    add(&store, "lt_5", 30).await;
    assert_eq!(own_time(&store, 29).await, texts(&[]));
    assert_eq!(own_time(&store, 30).await, texts(&["lt_4"]));
    assert_eq!(step(&store, "lt_6", 30).await, Some((texts(&["lt_5"]), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_open_links_of_a_project_are_found_on_both_sides_of_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    for id in ["lt_1", "lt_2", "lt_3", "lt_6", "lt_7", "lt_8", "lt_9"] {
        add(&store, id, 50).await;
    }
    end(&store, "lt_2").await;
    end(&store, "lt_7").await;
    while step(&store, "lt_5", 10).await.is_some() {}
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let (ids, next) = open_ids(&store, &after, 2).await;
        if ids.is_empty() {
            break;
        }
        for id in &ids {
            end(&store, id).await;
        }
        found.extend(ids);
        after = next;
    }
    found.sort();
    assert_eq!(found, texts(&["lt_1", "lt_3", "lt_6", "lt_8", "lt_9"]));
}
