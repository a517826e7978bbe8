//! `/openapi.json` and `/docs`: public, complete, and without data of a project.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use switchboard::api::operations::Operation;
use switchboard::api::table;

use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

async fn get(url: &str, headers: &[(&str, &str)]) -> Reply {
    Http::new().send("GET", url, headers, "").await
}

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let (true, Some(target)) = (key == "$ref", value.as_str()) {
                    found.insert(target.to_owned());
                }
                references(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_public_and_has_this_server_s_url() {
    let server = TestServer::start().await;
    let reply = get(&format!("{}/openapi.json", server.url), &[]).await;
    let document = reply.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["servers"], json!([{ "url": server.url }]));
    let head = Http::new().send("HEAD", &format!("{}/openapi.json", server.url), &[], "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), reply.header("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_the_current_etag_gets_no_body() {
    let server = TestServer::start().await;
    let url = format!("{}/openapi.json", server.url);
    let etag = get(&url, &[]).await.header("etag").unwrap().to_owned();
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = get(&url, &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
    }
    assert_eq!(get(&url, &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_lists_exactly_the_built_operations() {
    let server = TestServer::start().await;
    let document = get(&format!("{}/openapi.json", server.url), &[]).await.expect(200);
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(path.starts_with("/api/v3.1/"), "{path}");
            for name in path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')) {
                let is_named = |it: &Value| it["name"] == name && it["in"] == "path" && it["required"] == true;
                assert!(operation["parameters"].as_array().unwrap().iter().any(is_named), "{method} {path}: {name}");
            }
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{method} {path}");
            described.insert(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let works: BTreeSet<String> = table::all().filter(|it| it.works_here()).map(Operation::id).collect();
    assert_eq!(described, works);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_in_the_document_resolves() {
    let server = TestServer::start().await;
    let document = get(&format!("{}/openapi.json", server.url), &[]).await.expect(200);
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for target in &found {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} leads out of the document"));
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
    // And no component stands there for nothing.
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is used nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_page_shows_every_operation_and_needs_no_script() {
    let server = TestServer::start().await;
    let page = get(&format!("{}/docs", server.url), &[]).await;
    assert_eq!(page.status, 200);
    let html = page.text();
    for operation in table::all().filter(|operation| operation.works_here()) {
        assert!(html.contains(&format!("<article id=\"{}\"", operation.id())), "{operation:?}");
        assert!(html.contains(&format!("href=\"#{}\"", operation.id())), "{operation:?} is in the table of contents");
    }
    assert!(html.contains("href=\"/openapi.json\""));
    for forbidden in ["<script", "style=\"", "http-equiv", "src=\"http"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn document_and_reference_page_contain_no_project_data() {
    let server = TestServer::start().await;
    let session = server.api.session("somebody-in-particular", "sandbox").await;
    for path in ["/openapi.json", "/docs"] {
        let text = get(&format!("{}{path}", server.url), &[]).await.text();
        for private in ["somebody-in-particular", &session, &server.project_id, &server.api.key] {
            assert!(!text.contains(private), "{path} contains {private}");
        }
        let elsewhere = get(&format!("{}{path}", server.url), &[("host", "evil.test")]).await;
        elsewhere.expect_error(421, "HTTP_MisdirectedRequest");
    }
}
