//! `switchboard toolkit test`: every built-in toolkit is danced through in each of its schemes, and a file
//! with a mistake is told what is wrong.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};
use switchboard_catalog::{Catalog, FieldFormat, Scheme};
use tempfile::TempDir;

use crate::support::process::run;
use crate::support::tools::root;

/// Toolkit, scheme and a part of what is printed, for dances that fail for a reason that is not the file's.
const KNOWN_TO_FAIL: [(&str, &str, &str); 1] = [
    // Client identifiers are no secrets, and the revocation of a fetched token looks among the secrets for them.
    ("box", "S2S_OAUTH2", "Revocation: identifier and secret are to be in the body"),
];

/// A file without a mistake.
const PLAIN: &str = r##"
slug = "played"
name = "Played"
description = "A provider that is played"
categories = ["testing"]
color = "#336699"
version = "20261126_00"
base_url = "https://api.played.example/v1"
hosts = ["api.played.example"]

[oauth2]
authorization_url = "https://login.played.example/authorize"
token_url = "https://login.played.example/token"
revocation_url = "https://login.played.example/revoke"
scopes = ["things:read"]
#oauth2

[identity]
request = { url = "/me" }
id = "/id"
email = "/email"
"##;

/// Runs it on a file; exit code, what is printed, and what is said of the failure.
fn test(text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = written(&dir, "toolkit.toml", text);
    let mut arguments = vec!["toolkit", "test", file.to_str().unwrap()];
    arguments.extend(more);
    run(&arguments)
}

