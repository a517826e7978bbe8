//! `switchboard toolkit new`: a file drafted from the metadata of an issuer or MCP server connects an account as
//! it is, and keeps all that was said.

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::process::run;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";

#[tokio::test(flavor = "multi_thread")]
async fn a_drafted_file_connects_an_account() {
    let provider = Provider::oidc(&[]);
    let issuer = provider.text("issuer").to_owned();
    let arguments = ["toolkit", "new", "--issuer", &issuer, "--slug", "drafted", "--allow-egress", "127.0.0.1"];
    let (code, text, said) = run(&arguments);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("drafted/toolkit.toml"), "{said}");
    assert!(text.contains("unverified") && text.contains("iss_required = true"), "{text}");

    let server = TestServer::builder().toolkit("drafted", &text).start().await;
    provider.auth_config(&server.api, "drafted").await;
    let session = server.api.session("user-1", "drafted").await;
    let link = server.api.link(&session, "drafted").await;
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    assert!(landing.reply.unwrap().text().contains("data-result=\"success\""), "{text}");
    assert_eq!(server.api.proxy_get(&session, "drafted", "/api/me").await.expect(200)["data"]["sub"], "alice");
    let account = link["connected_account_id"].as_str().unwrap();
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["identity"]["id"], "alice", "{shown}");
}

/// The table of a drafted file, from its name to the next one.
fn table<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n[{name}]\n")).unwrap_or_else(|| panic!("no [{name}]: {text}"));
    rest.split_once("\n\n").map_or(rest, |(table, _)| table).trim_end()
}

