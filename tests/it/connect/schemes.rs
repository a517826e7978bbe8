//! Every way to authenticate that is not a typed key or OAuth 2.0 with a client registered by hand: at
//! real providers, over real HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::connected::finished;
use crate::support::http::Http;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

fn file(slug: &str, origin: &str, rest: &str) -> String {
    let host = origin.split_once("://").unwrap().1;
    format!(
        r##"
slug = "{slug}"
name = "Test provider"
description = "A real provider, started by the test"
categories = ["testing"]
color = "#336699"
version = "20261126_00"
base_url = "{origin}"
hosts = ["{host}"]
{rest}
"##
    )
}

async fn auth_config(server: &TestServer, slug: &str, scheme: &str, credentials: Value) -> String {
    let body = json!({ "toolkit": { "slug": slug }, "auth_config": {
        "type": "use_custom_auth", "authScheme": scheme, "credentials": credentials } });
    let made = server.api.post("/auth_configs", &body).await.expect(201);
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

async fn admit(server: &TestServer, provider: &Provider, auth_config: &str) {
    provider.admit(&format!("{}/toolkits/auth/callback/{auth_config}", server.api.base)).await;
}

pub(super) fn oauth1_file(provider: &Provider, method: &str) -> String {
    let rest = format!(
        r#"
[oauth1]
request_token_url = "{}"
authorization_url = "{}"
access_token_url = "{}"
signature_method = "{method}"

[identity]
request = {{ url = "/api/me" }}
id = "/sub"
"#,
        provider.text("request_token_endpoint"),
        provider.text("authorization_endpoint"),
        provider.text("access_token_endpoint"),
    );
    file("old", &provider.origin(), &rest)
}

async fn connect(server: &TestServer, slug: &str, person: &str) -> (String, String, String) {
    let session = server.api.session("user-1", slug).await;
    let link = server.api.link(&session, slug).await;
    let account = link["connected_account_id"].as_str().unwrap().to_owned();
    let landing = Browser::new(person).follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    (session, account, landing.reply.unwrap().text())
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_1_signs_every_request_with_each_method() {
    let provider = Provider::oauth1(&[]);
    for method in ["HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT"] {
        let server = TestServer::builder().toolkit("old", &oauth1_file(&provider, method)).start().await;
        let credentials =
            json!({ "consumer_key": provider.text("client_id"), "consumer_secret": provider.text("client_secret") });
        let id = auth_config(&server, "old", "OAUTH1", credentials).await;
        admit(&server, &provider, &id).await;
        let (session, account, page) = connect(&server, "old", "alice").await;
        assert!(page.contains("data-result=\"success\""), "{method}: {page}");
        let used = server.api.proxy_get(&session, "old", "/api/me?b=2&a=%C3%BC&a=1").await.expect(200);
        assert_eq!((&used["status"], &used["data"]["sub"]), (&json!(200), &json!("alice")), "{method}: {used}");
        let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        assert_eq!(shown["identity"]["id"], "alice", "{shown}");
        let val = &shown["state"]["val"];
        assert!(val["oauth_token"].is_string() && val["oauth_token_secret"].is_string(), "{shown}");
        assert!(!shown.to_string().contains(provider.text("client_secret")), "the client is not the account's");
    }
}

/// A token of OAuth 1.0a does not end by itself; its user may withdraw it at the provider.
#[tokio::test(flavor = "multi_thread")]
async fn an_oauth_1_account_ends_when_its_user_withdraws_it_and_can_be_connected_again() {
    let provider = Provider::oauth1(&[]);
    let server = TestServer::builder().toolkit("old", &oauth1_file(&provider, "HMAC-SHA1")).start().await;
    let credentials =
        json!({ "consumer_key": provider.text("client_id"), "consumer_secret": provider.text("client_secret") });
    let id = auth_config(&server, "old", "OAUTH1", credentials).await;
    admit(&server, &provider, &id).await;
    let (session, account, _) = connect(&server, "old", "alice").await;
    let refresh = format!("/connected_accounts/{account}/refresh");
    let again = server.api.post(&refresh, &json!({})).await.expect(200);
    assert!(again["redirect_url"].as_str().unwrap().contains("/link/"), "{again}");
    assert_eq!(again["status"], "ACTIVE", "it works meanwhile: {again}");

    // One endpoint that refuses is no proof while another takes the token.
    let call = |path: &'static str| server.api.proxy_get(&session, "old", path);
    server.clock.advance(Duration::from_mins(5));
    Http::new().send("DELETE", &format!("{}/_control/tokens", provider.origin()), &[], "").await;
    call("/api/me").await.expect_error(422, "reauth_required");
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["status"], "EXPIRED", "{shown}");
    let told = server.api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
    assert_eq!(told["code"], "grant_ended", "{told}");
    let link = server.api.post(&refresh, &json!({})).await.expect(200)["redirect_url"].as_str().unwrap().to_owned();
    Browser::new("alice").follow(&link, |_| false).await;
    assert_eq!(call("/api/me").await.expect(200)["data"]["sub"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_1_is_bound_to_its_browser_and_may_be_denied() {
    let provider = Provider::oauth1(&[]);
    let server = TestServer::builder().toolkit("old", &oauth1_file(&provider, "HMAC-SHA1")).start().await;
    let credentials =
        json!({ "consumer_key": provider.text("client_id"), "consumer_secret": provider.text("client_secret") });
    let id = auth_config(&server, "old", "OAUTH1", credentials).await;
    admit(&server, &provider, &id).await;
    let session = server.api.session("user-1", "old").await;
    let link = server.api.link(&session, "old").await;
    let account = link["connected_account_id"].as_str().unwrap();
    let is_callback = |url: &url::Url| url.path().contains("/toolkits/auth/callback/");
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), is_callback).await;
    let stranger = Browser::new("bob").get(landing.url.as_str()).await;
    assert_eq!(stranger.status, 403, "{}", stranger.text());
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["status"], "INITIATED", "{shown}");
    // Clients that validate responses require these members; their values stay hidden.
    for name in ["oauth_token", "oauth_token_secret"] {
        assert_eq!(shown["state"]["val"][name], "REDACTED", "{shown}");
    }
    assert_eq!(shown["state"]["val"]["authUri"], shown["state"]["val"]["redirectUrl"], "{shown}");
    // Temporary credentials of another flow do not finish this one.
    let link = server.api.link(&session, "old").await;
    let mut browser = Browser::new("alice");
    let landing = browser.follow(link["redirect_url"].as_str().unwrap(), is_callback).await;
    let mut url = landing.url.clone();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    url.query_pairs_mut()
        .clear()
        .append_pair("state", &state)
        .append_pair("oauth_token", "other")
        .append_pair("oauth_verifier", "x");
    let refused = browser.get(url.as_str()).await;
    assert!(refused.text().contains("another token"), "{}", refused.text());
    assert_eq!(server.api.status(link["connected_account_id"].as_str().unwrap()).await, "INITIATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_registers_itself_does_so_once() {
    let provider = Provider::oidc(&[]);
    let rest = format!(
        r#"
[dcr_oauth]
discovery_url = "{}/.well-known/openid-configuration"
scopes = ["openid", "offline_access", "email"]
authorization_parameters = {{ prompt = "consent" }}
"#,
        provider.text("issuer")
    );
    let text = file("mcp", &provider.origin(), &rest);
    let server = TestServer::builder().toolkit("mcp", &text).start().await;
    let id = auth_config(&server, "mcp", "DCR_OAUTH", json!({})).await;
    admit(&server, &provider, &id).await;
    let (session, account, page) = connect(&server, "mcp", "alice").await;
    assert!(page.contains("data-result=\"success\""), "{page}");
    let used = server.api.proxy_get(&session, "mcp", "/api/me").await.expect(200);
    assert_eq!(used["data"]["sub"], "alice", "{used}");
    let client = used["data"]["client_id"].as_str().unwrap().to_owned();
    assert_ne!(client, provider.text("client_id"), "it has a client of its own");
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["state"]["val"]["client_id"], client.as_str(), "{shown}");
    assert!(shown["state"]["val"]["scope"].as_str().unwrap().contains("email"), "{shown}");
    server.clock.advance(Duration::from_hours(1));
    let used = server.api.proxy_get(&session, "mcp", "/api/me").await.expect(200);
    assert_eq!(used["data"]["client_id"], client.as_str(), "refreshed with it: {used}");
    let (session, _, _) = connect(&server, "mcp", "bob").await;
    let again = server.api.proxy_get(&session, "mcp", "/api/me").await.expect(200);
    assert_eq!(again["data"]["client_id"], client.as_str(), "the next user does not register another");
    server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
}

/// The first link makes the auth config. Its client is its own, although the project did not create it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_registers_or_describes_itself_needs_no_auth_config() {
    let provider = Provider::oidc(&[]);
    let issuer = provider.text("issuer");
    let discovery = format!(
        "discovery_url = \"{issuer}/.well-known/openid-configuration\"\nscopes = [\"openid\", \"offline_access\"]\n"
    );
    let rest = format!("[dcr_oauth]\n{discovery}authorization_parameters = {{ prompt = \"consent\" }}\n");
    let described = format!("[cimd_oauth]\n{discovery}");
    let server = TestServer::builder()
        .toolkit("mcp", &file("mcp", &provider.origin(), &rest))
        .toolkit("described", &file("described", &provider.origin(), &described))
        .start()
        .await;
    let session = server.api.session("user-1", "mcp").await;
    let link = server.api.link(&session, "mcp").await;
    assert_eq!(link["auth_scheme"], "DCR_OAUTH", "{link}");
    admit(&server, &provider, link["auth_config_id"].as_str().unwrap()).await;
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let page = landing.reply.unwrap().text();
    assert!(page.contains("data-result=\"success\""), "{page}");
    // Used, refreshed and revoked with the client that registered itself.
    server.clock.advance(Duration::from_hours(1));
    let used = server.api.proxy_get(&session, "mcp", "/api/me").await.expect(200);
    assert_eq!((&used["status"], &used["data"]["sub"]), (&json!(200), &json!("alice")), "{used}");
    assert_eq!(provider.grants("refresh_token").await, 1);
    for path in ["revoke", ""] {
        let (_, account, page) = connect(&server, "mcp", "alice").await;
        assert!(page.contains("data-result=\"success\""), "{page}");
        let before = provider.seen("/token/revocation").await.len();
        if path == "revoke" {
            server.api.post(&format!("/connected_accounts/{account}/revoke"), &json!({})).await.expect(200);
        } else {
            let gone = server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
            let receipt = finished(&server.api, gone["revoke_job_id"].as_str().unwrap()).await;
            assert_eq!((&receipt["revoked"], &receipt["total"]), (&json!(1), &json!(1)), "{receipt}");
        }
        assert!(provider.seen("/token/revocation").await.len() > before, "{path}");
    }

    let link = server.api.link(&server.api.session("user-1", "described").await, "described").await;
    assert_eq!(link["auth_scheme"], "CIMD_OAUTH", "{link}");
    let is_provider = |url: &url::Url| url.origin().ascii_serialization() == provider.origin();
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), is_provider).await;
    let client = landing.url.query_pairs().find(|(name, _)| name == "client_id").unwrap().1.into_owned();
    let id = link["auth_config_id"].as_str().unwrap();
    assert!(client.ends_with(&format!("/toolkits/auth/client/{id}")), "{client}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_may_be_the_url_of_its_metadata() {
    let provider = Provider::oidc(&[]);
    let rest = format!(
        "[cimd_oauth]\ndiscovery_url = \"{}/.well-known/openid-configuration\"\nscopes = [\"openid\"]",
        provider.text("issuer")
    );
    let server = TestServer::builder().toolkit("mcp", &file("mcp", &provider.origin(), &rest)).start().await;
    let id = auth_config(&server, "mcp", "CIMD_OAUTH", json!({})).await;
    let session = server.api.session("user-1", "mcp").await;
    let link = server.api.link(&session, "mcp").await;
    let is_provider = |url: &url::Url| url.origin().ascii_serialization() == provider.origin();
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), is_provider).await;
    let client = landing.url.query_pairs().find(|(name, _)| name == "client_id").unwrap().1.into_owned();
    let described = Http::new().send("GET", &client, &[], "").await;
    let description = described.expect(200);
    assert_eq!(description["client_id"], client.as_str());
    assert_eq!(description["token_endpoint_auth_method"], "none");
    let redirect = landing.url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(description["redirect_uris"], json!([redirect]));
    // Nothing is told of any other auth config.
    let other = client.replace(&id, "ac_other");
    assert_eq!(Http::new().send("GET", &other, &[], "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_issuer_is_added_with_an_address_and_a_client() {
    let provider = Provider::oidc(&[]);
    // The pushed request proves that discovered endpoints are used.
    let rest = format!(
        r#"
[oauth2]
discovery_url = "{issuer}/.well-known/openid-configuration"
pushed_authorization_request_url = "{issuer}/request"
scopes = ["openid", "offline_access", "email"]
authorization_parameters = {{ prompt = "consent" }}
expiry = "introspection"
"#,
        issuer = provider.text("issuer")
    );
    let server = TestServer::builder().toolkit("any", &file("any", &provider.origin(), &rest)).start().await;
    provider.auth_config(&server.api, "any").await;
    let (session, account, page) = connect(&server, "any", "alice").await;
    assert!(page.contains("data-result=\"success\""), "{page}");
    assert_eq!(server.api.proxy_get(&session, "any", "/api/me").await.expect(200)["data"]["sub"], "alice");
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert!(shown["lifetime"]["access_token_expires_at"].is_string(), "{shown}");
    server.clock.advance(Duration::from_hours(1));
    assert_eq!(server.api.proxy_get(&session, "any", "/api/me").await.expect(200)["status"], 200);
    let revoked = server.api.post(&format!("/connected_accounts/{account}/revoke"), &json!({})).await.expect(200);
    assert_eq!(revoked["revoked_tokens"], json!(["refresh_token", "access_token"]), "{revoked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_visitor_can_choose_where_the_client_s_secret_is_sent() {
    const ISSUER: &str = "https://login.example.com";
    let rest = r#"
[[fields]]
name = "issuer"
display_name = "Issuer"
format = "origin"

[oauth2]
authorization_url = "{issuer}/authorize"
token_url = "{issuer}/token"
scopes = ["openid"]
"#;
    let server = TestServer::builder().toolkit("any", &file("any", "https://api.example.com", rest)).start().await;
    let id = auth_config(&server, "any", "OAUTH2", json!({ "client_id": "a", "client_secret": "b" })).await;
    let session = server.api.session("user-1", "any").await;
    let path = format!("/tool_router/session/{session}/link");
    let refused = server.api.post(&path, &json!({ "toolkit": "any" })).await;
    let error = refused.expect_error(400, "ConnectedAccount_MissingRequiredFields");
    assert!(error["suggested_fix"].as_str().unwrap().contains("shared_connection_fields"), "{error}");
    // Given by the developer, it is not asked for, and no form changes it.
    let shared = json!({ "type": "custom", "shared_connection_fields": { "issuer": ISSUER },
        "credentials": { "client_secret": "b" } });
    server.api.call("PATCH", &format!("/auth_configs/{id}"), shared.to_string()).await.expect(200);
    let link = server.api.link(&session, "any").await;
    let url = link["redirect_url"].as_str().unwrap();
    let mut browser = Browser::new("alice");
    assert!(!browser.get(url).await.text().contains("Issuer"));
    let started = browser.submit(url, &[("action", "continue"), ("issuer", "https://evil.example.com")]).await;
    assert_eq!(started.status, 303, "{}", started.text());
    assert!(started.header("location").unwrap().starts_with(ISSUER), "{:?}", started.headers);
    // Nor can a caller who may create links, without the secret.
    let known = json!({ "authScheme": "OAUTH2", "val": { "issuer": "https://evil.example.com" } });
    let body = json!({ "auth_config_id": id, "user_id": "user-2", "connection_data": known });
    server.api.post("/connected_accounts/link", &body).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_is_refused() {
    let provider = Provider::oidc(&[]);
    let port = provider.origin().rsplit_once(':').unwrap().1.to_owned();
    // The same server under another name has metadata of another issuer.
    let rest = format!(
        "[oauth2]\ndiscovery_url = \"http://127.0.0.1:{port}/other/.well-known/openid-configuration\"\nscopes = [\"openid\"]"
    );
    let server = TestServer::builder().toolkit("any", &file("any", &provider.origin(), &rest)).start().await;
    provider.auth_config(&server.api, "any").await;
    let session = server.api.session("user-1", "any").await;
    let link = server.api.link(&session, "any").await;
    let page = Browser::new("alice").submit(link["redirect_url"].as_str().unwrap(), &[]).await;
    assert_eq!(page.status, 422, "{}", page.text());
    assert!(page.text().contains("metadata"), "{}", page.text());
    assert_eq!(server.api.status(link["connected_account_id"].as_str().unwrap()).await, "INITIALIZING");
}

fn machine_file(provider: &Provider, steps: &str) -> String {
    let rest = format!(
        r#"
[s2s_oauth2]
fields = [
  {{ name = "client_id", display_name = "Client id" }},
  {{ name = "client_secret", display_name = "Client secret", secret = true, format = "document" }},
]
{steps}
"#
    );
    file("m2m", &provider.origin(), &rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_new_tokens_without_a_user() {
    let provider = Provider::oidc(&[]);
    let steps = format!(
        r#"
[[s2s_oauth2.steps]]
url = "{}"
client_authentication = "client_secret_basic"
parameters = {{ grant_type = "client_credentials", scope = "api:read" }}
"#,
        provider.text("token_endpoint")
    );
    let server = TestServer::builder().toolkit("m2m", &machine_file(&provider, &steps)).start().await;
    auth_config(&server, "m2m", "S2S_OAUTH2", json!({})).await;
    let session = server.api.session("user-1", "m2m").await;
    let link = server.api.link(&session, "m2m").await;
    let url = link["redirect_url"].as_str().unwrap();
    let mut browser = Browser::new("alice");
    let wrong = browser.submit(url, &[("client_id", "machine-client"), ("client_secret", "wrong")]).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.text().contains("does not accept this"), "{}", wrong.text());
    let secret = "machine-client-secret-0123456789abcdef01234567";
    let done = browser.submit(url, &[("client_id", "machine-client"), ("client_secret", secret)]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    for tokens in [3, 4] {
        let used = server.api.proxy_get(&session, "m2m", "/api/me").await.expect(200);
        assert_eq!(used["data"]["sub"], "machine-client", "{used}");
        assert_eq!(
            provider.grants("client_credentials").await,
            tokens,
            "one wrong, in both ways, and one for each life"
        );
        server.clock.advance(Duration::from_hours(1));
    }
    let account = link["connected_account_id"].as_str().unwrap();
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert!(!shown.to_string().contains(secret), "{shown}");
    let renewed = server.api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    assert_eq!((&renewed["status"], &renewed["redirect_url"]), (&json!("ACTIVE"), &json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_authenticates_with_its_own_key() {
    let provider = Provider::oidc(&[]);
    let more = format!(
        "issuer = \"{}\"\niss_required = true\nauthorization_parameters = {{ prompt = \"consent\" }}\n\
         revocation_url = \"{}\"",
        provider.text("issuer"),
        provider.text("revocation_endpoint")
    );
    let text = provider.toolkit("jwt", &more).replace("\"client_secret_basic\"", "\"private_key_jwt\"");
    let server = TestServer::builder().toolkit("jwt", &text).start().await;
    let clients = provider.info["clients"].as_array().unwrap();
    let client = clients.iter().find(|client| client["client_id"] == "signing-client").unwrap();
    let credentials = json!({ "client_id": "signing-client", "private_key": client["private_key"], "key_id": "key-1" });
    let id = auth_config(&server, "jwt", "OAUTH2", credentials).await;
    admit(&server, &provider, &id).await;
    let (session, account, page) = connect(&server, "jwt", "alice").await;
    assert!(page.contains("data-result=\"success\""), "{page}");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(server.api.proxy_get(&session, "jwt", "/api/me").await.expect(200)["data"]["sub"], "alice");
    server.api.post(&format!("/connected_accounts/{account}/revoke"), &json!({})).await.expect(200);
    let shown = server.api.get(&format!("/auth_configs/{id}")).await.expect(200).to_string();
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    // A key that cannot sign is refused when it is entered.
    let body = json!({ "toolkit": { "slug": "jwt" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
        "credentials": { "client_id": "x", "private_key": "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----" } } });
    let error = server.api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("private_key"), "{error}");
}
