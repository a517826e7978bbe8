//! The state file: accounts survive a restart, and the file contains no secrets.

use std::fs;

use switchboard_sandbox::{Clock, router};

use crate::support::{Browser, Sandbox, authorize_uri, config};

#[tokio::test]
async fn accounts_logins_and_notes_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sandbox.json");
    let uri = authorize_uri(&[]);

    let before = Sandbox::start_with(config(Some(file.clone())));
    let mut browser = Browser::new(&before);
    browser.log_in(&uri, "alice").await;
    let cookie = browser.cookie.clone();
    let answer = browser.post(&uri, &[("decision", "allow")]).await;
    let code = answer.location_param("code").unwrap();
    let (access_token, refresh_token) = before.redeem(&code).await.tokens();
    let pending_code = before.consent("bob", "notes:read").await;
    drop(before);

    let text = fs::read_to_string(&file).unwrap();
    let cookie_value = cookie.as_deref().unwrap().split_once('=').unwrap().1;
    let mut secrets = vec![&access_token, &code, &pending_code].into_iter();
    assert!(secrets.all(|secret| !text.contains(secret.as_str())));
    assert!(refresh_token.split('.').all(|part| !text.contains(part)));
    assert!(!text.contains(cookie_value));

    let after = Sandbox::start_with(config(Some(file)));
    assert_eq!(after.get_as("/api/me", &access_token).await.status, 200);
    let (_, rotated) = after.refresh(&refresh_token).await.tokens();
    assert_eq!(after.redeem(&pending_code).await.status, 200);
    let mut browser = Browser::new(&after);
    browser.cookie = cookie;
    let page = browser.get(&uri).await;
    assert!(page.body.contains("Alice Example"), "the login is gone");

    // A code used before the restart is still rejected.
    after.redeem(&code).await.assert_error(400, "invalid_grant");
    let reused = after.refresh(&rotated).await;
    reused.assert_error(400, "invalid_grant");
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_file_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sandbox.json");
    let sandbox = Sandbox::start_with(config(Some(file.clone())));
    assert!(!file.exists(), "nothing to keep yet");
    sandbox.connect("alice", "notes:read").await;
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1, "a temporary file was left behind");
}

#[tokio::test]
async fn a_change_that_cannot_be_saved_is_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sandbox.json");
    let sandbox = Sandbox::start_with(config(Some(file)));
    let code = sandbox.consent("alice", "notes:read").await;
    // A directory at the path of the temporary file.
    let in_the_way = directory.path().join("sandbox.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let refused = sandbox.redeem(&code).await;
    refused.assert_error(500, "server_error");

    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(sandbox.redeem(&code).await.status, 200);
}

#[test]
fn a_damaged_state_file_is_a_start_up_error() {
    struct Midnight;
    impl Clock for Midnight {
        fn now_ms(&self) -> i64 {
            0
        }
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sandbox.json");
    fs::write(&file, "{ not json").unwrap();
    let error = router(config(Some(file.clone())), std::sync::Arc::new(Midnight)).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ not json");
}
