//! `switchboard toolkit test`: every built-in toolkit is danced through in each of its schemes, and a file
//! with a mistake is told what is wrong.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};
use switchboard_catalog::{Catalog, FieldFormat, Scheme};
use tempfile::TempDir;

use crate::support::process::run;
use crate::support::tools::root;

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

/// Runs it on a file; returns the exit code, the output, and the text about the failure.
fn test(text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = written(&dir, "played.toml", text);
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

/// Values of a scheme that cannot be made up, as arguments.
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
    let catalog = Catalog::builtin();
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
                    let found = check(&slug, scheme, &arguments);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A made-up value that is printed: `zq01zq`, `zqt01…`, `zq-…`. Random identifiers may hold the letters, too.
fn made_up(printed: &str) -> Option<&str> {
    let values = printed.match_indices("zq").map(|(at, _)| &printed[at..]);
    values.map(|rest| rest.get(..6).unwrap_or(rest)).find(|value| {
        let digits =
            |range: std::ops::Range<usize>| value.get(range).is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
        value.starts_with("zq-")
            || (digits(2..4) && value.ends_with("zq"))
            || (value.starts_with("zqt") && digits(3..5))
    })
}

/// What is wrong with one dance.
fn check(slug: &str, scheme: &str, arguments: &[String]) -> Option<String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, printed, said) = run(&arguments);
    let told: Value = match serde_json::from_str(&printed) {
        Ok(told) => told,
        Err(_) => return Some(format!("{slug} {scheme}: {said}")),
    };
    let failure = told["failure"].as_str();
    let outcome: Vec<&str> = told["outcome"].as_array()?.iter().filter_map(Value::as_str).collect();
    let has = |word: &str| outcome.iter().any(|line| line.starts_with(word));
    let leaks = ["0123456789abcdef", "PRIVATE KEY", "eyJ", "st_00"].into_iter().find(|secret| printed.contains(secret));
    let leaks = leaks.or_else(|| made_up(&printed));
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
    assert_eq!(made_up(&printed), None, "{printed}");
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
fn a_mistake_in_a_file_is_reported_with_its_location() {
    let entered = "[api_key]\nfields = [{ name = \"generic_api_key\", display_name = \"Key\", secret = true, pattern = \"k-[0-9]{8}\" }]\napply = [{ header = \"X-Key\", value = \"{generic_api_key}\" }]\n\n[identity]";
    let cases: [(String, &[&str], &str); 10] = [
        // A host that may not get the credential.
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
                "#oauth2",
                "[oauth2.revoke]\nurl = \"https://login.played.example/revoke\"\nparameters = { a = \"b\" }",
            )
            .replace("revocation_url = \"https://login.played.example/revoke\"\n", ""),
            &[],
            "Revocation: it names no token of the account; see [oauth2.revoke]",
        ),
        // Values that cannot be made up.
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

