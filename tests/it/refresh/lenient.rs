//! A code and most refresh tokens work once, so a response is read in every form in which it may arrive;
//! an unreadable one is kept, sealed, until the operator reads it with a command.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use switchboard::app::Actor;

use crate::support::browser::Browser;
use crate::support::connected::Connected;
use crate::support::http::Api;
use crate::support::providers::Provider;

/// An answer that differs in its dress only.
struct Dress {
    what: &'static str,
    headers: Value,
    body: fn(&str) -> Vec<u8>,
}

fn dresses() -> Vec<Dress> {
    let dress = |what, headers, body| Dress { what, headers, body };
    vec![
        dress("gzip", json!({ "content-encoding": "gzip" }), gzip),
        dress("x-gzip", json!({ "content-encoding": "x-gzip" }), gzip),
        dress("deflate", json!({ "content-encoding": "deflate" }), |text| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }),
        dress("raw deflate", json!({ "content-encoding": "deflate" }), |text| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }),
        dress("gzip without a label", json!({}), gzip),
        dress("not packed", json!({ "content-encoding": "gzip" }), plain),
        dress("UTF-8 as a coding", json!({ "content-encoding": "UTF-8" }), plain),
        dress("no coding by name", json!({ "content-encoding": "none" }), plain),
        dress("an empty coding", json!({ "content-encoding": "" }), plain),
        dress("a byte order mark", json!({}), |text| format!("\u{feff}{text}").into_bytes()),
        dress("Latin-1", json!({ "content-type": "application/json;charset=ISO-8859-1" }), |text| {
            text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
        }),
        dress("a form called text", json!({ "content-type": "text/plain" }), form),
        dress("a form called a page", json!({ "content-type": "text/html; charset=UTF-8" }), form),
        dress("a form called JSON", json!({}), form),
        dress("JSON called a form", json!({ "content-type": "application/x-www-form-urlencoded" }), plain),
        dress("JSON called a page", json!({ "content-type": "text/html" }), plain),
    ]
}

