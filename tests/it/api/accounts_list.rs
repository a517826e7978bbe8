//! Lists: every filter, order, page and limit (contract sections 1.6, 4.1, 5).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{KEY, Upstream, auth_config, finish, text, with_upstream};
use crate::support::connected::announce_change;
use crate::support::http::Api;
use crate::support::server::TestServer;
use switchboard::config::Layer;

struct World {
    server: TestServer,
    accounts: Vec<String>,
    configs: [String; 2],
}

/// Five accounts, oldest first: u1/up ACTIVE, u1/up INITIALIZING, u2/up ACTIVE, u2/down ACTIVE,
/// u3/down INITIALIZING.
async fn world() -> World {
    let upstream = Upstream::start().await;
    let server = TestServer::builder()
        .toolkit("up", &upstream.toolkit("up"))
        .toolkit("down", &upstream.toolkit("down"))
        .start()
        .await;
    let configs = [auth_config(&server.api, "up", "API_KEY").await, auth_config(&server.api, "down", "API_KEY").await];
    let mut accounts = Vec::new();
    for (user, toolkit, active) in
        [("u1", "up", true), ("u1", "up", false), ("u2", "up", true), ("u2", "down", true), ("u3", "down", false)]
    {
        server.clock.advance(Duration::from_secs(1));
        let session = server.api.session(user, toolkit).await;
        let link = server.api.link(&session, toolkit).await;
        if active {
            finish(&server.api, &link, &[("generic_api_key", KEY)]).await;
        }
        accounts.push(text(&link, "connected_account_id"));
    }
    World { server, accounts, configs }
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| text(item, "id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_found_by_every_filter_and_their_combinations() {
    let world = world().await;
    let (api, all) = (&world.server.api, &world.accounts);
    let [up, down] = &world.configs;
    for (query, expected) in [
        (String::new(), vec![4, 3, 2, 1, 0]),
        ("order_direction=asc".to_owned(), vec![0, 1, 2, 3, 4]),
        ("order_direction=DESC".to_owned(), vec![4, 3, 2, 1, 0]),
        ("user_ids=u1".to_owned(), vec![1, 0]),
        ("user_ids=u1%2Cu3".to_owned(), vec![4, 1, 0]),
        ("user_ids=u1&user_ids=u3".to_owned(), vec![4, 1, 0]),
        ("user_ids[]=u1&user_ids[]=u3".to_owned(), vec![4, 1, 0]),
        ("user_ids=nobody".to_owned(), vec![]),
        ("user_ids=u1'%20OR%20'1'='1".to_owned(), vec![]),
        ("toolkit_slugs=down".to_owned(), vec![4, 3]),
        ("toolkit_slugs=DOWN,up".to_owned(), vec![4, 3, 2, 1, 0]),
        ("toolkit_slugs=nope".to_owned(), vec![]),
        ("statuses=ACTIVE".to_owned(), vec![3, 2, 0]),
        ("statuses=initializing".to_owned(), vec![4, 1]),
        ("statuses=ACTIVE,INITIALIZING,FAILED".to_owned(), vec![4, 3, 2, 1, 0]),
        (format!("auth_config_ids={up}"), vec![2, 1, 0]),
        (format!("auth_config_ids={down},{up}"), vec![4, 3, 2, 1, 0]),
        (format!("connected_account_ids={},{}", all[0], all[3]), vec![3, 0]),
        ("user_ids=u2&toolkit_slugs=up&statuses=ACTIVE".to_owned(), vec![2]),
        (format!("user_ids=u3&auth_config_ids={up}"), vec![]),
        ("toolkit_slugs=&statuses=&cursor=&limit=".to_owned(), vec![4, 3, 2, 1, 0]),
        ("important=true&limit=9999".to_owned(), vec![4, 3, 2, 1, 0]),
    ] {
        let page = api.get(&format!("/connected_accounts?{query}")).await.expect(200);
        let expected: Vec<String> = expected.into_iter().map(|index| all[index].clone()).collect();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["total_items"], expected.len(), "{query}");
    }
}

