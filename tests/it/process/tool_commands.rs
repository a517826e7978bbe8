//! Commands for authors of tools, and `switchboard tool run` against a running server. The example of the guide is
//! written, checked and run as the guide says.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::echo::{API_KEY, Echo};
use crate::support::documents::read;
use crate::support::http::Api;
use crate::support::process::{Dev, PROGRAM, run};
use crate::support::wait::until;

/// The blocks of the guide's first section, by their kind.
fn guide(kind: &str) -> String {
    let text = read("docs/tool-format.md");
    let section = text.split_once("## Write a tool in ten lines").unwrap().1.split_once("\n## ").unwrap().0.to_owned();
    let (_, rest) = section.split_once(&format!("```{kind}\n")).unwrap_or_else(|| panic!("no {kind} in the guide"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// The toolkit of the guide in a folder.
fn acme(toolkit: &str, tools: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let acme = folder.path().join("acme");
    std::fs::create_dir(&acme).unwrap();
    std::fs::write(acme.join("toolkit.toml"), toolkit).unwrap();
    std::fs::write(acme.join("tools.toml"), tools).unwrap();
    folder
}

/// A command that succeeds; what it prints.
fn succeeds(arguments: &[&str]) -> String {
    let (code, printed, said) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {printed}{said}");
    printed
}

/// A command that fails; what it says.
fn fails(arguments: &[&str]) -> String {
    let (code, _, said) = run(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    said
}

/// The commands of the guide in a folder, as lists of arguments.
fn guided(folder: &Path) -> Vec<Vec<String>> {
    let path = folder.join("acme").to_str().unwrap().to_owned();
    let words = |line: &str| -> Vec<String> {
        // One argument has quotes.
        let (plain, quoted) =
            line.split_once('\'').map_or((line, None), |(plain, rest)| (plain, rest.strip_suffix('\'')));
        let words = plain.split_whitespace().skip(1).map(|word| word.replace("./acme", &path));
        words.chain(quoted.map(str::to_owned)).collect()
    };
    guide("sh").lines().map(words).collect()
}

#[test]
fn the_tool_of_the_guide_is_checked_shown_and_run() {
    let folder = acme(&guide("text"), &guide("toml"));
    let printed: Vec<String> = guided(folder.path())
        .iter()
        .map(|arguments| succeeds(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let [linted, shown, request, tested] = printed.as_slice() else { panic!("{printed:?}") };
    assert!(linted.contains("1 toolkit") && linted.contains("1 tool"), "{linted}");
    for expected in [
        "ACME_CREATE_ANVIL (create): Create an anvil\n",
        "POST /anvils\n",
        "Order a new anvil.\n",
        "  - weight (integer minimum 1, required, in the body): Weight in kilograms.\n",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let lines = |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    assert!(lines(request).contains(&lines(&guide("http"))), "{request}");
    assert!(!request.contains("examples"), "{request}");
    // What is shown is what arrives.
    assert!(lines(tested).contains(&lines(&guide("http"))), "{tested}");
    for expected in [
        "── 1. ACME_CREATE_ANVIL ──\nPOST /v1/anvils HTTP/1.1\n",
        "{\"weight\":50}",
        "→ 200",
        "called ACME_CREATE_ANVIL",
        "returned {",
    ] {
        assert!(tested.contains(expected), "{expected}: {tested}");
    }
    assert!(!tested.contains("── 2."), "{tested}");
}

#[test]
fn a_tool_is_described_and_its_mistakes_are_named() {
    let folder = acme(&guide("text"), &guide("toml"));
    let path = folder.path().join("acme");
    let path = path.to_str().unwrap();
    let tool = ["--tool", "acme_create_anvil"];
    let shown: Value =
        serde_json::from_str(&succeeds(&[&["toolkit", "show", path, "--json"][..], &tool].concat())).unwrap();
    assert_eq!((&shown["slug"], &shown["effect"]), (&json!("ACME_CREATE_ANVIL"), &json!("create")));
    assert_eq!(shown["input_parameters"]["properties"]["weight"]["type"], "integer");
    let shown = succeeds(&[&["toolkit", "show", path, "--requests", "--json"][..], &tool].concat());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["requests"].as_array().unwrap().len(), 1);
    let made_up = succeeds(&[&["toolkit", "show", path, "--requests"][..], &tool].concat());
    assert!(made_up.contains("{\"weight\":1}") && made_up.contains("give others with --args"), "{made_up}");

    let said = fails(&["toolkit", "show", path, "--tool", "ACME_CREATE_ANVILS"]);
    assert!(said.contains("acme has no tool \"ACME_CREATE_ANVILS\"; did you mean ACME_CREATE_ANVIL?"), "{said}");
    for (args, expected) in [
        (r#"{"weight":0}"#, "weight"),
        (r#"{"wieght":1}"#, "did you mean `weight`?"),
        ("[1]", "--args: must be a JSON object"),
        ("{", "--args: is not JSON"),
        ("@/no/such/file", "--args: cannot read /no/such/file"),
    ] {
        for command in ["show", "test"] {
            let mut arguments = vec!["toolkit", command, path, "--tool", "ACME_CREATE_ANVIL", "--args", args];
            if command == "show" {
                arguments.push("--requests");
            }
            let said = fails(&arguments);
            assert!(said.contains(expected), "{command} {args}: {said}");
        }
    }
}

#[test]
fn a_tool_is_tested_in_the_schemes_of_built_in_toolkits() {
    for (slug, tool, scheme) in [
        ("github", "GITHUB_CREATE_AN_ISSUE", "OAUTH2"),
        ("github", "GITHUB_CREATE_AN_ISSUE", "API_KEY"),
        ("zendesk", "ZENDESK_CREATE_ZENDESK_TICKET", "BASIC"),
        ("trello", "TRELLO_ADD_BOARDS", "OAUTH1"),
        ("linear", "LINEAR_CREATE_LINEAR_ISSUE", "API_KEY"),
    ] {
        let printed = succeeds(&["toolkit", "test", slug, "--tool", tool, "--scheme", scheme, "--json"]);
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&report["ok"], &report["steps"][0]["title"]), (&json!(true), &json!(tool)), "{report}");
        assert!(report["result"].is_object() && report["steps"].as_array().unwrap().len() == 1, "{report}");
    }
}

/// Runs `switchboard tool run` with a key: exit code, stdout, stderr.
fn tool_run(url: &str, key: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    with_key(url, key, &[&["tool", "run"], arguments].concat())
}

/// The same for any command of a running server.
fn with_key(url: &str, key: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env("SWITCHBOARD_URL", url)
        .env("SWITCHBOARD_API_KEY", key)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Tools of a provider that repeats what it is sent.
const TOOLS: &str = r#"
[[tools]]
slug = "ACME_CREATE_ANVIL"
title = "Create an anvil"
description = "Creates an anvil."
use_cases = ["Order a new anvil.", "Add an anvil."]
effect = "create"
method = "POST"
path = "/anvils"
verify_with = "ACME_LIST_ANVILS"
[tools.input]
weight = { type = "integer", description = "Weight in kilograms.", required = true, minimum = 1 }

[[tools]]
slug = "ACME_LIST_ANVILS"
title = "List anvils"
description = "Lists the anvils."
use_cases = ["Which anvils are there?", "Show the anvils."]
effect = "read"
method = "GET"
path = "/broken"
"#;

/// An account that is imported; its id.
async fn account(api: &Api, key: &str) -> String {
    let body = json!({ "toolkit": { "slug": "acme" }, "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY",
        "credentials": {} } });
    let config = api.post("/auth_configs", &body).await.expect(201)["auth_config"]["id"].clone();
    let state = json!({ "authScheme": "API_KEY", "val": { "status": "ACTIVE", "generic_api_key": key } });
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "user-1", "state": state } });
    api.post("/connected_accounts", &body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_run_on_a_running_server() {
    let echo = Echo::start().await;
    let folder = acme(&echo.toolkit("acme", API_KEY), TOOLS);
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path(), &["--toolkits", folder.path().to_str().unwrap()]);
    let secret = "canary-tool-run-0123456789";
    let account = account(&dev.api(), secret).await;
    let key = dev.key.clone().unwrap();
    let acme = |arguments: &[&str]| tool_run(&dev.url, &key, arguments);
    let anvil = ["acme_create_anvil", "--args", "{\"weight\":50}"];

    for owner in [["--user", "user-1"], ["--account", &account]] {
        let (code, printed, said) = acme(&[&anvil[..], &owner].concat());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{printed}");
        let result: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(result["harmless"], "this text arrives");
    }
    let sent = echo.credentials.lock().unwrap().len();
    let (code, printed, said) = acme(&[&anvil[..], &["--account", &account, "--dry-run"]].concat());
    assert_eq!((code, said.as_str()), (Some(0), ""));
    for expected in [
        &format!("POST http://{}/anvils?key=«account:{account}»\n", echo.host),
        &format!("x-echo-key: «account:{account}»\n"),
        "\n{\"weight\":50}\n",
        "Nothing was sent.\nEffect       create\n",
        &format!("Account      {account}\n"),
        "Verify with  ACME_LIST_ANVILS\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert!(!printed.contains("canary"), "{printed}");
    assert_eq!(echo.credentials.lock().unwrap().len(), sent);
    let (_, printed, _) = acme(&[&anvil[..], &["--user", "user-1", "--dry-run", "--json"]].concat());
    let answer: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&answer["successful"], &answer["data"]["dry_run"]), (&json!(true), &json!(true)));

    // Failures of the tool, and refusals of the server.
    let (code, printed, said) = acme(&["ACME_LIST_ANVILS", "--user", "user-1"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(said.contains("ACME_LIST_ANVILS failed: Echo answered 500"), "{said}");
    let (code, printed, _) = acme(&["ACME_LIST_ANVILS", "--user", "user-1", "--json"]);
    assert_eq!(code, Some(1));
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["data"]["error_code"], "provider_unavailable");
    for (arguments, expected) in [
        (&["ACME_CREATE_ANVIL", "--user", "user-1"][..], "Error in payload.arguments.weight: is required"),
        (&["ACME_CREATE_ANVILS", "--user", "user-1"], "Did you mean ACME_CREATE_ANVIL?"),
        (&["ACME_LIST_ANVILS", "--user", "other-user"], "the server answers 404"),
        (&["ACME_LIST_ANVILS", "--account", "ca_00VbhF1THUnyCruuaMll"], "the server answers 404"),
        (&["ACME_LIST_ANVILS"], "User ID is required"),
    ] {
        let (code, _, said) = acme(arguments);
        assert_eq!(code, Some(1));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let (code, _, said) = tool_run(&dev.url, "ak_wrong", &["ACME_LIST_ANVILS", "--user", "user-1"]);
    assert!(code == Some(1) && said.contains("the server answers 401"), "{said}");
    let (code, _, said) = tool_run(&dev.url, "", &["ACME_LIST_ANVILS", "--user", "user-1"]);
    assert!(code == Some(1) && said.contains("there is no API key"), "{said}");
    let (code, _, said) = tool_run("http://127.0.0.1:1", &key, &["ACME_LIST_ANVILS", "--user", "user-1"]);
    assert!(code == Some(1) && said.contains("does the server run, and is --url right?"), "{said}");
    assert!(!said.contains(&key), "{said}");
    let (code, _, said) = tool_run("localhost", &key, &["ACME_LIST_ANVILS", "--user", "user-1"]);
    assert!(code == Some(1) && said.contains("--url"), "{said}");
    // The key from a file.
    let file = data.path().join("key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let arguments =
        ["ACME_CREATE_ANVIL", "--user", "user-1", "--args", "{\"weight\":1}", "--api-key-file", file.to_str().unwrap()];
    let (code, _, said) = tool_run(&dev.url, "", &arguments);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_an_account_and_a_link_are_explained() {
    let echo = Echo::start().await;
    let folder = acme(&echo.toolkit("acme", API_KEY), TOOLS);
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path(), &["--toolkits", folder.path().to_str().unwrap()]);
    let (api, key) = (dev.api(), dev.key.clone().unwrap());
    let account = account(&api, "canary-explain-0123456789").await;
    let body = json!({ "connected_account_id": account, "user_id": "user-1", "arguments": { "weight": 1 } });
    let made = api.post("/tools/execute/ACME_CREATE_ANVIL", &body).await.expect(200);
    let log = made["log_id"].as_str().unwrap();
    let explain = |arguments: &[&str]| with_key(&dev.url, &key, &[&["explain"], arguments].concat());
    // The end of a call is written within a second.
    let (code, printed, said) = until("the end of the call", async || {
        let told = explain(&[log]);
        if told.1.contains("is being made") { Err(told.1) } else { Ok(told) }
    })
    .await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    for expected in [
        "The call of ACME_CREATE_ANVIL (version 20261122_00 of acme) did what it does.\n\n",
        &format!("  The account was {account}.\n"),
        "  The provider answered 200.\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert!(!printed.contains("canary"), "{printed}");
    let (code, printed, _) = explain(&[log, "--json"]);
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &told["log_id"]), (Some(0), &made["log_id"]));
    let (code, printed, _) = explain(&[&account]);
    assert!(code == Some(0) && printed.starts_with("The account works.\n"), "{printed}");
    let session = api.session("user-2", "acme").await;
    let link = api.link(&session, "acme").await;
    let (code, printed, _) = explain(&[&link["link_token"].as_str().unwrap()[..23]]);
    assert!(code == Some(0) && printed.contains("What to do: "), "{printed}");
    let (code, _, said) = explain(&["trs_1"]);
    assert!(
        code == Some(1) && said.contains("is no id of a call (log_…), an account (ca_…) or a link (lt_…)"),
        "{said}"
    );
    let (code, _, said) = explain(&["log_none"]);
    assert!(code == Some(1) && said.contains("the server answers 404"), "{said}");
}
