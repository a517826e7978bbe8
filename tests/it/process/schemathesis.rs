//! The `OpenAPI` document held against the server by schemathesis: requests that it admits and
//! requests that it forbids, in the hundreds; no answer may be other than it says.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use switchboard::api::operations::Keys;
use switchboard::api::table;

use crate::api::help::auth_config;
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::process::{Dev, run};
use crate::support::tools::tool;

/// Arguments of `switchboard dev`. Limits of requests belong off here: thousands come in seconds.
const DEV: &[&str] = &["--rate-limit-per-key-per-minute", "0", "--rate-limit-per-address-per-minute", "0"];

/// All of schemathesis' checks that need no knowledge of this API. Not among them:
/// `positive_data_acceptance`, since a policy may contradict itself in ways that a schema cannot say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance,negative_data_rejection,ignored_auth,\
    unsupported_method";

/// Longest run.
const MOST: Duration = Duration::from_mins(4);

/// Methods that a path is asked for though the document has none such.
const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "TRACE"];

/// A session, an account and an auth config.
struct Things {
    session: String,
    account: String,
    auth_config: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A session whose user has connected the sandbox, so that calls come further than to "not found".
async fn things(api: &Api) -> Things {
    let session = api.session("user-1", "sandbox").await;
    let link = api.link(&session, "sandbox").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = text(&link["connected_account_id"]);
    assert_eq!(api.status(&account).await, "ACTIVE");
    // As the newest of its toolkit, a further auth config would be the one that the next link uses.
    Things { session, account, auth_config: String::new() }
}

/// What stands in paths: deletions get things of their own, or the others would soon meet nothing.
fn settings(used: &Things, deleted: &Things) -> String {
    let mut text = String::from("warnings = false\n");
    for (things, filter) in [(used, "exclude"), (deleted, "include")] {
        for (path, name, value) in [
            ("tool_router/session/", "session_id", things.session.as_str()),
            ("connected_accounts/", "id", &things.account),
            ("auth_configs/", "id", &things.auth_config),
            ("toolkits/", "slug", "sandbox"),
        ] {
            write!(
                text,
                "\n[[operations]]\ninclude-path-regex = \"/{path}\\\\{{\"\n{filter}-method = \"DELETE\"\n\
                 parameters = {{ \"path.{name}\" = \"{value}\" }}\n"
            )
            .unwrap();
        }
    }
    text + &unbuilt()
}

/// An operation that is not built answers 501, which is no answer to an unknown method: such are
/// not asked for.
fn unbuilt() -> String {
    let built: BTreeSet<&str> = table::all().filter(|it| it.works_here()).map(|it| it.path).collect();
    let mut text = String::new();
    for path in built {
        let waits =
            |method: &&&str| table::all().any(|it| it.path == path && it.method == **method && !it.works_here());
        if METHODS.iter().any(|method| waits(&method)) {
            let asked: Vec<&str> = METHODS.iter().filter(|method| !waits(method)).copied().collect();
            write!(
                text,
                "\n[[operations]]\ninclude-path = \"/api/v3.1{path}\"\n\
                 phases.coverage.unexpected-methods = {asked:?}\n"
            )
            .unwrap();
        }
    }
    text
}

/// Keys beyond one project, as an operator makes them.
fn key(data: &Path, owner: &[&str], prefix: &str) -> String {
    let data = data.to_str().unwrap();
    let (code, printed, error) = run(&[&["key", "create", "--data-dir", data, "--name", "test"], owner].concat());
    assert_eq!(code, Some(0), "{error}");
    let key = printed.split_whitespace().find(|word| word.starts_with(prefix));
    key.unwrap_or_else(|| panic!("no key in {printed}")).to_owned()
}

/// One run over the operations that take one kind of key.
async fn hold(dir: &Path, url: &str, header: &str, operations: &[&str]) {
    let document = format!("{url}/openapi.json");
    // One worker: hypothesis keeps the sources of its strategies in a table that threads may not share.
    let mut command = Command::new(tool("schemathesis/bin/schemathesis"));
    command
        .args(["--config-file", "schemathesis.toml", "run", &document, "--header", header])
        .args(operations)
        .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--max-examples", "25"])
        .args(["--workers", "1", "--generation-deterministic", "--suppress-health-check", "all"])
        // A second credential beside the key would be refused, and nothing else looked at.
        .args(["--generation-with-security-parameters", "false", "--continue-on-failure"])
        .args(["--request-timeout", "20", "--no-color"])
        .current_dir(dir)
        .stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(MOST, running).await.unwrap().unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("generated"), "it tested something: {printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_as_its_openapi_document_says() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let dev = Dev::start(&data, DEV);
    let api = dev.api();
    let (mut used, mut deleted) = (things(&api).await, things(&api).await);
    used.auth_config = auth_config(&api, "sandbox", "API_KEY").await;
    deleted.auth_config = auth_config(&api, "sandbox", "API_KEY").await;
    let settings = settings(&used, &deleted);
    std::fs::write(dir.path().join("schemathesis.toml"), settings).unwrap();
    let project = format!("x-api-key: {}", api.key);
    hold(dir.path(), &dev.url, &project, &["--exclude-path-regex", "/org/(owner/|list$|project/list$)"]).await;
    // Last, since it may delete the project.
    if table::all().any(|it| it.works_here() && it.keys == Keys::Organization) {
        let member = format!("x-user-api-key: {}", key(&data, &["--user", "owner@example.com"], "uak_"));
        hold(dir.path(), &dev.url, &member, &["--include-path-regex", "/org/(list|project/list)$"]).await;
        let organization = format!("x-org-api-key: {}", key(&data, &["--organization"], "oak_"));
        hold(dir.path(), &dev.url, &organization, &["--include-path-regex", "/org/owner/"]).await;
    }
}
