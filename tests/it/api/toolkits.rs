//! `/toolkits`: list, search, category, read (contract sections 6.1 to 6.3).

use serde_json::{Value, json};

use super::help::{bare, connect_key, keyed, text};
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn slugs(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("/toolkits{query}")).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_can_be_searched_filtered_by_category_and_paged() {
    let open = format!("{}[no_auth]\n", bare("zz_open", "https://open.example.com", "open.example.com"));
    let server = TestServer::builder().toolkit("zz_open", &open).start().await;
    let api = &server.api;
    let all = slugs(api, "").await;
    for expected in ["github", "gmail", "openai", "sandbox", "slack", "stripe", "zz_open"] {
        assert!(all.iter().any(|slug| slug == expected), "{expected}: {all:?}");
    }
    for (query, expected) in [
        ("?search=GITHUB", vec!["github"]),
        ("?search=zz_o", vec!["zz_open"]),
        ("?search=raw%20BYTES", vec!["zz_open"]),
        ("?search=no%20such%20toolkit", vec![]),
        ("?category=testing", vec!["zz_open"]),
        ("?category=TESTING", vec!["zz_open"]),
        ("?category=test", vec![]),
        ("?category=testing&search=github", vec![]),
        ("?category=ai&search=openai", vec!["openai"]),
    ] {
        assert_eq!(slugs(api, query).await, expected, "{query}");
    }
    assert_eq!(slugs(api, "?search=").await, all);
    assert_eq!(slugs(api, "?limit=9999").await, all);
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/toolkits?limit=3&cursor={cursor}")).await.expect(200);
        walked.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")));
        assert_eq!(page["total_items"], all.len());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(walked, all);
}

/// Fails for each name that is missing or null, so that all that is missing shows at once.
#[track_caller]
fn complete(value: &Value, names: &[&str]) {
    let missing: Vec<&&str> = names.iter().filter(|name| value.get(**name).is_none_or(Value::is_null)).collect();
    assert!(missing.is_empty(), "missing {missing:?} in {value}");
}

