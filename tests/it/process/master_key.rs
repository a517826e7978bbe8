//! The data folder at start: a key that does not fit, a schema from the future, two starts at once.
//! What cannot be used is refused and not touched (R72, R94).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::at_rest::open;
use super::needles::files_under;
use super::settings::{Server, ends, ready, serve};
use crate::support::http::Api;
use crate::support::process::{Dev, PROGRAM, own_address, run};

/// A data folder with a key and a project in it.
fn data_with_a_project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Dev::start(folder.path(), &[]).kill();
    // All of it in the database file: the last process that closes the write-ahead log may move it there.
    let database = open(&folder.path().join("switchboard.db"));
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    folder
}

/// Files that hold something: the index of the WAL is rebuilt at every start.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = files_under(folder).into_iter();
    files.filter(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty())).collect()
}

/// Neither `serve` nor `dev` starts on the folder, both say why, and nothing in it changes.
#[track_caller]
fn is_refused(data: &Path, says: &str) {
    let before = contents(data);
    let elsewhere = tempfile::tempdir().unwrap();
    for command in ["serve", "dev"] {
        let mut server = Command::new(PROGRAM);
        server.args([command, "--data-dir", data.to_str().unwrap(), "--listen"]);
        let free = own_address();
        server.arg(free).current_dir(elsewhere.path());
        let output = ends(&mut server);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(says), "{command}: {stderr}");
        assert!(output.stdout.is_empty(), "{command} printed: {}", String::from_utf8_lossy(&output.stdout));
    }
    let after = contents(data);
    assert_eq!(before.len(), after.len(), "{:?}", after.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (one, other) in before.iter().zip(&after) {
        assert!(one == other, "{} was changed", one.0);
    }
}

#[test]
fn a_database_truncated_to_zero_bytes_is_not_treated_as_new() {
    let data = data_with_a_project();
    fs::write(data.path().join("switchboard.db"), "").unwrap();
    is_refused(data.path(), "has 0 bytes, and there is a master key");
}

#[test]
fn a_missing_earlier_master_key_is_reported_at_start() {
    let (data, other) = (data_with_a_project(), data_with_a_project());
    let key = data.path().join("master.key");
    let own = fs::read_to_string(&key).unwrap();
    let second = fs::read_to_string(other.path().join("master.key")).unwrap();
    let says = "a master key is missing that values of this database were sealed with";
    for (ring, is_told) in [(format!("{second}{own}"), false), (own.clone(), true), (format!("{own}{second}"), false)] {
        fs::write(&key, ring).unwrap();
        let log = data.path().join("log");
        Dev::start_on("127.0.0.1:0", data.path(), &[], fs::File::create(&log).unwrap()).terminate();
        let log = fs::read_to_string(&log).unwrap();
        assert_eq!(log.contains(says), is_told, "{log}");
        let id = second.lines().last().unwrap().split(' ').next().unwrap();
        assert_eq!(log.contains(&format!("needs master key {id}")), is_told, "{log}");
    }
}

#[test]
fn another_master_key_is_refused_and_the_data_stays_as_it_is() {
    let (data, other) = (data_with_a_project(), data_with_a_project());
    let key = data.path().join("master.key");
    let own = fs::read(&key).unwrap();
    fs::copy(other.path().join("master.key"), &key).unwrap();
    is_refused(data.path(), "does not fit this database");
    // One letter of the right key changed: the same name, another key.
    let mut typo = own.clone();
    let last = typo.iter().rposition(u8::is_ascii_alphabetic).unwrap() - 5;
    typo[last] = if typo[last] == b'A' { b'B' } else { b'A' };
    fs::write(&key, typo).unwrap();
    is_refused(data.path(), "does not fit this database");
    for (text, says) in [("", "holds no key"), ("not a key\n", "line 1")] {
        fs::write(&key, text).unwrap();
        is_refused(data.path(), says);
    }
    fs::write(&key, own).unwrap();
    let (code, _, stderr) = run(&["project", "list", "--data-dir", data.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "with its own key it is good: {stderr}");
}

#[test]
fn a_missing_master_key_is_not_replaced_by_a_new_one() {
    let data = data_with_a_project();
    fs::remove_file(data.path().join("master.key")).unwrap();
    is_refused(data.path(), "is missing");
    assert!(!data.path().join("master.key").exists());
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let data = data_with_a_project();
    let key = data.path().join("master.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(data.path().join("switchboard.db")).unwrap().permissions().mode() & 0o077, 0);
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        is_refused(data.path(), &format!("has mode {mode:o}"));
    }
}

#[test]
fn a_new_data_folder_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/data");
    let (code, _, stderr) = run(&["project", "create", "Test", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_schema_of_a_later_version_is_refused_and_stays_as_it_is() {
    let data = data_with_a_project();
    let database = open(&data.path().join("switchboard.db"));
    database.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from_the_future')", []).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    is_refused(data.path(), "schema version 9999");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_start_at_once_on_an_empty_folder_both_come_up() {
    for round in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut servers = Vec::new();
        for _ in 0..3 {
            let address = own_address();
            let mut command = serve(folder.path());
            command.args(["--listen", &address, "--data-dir", data.to_str().unwrap()]);
            servers.push((Server::start(&mut command), address));
        }
        for (server, address) in &mut servers {
            ready(server, address).await;
        }
        let (_, made, stderr) = run(&["project", "create", "Test", "--json", "--data-dir", data.to_str().unwrap()]);
        let made: Value =
            serde_json::from_str(&made).unwrap_or_else(|error| panic!("round {round}: {error}: {stderr}"));
        for (_, address) in &servers {
            let api = Api::new(&format!("http://{address}"), made["api_key"].as_str().unwrap());
            api.get("/toolkits").await.expect(200);
        }
    }
}