/// If a misspelt filter were ignored, the list would have the accounts of all users.
#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_an_operation_does_not_know_is_refused_with_the_nearest_known_one() {
    let server = TestServer::start().await;
    for (method, path, line) in [
        ("GET", "/connected_accounts?user_id=u1", "user_id: is no parameter of this operation; did you mean user_ids?"),
        ("HEAD", "/connected_accounts?user_id=u1", ""),
        ("GET", "/connected_accounts?userIds=u1", "userIds: is no parameter of this operation; did you mean user_ids?"),
        (
            "GET",
            "/connected_accounts?limit=5&toolkit_slug=github",
            "toolkit_slug: is no parameter of this operation; did you mean toolkit_slugs?",
        ),
        (
            "GET",
            "/auth_configs?toolkit_slugs=github",
            "toolkit_slugs: is no parameter of this operation; did you mean toolkit_slug?",
        ),
        ("GET", "/toolkits?category[]=x", "category[]: is no parameter of this operation; did you mean category?"),
        ("POST", "/tool_router/session?user_id=u1", "user_id: is no parameter of this operation, which takes none"),
        (
            "GET",
            "/toolkits/github?%76ersionn=x&=",
            "versionn: is no parameter of this operation; did you mean version?",
        ),
        ("DELETE", "/connected_accounts/ca_x?revoke=false", "revoke: is no parameter of this operation"),
    ] {
        let reply = server.api.call(method, path, json!({ "user_id": "u" }).to_string()).await;
        if method == "HEAD" {
            assert_eq!(reply.status, 400);
            continue;
        }
        let error = reply.expect_error(400, "HTTP_BadRequest");
        let said = error["errors"][0].as_str().unwrap();
        assert!(said.starts_with(&format!("Error in query.{line}")), "{path}: {said}");
    }
    // The key is checked first: a caller without one learns nothing.
    let stranger = Api { key: "ak_wrong".to_owned(), ..server.api.clone() };
    stranger.get("/connected_accounts?user_id=u1").await.expect_error(401, "HTTP_Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_warnings_enabled_an_unknown_filter_by_owner_is_still_refused() {
    let layer = Layer { unknown_query_parameters: Some("warn".to_owned()), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    let page = server.api.get("/connected_accounts?include_pictures=true").await.expect(200);
    assert_eq!(page["items"], json!([]));
    let warning = &page["warnings"][0];
    assert_eq!(warning["code"], "UNKNOWN_QUERY_PARAMETER");
    assert!(warning["message"].as_str().unwrap().contains("include_pictures"), "{warning}");
    let made = server.api.post("/tool_router/session?x=1", &json!({ "user_id": "a,b" })).await.expect(201);
    let codes: Vec<&str> = made["warnings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["USER_ID_WITH_COMMA", "UNKNOWN_QUERY_PARAMETER"]);
    for query in ["user_id=u1", "account=x", "entityId=x", "project=x"] {
        server.api.get(&format!("/connected_accounts?{query}")).await.expect_error(400, "HTTP_BadRequest");
    }
    assert_eq!(server.api.get("/connected_accounts").await.expect(200).get("warnings"), None);
}

/// Ids are the application's own: names, distinguished names of a directory, addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_exactly_the_id_that_was_given() {
    let (server, _upstream) = with_upstream().await;
    let users = [
        "Lovelace",
        "Lovelace, Ada",
        " Ada",
        "Ada",
        "ada ",
        " ",
        ",",
        "a,b",
        "cn=ada,ou=people,dc=example",
        "ada+work@example.com",
        "ada work@example.com",
        "\u{e4}d\u{e4}/1",
        "a\u{308}da",
        "user_ids[]=x&y",
        "100%25",
        "'; DROP TABLE x;--",
        "\u{1f600}",
    ];
    for user in users {
        let made = server.api.post("/tool_router/session", &json!({ "user_id": user })).await.expect(201);
        let warnings = made["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), usize::from(user.contains(',')), "{user}: {warnings:?}");
        server.api.link(&text(&made, "session_id"), "up").await;
        let encoded: String = form_urlencoded::byte_serialize(user.as_bytes()).collect();
        if let Some(warning) = warnings.first() {
            assert!(warning["message"].as_str().unwrap().contains(&format!("`user_ids[]={encoded}`")), "{warning}");
        }
    }
    let found = async |query: &str| -> Vec<String> {
        let page = server.api.get(&format!("/connected_accounts?order_direction=asc&{query}")).await.expect(200);
        let mut users: Vec<String> =
            page["items"].as_array().unwrap().iter().map(|item| text(item, "user_id")).collect();
        users.sort();
        users
    };
    for user in users {
        let encoded: String = form_urlencoded::byte_serialize(user.as_bytes()).collect();
        assert_eq!(found(&format!("user_ids[]={encoded}")).await, [user]);
        assert_eq!(found(&format!("user_ids={encoded}&user_ids=nobody")).await, [user]);
        if !user.contains(',') {
            assert_eq!(found(&format!("user_ids={encoded}")).await, [user]);
        }
    }
    // One plain value is the list that an SDK joined.
    assert_eq!(found("user_ids=Lovelace,%20Ada").await, [" Ada", "Lovelace"]);
    assert_eq!(found("user_ids=Lovelace,nobody").await, ["Lovelace"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn updated_at_orders_by_the_last_change() {
    let world = world().await;
    world.server.clock.advance(Duration::from_secs(1));
    let path = "/connected_accounts?order_by=updated_at&limit=1";
    assert_eq!(ids(&world.server.api.get(path).await.expect(200)), [world.accounts[4].clone()]);
    let session = world.server.api.session("u9", "up").await;
    let link = world.server.api.link(&session, "up").await;
    world.server.clock.advance(Duration::from_secs(1));
    let newest = world.server.api.link(&session, "up").await;
    world.server.clock.advance(Duration::from_secs(1));
    let changed = finish(&world.server.api, &link, &[("generic_api_key", KEY)]).await;
    assert_eq!(ids(&world.server.api.get(path).await.expect(200)), [changed]);
    let by_age = world.server.api.get("/connected_accounts?order_by=created_at&limit=1").await.expect(200);
    assert_eq!(ids(&by_age), [text(&newest, "connected_account_id")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_by_cursor_and_end_with_null() {
    let world = world().await;
    let api = &world.server.api;
    let first = api.get("/connected_accounts?limit=2").await.expect(200);
    let count = |page: &Value| (page["current_page"].clone(), page["total_pages"].clone(), page["total_items"].clone());
    assert_eq!(count(&first), (json!(1), json!(3), json!(5)));
    let cursor = text(&first, "next_cursor");
    assert!(cursor.starts_with("Mi0yL"), "base64 of 2-2 and more, as the hosted API begins it: {cursor}");
    let second = api.get(&format!("/connected_accounts?limit=2&cursor={cursor}")).await.expect(200);
    // base64 of 2-2: a cursor of a client, or of an earlier version, counts the rows off.
    let counted = api.get("/connected_accounts?limit=2&cursor=Mi0y").await.expect(200);
    assert_eq!(counted["items"], second["items"]);
    let third = api.get(&format!("/connected_accounts?cursor={}", text(&second, "next_cursor"))).await.expect(200);
    assert_eq!((count(&second).0, count(&third).0), (json!(2), json!(3)));
    assert_eq!(third["next_cursor"], Value::Null);
    let walked: Vec<String> = [ids(&first), ids(&second), ids(&third)].concat();
    let expected: Vec<String> = world.accounts.iter().rev().cloned().collect();
    assert_eq!(walked, expected, "nothing twice, nothing lost");
    let beyond = api.get("/connected_accounts?limit=2&cursor=OTktMg==").await.expect(200);
    assert_eq!((ids(&beyond), &beyond["next_cursor"]), (vec![], &Value::Null));
    let empty = api.get("/connected_accounts?user_ids=nobody").await.expect(200);
    assert_eq!(count(&empty), (json!(1), json!(1), json!(0)));
}

/// Walks through a list by pages of two, deleting each item that it shows; how many it showed.
async fn walk_and_delete(api: &Api, list: &str, noun: &str) -> usize {
    let (mut query, mut shown) = (String::new(), 0);
    loop {
        let page = api.get(&format!("{list}limit=2{query}")).await.expect(200);
        for id in ids(&page) {
            api.delete(&format!("/{noun}/{id}")).await.expect(200);
            shown += 1;
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return shown };
        query = format!("&cursor={}", cursor.replace('+', "%2B"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_listed_rows_page_by_page_reaches_every_row() {
    for order in ["", "order_direction=asc&", "order_by=updated_at&", "user_ids=u1,u2,u3&", "toolkit_slugs=up,down&"] {
        let world = world().await;
        let api = &world.server.api;
        assert_eq!(walk_and_delete(api, &format!("/connected_accounts?{order}"), "connected_accounts").await, 5);
        assert_eq!(api.get("/connected_accounts").await.expect(200)["total_items"], 0);
        assert_eq!(walk_and_delete(api, "/auth_configs?", "auth_configs").await, 2);
        assert_eq!(api.get("/auth_configs?show_disabled=true").await.expect(200)["total_items"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_added_between_pages_do_not_shift_the_next_page() {
    let world = world().await;
    let api = &world.server.api;
    let first = api.get("/connected_accounts?limit=2").await.expect(200);
    world.server.clock.advance(Duration::from_secs(1));
    let session = api.session("u9", "up").await;
    api.link(&session, "up").await;
    let second = api.get(&format!("/connected_accounts?cursor={}", text(&first, "next_cursor"))).await.expect(200);
    assert_eq!(ids(&second), [world.accounts[2].clone(), world.accounts[1].clone()]);
    assert_eq!(
        (&second["total_items"], &second["total_pages"], &second["current_page"]),
        (&json!(6), &json!(3), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_order_is_refused() {
    let world = world().await;
    let api = &world.server.api;
    for (order, other) in [("created_at", "updated_at"), ("updated_at", "created_at")] {
        let page = api.get(&format!("/connected_accounts?limit=2&order_by={order}")).await.expect(200);
        let cursor = text(&page, "next_cursor");
        bad_query(api, &format!("/connected_accounts?order_by={other}&cursor={cursor}"), "cursor").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_fails_no_list() {
    let world = world().await;
    let api = &world.server.api;
    let damage = rusqlite::Connection::open(world.server.database()).unwrap();
    let broken = [
        (&world.accounts[4], "UPDATE connected_accounts SET status = 'BROKEN' WHERE id = $1"),
        (&world.accounts[3], "UPDATE connected_accounts SET params = 'no JSON' WHERE id = $1"),
        (&world.accounts[2], "UPDATE connected_accounts SET account_type = 'PRIVATE', acl = x'ff' WHERE id = $1"),
        (&world.configs[1], "UPDATE auth_configs SET settings = 'no JSON' WHERE id = $1"),
    ];
    for (id, sql) in broken {
        assert_eq!(damage.execute(sql, [id]).unwrap(), 1, "{sql}");
    }
    announce_change(&world.server.database());
    let expected = vec![world.accounts[1].clone(), world.accounts[0].clone()];
    for query in ["", "?order_by=updated_at", "?user_ids=u1,u2,u3", "?toolkit_slugs=up,down", "?limit=1"] {
        let (mut found, mut next) = (Vec::new(), format!("/connected_accounts{query}"));
        loop {
            let page = api.get(&next).await.expect(200);
            found.extend(ids(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("/connected_accounts{query}{}cursor={cursor}", if query.is_empty() { "?" } else { "&" });
        }
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(ids(&api.get("/auth_configs").await.expect(200)), [world.configs[0].clone()]);
    // A request for the row itself does not get a 404.
    for id in [&world.accounts[4], &world.accounts[3]] {
        let error = api.get(&format!("/connected_accounts/{id}")).await.expect_error(500, "stored_row_unreadable");
        assert!(text(&error, "message").starts_with("A stored row cannot be read: "), "{error}");
    }
    // One whose parameters are damaged can be deleted; its credential is erased.
    let damaged = &world.accounts[3];
    api.delete(&format!("/connected_accounts/{damaged}")).await.expect(200);
    let sealed = "SELECT COUNT(*) FROM connected_accounts WHERE credential_sealed IS NOT NULL AND id = $1";
    assert_eq!(damage.query_row(sealed, [damaged], |row| row.get::<_, i64>(0)).unwrap(), 0);
    api.get(&format!("/connected_accounts/{damaged}")).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
}

async fn bad_query(api: &Api, path: &str, key: &str) {
    let error = api.get(path).await.expect_error(400, "HTTP_BadRequest");
    let line = error["errors"][0].as_str().unwrap();
    assert!(line.starts_with(&format!("Error in query.{key}: ")), "{path}: {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_cursor_or_limit_or_word_is_a_400_that_names_it() {
    let server = TestServer::start().await;
    for list in ["/connected_accounts", "/auth_configs", "/toolkits"] {
        for cursor in [
            "x",
            "Mi0w",
            "MC0yMA==",
            "LTEtMjA=",
            "Mi0yMC0z",
            "%00",
            "2-20",
            "Mi0yMA",
            "////",
            "OTk5OTk5OTk5OTk5OTk5OTk5OTktMjA=",
        ] {
            bad_query(&server.api, &format!("{list}?cursor={cursor}"), "cursor").await;
        }
        for limit in ["0", "-1", "abc", "0.5", "NaN", "1e", "0x10", "%20"] {
            bad_query(&server.api, &format!("{list}?limit={limit}"), "limit").await;
        }
        for limit in ["1", "20.0", "9999", "1e3", "99999999999999999999", "inf"] {
            server.api.get(&format!("{list}?limit={limit}")).await.expect(200);
        }
    }
    for (path, key) in [
        ("/connected_accounts?statuses=ACTIVE,OPEN", "statuses"),
        ("/connected_accounts?order_by=user_id", "order_by"),
        ("/connected_accounts?order_direction=up", "order_direction"),
        ("/connected_accounts?account_type=EVERY", "account_type"),
        ("/auth_configs?is_composio_managed=yes", "is_composio_managed"),
        ("/auth_configs?show_disabled=1", "show_disabled"),
        ("/toolkits?managed_by=me", "managed_by"),
        ("/toolkits?sort_by=age", "sort_by"),
        // An empty list of owners must not mean all owners.
        ("/connected_accounts?user_ids=", "user_ids"),
        ("/connected_accounts?user_ids=,", "user_ids"),
        ("/connected_accounts?auth_config_ids=", "auth_config_ids"),
        ("/connected_accounts?connected_account_ids[]=", "connected_account_ids"),
    ] {
        bad_query(&server.api, path, key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_above_the_maximum_is_reduced_and_the_cursor_keeps_the_reduced_limit() {
    let server = TestServer::start().await;
    for number in 0..203 {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY", "name": format!("n{number}") } });
        server.api.post("/auth_configs", &body).await.expect(201);
    }
    let lengths = |page: &Value| page["items"].as_array().unwrap().len();
    let first = server.api.get("/auth_configs?limit=9999").await.expect(200);
    assert_eq!(lengths(&first), 200);
    assert!(text(&first, "next_cursor").starts_with("Mi0yMDAt"), "{}", first["next_cursor"]);
    let rest = server.api.get("/auth_configs?limit=9999&cursor=Mi0yMDA=").await.expect(200);
    assert_eq!((lengths(&rest), &rest["next_cursor"]), (3, &Value::Null));
    // base64 of 1-9999: a cursor is no way around the limit.
    let page = server.api.get("/auth_configs?cursor=MS05OTk5").await.expect(200);
    assert_eq!(lengths(&page), 200);
    let page = server.api.get("/auth_configs").await.expect(200);
    assert_eq!((lengths(&page), &page["total_items"]), (20, &json!(203)));
}