const META: [&str; 9] = [
    "created_at",
    "updated_at",
    "description",
    "logo",
    "categories",
    "triggers_count",
    "tools_count",
    "version",
    "app_url",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_item_has_the_fields_that_the_sdks_require() {
    let server = TestServer::start().await;
    let page = server.api.get("/toolkits").await.expect(200);
    complete(&page, &["items", "total_pages", "current_page", "total_items"]);
    for item in page["items"].as_array().unwrap() {
        complete(
            item,
            &["slug", "name", "type", "auth_schemes", "composio_managed_auth_schemes", "no_auth", "deprecated", "meta"],
        );
        assert_eq!((&item["is_local_toolkit"], &item["type"]), (&json!(false), &json!("native")));
        let slug = text(item, "slug");
        complete(&item["meta"], &META[..META.len() - 1]);
        assert!(item["deprecated"]["toolkitId"].is_string());
        for category in item["meta"]["categories"].as_array().unwrap() {
            complete(category, &["id", "name"]);
        }
        let whole = server.api.get(&format!("/toolkits/{}", slug.to_uppercase())).await.expect(200);
        complete(
            &whole,
            &[
                "slug",
                "name",
                "type",
                "enabled",
                "composio_managed_auth_schemes",
                "composio_managed_auth",
                "meta",
                "deprecated",
                "auth_config_details",
            ],
        );
        complete(&whole["meta"], &META[..META.len() - 1]);
        assert_eq!((&whole["slug"], &whole["name"]), (&item["slug"], &item["name"]));
        assert!(whole["deprecated"]["rawProxyInfoByAuthSchemes"].is_array());
        assert_eq!(whole["meta"]["available_versions"], json!([whole["meta"]["version"]]));
        for category in whole["meta"]["categories"].as_array().unwrap() {
            complete(category, &["slug", "name"]);
        }
        let modes: Vec<&Value> =
            whole["auth_config_details"].as_array().unwrap().iter().map(|it| &it["mode"]).collect();
        assert_eq!(json!(modes), item["auth_schemes"], "{slug}");
        for detail in whole["auth_config_details"].as_array().unwrap() {
            complete(detail, &["name", "mode", "required_scopes", "fields"]);
            for group in ["auth_config_creation", "connected_account_initiation"] {
                for necessity in ["required", "optional"] {
                    for field in detail["fields"][group][necessity].as_array().unwrap() {
                        complete(field, &["name", "displayName", "type", "description", "required", "user_visible"]);
                        assert!(necessity == "optional" || field["required"] == true, "{slug}: {field}");
                    }
                }
            }
        }
        let logo = server.api.http.send("GET", &text(&item["meta"], "logo"), &[], "").await;
        assert_eq!(logo.status, 200, "{slug}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toolkit_lists_the_fields_of_its_schemes() {
    let server = TestServer::start().await;
    let sandbox = server.api.get("/toolkits/sandbox").await.expect(200);
    let detail = |mode: &str| {
        let details = sandbox["auth_config_details"].as_array().unwrap();
        details.iter().find(|it| it["mode"] == mode).unwrap_or_else(|| panic!("no {mode}")).clone()
    };
    let names = |fields: &Value| fields.as_array().unwrap().iter().map(|it| text(it, "name")).collect::<Vec<_>>();
    let creation = detail("OAUTH2")["fields"]["auth_config_creation"].clone();
    assert_eq!(names(&creation["required"]), ["client_id", "client_secret"]);
    assert_eq!(
        (&creation["required"][0]["is_secret"], &creation["required"][1]["is_secret"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(names(&creation["optional"]), ["scopes", "oauth_redirect_uri"]);
    let key = detail("API_KEY")["fields"].clone();
    assert_eq!(key["auth_config_creation"], json!({ "required": [], "optional": [] }));
    assert_eq!(names(&key["connected_account_initiation"]["required"]), ["generic_api_key"]);
    assert_eq!(key["connected_account_initiation"]["required"][0]["is_secret"], true);
    assert_eq!(names(&detail("BASIC")["fields"]["connected_account_initiation"]["required"]), ["username", "password"]);
    assert_eq!(sandbox["composio_managed_auth_schemes"], json!(["OAUTH2"]));
    assert_eq!(
        sandbox["composio_managed_auth"][0]["scopes"]["available"],
        json!(["notes:read", "notes:write", "profile"])
    );
    assert!(!sandbox.to_string().contains("sandbox secret"), "{sandbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_toolkit_is_not_found() {
    let server = TestServer::start().await;
    for slug in ["nope", "github%2F..%2Fgmail", "gmail%20", "%00", "..%2F..%2Fetc%2Fpasswd"] {
        server.api.get(&format!("/toolkits/{slug}")).await.expect_error(404, "Toolkit_NotFound");
    }
}

async fn multi(api: &Api, body: &Value) -> Vec<String> {
    let page = api.post("/toolkits/multi", body).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")).collect()
}

/// Slugs of all toolkits by name, as a person would sort them.
async fn by_name(api: &Api) -> Vec<String> {
    let page = api.get("/toolkits?limit=1000").await.expect(200);
    let mut names: Vec<(String, String)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(it, "name").to_lowercase(), text(it, "slug")))
        .collect();
    names.sort();
    names.into_iter().map(|(_, slug)| slug).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn toolkits_are_listed_by_name_or_by_the_accounts_that_this_project_has() {
    let file = |slug: &str| keyed(slug, "http://127.0.0.1:1/base", "127.0.0.1:1");
    let server = TestServer::builder().toolkit("up1", &file("up1")).toolkit("up2", &file("up2")).start().await;
    let api = &server.api;
    let names = by_name(api).await;
    assert_eq!(slugs(api, "").await, names);
    assert_eq!(slugs(api, "?sort_by=alphabetically").await, names);
    assert_eq!(slugs(api, "?sort_by=usage").await, names, "no account is connected");
    connect_key(api, "ada", "up1").await;
    connect_key(api, "ada", "up2").await;
    let (_, second) = connect_key(api, "bob", "up2").await;
    let rest = |first: &[&str]| {
        let others = names.iter().filter(|slug| !first.contains(&slug.as_str())).cloned();
        first.iter().map(|slug| (*slug).to_owned()).chain(others).collect::<Vec<_>>()
    };
    assert_eq!(slugs(api, "?sort_by=usage").await, rest(&["up2", "up1"]));
    assert_eq!(multi(api, &json!({ "sort_by": "usage" })).await, rest(&["up2", "up1"]));
    assert_eq!(slugs(api, "?sort_by=alphabetically").await, names);
    let other = server.other_project("other").await;
    assert_eq!(slugs(&other, "?sort_by=usage").await, names, "accounts of another project do not count");
    // A deleted account does not count: both have one, so the name decides.
    api.delete(&format!("/connected_accounts/{second}")).await.expect(200);
    assert_eq!(slugs(api, "?sort_by=usage").await, rest(&["up1", "up2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_narrows_the_list_and_a_wrong_one_is_refused() {
    let server = TestServer::start().await;
    let api = &server.api;
    let all = slugs(api, "").await;
    let managed = slugs(api, "?managed_by=composio").await;
    let own = slugs(api, "?managed_by=project").await;
    assert!(managed.contains(&"sandbox".to_owned()) && !own.contains(&"sandbox".to_owned()), "{managed:?} {own:?}");
    assert!(own.contains(&"github".to_owned()), "no operator's client here: {own:?}");
    assert_eq!(managed.len() + own.len(), all.len());
    for same in ["?managed_by=all", "?type=all", "?type=native", "?include_deprecated=true", "?user_id=ada"] {
        assert_eq!(slugs(api, same).await, all, "{same}");
    }
    assert_eq!(slugs(api, "?type=custom").await, Vec::<String>::new());
    let long = format!("user_id={}", "u".repeat(257));
    for wrong in [
        "managed_by=me",
        "type=none",
        "sort_by=age",
        "include_deprecated=2",
        "limit=0",
        "limit=x",
        "limit=NaN",
        "cursor=x",
        &long,
    ] {
        let error = api.get(&format!("/toolkits?{wrong}")).await;
        assert_eq!(error.status, 400, "{wrong}: {}", error.text());
        let (name, _) = wrong.split_once('=').unwrap();
        assert!(error.json()["error"]["errors"][0].as_str().unwrap().contains(&format!("query.{name}")), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_returns_every_toolkit_exactly_once() {
    let server = TestServer::start().await;
    let api = &server.api;
    for (order, limit) in [("usage", 1), ("alphabetically", 4), ("usage", 7)] {
        let all = slugs(api, &format!("?sort_by={order}")).await;
        let (mut listed, mut posted) = (Vec::new(), Vec::new());
        let mut next = Some(String::new());
        while let Some(cursor) = next.take() {
            let page = api.get(&format!("/toolkits?sort_by={order}&limit={limit}&cursor={cursor}")).await.expect(200);
            listed.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")));
            let body = json!({ "sort_by": order, "limit": limit, "cursor": cursor });
            posted.extend(multi(api, &body).await);
            next = page["next_cursor"].as_str().map(str::to_owned);
        }
        assert_eq!((&listed, &posted), (&all, &all), "{order} {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_those_of_the_toolkits() {
    let server = TestServer::start().await;
    let api = &server.api;
    let page = api.get("/toolkits/categories").await.expect(200);
    assert_eq!((&page["next_cursor"], &page["current_page"]), (&Value::Null, &json!(1)));
    let categories = page["items"].as_array().unwrap();
    assert_eq!(page["total_items"], categories.len());
    assert!(categories.contains(&json!({ "id": "developer-tools", "name": "Developer Tools" })), "{categories:?}");
    let mut found: Vec<String> = Vec::new();
    for category in categories {
        let inside = slugs(api, &format!("?category={}", text(category, "id"))).await;
        assert!(!inside.is_empty(), "{category}");
        found.extend(inside);
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), slugs(api, "").await.len(), "every toolkit is in some category");
    let first = api.get("/toolkits/categories?limit=1").await.expect(200);
    assert_eq!(first["items"], json!([categories[0]]));
    let cursor = text(&first, "next_cursor");
    let second = api.get(&format!("/toolkits/categories?cursor={cursor}")).await.expect(200);
    assert_eq!(second["items"], json!([categories[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_toolkits_are_read_at_once() {
    let server = TestServer::start().await;
    let api = &server.api;
    let all = slugs(api, "").await;
    assert_eq!(multi(api, &json!({})).await, all);
    // As the Python SDK sends it: no bytes, yet a content type.
    let bodiless = api.call("POST", "/toolkits/multi", "").await.expect(200);
    assert_eq!(bodiless, api.get("/toolkits").await.expect(200));
    let url = format!("{}/toolkits/multi", api.base);
    let untyped = api.http.send("POST", &url, &[("x-api-key", &api.key)], "").await.expect(200);
    assert_eq!(untyped, bodiless);
    for (body, expected) in [
        (json!({ "toolkits": ["slack", "GitHub", "nope", "slack"] }), vec!["github", "slack"]),
        (json!({ "toolkits": ["nope"] }), vec![]),
        (json!({ "toolkits": [] }), vec![]),
        (json!({ "toolkits": ["slack", "github"], "category": "developer-tools" }), vec!["github"]),
        (json!({ "toolkits": ["sandbox", "github"], "managed_by": "composio" }), vec!["sandbox"]),
        (json!({ "toolkits": ["sandbox", "github"], "managed_by": "project" }), vec!["github"]),
        (json!({ "toolkits": ["sandbox", "github"], "managed_by": "all", "limit": 1.0 }), vec!["github"]),
        (json!({ "toolkits": ["github"], "category": null, "limit": null, "cursor": null }), vec!["github"]),
        (json!({ "toolkits": ["github"], "limit": 9999, "unknown": true }), vec!["github"]),
    ] {
        assert_eq!(multi(api, &body).await, expected, "{body}");
    }
    for (body, place) in [
        (json!({ "limit": 0 }), "payload.limit"),
        (json!({ "limit": "x" }), "payload.limit"),
        (json!({ "cursor": "x" }), "payload.cursor"),
        (json!({ "sort_by": "age" }), "payload.sort_by"),
        (json!({ "managed_by": "me" }), "payload.managed_by"),
        (json!({ "toolkits": "github" }), "payload.toolkits"),
        (json!({ "toolkits": [1] }), "payload.toolkits"),
        (json!([]), "payload"),
    ] {
        let error = api.post("/toolkits/multi", &body).await;
        assert_eq!(error.status, 400, "{body}: {}", error.text());
        assert!(error.json()["error"]["errors"][0].as_str().unwrap().contains(place), "{body}: {}", error.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changelog_and_a_read_know_the_one_version_of_each_toolkit() {
    let server = TestServer::start().await;
    let api = &server.api;
    let changelog = api.get("/toolkits/changelog").await.expect(200);
    let items = changelog["items"].as_array().unwrap();
    assert_eq!(items.len(), slugs(api, "").await.len());
    for item in items {
        complete(item, &["slug", "name", "display_name", "versions"]);
        let (slug, version) = (text(item, "slug"), text(&item["versions"][0], "version"));
        assert!(text(&item["versions"][0], "changelog").contains(&version), "{item}");
        let latest = api.get(&format!("/toolkits/{slug}?version=latest")).await.expect(200);
        assert_eq!(latest["meta"]["version"], version);
        assert_eq!(api.get(&format!("/toolkits/{slug}?version={version}")).await.expect(200), latest);
        let error = api.get(&format!("/toolkits/{slug}?version=20010101_00")).await;
        assert_eq!(error.status, 400, "{}", error.text());
        assert!(error.text().contains(&version), "{}", error.text());
    }
    api.get("/toolkits/nope?version=20010101_00").await.expect_error(404, "Toolkit_NotFound");
}