fn new(arguments: &[&str]) -> String {
    let all = [&["toolkit", "new", "--slug", "drafted", "--allow-egress", "127.0.0.1"], arguments].concat();
    let (code, text, said) = run(&all);
    assert_eq!(code, Some(0), "{said}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_has_all_supported_metadata() {
    let provider = Provider::oidc(&[]);
    let issuer = provider.text("issuer").to_owned();
    let text = new(&["--issuer", &issuer]);
    let expected = format!(
        "authorization_url = \"{issuer}/auth\"\ntoken_url = \"{issuer}/token\"\n\
         revocation_url = \"{issuer}/token/revocation\"\nintrospection_url = \"{issuer}/token/introspection\"\n\
         issuer = \"{issuer}\"\niss_required = true\nclient_authentication = \"client_secret_basic\"\n\
         scopes = [\"openid\",\"offline_access\",\"email\",\"profile\"]\n\
         available_scopes = [\"openid\",\"offline_access\",\"email\",\"profile\",\"api:read\",\"api:write\"]\n\
         authorization_parameters = {{ prompt = \"consent\" }}"
    );
    assert_eq!(table(&text, "oauth2"), expected, "{text}");
    for offered in [format!("{issuer}/reg."), format!("{issuer}/device/auth."), format!("{issuer}/request.")] {
        assert!(text.contains(&offered), "{offered}: {text}");
    }

    // A provider of other habits.
    let provider = Provider::mock(&[]);
    let origin = provider.origin();
    let said = json!({
        "issuer": origin, "token_endpoint": format!("{origin}/t"), "authorization_endpoint": format!("{origin}/a"),
        "revocation_endpoint": format!("{origin}/r"), "code_challenge_methods_supported": ["plain"],
        "token_endpoint_auth_methods_supported": ["tls_client_auth", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["EdDSA", "ES256"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_post"],
        "grant_types_supported": ["authorization_code"], "dpop_signing_alg_values_supported": "ES256",
        "require_pushed_authorization_requests": true, "pushed_authorization_request_endpoint": format!("{origin}/p"),
        "service_documentation": "https://docs.example.com/oauth",
    });
    provider.fault(&json!({ "path": SERVER, "status": 200, "body": said.to_string() })).await;
    let text = new(&["--issuer", &origin]);
    let expected = format!(
        "authorization_url = \"{origin}/a\"\ntoken_url = \"{origin}/t\"\nrevocation_url = \"{origin}/r\"\n\
         pushed_authorization_request_url = \"{origin}/p\"\nissuer = \"{origin}\"\npkce = \"off\"\n\
         client_authentication = \"private_key_jwt\"\nclient_assertion = {{ algorithm = \"ES256\" }}\n\
         revocation_client_authentication = \"client_secret_post\"\nscopes = []\navailable_scopes = []\n\
         refresh = \"none\""
    );
    assert_eq!(table(&text, "oauth2"), expected, "{text}");
    assert!(text.contains("auth_guide_url = \"https://docs.example.com/oauth\""), "{text}");
}

/// An MCP server is found as the server finds it: by its own place, by its challenge, by its origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_drafted_from_an_mcp_server_registers_a_client_and_connects() {
    let own = "/.well-known/oauth-protected-resource/mcp";
    for (what, place) in [("path", own), ("challenge", "/about-mcp"), ("origin", RESOURCE)] {
        let provider = Provider::mock(&[]);
        let origin = provider.origin();
        if place != own {
            provider.fault(&json!({ "path": own, "status": 404, "body": "no" })).await;
            let challenge = format!("Bearer resource_metadata=\"{origin}/about-mcp\"");
            let headers = if place == RESOURCE { json!({}) } else { json!({ "www-authenticate": challenge }) };
            provider.fault(&json!({ "path": "/mcp", "status": 401, "headers": headers, "body": "" })).await;
        }
        let resource = json!({ "resource": format!("{origin}/mcp"), "authorization_servers": [format!("{origin}/as")],
            "scopes_supported": ["read"] });
        provider.fault(&json!({ "path": place, "status": 200, "body": resource.to_string() })).await;
        let said = json!({
            "issuer": format!("{origin}/as"), "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"), "registration_endpoint": format!("{origin}/register"),
            "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["offline_access", "admin"],
        });
        let place = "/.well-known/oauth-authorization-server/as";
        provider.fault(&json!({ "path": place, "status": 200, "body": said.to_string() })).await;
        provider.fault(&json!({ "path": "/register", "status": 201, "body": "{\"client_id\":\"c-1\"}" })).await;

        let text = new(&["--mcp", &format!("{origin}/mcp")]);
        let expected = format!(
            "resource = \"{origin}/mcp\"\nauthorization_url = \"{origin}/authorize\"\ntoken_url = \"{origin}/token\"\n\
             registration_url = \"{origin}/register\"\nissuer = \"{origin}/as\"\nclient_authentication = \"none\"\n\
             scopes = [\"read\",\"offline_access\"]\navailable_scopes = [\"read\",\"offline_access\",\"admin\"]"
        );
        assert_eq!(table(&text, "dcr_oauth"), expected, "{what}: {text}");

        let server = TestServer::builder().toolkit("drafted", &text).start().await;
        let session = server.api.session("user-1", "drafted").await;
        let link = server.api.link(&session, "drafted").await;
        assert_eq!(link["auth_scheme"], "DCR_OAUTH", "{link}");
        let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
        let page = landing.reply.unwrap().text();
        assert!(page.contains("data-result=\"success\""), "{what}: {page}");
        let exchange = provider.token_requests().await.pop().unwrap();
        let body = exchange["body"].as_str().unwrap().to_owned();
        assert!(body.contains("resource=http") && body.contains("client_id=c-1"), "{what}: {body}");
    }
}

#[test]
fn a_draft_needs_either_an_mcp_server_or_an_issuer() {
    for arguments in
        [&["toolkit", "new"][..], &["toolkit", "new", "--issuer", "https://a.example", "--mcp", "https://a.example"]]
    {
        assert_eq!(run(arguments).0, Some(2), "{arguments:?}");
    }
    let (code, _, said) = run(&["toolkit", "new", "--mcp", "http://127.0.0.1:9/mcp", "--allow-egress", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("http://127.0.0.1:9/.well-known/oauth-protected-resource/mcp"), "{said}");
}

#[test]
fn an_address_without_metadata_is_reported_with_the_tried_urls() {
    let (code, _, said) = run(&["toolkit", "new", "--issuer", "http://127.0.0.1:9", "--allow-egress", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("http://127.0.0.1:9/.well-known/openid-configuration"), "{said}");
}