/// A file of a scheme without OAuth 2.0, and what its dance prints.
const OTHERS: [(&str, &str, &[&str]); 13] = [
    ("NO_AUTH", "[no_auth]", &["called, without any credential"]),
    (
        "OAUTH2",
        "[oauth2]\ndevice_authorization_url = \"https://login.played.example/device\"\n\
         token_url = \"https://login.played.example/token\"\nrevocation_url = \"https://login.played.example/end\"",
        &[
            "POST /device HTTP/1.1",
            "\"user_code\":\"WDJB-MJHT\"",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=<device_code>",
            "refreshed\nrevoked",
        ],
    ),
    (
        "DCR_OAUTH",
        "[dcr_oauth]\nresource = \"https://api.played.example/mcp\"\nregistration_parameters = { software_id = \"played\" }",
        &[
            "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1",
            "GET /.well-known/oauth-authorization-server HTTP/1.1",
            "POST /register HTTP/1.1",
            "\"software_id\":\"played\"",
            "resource=https%3A%2F%2Fapi.played.example%2Fmcp",
            "refreshed\nrevoked",
        ],
    ),
    (
        "OAUTH2",
        r#"[oauth2]
        discovery_url = "https://login.played.example/.well-known/openid-configuration"
        pushed_authorization_request_url = "https://login.played.example/pushed"
        client_authentication = "client_secret_basic"
        expiry = "introspection"
        scopes = ["openid"]
        [oauth2.callback]
        capture = [{ name = "realm", at = "realmId", format = "path_segment", required = true }]
        "#,
        &[
            "POST /pushed HTTP/1.1",
            "GET /authorize?client_id=CLIENT_ID&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A<request_uri>",
            "&iss=https%3A%2F%2Flogin.played.example&realmId=<realm>",
            "Authorization: Basic base64(CLIENT_ID:<client_secret>)",
            "POST /introspect HTTP/1.1",
            "\"id_token\":\"<id_token>\"",
            "refreshed\nrevoked",
        ],
    ),
    (
        "OAUTH2",
        r#"[oauth2]
        authorization_url = "https://login.played.example/authorize"
        token_url = "https://login.played.example/token"
        token_request_format = "json"
        refresh = "stable"
        expiry = "jwt"
        tokens = [{ name = "person", access_token = "/person/0/token", hosts = ["api.played.example"] }]
        callback = { code = "auth_code", hmac = "signature" }
        [oauth2.response]
        access_token = "header:X-Token"
        refresh_token = "cookie:again"
        capture = [{ name = "site", at = "/sites/1/host", format = "hostname", allowed = ["*.sites.example"], required = true }]
        [[oauth2.steps]]
        method = "GET"
        url = "https://login.played.example/longer"
        format = "query"
        parameters = { site = "{site}" }
        headers = { Authorization = "Bearer {access_token}" }
        [oauth2.revoke]
        method = "DELETE"
        url = "https://login.played.example/apps/{client_id}/{token}"
        "#,
        &[
            "?auth_code=<code>&state=<state>&signature=",
            "\"code\":\"<code>\"",
            "X-Token: <access_token>\nSet-Cookie: again=<refresh_token>; Path=/",
            "GET /longer?site=played.sites.example HTTP/1.1",
            "Authorization: Bearer <person_access_token 2>",
            "\"refresh_token\":\"<refresh_token>\"",
            "DELETE /apps/CLIENT_ID/<refresh_token> HTTP/1.1",
            "refreshed\nrevoked",
        ],
    ),
    (
        "OAUTH2",
        r#"[oauth2]
        authorization_url = "https://login.played.example/authorize"
        token_url = "https://login.played.example/token"
        [oauth2.refresh_call]
        url = "https://login.played.example/renew"
        parameters = { token = "{access_token}" }
        "#,
        &["POST /renew HTTP/1.1", "token=<access_token>", "refreshed\ndeleted; the file knows no way to revoke"],
    ),
    (
        "OAUTH1",
        r#"[oauth1]
        request_token_url = "https://login.played.example/temporary"
        authorization_url = "https://login.played.example/allow"
        access_token_url = "https://login.played.example/lasting"
        base_url = "https://api.played.example/{team}"
        capture = [{ name = "team", at = "/team", format = "path_segment", required = true }]
        [oauth1.revoke]
        method = "DELETE"
        url = "https://api.played.example/token"
        "#,
        &[
            "POST /temporary HTTP/1.1",
            "%3Fstate%3D<state>",
            "GET /allow?oauth_token=<temporary>",
            "oauth_verifier=\"<code>\"",
            "GET /<team>/ENDPOINT HTTP/1.1",
            "oauth_token=\"<oauth_token>\"",
            "DELETE /token HTTP/1.1",
            "revoked",
        ],
    ),
    (
        "API_KEY",
        r#"[api_key]
        fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
        apply = [{ query = "key", value = "{generic_api_key}" }, { body = "key", value = "{generic_api_key}" }]
        verify = { url = "/check", ok_pointer = "/ok", ok_value = true }
        "#,
        &["GET /v1/check?key=<generic_api_key> HTTP/1.1", "{\"ok\":true}", "\"key\":\"<generic_api_key>\""],
    ),
    (
        "API_KEY",
        r#"[api_key]
        fields = [{ name = "id", display_name = "Id" }, { name = "generic_api_key", display_name = "Key", secret = true }]
        sign = { method = "hmac_sha256", key = "{generic_api_key}", message = "{method}", header = "X-Signature", value = "{id}:{signature}" }
        "#,
        &["X-Signature: <id>:"],
    ),
    (
        "S2S_OAUTH2",
        r#"[s2s_oauth2]
        fields = [{ name = "key_id", display_name = "Id" }, { name = "key", display_name = "Key", secret = true, format = "document" }]
        [[s2s_oauth2.steps]]
        url = "https://login.played.example/token"
        parameters = { grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion = "{assertion}" }
        assertion = { algorithm = "ES256", key = "{key}", header = { kid = "{key_id}" }, claims = { aud = "https://aud.example" } }
        [s2s_oauth2.revoke]
        url = "https://login.played.example/end"
        parameters = { token = "{token}" }
        "#,
        &["assertion=<assertion>", "\"kid\":\"<key_id>\"", "token=<access_token 2>", "refreshed\nrevoked"],
    ),
    (
        "BASIC_WITH_JWT",
        r#"[basic_with_jwt]
        expires_in = 600
        fields = [{ name = "username", display_name = "User" }, { name = "password", display_name = "Password", secret = true }]
        [[basic_with_jwt.steps]]
        url = "https://login.played.example/login"
        content_type = "text/xml"
        escape = "xml"
        body = "<login user='{username}'>{password}</login>"
        response = { access_token = "/jwt" }
        "#,
        &["<login user='<username>'><password></login>", "{\"expires_in\":600,\"jwt\":\"<access_token>\"", "refreshed"],
    ),
    (
        "BILLCOM_AUTH",
        r#"[billcom_auth]
        expires_in = 600
        fields = [{ name = "username", display_name = "User" }, { name = "password", display_name = "Password", secret = true }]
        apply = [{ header = "sessionId", value = "{access_token}" }]
        [[billcom_auth.steps]]
        url = "https://login.played.example/session"
        content_type = "application/json"
        escape = "json"
        body = "{{\"user\":\"{username}\",\"password\":\"{password}\"}"
        response = { access_token = "/sessionId" }
        "#,
        &["{\"user\":\"<username>\",\"password\":\"<password>\"}", "Sessionid: <access_token>", "refreshed"],
    ),
    (
        "SAML",
        r#"[saml]
        expires_in = 600
        fields = [{ name = "assertion_xml", display_name = "Assertion", secret = true }]
        [[saml.steps]]
        url = "https://login.played.example/saml"
        parameters = { grant_type = "urn:ietf:params:oauth:grant-type:saml2-bearer", assertion = "{assertion_xml}" }
        "#,
        &["assertion=<assertion_xml>", "refreshed"],
    ),
];

#[test]
fn every_scheme_is_simulated() {
    let (head, _) = PLAIN.split_once("[oauth2]").unwrap();
    let mut wrong = Vec::new();
    for (scheme, table, expected) in OTHERS {
        let (code, printed, said) = test(&format!("{head}{table}"), &["--scheme", scheme]);
        let missing: Vec<&&str> = expected.iter().filter(|text| !printed.contains(**text)).collect();
        if code != Some(0) || !missing.is_empty() || made_up(&printed).is_some() {
            wrong.push(format!("{table}\nlacks {missing:?} ({code:?}):\n{printed}{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
