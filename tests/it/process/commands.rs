//! The command line beside a running server, and the walk-through that `dev` prints.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::process::{Dev, run};

/// Runs a command on a data folder; its JSON.
pub(super) fn json(data: &Path, arguments: &[&str]) -> Value {
    let all = [arguments, &["--json", "--data-dir", data.to_str().unwrap()]].concat();
    let (code, stdout, stderr) = run(&all);
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_and_keys_are_managed_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let dev = Dev::start(data, &[]);
    let made = json(data, &["project", "create", "Second project"]);
    let project = text(&made["project_id"]);
    assert!(project.starts_with("pr_") && text(&made["api_key"]).starts_with("ak_"), "{made}");
    let first = Api::new(&dev.url, text(&made["api_key"]));
    let session = first.session("user-1", "sandbox").await;
    dev.api().get(&format!("/tool_router/session/{session}")).await.expect_error(404, "ToolRouterV2_SessionNotFound");
    let projects = json(data, &["project", "list"]);
    assert!(
        projects["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["project_id"] == project && it["name"] == "Second project"),
        "{projects}"
    );

    let more = json(data, &["key", "create", "--name", "ci", "--project", project]);
    assert_eq!(more["project_id"], project);
    let second = Api::new(&dev.url, text(&more["api_key"]));
    second.get(&format!("/tool_router/session/{session}")).await.expect(200);
    let id = text(&more["key_id"]);
    let listed = |keys: &Value| -> Vec<(String, bool)> {
        let keys = keys["items"].as_array().unwrap().iter();
        keys.map(|key| (text(&key["key_id"]).to_owned(), key["revoked_at"].is_null())).collect()
    };
    let keys = json(data, &["key", "list", "--project", project]);
    assert!(listed(&keys).len() == 2 && listed(&keys).contains(&(id.to_owned(), true)), "{keys}");
    assert!(!keys.to_string().contains(&second.key) && !keys.to_string().contains(&first.key), "{keys}");

    assert_eq!(json(data, &["key", "revoke", id, "--project", project])["revoked"], true);
    second.get("/toolkits").await.expect_error(401, "HTTP_Unauthorized");
    first.get("/toolkits").await.expect(200);
    let keys = json(data, &["key", "list", "--project", project]);
    assert!(listed(&keys).contains(&(id.to_owned(), false)), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_a_scope_and_keys_beyond_a_project_are_managed_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let dev = Dev::start(data, &[]);
    let project = text(&json(data, &["project", "list"])["items"][0]["project_id"]).to_owned();
    let scoped =
        ["key", "create", "--project", &project, "--permission", "toolkits=read", "--permission", "tools=none"];
    let scoped = Api::new(&dev.url, text(&json(data, &scoped)["api_key"]));
    scoped.get("/toolkits").await.expect(200);
    scoped.get("/connected_accounts").await.expect_error(403, "HTTP_Forbidden");
    let limited = json(data, &["key", "create", "--project", &project, "--allow-ip", "203.0.113.0/24"]);
    Api::new(&dev.url, text(&limited["api_key"])).get("/toolkits").await.expect_error(403, "HTTP_Forbidden");
    let keys = json(data, &["key", "list", "--project", &project]);
    let of = |id: &Value| keys["items"].as_array().unwrap().iter().find(|key| key["key_id"] == *id).unwrap().clone();
    assert_eq!(of(&limited["key_id"])["allowed_ips"], serde_json::json!(["203.0.113.0/24"]));

    for (owner, header, prefix, path) in [
        (vec!["--organization"], "x-org-api-key", "oak_", "/org/owner/project/list"),
        (vec!["--user", "ada@example.com"], "x-user-api-key", "uak_", "/org/project/list"),
    ] {
        let made = json(data, &[&["key", "create", "--name", "laptop"], owner.as_slice()].concat());
        let key = text(&made["api_key"]);
        assert!(key.starts_with(prefix) && text(&made["organization_id"]).starts_with("ok_"), "{made}");
        let url = format!("{}/api/v3.1{path}", dev.url);
        let http = crate::support::http::Http::new();
        let list = http.send("GET", &url, &[(header, key)], "").await.expect(200);
        assert_eq!(list["data"][0]["id"], project.as_str());
        let keys = json(data, &[&["key", "list"], owner.as_slice()].concat());
        assert_eq!(keys["items"].as_array().unwrap().len(), 1);
        assert!(!keys.to_string().contains(key) && keys["items"][0]["name"] == "laptop", "{keys}");
        json(data, &[&["key", "revoke", text(&made["key_id"])], owner.as_slice()].concat());
        http.send("GET", &url, &[(header, key)], "").await.expect_error(401, "HTTP_Unauthorized");
    }
}

/// A server of the version before must not lose its schema, or what it seals, under its feet.
#[test]
fn no_command_migrates_under_a_running_older_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let project = text(&json(data, &["project", "create", "First"])["project_id"]).to_owned();
    let mut dev = Dev::start(data, &[]);
    assert_eq!(dev.terminate(), Some(0));
    // As such a server has it: open, and with the newest migration missing.
    let server = rusqlite::Connection::open(data.join("switchboard.db")).unwrap();
    let newest = "SELECT MAX(number) FROM schema_migrations";
    server.execute_batch(&format!("DELETE FROM schema_migrations WHERE number = ({newest})")).unwrap();
    let version = || server.query_row(newest, [], |row| row.get::<_, i64>(0)).unwrap();
    let older = version();
    let out = data.join("answer.txt");
    let commands = [
        &["project", "list"][..],
        &["key", "list", "--project", &project],
        &["revoke", "--project", &project],
        &["answer", "ca_00VbhF1THUnyCruuaMll", "--project", &project, "--out", out.to_str().unwrap()],
        &["audit", "check"],
        &["audit", "accept-head"],
        &["jobs"],
    ];
    for command in commands {
        let (code, _, stderr) = run(&[command, &["--data-dir", data.to_str().unwrap()]].concat());
        assert_eq!(code, Some(1), "{command:?}: {stderr}");
        assert!(stderr.contains("another process is using it: stop the server first"), "{command:?}: {stderr}");
        assert_eq!(version(), older, "{command:?}");
    }
    assert!(!out.exists(), "an empty file would look like an answer");
}

#[test]
fn the_queue_of_jobs_is_shown_without_the_master_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    json(data, &["project", "create", "One"]);
    let kinds = json(data, &["jobs"]);
    let empty = serde_json::json!({ "items": [
        { "kind": "revocation", "waiting": 0, "due": 0, "leased": 0, "oldest_due_at": null, "failed": [] }
    ] });
    assert_eq!(kinds, empty);
    let database = rusqlite::Connection::open(data.join("switchboard.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO jobs (kind, key, project_id, lane, run_at, tries, lease_until, fence, detail, created_at) VALUES
               ('revocation', 'rvk_new', 'pr_1', 'github', 1000, 0, NULL, 0, NULL, 1),
               ('revocation', 'rvk_busy', 'pr_1', 'github', 1000, 2, 9000000000000, 2, 'The provider answered 429', 1),
               ('revocation', 'rvk_worse', 'pr_1', 'slack', 9000000000000, 7, NULL, 7, 'The provider answered' || char(10) || '503', 1)",
        )
        .unwrap();
    let kinds = json(data, &["jobs"]);
    let kind = &kinds["items"][0];
    assert_eq!((&kind["waiting"], &kind["due"], &kind["leased"]), (&1.into(), &1.into(), &1.into()), "{kind}");
    assert_eq!(kind["oldest_due_at"], "1970-01-01T00:00:01.000Z");
    let worst = serde_json::json!({ "id": "rvk_worse", "project_id": "pr_1", "lane": "slack", "tries": 7,
        "next_run_at": "2255-03-14T16:00:00.000Z", "detail": "The provider answered\n503" });
    assert_eq!((&kind["failed"][0], &kind["failed"][1]["id"]), (&worst, &"rvk_busy".into()), "{kind}");
    let (code, shown, stderr) = run(&["jobs", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{stderr}");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[..3],
        ["Kind     revocation", "Waiting  1", "Due      1, the oldest since 1970-01-01T00:00:01.000Z"]
    );
    assert_eq!(
        lines[4],
        "Failed   rvk_worse  pr_1  slack  7 tries, next 2255-03-14T16:00:00.000Z: The provider answered 503"
    );
    assert!(!data.join("master.key").exists());
}

#[test]
fn commands_that_fail_print_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let made = json(folder.path(), &["project", "create", "One"]);
    let other = json(folder.path(), &["project", "create", "Other"]);
    let keys = json(folder.path(), &["key", "list", "--project", text(&other["project_id"])]);
    let foreign = text(&keys["items"][0]["key_id"]);
    let mut wrong = Vec::new();
    for (arguments, says) in [
        (vec!["key", "create", "--project", "pr_nothing"], "pr_nothing"),
        (vec!["key", "list", "--project", "pr_nothing"], "pr_nothing"),
        (vec!["key", "revoke", "key_nothing", "--project", text(&made["project_id"])], "key_nothing"),
        (vec!["key", "revoke", foreign, "--project", text(&made["project_id"])], foreign),
        (vec!["key", "create"], "--organization"),
        (vec!["key", "create", "--organization", "--user", "ada@example.com"], "cannot be used with"),
        (vec!["key", "create", "--organization", "--permission", "tools=read"], "cannot be used with"),
        (vec!["key", "create", "--user", "ada"], "e-mail"),
        (vec!["key", "create", "--project", text(&made["project_id"]), "--permission", "all=read"], "toolkits"),
        (vec!["key", "create", "--project", text(&made["project_id"]), "--allow-ip", "10.0.0.1/8"], "10.0.0.0/8"),
        (vec!["key", "revoke", "key_nothing", "--organization"], "key_nothing"),
        (vec!["project", "create", ""], "name"),
        (vec!["project", "create", "Bad", "--callback-url", "javascript:alert(1)"], "callback"),
    ] {
        let (code, stdout, stderr) = run(&[arguments.as_slice(), &["--data-dir", data]].concat());
        if code == Some(0) || !stderr.contains(says) || !stdout.is_empty() {
            wrong.push(format!("{arguments:?} must fail and name {says:?}: {code:?} {stdout} {stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a shell prints.
async fn bash(script: String, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_walk_through_works_when_it_is_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let section = dev.printed.split_once("── curl").unwrap().1.split_once("── Python").unwrap().0;
    let commands = section.split_once('\n').unwrap().1;
    let (before, after) = commands.split_once("#   open the redirect_url").unwrap();
    let after = after.split_once('\n').unwrap().1;

    let printed = bash(format!("{before}\necho; echo \"SESSION=$SESSION\""), &[]).await;
    let (link, session) = printed.trim().rsplit_once("SESSION=").unwrap();
    let link: Value = serde_json::from_str(link.trim()).unwrap();
    let landing = Browser::new("alice").follow(text(&link["redirect_url"]), |_| false).await;
    assert!(landing.reply.unwrap().text().contains("data-result=\"success\""));

    let key = dev.key.clone().unwrap();
    let answer: Value =
        serde_json::from_str(&bash(after.to_owned(), &[("KEY", &key), ("SESSION", session)]).await).unwrap();
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(answer["data"]["username"], "alice", "{answer}");
}

#[test]
fn dev_shows_its_key_once_and_says_how_to_get_another() {
    let folder = tempfile::tempdir().unwrap();
    let key = Dev::start(folder.path(), &[]).key.clone().unwrap();
    let again = Dev::start(folder.path(), &[]);
    assert_eq!(again.key, None);
    assert!(!again.printed.contains(&key));
    // The advice is two commands; they work as they are printed.
    let advice = again.printed.lines().skip_while(|line| !line.starts_with("API key")).take(2).collect::<String>();
    let advice: Vec<&str> = advice.split("switchboard ").skip(1).collect();
    let words = |command: &str| -> Vec<String> {
        command.split(',').next().unwrap().split_whitespace().map(ToOwned::to_owned).collect()
    };
    let list = words(advice[0]);
    let (code, projects, stderr) = run(&list.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{list:?}: {stderr}");
    let project = projects.split_whitespace().next().unwrap();
    let create = words(&advice[1].replace("ID", project));
    let (code, made, stderr) = run(&create.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{create:?}: {stderr}");
    assert!(made.contains("ak_"), "{made}");
}