fn plain(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn form(text: &str) -> Vec<u8> {
    let answer: Value = serde_json::from_str(text).unwrap();
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in answer.as_object().unwrap() {
        form.append_pair(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
    }
    form.finish().into_bytes()
}

/// A token answer; one name in it is not ASCII.
fn tokens(number: usize) -> String {
    json!({ "access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"), "token_type": "bearer",
        "expires_in": 60, "name": "José" })
    .to_string()
}

fn answer(headers: &Value, body: &[u8]) -> Value {
    json!({ "path": "/token", "status": 200, "times": 1, "headers": headers, "base64": STANDARD.encode(body) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotating_account_survives_every_form_of_a_response() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    for (number, dress) in dresses().iter().enumerate() {
        provider.fault(&answer(&dress.headers, &(dress.body)(&tokens(number)))).await;
        let path = format!("/connected_accounts/{}/refresh", connected.account);
        connected.server.api.post(&path, &json!({})).await.expect(200);
        assert_eq!(connected.tokens().await, (format!("at-{number}"), format!("rt-{number}")), "{}", dress.what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gets_its_tokens_from_every_form_of_a_response() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    for (number, dress) in dresses().iter().enumerate() {
        provider.fault(&answer(&dress.headers, &(dress.body)(&tokens(number)))).await;
        let account = try_to_connect(&connected.server.api, &format!("user-dress-{number}")).await;
        assert_eq!(connected.server.api.status(&account).await, "ACTIVE", "{}", dress.what);
    }
}

/// Lenient in form alone.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_form_of_token_responses_is_read_leniently() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    let bomb = gzip(&format!("{{\"access_token\":\"a\",\"x\":\"{}\"}}", " ".repeat(1 << 20)));
    let twice: &[u8] = br#"{"access_token":"a","access_token":"b"}"#;
    let cases: Vec<(&str, u16, Value, Vec<u8>)> = vec![
        ("a status that refuses", 400, json!({}), plain(&tokens(1))),
        ("a redirect", 302, json!({ "location": "/elsewhere" }), plain(&tokens(1))),
        ("a repeated key", 200, json!({}), twice.to_vec()),
        (
            "a repeated key, packed",
            200,
            json!({ "content-encoding": "gzip" }),
            gzip(std::str::from_utf8(twice).unwrap()),
        ),
        ("a repeated parameter", 200, json!({ "content-type": "text/plain" }), plain("access_token=a&access_token=b")),
        ("no token", 200, json!({}), plain("{\"access_token\":\"\"}")),
        ("a token that is no text", 200, json!({}), plain("{\"access_token\":7}")),
        ("packed twice", 200, json!({ "content-encoding": "gzip, gzip" }), gzip(&tokens(1))),
        ("more than 1 MiB once unpacked", 200, json!({ "content-encoding": "gzip" }), bomb),
    ];
    for (number, (what, status, headers, body)) in cases.into_iter().enumerate() {
        let mut fault = answer(&headers, &body);
        fault["status"] = status.into();
        provider.fault(&fault).await;
        let account = try_to_connect(&connected.server.api, &format!("user-strict-{number}")).await;
        assert_eq!(connected.server.api.status(&account).await, "INITIATED", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_response_is_kept_for_a_week_and_deleted_with_its_account() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    let server = &connected.server;
    let packed = b"\x0b\x05\x80{\"access_token\":\"at-lost\"}\x03\xff";
    provider.fault(&answer(&json!({ "content-encoding": "br" }), packed)).await;
    connected.expire();
    connected.paused().await;
    assert_eq!(connected.status().await.0, "ACTIVE");

    let told = server.api.get(&format!("/connected_accounts/{}/explain", connected.account)).await.expect(200);
    let detail = told["timeline"].as_array().unwrap().last().unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("kept for seven days") && detail.contains("`switchboard answer`"), "{detail}");

    let actor = Actor::cli(&server.project_id);
    let kept = server.app.credentials.read_unread(&actor, &connected.account.as_str().into()).await.unwrap();
    assert_eq!(kept.len(), 1);
    let expected =
        [b"HTTP/1.1 200\r\ncontent-type: application/json\r\ncontent-encoding: br\r\n\r\n", &packed[..]].concat();
    assert_eq!(kept[0].as_slice(), expected);
    let events = server.app.core.store.newest_audit_events(&server.project_id, &connected.account, 5).await.unwrap();
    assert!(events.iter().any(|event| event.action == "connected_account.read_answer" && event.actor == "cli"));

    server.clock.advance(Duration::from_hours(24 * 7));
    server.app.sweeps.delete_old_rows().await.unwrap();
    assert!(
        server
            .app
            .core
            .store
            .unread_answers(&server.project_id, &connected.account.as_str().into())
            .await
            .unwrap()
            .is_empty()
    );

    // The account goes, and what was kept of it.
    provider.fault(&answer(&json!({ "content-type": "text/html" }), b"<html>at-lost</html>")).await;
    connected.paused().await;
    assert_eq!(
        server
            .app
            .core
            .store
            .unread_answers(&server.project_id, &connected.account.as_str().into())
            .await
            .unwrap()
            .len(),
        1
    );
    server.api.delete(&format!("/connected_accounts/{}", connected.account)).await.expect(200);
    assert!(
        server
            .app
            .core
            .store
            .unread_answers(&server.project_id, &connected.account.as_str().into())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_response_of_a_code_is_written_to_a_private_file() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    let server = &connected.server;
    let large = vec![b'x'; 200_000];
    provider.fault(&answer(&json!({ "content-type": "text/html" }), &large)).await;
    let account = try_to_connect(&server.api, "user-page").await;
    assert_eq!(server.api.status(&account).await, "INITIATED");

    let file = server.dir.path().join("answer.txt");
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["answer", &account, "--project", &server.project_id, "--out"])
            .arg(&file)
            .arg("--data-dir")
            .arg(server.dir.path())
            .env_clear()
            .output()
            .unwrap()
    };
    let done = run();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written = std::fs::read(&file).unwrap();
    assert!(written.starts_with(b"HTTP/1.1 200\r\ncontent-type: text/html\r\n\r\nxxx"));
    assert!((60_000..66_000).contains(&written.len()), "{}", written.len());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!String::from_utf8_lossy(&done.stdout).contains("xxx"));
    // It replaces nothing.
    assert!(!run().status.success());
    assert_eq!(std::fs::read(&file).unwrap(), written);
}

/// One link, gone through to its end; the account.
async fn try_to_connect(api: &Api, user: &str) -> String {
    let session = api.session(user, "tk").await;
    let link = api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    link["connected_account_id"].as_str().unwrap().to_owned()
}
