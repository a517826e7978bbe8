//! Marked secrets go through every field that can hold one, with the log at `trace`; afterwards
//! none of them is in the log, in any file, or in any answer but the one that hands it out (R59,
//! R69, R73, R74).

mod engine;
mod files;
mod given;
mod tools;
mod world;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::world::World;
use super::needles::Needles;
use crate::support::wait::until;

/// With characters that JSON, forms and HTTP Basic write differently.
fn canary(name: &str) -> String {
    format!("c4nary-{name}/{:08x}+=~%", rand::random::<u32>())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_text_logs() {
    no_secret_gets_out("text", "TRACE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_logs() {
    no_secret_gets_out("json", "\"level\":\"TRACE\"").await;
}

async fn no_secret_gets_out(log_format: &str, marks_trace: &str) {
    let managed_secret = canary("managed");
    let mut world = World::start(log_format, &managed_secret).await;
    world.secret("managed client secret", &managed_secret);
    entered_credentials(&mut world).await;
    custom_client(&mut world).await;
    shared_fields(&mut world).await;
    managed_client(&mut world, &managed_secret).await;
    built_in_provider(&mut world).await;
    answers_once_per_idempotency_key(&mut world).await;
    engine::every_kind(&mut world).await;
    given::by_the_developer(&mut world).await;
    given::unconfirmed_codes(&mut world).await;
    files::of_tools_and_sessions(&mut world).await;
    tools::with_secret_arguments(&mut world).await;
    strange_callbacks(&mut world).await;
    secrets_in_wrong_places(&mut world).await;
    world.read_everything().await;
    world.keys().await;
    world.keys_beyond_a_project().await;
    for request in world.mock.token_requests().await {
        let body: Vec<(String, String)> =
            form_urlencoded::parse(request["body"].as_str().unwrap().as_bytes()).into_owned().collect();
        for (name, value) in body.iter().filter(|(name, _)| name == "code_verifier" || name == "refresh_token") {
            world.secret(name, value);
        }
    }

    let (log, files) = world.end();
    let mut needles = Needles::default();
    for (name, secret) in &world.secrets {
        needles.add(name, secret);
        if name == "master key" {
            needles.add_bytes(name, &STANDARD.decode(secret).unwrap());
        }
    }
    // What was looked for is of the kinds that it should be, and the search does find things.
    for kind in [
        "link token",
        "browser cookie",
        "state",
        "code",
        "code_verifier",
        "refresh_token",
        "project key",
        "organisation key",
        "user key",
        "private key",
        "choice",
        "device code",
        "registered client",
        "temporary secret",
        "machine secret",
        "file content",
        "file URL",
        "file key",
        "argument",
    ] {
        assert!(world.secrets.iter().any(|(name, _)| name == kind), "no {kind} was seen");
    }
    assert!(log.contains(marks_trace), "the log is not at trace level: {log:.400}");
    assert!(log.contains("/tool_router/session/{session_id}/link"), "requests are logged");
    let mut database = Vec::new();
    for (name, bytes) in &files {
        if name.starts_with("switchboard.db") {
            database.extend_from_slice(bytes);
        }
        let allowed: &[&str] = match name.as_str() {
            "master.key" => &["master key"],
            // The bytes of files are stored as they are; their keys are what arguments name them by.
            name if name.starts_with("files/") => &["file content"],
            name if name.starts_with("switchboard.db") => &["file key"],
            _ => &[],
        };
        needles.assert_none_in(&format!("file {name}"), bytes, allowed);
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["master.key", "sandbox.json", "switchboard.db", "switchboard.db-wal"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(super::needles::contains(&database, b"canary-user"), "the database is not what was searched");

    needles.assert_none_in("the log", log.as_bytes(), &[]);
    needles.assert_none_in("stdout", world.dev.printed.as_bytes(), &["project key"]);
    for answer in &world.answers {
        needles.assert_none_in(&answer.what, &answer.bytes, answer.may);
    }
}

/// Keys, tokens and passwords typed into the connect form: a wrong one, then a right one; then a
/// provider that repeats them.
async fn entered_credentials(world: &mut World) {
    for (toolkit, fields) in
        [("echokey", &["generic_api_key"][..]), ("echobearer", &["token"]), ("echobasic", &["username", "password"])]
    {
        let session = world.session(toolkit, None).await;
        let (link, mut browser) = world.link(&session, toolkit).await;
        for word in ["wrong", "right"] {
            let values: Vec<String> = fields
                .iter()
                .map(
                    |field| {
                        if *field == "username" { "echo-user".to_owned() } else { canary(&format!("{word}-{field}")) }
                    },
                )
                .collect();
            for value in values.iter().filter(|value| value.as_str() != "echo-user") {
                world.secret("entered credential", value);
            }
            let form: Vec<(&str, &str)> = fields.iter().copied().zip(values.iter().map(String::as_str)).collect();
            let reply = browser.submit(&link.url, &form).await;
            world.note(&format!("{toolkit} form, {word}"), &reply, &["link token", "browser cookie"]);
            assert_eq!(reply.status, if word == "right" { 303 } else { 422 }, "{}", reply.text());
        }
        for endpoint in ["/echo", "/text", "/broken"] {
            let reply = world.api.proxy_get(&session, toolkit, endpoint).await;
            world.note(&format!("{toolkit} proxy {endpoint}"), &reply, &[]);
            let shown = reply.expect(200)["data"].to_string();
            assert!(shown.contains("this text arrives") && shown.contains("REDACTED"), "{shown}");
        }
        let path = format!("/tool_router/session/{session}/execute");
        for is_dry_run in [true, false] {
            let tool = format!("{toolkit}_WRITE");
            let reply = world.api.post(&path, &json!({ "tool_slug": tool, "dry_run": is_dry_run })).await;
            world.note(&format!("{tool}, dry run: {is_dry_run}"), &reply, &[]);
            assert_eq!(reply.expect(200)["result_type"], "completed");
        }
    }
    let seen = world.echo.credentials.lock().unwrap().len();
    assert_eq!(seen, 6, "three schemes, each once wrong and once right, reached the provider");
}

/// A key that all accounts of an auth config share: given, read, changed, and refused.
async fn shared_fields(world: &mut World) {
    let (first, second, surplus) = (canary("shared-1"), canary("shared-2"), canary("shared-surplus"));
    for secret in [&first, &second, &surplus] {
        world.secret("shared field", secret);
    }
    let shared = |name: &str, secret: &str| json!({ name: secret });
    let create = |fields: Value| {
        json!({ "toolkit": { "slug": "echokey" }, "auth_config": {
            "type": "use_custom_auth", "authScheme": "API_KEY", "name": "shared", "is_enabled_for_tool_router": false,
            "shared_connection_fields": fields } })
    };
    let reply = world.api.post("/auth_configs", &create(shared("no_such_field", &surplus))).await;
    world.note("auth config create with an unknown shared field", &reply, &[]);
    assert_eq!(reply.status, 400, "{}", reply.text());
    let reply = world.api.post("/auth_configs", &create(shared("generic_api_key", &first))).await;
    world.note("auth config create with a shared field", &reply, &[]);
    let path = format!("/auth_configs/{}", reply.expect(201)["auth_config"]["id"].as_str().unwrap());
    for (fields, status) in [(shared("generic_api_key", &second), 200), (shared("no_such_field", &surplus), 400)] {
        let body = json!({ "type": "custom", "shared_connection_fields": fields });
        let reply = world.api.call("PATCH", &path, body.to_string()).await;
        world.note("auth config change of a shared field", &reply, &[]);
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let reply = world.api.get(&path).await;
    world.note("auth config with a shared field", &reply, &[]);
    assert_eq!(reply.expect(200)["shared_connection_fields"], json!({ "generic_api_key": "REDACTED" }));
    let body = json!({ "auth_config": { "id": path.rsplit('/').next() }, "connection": { "user_id": "canary-user" } });
    let reply = world.api.post("/connected_accounts", &body).await;
    world.note("account with a shared key", &reply, &[]);
    reply.expect(201);
}

/// The project's own OAuth client at a provider that repeats secrets in its answers, also in errors.
async fn custom_client(world: &mut World) {
    let secret = canary("client").replace('%', "-");
    world.secret("client_secret", &secret);
    let other = canary("other-credential");
    world.secret("other credential of an auth config", &other);
    let config = world.auth_config("mock", &secret, &other).await;
    let session = world.session("mock", Some(("mock", &config))).await;

    let tokens = |number: u8| {
        json!({ "access_token": canary(&format!("access-{number}")), "refresh_token": canary(&format!("refresh-{number}")),
        "id_token": canary(&format!("id-{number}")), "token_type": "Bearer", "expires_in": if number == 1 { 1 } else { 3600 }, "scope": "openid read" })
    };
    let (first, second) = (tokens(1), tokens(2));
    for (name, value) in [&first, &second].into_iter().flat_map(|it| it.as_object().unwrap()) {
        if name.ends_with("_token") {
            world.secret(name, value.as_str().unwrap());
        }
    }
    world
        .oauth(&session, "mock", |_| json!({ "path": "/token", "times": 1, "status": 200, "body": first.to_string() }))
        .await;
    // A second later the token is dead, and the next use refreshes it.
    world.mock.fault(&json!({ "path": "/token", "grant": "refresh_token", "times": 1, "status": 200, "body": second.to_string() })).await;
    world.proxy_until_refreshed(&session, "mock", 1).await;
    let headers = json!({ "content-type": "application/json", "x-token": format!("Bearer {}", second["access_token"].as_str().unwrap()) });
    world
        .mock
        .fault(&json!({ "path": "/api/me", "status": 200, "headers": headers, "body": second.to_string() }))
        .await;
    let reply = world.api.proxy_get(&session, "mock", "/api/me").await;
    world.note("mock proxy", &reply, &[]);
    assert_eq!(reply.expect(200)["data"]["access_token"], "REDACTED");
    world.mock.heal().await;

    // A failing exchange whose error repeats what was sent.
    let fault = |code: &str| {
        let text = format!("code {code} of client {secret} is not good");
        json!({ "path": "/token", "times": 1, "status": 400, "body": json!({ "error": "invalid_grant", "error_description": text }).to_string() })
    };
    world.oauth(&session, "mock", fault).await;
    world.mock.heal().await;
    unread_answer(world, &session).await;
    deleted_and_revoked(world, &secret, &second).await;
}

/// An answer with tokens in it that cannot be read: it is kept, and only sealed.
async fn unread_answer(world: &mut World, session: &str) {
    let lost = canary("unread");
    world.secret("unread token", &lost);
    let body = format!("<html>{lost}</html>");
    let headers = json!({ "content-type": "text/html" });
    let page = json!({ "path": "/token", "times": 1, "status": 200, "headers": headers, "body": body });
    world.oauth(session, "mock", |_| page.clone()).await;
    world.mock.heal().await;
}

/// A deletion whose provider refuses to revoke the tokens, and repeats them while it says so.
async fn deleted_and_revoked(world: &mut World, secret: &str, tokens: &Value) {
    let text = format!("{} of {} and {secret} is wrong", tokens["refresh_token"], tokens["access_token"]);
    let body = json!({ "error": "invalid_request", "error_description": text });
    world.mock.fault(&json!({ "path": "/revoke", "status": 400, "body": body.to_string() })).await;
    let page = world.api.get("/connected_accounts?toolkit_slugs=mock&statuses=ACTIVE").await.expect(200);
    let account = page["items"][0]["id"].as_str().unwrap();
    let reply = world.api.delete(&format!("/connected_accounts/{account}")).await;
    world.note("deletion that revokes", &reply, &[]);
    let job = reply.expect(200)["revoke_job_id"].as_str().unwrap().to_owned();
    let receipt = until("the receipt", async || {
        let reply = world.api.get(&format!("/revoke_jobs/{job}")).await;
        world.note("receipt", &reply, &[]);
        let receipt = reply.expect(200);
        if receipt["status"] == "finished" { Ok(receipt) } else { Err(receipt) }
    })
    .await;
    assert_eq!(receipt["failed"], 1, "{receipt}");
    world.mock.heal().await;
}

/// The operator's OAuth client from the configuration file, and a refresh that is refused.
async fn managed_client(world: &mut World, secret: &str) {
    let session = world.session("mockmanaged", None).await;
    let tokens = json!({ "access_token": canary("managed-access"), "refresh_token": canary("managed-refresh"), "token_type": "Bearer", "expires_in": 1 });
    for name in ["access_token", "refresh_token"] {
        world.secret(name, tokens[name].as_str().unwrap());
    }
    world
        .oauth(
            &session,
            "mockmanaged",
            |_| json!({ "path": "/token", "times": 1, "status": 200, "body": tokens.to_string() }),
        )
        .await;
    let seen = world.mock.token_requests().await;
    let authorization = seen.last().unwrap()["headers"]["authorization"].as_str().unwrap().to_owned();
    world.secret("client authentication", authorization.strip_prefix("Basic ").unwrap());
    let text = format!("{} of {secret} is wrong", tokens["refresh_token"].as_str().unwrap());
    let body: Value = json!({ "error": "invalid_request", "error_description": text });
    world
        .mock
        .fault(&json!({ "path": "/token", "grant": "refresh_token", "status": 400, "body": body.to_string() }))
        .await;
    world.proxy_until_refreshed(&session, "mockmanaged", 2).await;
    world.mock.heal().await;
}

/// The sandbox: its own file may hold hashes only.
async fn built_in_provider(world: &mut World) {
    let session = world.session("sandbox", None).await;
    world.oauth(&session, "sandbox", |_| Value::Null).await;
    let reply = world.api.proxy_get(&session, "sandbox", "/me").await;
    world.note("sandbox proxy", &reply, &[]);
    assert_eq!(reply.expect(200)["data"]["username"], "alice");
    world.sandbox_tokens().await;
}

async fn answers_once_per_idempotency_key(world: &mut World) {
    let session = world.session("sandbox", None).await;
    let path = format!("/tool_router/session/{session}/link");
    let body = json!({ "toolkit": "sandbox" }).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let reply = world.api.call_with("POST", &path, &[("idempotency-key", "canary-key-1")], body.clone()).await;
        world.note("link with an Idempotency-Key", &reply, &["link token"]);
        answers.push(reply.expect(201));
    }
    assert_eq!(answers[0], answers[1], "the second is a replay");
    world.secret("link token", answers[0]["link_token"].as_str().unwrap());
}

/// Callbacks that no provider sends, or only a broken one.
async fn strange_callbacks(world: &mut World) {
    let session = world.session("mock", None).await;
    let marked = canary("description");
    world.secret("error_description of a stranger", &marked);
    let base = format!("{}/toolkits/auth/callback/ac_nothing", world.api.base);
    let stolen = canary("code-of-a-stranger");
    world.secret("code of a stranger", &stolen);
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for query in [
        format!("error=server_error&error_description={}&state=nobody", encode(&marked)),
        format!("code={}&state={}", encode(&stolen), encode(&marked)),
        format!("code={0}&code={0}", encode(&stolen)),
        format!("code={}", encode(&stolen)),
    ] {
        let reply = world.api.http.send("GET", &format!("{base}?{query}"), &[], "").await;
        world.note(&format!("callback?{query:.20}"), &reply, &[]);
        assert_eq!(reply.status, 400);
    }
    // The right browser, and a provider whose error repeats the state.
    let (link, mut browser) = world.link(&session, "mock").await;
    let (state, url) = world.press(&link, &mut browser).await;
    let callback = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    let reply =
        browser.get(&format!("{callback}?error=access_denied&error_description=no&state={}", encode(&state))).await;
    world.note("denied callback", &reply, &[]);
    assert!(reply.text().contains("data-result=\"denied\""), "{}", reply.text());
}

/// Secrets where none belong: in paths, queries, other headers, malformed bodies.
async fn secrets_in_wrong_places(world: &mut World) {
    let misplaced = canary("misplaced").replace(['/', '+', '=', '~', '%'], "x");
    world.secret("misplaced secret", &misplaced);
    let key = format!("ak_{misplaced}");
    let url = |path: &str| format!("{}{path}", world.api.base);
    let good = world.api.key.clone();
    let requests = [
        ("GET", url("/toolkits"), vec![("x-api-key", key.as_str())], String::new(), 401),
        ("GET", url("/toolkits"), vec![("authorization", key.as_str())], String::new(), 401),
        (
            "GET",
            url("/toolkits"),
            vec![("x-api-key", good.as_str()), ("x-org-api-key", key.as_str())],
            String::new(),
            401,
        ),
        ("GET", url(&format!("/toolkits?api_key={misplaced}")), vec![("cookie", key.as_str())], String::new(), 401),
        ("GET", format!("{}/link/lt_{misplaced}", world.dev.url), vec![], String::new(), 404),
        ("GET", format!("{}/link/done?toolkit={misplaced}", world.dev.url), vec![], String::new(), 200),
        ("GET", format!("{}/{misplaced}", world.dev.url), vec![], String::new(), 404),
        (
            "POST",
            url("/auth_configs"),
            vec![("x-api-key", good.as_str())],
            format!("{{\"secret\":\"{misplaced}\""),
            400,
        ),
        ("POST", url("/auth_configs"), vec![("x-api-key", good.as_str())], format!("client_secret={misplaced}"), 400),
        ("POST", url("/tool_router/session"), vec![("x-api-key", good.as_str())], misplaced.clone(), 400),
    ];
    for (method, url, headers, body, status) in requests {
        let reply = world.api.http.send(method, &url, &headers, body).await;
        world.note(&format!("{method} {url} with a misplaced secret"), &reply, &[]);
        assert_eq!(reply.status, status, "{method} {url}: {}", reply.text());
    }
}

/// A value of the wrong type may be a secret that slipped by one field; the answer names the place
/// and the type, and does not repeat the value: answers are logged by callers.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_type_is_not_repeated() {
    let mut world = World::start("text", "0123456789abcdef").await;
    let misplaced = "c4nary-of-the-wrong-type";
    let number = 4_111_222_233_334_444_u64;
    let session = world.session("sandbox", None).await;
    let proxy = format!("/tool_router/session/{session}/proxy_execute");
    let bodies = [
        ("/auth_configs", json!({ "toolkit": misplaced })),
        ("/auth_configs", json!({ "toolkit": { "slug": "mock" }, "auth_config": misplaced })),
        ("/auth_configs", json!({ "toolkit": { "slug": "mock" }, "auth_config": { "type": misplaced } })),
        (
            "/auth_configs",
            json!({ "toolkit": { "slug": "mock" }, "auth_config": { "type": "use_custom_auth", "authScheme": misplaced } }),
        ),
        ("/auth_configs", json!({ "toolkit": { "slug": "mock" }, "auth_config": { "credentials": misplaced } })),
        (
            "/auth_configs",
            json!({ "toolkit": { "slug": "mock" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": { "client_secret": { "value": misplaced } } } }),
        ),
        ("/auth_configs", json!({ "toolkit": { "slug": "mock" }, "auth_config": { "shared_credentials": misplaced } })),
        ("/auth_configs", json!({ "toolkit": { "slug": number } })),
        ("/tool_router/session", json!({ "user_id": "u", "toolkits": misplaced })),
        ("/tool_router/session", json!({ "user_id": "u", "auth_configs": misplaced })),
        (&proxy, json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": misplaced })),
        (&proxy, json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET", "parameters": misplaced })),
        (&proxy, json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET", "binary_body": misplaced })),
    ];
    let mut repeated = Vec::new();
    for (path, body) in bodies {
        let reply = world.api.post(path, &body).await;
        assert!((400..500).contains(&reply.status), "{body}: {}", reply.text());
        if reply.text().contains(misplaced) || reply.text().contains(&number.to_string()) {
            repeated.push(format!("{path} {body}\n      → {}", reply.json()["error"]["errors"]));
        }
    }
    let (log, _) = world.end();
    assert!(!log.contains(misplaced) && !log.contains(&number.to_string()), "in the log");
    assert!(repeated.is_empty(), "values repeated:\n  {}", repeated.join("\n  "));
}
