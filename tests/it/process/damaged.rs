//! A database file that cannot be read is an error of the request, and not the end of the process: no
//! page of it is mapped into memory, where a read that fails is a signal.

use std::fs::OpenOptions;

use crate::support::http::Http;
use crate::support::process::Dev;
use crate::support::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_database_is_503_and_does_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &["--log", "off"]);
    let database = folder.path().join("switchboard.db");
    // Everything is in the file itself, then.
    until("an empty write-ahead log", async || {
        std::fs::metadata(folder.path().join("switchboard.db-wal")).map_or(true, |log| log.len() == 0)
    })
    .await;
    OpenOptions::new().write(true).open(&database).unwrap().set_len(8 * 4_096).unwrap();
    let api = dev.api();
    for _ in 0..20 {
        api.get("/connected_accounts").await.expect_error(503, "HTTP_ServiceUnavailable");
    }
    let livez = Http::new().send("GET", &format!("{}/livez", dev.url), &[], "").await;
    assert_eq!((livez.status, livez.text().as_str()), (200, "ok"));
    assert!(dev.child.try_wait().unwrap().is_none());
    dev.terminate();
}
