//! `/toolkits`: list, search, category, read (contract sections 6.1 to 6.3).

use serde_json::{Value, json};

use super::help::{bare, text};
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn slugs(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("/toolkits{query}")).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_can_be_searched_cut_by_category_and_paged() {
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
async fn every_item_has_what_the_sdks_demand() {
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
async fn a_toolkit_says_what_its_schemes_ask_for() {
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
