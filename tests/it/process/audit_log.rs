//! `switchboard audit`, and that a server that is killed while it seals leaves a log that can be
//! checked and sealed on (R92).

use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;

use super::settings::{ends, serve};
use crate::support::http::Http;
use crate::support::process::run;
use crate::support::wait::until;

const DATA: [&str; 2] = ["--data-dir", "data"];

fn audit(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let data = folder.join("data");
    let mut all = vec!["audit"];
    all.extend(arguments);
    all.extend(["--data-dir", data.to_str().unwrap()]);
    run(&all)
}

#[track_caller]
fn checked(folder: &Path, status: i32) -> Value {
    let (code, answer, said) = audit(folder, &["check", "--json"]);
    assert_eq!(code, Some(status), "{answer} {said}");
    serde_json::from_str(&answer).unwrap()
}

/// A project and 3,500 further events, which a server has to seal in several batches.
fn prepare(folder: &Path) {
    let data = folder.join("data");
    let (code, _, said) = run(&["project", "create", "Name", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 3500)
        INSERT INTO audit_events (id, project_id, at, actor, action, object, outcome)
        SELECT 'evt_00' || printf('%07d', i / 10) || printf('%011d', i), 'pr_1', i, 'cli', 'a.b', 'c', 'ok' FROM n";
    Connection::open(data.join("switchboard.db")).unwrap().execute_batch(sql).unwrap();
}

/// Runs a server until SIGTERM, once it is ready.
async fn serve_and_stop(folder: &Path) {
    let mut command = serve(folder);
    let mut child = command.args(DATA).args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).unwrap(), 0, "the server ended early");
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let listen = line.split("listen=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    // It answers from when it can be stopped in order.
    until("an answer", async || Http::new().try_send("GET", &format!("http://{listen}/livez"), &[], "").await.is_ok())
        .await;
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_seals_leaves_a_log_that_the_next_one_continues() {
    for place in ["after_audit_batch", "before_audit_head"] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let mut command = serve(folder.path());
        let killed = ends(command.args(DATA).args(["--listen", "127.0.0.1:0"]).env("SWITCHBOARD_FAILPOINT", place));
        assert_eq!(killed.status.code(), None, "{place}: {}", String::from_utf8_lossy(&killed.stderr));
        let report = checked(folder.path(), 0);
        let left = report["unsealed_events"].as_i64().unwrap();
        assert_eq!(left > 0, place == "after_audit_batch", "{place}: {report}");
        serve_and_stop(folder.path()).await;
        let report = checked(folder.path(), 0);
        assert_eq!(report["unsealed_events"], 0, "{place}: {report}");
        assert!(report["sealed_events"].as_i64().unwrap() > 3_500, "{place}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_says_whether_the_log_is_intact() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, said) = audit(folder.path(), &["check"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no database"), "{said}");
    prepare(folder.path());
    serve_and_stop(folder.path()).await;
    let (code, answer, said) = audit(folder.path(), &["check"]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{answer}");
    assert!(answer.contains("Nothing was changed, and nothing is missing"), "{answer}");

    // A copy of the head that is kept elsewhere, and the server's own gone.
    let head = folder.path().join("data/switchboard.db.audit-head");
    let copy = folder.path().join("head");
    std::fs::rename(&head, &copy).unwrap();
    assert_eq!(checked(folder.path(), 1)["findings"][0]["kind"], "head_missing");
    let (code, ..) = audit(folder.path(), &["check", "--head", copy.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let (code, _, said) = audit(folder.path(), &["accept-head"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(checked(folder.path(), 0)["unsealed_events"], 1);

    let database = Connection::open(folder.path().join("data/switchboard.db")).unwrap();
    database.execute_batch("DROP TRIGGER audit_events_no_update; UPDATE audit_events SET actor = 'nobody' WHERE object = 'c' AND at = 7").unwrap();
    let report = checked(folder.path(), 1);
    assert_eq!((&report["intact"], &report["findings"][0]["kind"]), (&Value::Bool(false), &"changed".into()));
    assert_eq!(report["findings"][0]["project_id"], "pr_1");
    let (code, answer, said) = audit(folder.path(), &["check"]);
    assert_eq!(code, Some(1));
    assert!(
        answer.contains("Changed") && said.contains("the audit log does not match its seals: 1 findings"),
        "{answer} {said}"
    );
    let (code, ..) = audit(folder.path(), &["check", "--project", "pr_2"]);
    assert_eq!(code, Some(0), "another project's events are as they were");
}
