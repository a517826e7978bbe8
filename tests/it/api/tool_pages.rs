//! Pages of a tool's results: one after the other, several in one response, and positions that are not of the query.

use serde_json::{Value, json};

use super::help::{Upstream, connect_key, http, on_session};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

const TOOLS: &str = r#"
[[tools]]
slug = "UP_LIST_BOOKS"
title = "List books"
description = "Lists the books of a shelf."
use_cases = ["Which books are there?", "Is there a book about owls?"]
effect = "read"
method = "GET"
path = "/books"
result = "/shelf"
paging = { style = "cursor", argument = "after", next = "/next", items = "/shelf/books", size = "limit" }
[tools.input]
shelf = { type = "string", description = "Name of the shelf.", default = "owls" }
limit = { type = "integer", description = "Books in a page.", default = 2 }
after = { type = "string", description = "Position of the next page." }

[[tools]]
slug = "UP_LIST_SHELVES"
title = "List shelves"
description = "Lists the shelves."
use_cases = ["Which shelves are there?", "How many shelves are there?"]
effect = "read"
method = "GET"
path = "/shelves"
[tools.input]
"#;

/// A page of the provider.
fn page(books: &[u8], next: Option<&str>) -> Vec<u8> {
    let body = json!({ "shelf": { "name": "owls", "books": books }, "next": next });
    http("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())
}

async fn start() -> (TestServer, Upstream, String) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", TOOLS).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    (server, upstream, session)
}

async fn list(api: &Api, session: &str, more: Value) -> Reply {
    let mut body = json!({ "tool_slug": "UP_LIST_BOOKS", "arguments": {} });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    on_session(api, session, "execute", &body).await
}

/// The paths that the provider was asked for.
fn asked(upstream: &Upstream) -> Vec<String> {
    upstream.take().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_followed_by_the_next_one() {
    let (server, upstream, session) = start().await;
    upstream.play_in_turn([page(&[1, 2], Some("p/2")), page(&[3], None)]);
    let first = list(&server.api, &session, json!({})).await.expect(200);
    assert_eq!(first["data"], json!({ "name": "owls", "books": [1, 2] }));
    assert_eq!((&first["page"]["has_more"], &first["page"]["count"]), (&json!(true), &json!(2)));
    let next = &first["page"]["next"];
    assert!(!next.as_str().unwrap().contains("p/2"), "a position says nothing");
    let second = list(&server.api, &session, json!({ "page": next })).await.expect(200);
    assert_eq!(second["data"]["books"], json!([3]));
    assert_eq!(second["page"], json!({ "next": null, "has_more": false, "count": 1 }));
    assert_eq!(asked(&upstream), ["/base/books?limit=2&shelf=owls", "/base/books?after=p%2F2&limit=2&shelf=owls"]);
    let direct = json!({ "user_id": "u", "arguments": {}, "page": next });
    let third = server.api.post("/tools/execute/UP_LIST_BOOKS", &direct).await.expect(200);
    assert_eq!(third["page"]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pages_come_in_one_response() {
    let (server, upstream, session) = start().await;
    let pages = || [page(&[1, 2], Some("2")), page(&[3, 4], Some("3")), page(&[5], None)];
    upstream.play_in_turn(pages());
    let all = list(&server.api, &session, json!({ "all_pages": {} })).await.expect(200);
    assert_eq!(all["data"], json!({ "name": "owls", "books": [1, 2, 3, 4, 5] }));
    assert_eq!(all["page"], json!({ "next": null, "has_more": false, "count": 5 }));
    assert_eq!(asked(&upstream).len(), 3);
    for limit in [json!({ "max_calls": 2 }), json!({ "max_items": 3 })] {
        upstream.play_in_turn(pages());
        let some = list(&server.api, &session, json!({ "all_pages": limit })).await.expect(200);
        assert_eq!((&some["data"]["books"], &some["page"]["count"]), (&json!([1, 2, 3, 4]), &json!(4)));
        let rest = list(&server.api, &session, json!({ "page": some["page"]["next"] })).await.expect(200);
        assert_eq!(rest["data"]["books"], json!([5]), "the next call begins where this one ended");
        asked(&upstream);
    }
    // A later page that fails is left for the next call.
    let failure = http("400 Bad Request", "content-type: application/json\r\n", b"{}");
    upstream.play_in_turn([page(&[1, 2], Some("2")), failure, page(&[3], None)]);
    let some = list(&server.api, &session, json!({ "all_pages": {} })).await.expect(200);
    assert_eq!((&some["data"]["books"], &some["page"]["has_more"]), (&json!([1, 2]), &json!(true)));
    let rest = list(&server.api, &session, json!({ "page": some["page"]["next"] })).await.expect(200);
    assert_eq!(rest["data"]["books"], json!([3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_belongs_to_its_query() {
    let (server, upstream, session) = start().await;
    let (other, _) = connect_key(&server.api, "v", "up").await;
    upstream.play(page(&[1, 2], Some("2")));
    let first = list(&server.api, &session, json!({})).await.expect(200);
    let next = first["page"]["next"].as_str().unwrap().to_owned();
    asked(&upstream);
    let mut changed = next.clone().into_bytes();
    changed[10] = if changed[10] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for (session, more) in [
        (&session, json!({ "page": next, "arguments": { "shelf": "cats" } })),
        (&session, json!({ "page": changed })),
        (&session, json!({ "page": "" })),
        (&session, json!({ "page": "2" })),
        (&other, json!({ "page": next })),
    ] {
        let error = list(&server.api, session, more).await.expect_error(400, "HTTP_BadRequest");
        assert_eq!(error["errors"][0], "Error in payload.page: is no position of this query");
    }
    for (more, place) in [
        (json!({ "all_pages": { "max_calls": 11 } }), "all_pages.max_calls"),
        (json!({ "all_pages": { "max_items": 0 } }), "all_pages.max_items"),
        (json!({ "tool_slug": "UP_LIST_SHELVES", "page": next }), "page: this tool has no pages"),
        (json!({ "tool_slug": "UP_LIST_SHELVES", "all_pages": {} }), "all_pages: this tool has no pages"),
    ] {
        let error = list(&server.api, &session, more).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(place), "{error}");
    }
    assert!(asked(&upstream).is_empty());
}