fn written(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The plain file with something else in it.
fn with(place: &str, instead: &str) -> String {
    assert!(PLAIN.contains(place), "{place}");
    PLAIN.replacen(place, instead, 1)
}

fn key_file() -> PathBuf {
    root().join("tests/it/connect/quirks/service_account.pem")
}

/// What nobody can make up for a scheme, as arguments.
fn settings(toolkit: &switchboard_catalog::Toolkit, scheme: Scheme, key: &Path, account: &Path) -> Vec<String> {
    let fields = toolkit.scheme_fields(scheme);
    let documents = fields.iter().filter(|field| field.format == FieldFormat::Document);
    let file = |name: &str| if name == "credentials_json" { account } else { key }.display();
    documents.flat_map(|field| ["--set".to_owned(), format!("{}=@{}", field.name, file(&field.name))]).collect()
}

#[test]
fn every_built_in_toolkit_connects_in_each_of_its_schemes() {
    let dir = tempfile::tempdir().unwrap();
    let key = std::fs::read_to_string(key_file()).unwrap();
    let account = json!({ "client_email": "robot@example.com", "private_key_id": "kid-1", "private_key": key });
    let account = written(&dir, "account.json", &account.to_string());
    let catalog = Catalog::builtin().unwrap();
    let mut dances = Vec::new();
    for toolkit in catalog.iter() {
        for scheme in toolkit.schemes() {
            let mut arguments: Vec<String> =
                ["toolkit", "test", &toolkit.slug, "--json", "--scheme", scheme.as_str()].map(str::to_owned).into();
            arguments.extend(settings(toolkit, scheme, &key_file(), &account));
            dances.push((toolkit.slug.clone(), scheme.as_str(), arguments));
        }
    }
    assert!(dances.len() > 100, "only {} dances", dances.len());
    let wrong = Mutex::new(Vec::new());
    let queue = Mutex::new(dances.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((slug, scheme, arguments)) = { queue.lock().unwrap().next() } {
                    let known = KNOWN_TO_FAIL.iter().find(|(of, in_scheme, _)| *of == slug && *in_scheme == scheme);
                    wrong.lock().unwrap().extend(check(&slug, scheme, &arguments, known.map(|(_, _, why)| *why)));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with one dance.
fn check(slug: &str, scheme: &str, arguments: &[String], known: Option<&str>) -> Option<String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, printed, said) = run(&arguments);
    let told: Value = match serde_json::from_str(&printed) {
        Ok(told) => told,
        Err(_) => return Some(format!("{slug} {scheme}: {said}")),
    };
    let failure = told["failure"].as_str();
    if let Some(why) = known {
        let is_as_known = code == Some(1) && failure.is_some_and(|failure| failure.contains(why));
        return (!is_as_known).then(|| format!("{slug} {scheme} should fail with {why:?}, but: {failure:?}"));
    }
    let outcome: Vec<&str> = told["outcome"].as_array()?.iter().filter_map(Value::as_str).collect();
    let has = |word: &str| outcome.iter().any(|line| line.starts_with(word));
    let leaks = ["zq", "0123456789abcdef", "PRIVATE KEY", "eyJ"].iter().find(|secret| printed.contains(**secret));
    if let Some(secret) = leaks {
        return Some(format!("{slug} {scheme}: {secret} is printed: {printed}"));
    }
    let is_whole = code == Some(0) && has("connected") && has("called") && told["ok"] == true;
    (!is_whole).then(|| format!("{slug} {scheme}: {outcome:?}, {failure:?} {said}"))
}

#[test]
fn the_requests_are_printed_as_they_are_sent_with_names_for_values() {
    let (code, printed, said) = test(PLAIN, &[]);
    assert_eq!(code, Some(0), "{printed}{said}");
    for expected in [
        "GET /authorize?response_type=code&client_id=CLIENT_ID&redirect_uri=https%3A%2F%2Fswitchboard.example",
        "&scope=things%3Aread&state=<state>&code_challenge=<code_challenge>&code_challenge_method=S256 HTTP/1.1",
        "POST /token HTTP/1.1\nHost: login.played.example\n",
        "grant_type=authorization_code&code=<code>&",
        "code_verifier=<code_verifier>",
        "client_secret=<client_secret>",
        "GET /v1/me HTTP/1.1\nHost: api.played.example\n",
        "Authorization: Bearer <access_token>\n",
        "grant_type=refresh_token&refresh_token=<refresh_token>",
        "Authorization: Bearer <access_token 2>\n",
        "POST /revoke HTTP/1.1",
        "token=<refresh_token 2>&token_type_hint=refresh_token",
        "connected as ada@example.com\ncalled the API\nrefreshed\nrevoked\n",
    ] {
        assert!(printed.contains(expected), "{expected} is not in\n{printed}");
    }
    assert!(!printed.contains("zq"), "{printed}");
}

#[test]
fn a_signed_assertion_is_shown_in_words() {
    let text = with(
        "#oauth2",
        "client_authentication = \"private_key_jwt\"\nclient_assertion = { algorithm = \"ES256\", audience = \"https://aud.example\" }",
    );
    let (code, printed, said) = test(&text, &[]);
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("client_assertion=<assertion>"), "{printed}");
    assert!(printed.contains("\"aud\":\"https://aud.example\""), "{printed}");
    let (code, _, said) = test(&text.replace("ES256", "RS256"), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("--set private_key=@key.pem"), "{said}");
    let set = format!("private_key=@{}", key_file().display());
    let (code, printed, said) = test(&text.replace("ES256", "RS256"), &["--set", &set]);
    assert_eq!(code, Some(0), "{printed}{said}");
}

#[test]
fn a_file_with_a_mistake_is_told_what_is_wrong_and_where() {
    let entered = "[api_key]\nfields = [{ name = \"generic_api_key\", display_name = \"Key\", secret = true, pattern = \"k-[0-9]{8}\" }]\napply = [{ header = \"X-Key\", value = \"{generic_api_key}\" }]\n\n[identity]";
    let cases: [(String, &[&str], &str); 10] = [
        // A host that nobody gave the credential to.
        (
            with("{ url = \"/me\" }", "{ url = \"https://www.played.example/me\" }"),
            &[],
            "identity.request.url: host `www.played.example` is not in `hosts`",
        ),
        // The code's parameter has the name of another.
        (with("#oauth2", "[oauth2.callback]\ncode = \"state\""), &[], "makes nothing of what the browser brings back"),
        // Values inside of values.
        (
            with("#oauth2", "[oauth2.response]\nrefresh_token = \"/access_token/inner\""),
            &[],
            "Code exchange: no answer can have a value at `/access_token/inner`",
        ),
        (
            with("email = \"/email\"", "email = \"/id/email\""),
            &[],
            "Identity: no answer can have a value at `/id/email`",
        ),
        // What the provider must have is not sent.
        (with("#oauth2", "token_omit = [\"code\"]"), &[], "Code exchange: the code is not the one that was given"),
        (
            with(
                "#oauth2",
                "[oauth2.refresh_call]\nurl = \"https://login.played.example/renew\"\nparameters = { a = \"b\" }",
            ),
            &[],
            "Refresh: it carries neither the refresh token nor the living access token; see [oauth2.refresh_call]",
        ),
        (
            with(
                "revocation_url = \"https://login.played.example/revoke\"",
                "[oauth2.revoke]\nurl = \"https://login.played.example/revoke\"\nparameters = { a = \"b\" }",
            ),
            &[],
            "Revocation: it names no token of the account; see [oauth2.revoke]",
        ),
        // What nobody can make up.
        (with("[identity]", entered), &["--scheme", "API_KEY"], "--set generic_api_key=VALUE (Key)"),
        (
            with("[identity]", entered),
            &["--scheme", "API_KEY", "--set", "generic_api_key=k"],
            "--set generic_api_key: ",
        ),
        (PLAIN.to_owned(), &["--scheme", "BASIC"], "played has no BASIC; it has OAUTH2"),
    ];
    let mut wrong = Vec::new();
    for (text, more, expected) in cases {
        let (code, printed, said) = test(&text, more);
        let whole = format!("{printed}{said}");
        if code != Some(1) || !whole.contains(expected) {
            wrong.push(format!("{expected:?} is not said, but ({code:?}): {whole}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let set = ["--scheme", "API_KEY", "--set", "generic_api_key=k-12345678"];
    let (code, printed, said) = test(&with("[identity]", entered), &set);
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("X-Key: <generic_api_key>") && !printed.contains("k-12345678"), "{printed}");
}

#[test]
fn a_failure_is_part_of_the_json() {
    let (code, printed, _) = test(&with("#oauth2", "token_omit = [\"code\"]"), &["--json"]);
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!((&told["ok"], &told["scheme"]), (&json!(false), &json!("OAUTH2")));
    assert!(told["failure"].as_str().unwrap().starts_with("Code exchange: "), "{told}");
    assert_eq!(told["steps"][1]["status"], 400, "{told}");
}
