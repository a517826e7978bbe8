//! How often a link writes to files and waits for the disk. The counts are exact and the same on every
//! machine, so that a change that makes links dearer fails here.

use nix::unistd::Pid;
use serde_json::json;

use crate::support::process::Dev;

#[path = "../../../bench/src/calls.rs"]
mod calls;

/// Most writes to files of a link by itself, a little above what is measured: lower it when links write less.
const MOST_WRITES: f64 = 21.0;
/// Most syncs of a link by itself: its commit is one.
const MOST_SYNCS: f64 = 1.05;
/// Links that are counted, and links before them, which prepare statements and split the first pages.
const LINKS: u32 = 200;
const WARM_UP: u32 = 100;
/// Writes what was committed into the database from time to time: a share of a link's cost that depends on
/// how many come in that time.
const CHECKPOINT: &str = "store-checkpoint";

#[tokio::test]
async fn a_link_by_itself_writes_a_few_pages_and_waits_for_the_disk_once() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]);
    let api = dev.api();
    let session = api.session("user-1", "sandbox").await;
    let (path, body) = (format!("/tool_router/session/{session}/link"), json!({ "toolkit": "sandbox" }));
    let links = async |number: u32| {
        for _ in 0..number {
            api.post(&path, &body).await.expect(201);
        }
    };
    links(WARM_UP).await;
    let follower = calls::Follower::start(Pid::from_raw(dev.child.id().try_into().unwrap())).unwrap();
    links(LINKS).await;
    let by_thread = follower.finish().unwrap();
    let calls = calls::all_but(&by_thread, CHECKPOINT);
    let per_link = |number: u64| f64::from(u32::try_from(number).unwrap()) / f64::from(LINKS);
    let (writes, syncs) = (per_link(calls.writes), per_link(calls.syncs));
    println!("a link: {writes:.2} writes, {syncs:.2} syncs; {by_thread:?}");
    assert!(syncs >= 1.0, "a link that was answered is on disk, and {syncs} syncs were counted: {by_thread:?}");
    assert!(writes <= MOST_WRITES, "{writes} writes to files per link: {by_thread:?}");
    assert!(syncs <= MOST_SYNCS, "{syncs} syncs per link: {by_thread:?}");
}
