//! `switchboard toolkit new`: a file drafted from an issuer's metadata connects an account as it is.

use crate::support::browser::Browser;
use crate::support::process::run;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

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

#[test]
fn an_address_without_metadata_is_named_with_what_was_tried() {
    let (code, _, said) = run(&["toolkit", "new", "--issuer", "http://127.0.0.1:9", "--allow-egress", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("http://127.0.0.1:9/.well-known/openid-configuration"), "{said}");
}
