//! The `OpenAPI` document held against the server by schemathesis: requests that it admits and
//! requests that it forbids, in the hundreds; no answer may be other than it says.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::process::{Dev, run};
use crate::support::tools::tool;

/// Arguments of `switchboard dev`. Limits of requests belong off here: thousands come in seconds.
const DEV: &[&str] = &[];

/// All of schemathesis' checks that need no knowledge of this API. Not among them:
/// `positive_data_acceptance`, since a policy may contradict itself in ways that a schema cannot say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,response_headers_conformance,negative_data_rejection,ignored_auth,\
    unsupported_method";

/// Longest run.
const MOST: Duration = Duration::from_mins(4);

/// What exists, by the operations that ask for it, and a key of each kind.
struct Known {
    session: String,
    account: String,
    auth_config: String,
    keys: [(&'static str, String); 3],
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A session whose user has connected the sandbox, so that calls come further than to "not found".
async fn known(api: &Api, data: &Path) -> Known {
    let session = api.session("user-1", "sandbox").await;
    let link = api.link(&session, "sandbox").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = text(&link["connected_account_id"]);
    assert_eq!(api.status(&account).await, "ACTIVE");
    let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    let made = |owner: &[&str], prefix: &str| {
        let data = data.to_str().unwrap();
        let (code, printed, error) = run(&[&["key", "create", "--data-dir", data, "--name", "test"], owner].concat());
        assert_eq!(code, Some(0), "{error}");
        let key = printed.split_whitespace().find(|word| word.starts_with(prefix));
        key.unwrap_or_else(|| panic!("no key in {printed}")).to_owned()
    };
    let keys = [
        ("x-api-key", api.key.clone()),
        ("x-org-api-key", made(&["--organization"], "oak_")),
        ("x-user-api-key", made(&["--user", "owner@example.com"], "uak_")),
    ];
    Known { session, account, auth_config: text(&read["auth_config"]["id"]), keys }
}

/// Ids for operations that only use a thing, and the key that each operation takes. What deletes
/// gets made-up ids: a thing deleted once is of no use to the rest of the run.
fn settings(known: &Known) -> String {
    let [project, organization, user] = known.keys.each_ref().map(|(header, key)| format!("\"{header}\" = \"{key}\""));
    let mut text = String::from("warnings = false\n");
    for (path, name, value) in [
        ("tool_router/session/", "session_id", known.session.as_str()),
        ("connected_accounts/", "id", &known.account),
        ("auth_configs/", "id", &known.auth_config),
        ("toolkits/", "slug", "sandbox"),
    ] {
        write!(
            text,
            "\n[[operations]]\ninclude-path-regex = \"/{path}\\\\{{\"\nexclude-method = \"DELETE\"\n\
             parameters = {{ \"path.{name}\" = \"{value}\" }}\nheaders = {{ {project} }}\n"
        )
        .unwrap();
    }
    for (filter, key) in [
        ("include-path-regex = \"/org/owner/\"", organization),
        ("include-path-regex = \"/org/(list|project/list)$\"", user),
        ("exclude-path-regex = \"/org/(owner/|list$|project/list$)\"", project),
    ] {
        write!(text, "\n[[operations]]\n{filter}\nheaders = {{ {key} }}\n").unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_as_its_openapi_document_says() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let dev = Dev::start(&data, DEV);
    let api = dev.api();
    let config = dir.path().join("schemathesis.toml");
    std::fs::write(&config, settings(&known(&api, &data).await)).unwrap();
    // One worker: hypothesis keeps the sources of its strategies in a table that threads may not share.
    let mut command = Command::new(tool("schemathesis/bin/schemathesis"));
    command
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("{}/openapi.json", dev.url)])
        .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--max-examples", "25"])
        .args(["--workers", "1", "--seed", "1", "--generation-deterministic"])
        .args(["--suppress-health-check", "all", "--request-timeout", "20", "--no-color"])
        .current_dir(dir.path())
        .stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(MOST, running).await.expect("schemathesis took too long").unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("generated"), "it tested something: {printed}");
}
