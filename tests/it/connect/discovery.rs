//! Where metadata is found: behind pages, by a challenge, at the origin, and not at all where it speaks of
//! something else (RFC 8414, RFC 9728).

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::browser::Browser;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";

/// What stands at a path: status, headers, body.
type Place = (&'static str, u16, Value, Value);

/// Presses Continue on a link whose provider is found through the resource `/mcp`, with these places.
async fn departs(places: &[Place]) -> (u16, String) {
    let provider = Provider::mock(&[]);
    for place in places {
        provider.fault(&played(&provider, place)).await;
    }
    let server = server_of(&provider).await;
    let link = server.api.link(&server.api.session("user-1", "mcp").await, "mcp").await;
    let reply = Browser::new("alice").submit(link["redirect_url"].as_str().unwrap(), &[("action", "continue")]).await;
    (reply.status, reply.header("location").unwrap_or_default().to_owned())
}

fn played(provider: &Provider, (path, status, headers, body): &Place) -> Value {
    let filled = |value: &Value| value.to_string().replace("$ORIGIN", &provider.origin());
    let headers: Value = serde_json::from_str(&filled(headers)).unwrap();
    let body = if let Value::String(text) = body { text.clone() } else { filled(body) };
    json!({ "path": path, "status": status, "headers": headers, "body": body })
}

async fn server_of(provider: &Provider) -> TestServer {
    let origin = provider.origin();
    provider.fault(&json!({ "path": "/register", "status": 201, "body": "{\"client_id\":\"c-1\"}" })).await;
    let toolkit = format!(
        "slug = \"mcp\"\nname = \"MCP\"\ndescription = \"A server\"\ncategories = [\"testing\"]\ncolor = \"#336699\"\n\
         version = \"20261122_00\"\nbase_url = \"{origin}\"\nhosts = [\"{}\"]\n[dcr_oauth]\nresource = \"{origin}/mcp\"\n",
        origin.split_once("://").unwrap().1
    );
    let server = TestServer::builder().toolkit("mcp", &toolkit).start().await;
    let body = json!({ "toolkit": { "slug": "mcp" }, "auth_config": { "type": "use_custom_auth", "authScheme": "DCR_OAUTH" } });
    server.api.post("/auth_configs", &body).await.expect(201);
    server
}

fn resource(named: &str) -> Value {
    json!({ "resource": named, "authorization_servers": ["$ORIGIN/tenant"] })
}

fn metadata(issuer: &str) -> Value {
    json!({ "issuer": issuer, "authorization_endpoint": "$ORIGIN/authorize", "token_endpoint": "$ORIGIN/token",
        "registration_endpoint": "$ORIGIN/register", "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"] })
}

/// A page, a document of something else, and a missing one.
fn page() -> (u16, Value, Value) {
    (200, json!({ "content-type": "text/html" }), "<!doctype html><title>App</title>".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_found_at_every_allowed_place() {
    let none = json!({});
    let (status, headers, html) = page();
    let at_tenant = || ("/.well-known/oauth-authorization-server/tenant", 200, json!({}), metadata("$ORIGIN/tenant"));
    let challenge = json!({ "www-authenticate": "Bearer resource_metadata=\"$ORIGIN/about-mcp\"" });
    let own = "/.well-known/oauth-protected-resource/mcp";
    let missing = |path| (path, 404, json!({}), Value::from("no"));
    let cases: Vec<(&str, Vec<Place>)> = vec![
        ("at its own place", vec![(own, 200, none.clone(), resource("$ORIGIN/mcp")), at_tenant()]),
        ("naming the origin", vec![(own, 200, none.clone(), resource("$ORIGIN")), at_tenant()]),
        (
            "behind a page",
            vec![
                (own, 200, none.clone(), resource("$ORIGIN/mcp")),
                ("/.well-known/oauth-authorization-server/tenant", status, headers.clone(), html.clone()),
                ("/tenant/.well-known/openid-configuration", 200, none.clone(), metadata("$ORIGIN/tenant")),
            ],
        ),
        (
            "behind another's metadata",
            vec![
                (own, 200, none.clone(), resource("$ORIGIN/mcp")),
                ("/.well-known/oauth-authorization-server/tenant", 200, none.clone(), metadata("$ORIGIN")),
                ("/tenant/.well-known/openid-configuration", 200, none.clone(), metadata("$ORIGIN/tenant")),
            ],
        ),
        (
            "by a challenge",
            vec![
                (own, status, headers.clone(), html.clone()),
                ("/mcp", 401, challenge, "".into()),
                ("/about-mcp", 200, none.clone(), resource("$ORIGIN/mcp")),
                at_tenant(),
            ],
        ),
        (
            "at the origin",
            vec![missing(own), missing("/mcp"), (RESOURCE, 200, none.clone(), resource("$ORIGIN/mcp")), at_tenant()],
        ),
        (
            "without any of the resource",
            vec![missing(own), missing("/mcp"), missing(RESOURCE), (SERVER, 200, none.clone(), metadata("$ORIGIN"))],
        ),
    ];
    for (what, places) in cases {
        let (status, location) = departs(&places).await;
        assert_eq!(status, 303, "{what}");
        assert!(location.contains("/authorize?"), "{what}: {location}");
        let named = location.contains("resource=http");
        assert!(named, "{what}: {location}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_or_resource_is_refused() {
    let own = "/.well-known/oauth-protected-resource/mcp";
    let missing = |path| (path, 404, json!({}), Value::from("no"));
    let tenant = "/.well-known/oauth-authorization-server/tenant";
    for (what, named, issuer) in [
        ("another resource", "$ORIGIN/mcp-of-others", "$ORIGIN/tenant"),
        ("another origin", "https://other.example/mcp", "$ORIGIN/tenant"),
        ("another issuer", "$ORIGIN/mcp", "$ORIGIN/other"),
    ] {
        let places = [
            (own, 200, json!({}), resource(named)),
            missing("/mcp"),
            missing(RESOURCE),
            missing(SERVER),
            missing("/.well-known/openid-configuration"),
            (tenant, 200, json!({}), metadata(issuer)),
        ];
        let (status, location) = departs(&places).await;
        assert_eq!((status, location.as_str()), (422, ""), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_links_share_one_discovery() {
    let provider = Provider::mock(&[]);
    let own = ("/.well-known/oauth-protected-resource/mcp", 200, json!({}), resource("$ORIGIN/mcp"));
    let mut slow = played(&provider, &own);
    slow["delay_ms"] = 500.into();
    provider.fault(&slow).await;
    let tenant = ("/.well-known/oauth-authorization-server/tenant", 200, json!({}), metadata("$ORIGIN/tenant"));
    provider.fault(&played(&provider, &tenant)).await;
    let server = server_of(&provider).await;
    let mut browsers = JoinSet::new();
    for user in 0..6 {
        let link = server.api.link(&server.api.session(&format!("user-{user}"), "mcp").await, "mcp").await;
        let url = link["redirect_url"].as_str().unwrap().to_owned();
        browsers.spawn(async move { Browser::new("alice").submit(&url, &[("action", "continue")]).await.status });
    }
    assert!(browsers.join_all().await.iter().all(|status| *status == 303));
    assert_eq!(provider.seen("/.well-known/oauth-protected-resource/mcp").await.len(), 1);
}
