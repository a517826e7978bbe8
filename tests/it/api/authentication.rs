//! No way in without one valid key, on any route, by any method (R58, R60, R62); what is not built
//! says so to those who have one. Which kind of key opens what: `key_kinds.rs`.

use serde_json::Value;
use switchboard::api::operations::Keys;
use switchboard::api::table;
use switchboard::app::Actor;
use switchboard_vault::{ApiKey, SystemEntropy};

use super::help::filled;
use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

/// Every operation that needs a key, and a path that nothing is at: strangers do not learn that either.
fn routes() -> impl Iterator<Item = (&'static str, String)> {
    let secured = table::all().filter(|operation| operation.keys != Keys::Public);
    let secured = secured.map(|operation| (operation.method, operation.path));
    secured.chain([("GET", "/no/such/path")]).map(|(method, path)| (method, filled(path)))
}

#[track_caller]
fn refused(reply: &Reply, place: &str) -> Value {
    assert_eq!(reply.status, 401, "{place}: {}", reply.text());
    let mut error = reply.expect_error(401, "HTTP_Unauthorized");
    assert_eq!(error["code"], 10401);
    error["request_id"] = Value::Null;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_without_exactly_one_valid_key() {
    let server = TestServer::start().await;
    let actor = Actor::cli(&server.project_id);
    let (revoked, row) = server.app.keys.create(&actor, "old").await.unwrap();
    server.app.keys.revoke(&actor, &row.id).await.unwrap();
    let (expired, row) = server.app.keys.create(&actor, "short").await.unwrap();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute("UPDATE api_keys SET expires_at = 1 WHERE id = $1", [&row.id]).unwrap();
    let valid = server.api.key.as_str();
    let unknown = ApiKey::generate(&SystemEntropy);
    let flipped = format!("{}{}", &valid[..valid.len() - 1], if valid.ends_with('0') { '1' } else { '0' });
    let (upper, spaced, doubled) = (valid.to_uppercase(), format!("{valid} x"), format!("{valid},{valid}"));
    let bearer = format!("Bearer {valid}");
    let cookie = format!("x-api-key={valid}; authToken={valid}");
    // All that is presented as a key and is none answers alike, as does no key at all.
    let wrong: Vec<Vec<(&str, &str)>> = [
        "",
        "x",
        "ak_",
        "null",
        "undefined",
        flipped.as_str(),
        &upper,
        &spaced,
        &doubled,
        unknown.expose(),
        revoked.expose(),
        expired.expose(),
        &valid[3..],
        "ak_é",
    ]
    .into_iter()
    .map(|key| vec![("x-api-key", key)])
    .collect();
    let none: Vec<Vec<(&str, &str)>> =
        vec![vec![], vec![("authorization", &bearer)], vec![("cookie", &cookie)], vec![("x_api_key", valid)]];
    let two: Vec<Vec<(&str, &str)>> = vec![
        vec![("x-api-key", valid), ("x-api-key", valid)],
        vec![("x-api-key", valid), ("x-user-api-key", "uak_x")],
        vec![("x-api-key", valid), ("x-org-api-key", "oak_x")],
        vec![("x-api-key", "wrong"), ("x-api-key", valid)],
    ];
    let other_kinds: Vec<Vec<(&str, &str)>> = vec![
        vec![("x-api-key", "uak_something")],
        vec![("x-api-key", "oak_something")],
        vec![("x-user-api-key", valid)],
        vec![("x-org-api-key", valid)],
    ];
    let http = Http::new();
    for (method, path) in routes() {
        for prefix in ["/api/v3.1", "/api/v3"] {
            let url = format!("{}{prefix}{path}", server.url);
            let alike = refused(&http.send(method, &url, &[], "{}").await, &path);
            assert_eq!(alike["message"], "Invalid API key");
            for headers in wrong.iter().chain(&none) {
                let place = format!("{method} {path} {headers:?}");
                assert_eq!(refused(&http.send(method, &url, headers, "{}").await, &place), alike, "{place}");
            }
            for headers in two.iter().chain(&other_kinds) {
                let place = format!("{method} {path} {headers:?}");
                let error = refused(&http.send(method, &url, headers, "{}").await, &place);
                if two.contains(headers) {
                    assert!(
                        error["message"].as_str().unwrap().starts_with("Multiple authentication modes were provided"),
                        "{error}"
                    );
                }
                assert!(!error.to_string().contains(valid), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_paths_work_without_a_key_and_with_a_bad_one() {
    let server = TestServer::start().await;
    let open: Vec<_> = table::all().filter(|operation| operation.keys == Keys::Public).collect();
    assert!(!open.is_empty());
    for operation in open {
        for headers in [vec![], vec![("x-api-key", "nonsense")]] {
            let url = format!("{}{}", server.api.base, filled(operation.path));
            let reply = Http::new().send(operation.method, &url, &headers, "{}").await;
            assert!([400, 501].contains(&reply.status), "{} {}", operation.path, reply.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_query_is_not_accepted() {
    let server = TestServer::start().await;
    for name in ["x-api-key", "api_key", "apiKey", "key"] {
        let url = format!("{}/toolkits?{name}={}", server.api.base, server.api.key);
        refused(&Http::new().send("GET", &url, &[], "").await, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_methods_also_require_a_key() {
    let server = TestServer::start().await;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        for path in [
            "/toolkits",
            "/connected_accounts",
            "/auth_configs/x",
            "/tool_router/session",
            "/tool_router/session/trs_x/link",
        ] {
            let reply = Http::new().send(method, &format!("{}{path}", server.api.base), &[], "").await;
            assert_eq!(reply.status, 401, "{method} {path}");
        }
    }
    let reply = server.api.call("PUT", "/connected_accounts", "").await;
    reply.expect_error(405, "HTTP_MethodNotAllowed");
    assert!(reply.header("allow").is_some_and(|allow| allow.contains("GET")), "{:?}", reply.headers);
    server.api.get("/no/such/path").await.expect_error(404, "HTTP_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unbuilt_operation_returns_501_with_a_valid_key() {
    let server = TestServer::start().await;
    let mut count = 0;
    let unbuilt = table::all().filter(|it| !it.works_here() && matches!(it.keys, Keys::Project | Keys::ProjectOrUser));
    for (method, path) in unbuilt.map(|it| (it.method, filled(it.path))) {
        for prefix in ["/api/v3.1", "/api/v3"] {
            let headers = [("x-api-key", server.api.key.as_str())];
            let reply =
                server.api.http.send(method, &format!("{}{prefix}{path}", server.url), &headers, "not even json").await;
            let error = reply.expect_error(501, "HTTP_NotImplemented");
            assert_eq!(error["code"], 10501, "{method} {path}");
            assert!(error["suggested_fix"].as_str().unwrap().contains("docs/compatibility.md"));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_name_in_any_case_and_a_second_key_are_accepted() {
    let server = TestServer::start().await;
    let actor = Actor::cli(&server.project_id);
    let (second, row) = server.app.keys.create(&actor, "second").await.unwrap();
    let url = format!("{}/toolkits", server.api.base);
    for name in ["X-API-KEY", "x-api-key", "X-Api-Key"] {
        server.api.http.send("GET", &url, &[(name, second.expose())], "").await.expect(200);
    }
    // Revoked: refused from the next request on, while the other key lives.
    server.app.keys.revoke(&actor, &row.id).await.unwrap();
    refused(&server.api.http.send("GET", &url, &[("x-api-key", second.expose())], "").await, "revoked");
    server.api.get("/toolkits").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_need_no_key_and_reveal_nothing() {
    let server = TestServer::start().await;
    for path in ["/livez", "/readyz"] {
        let reply = Http::new().send("GET", &format!("{}{path}", server.url), &[], "").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "ok"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_stored_in_plain_text() {
    let server = TestServer::start().await;
    server.api.get("/toolkits").await.expect(200);
    let random = &server.api.key[10..];
    for file in std::fs::read_dir(server.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(random.len()).any(|it| it == random.as_bytes()), "{}", path.display());
        }
    }
}
