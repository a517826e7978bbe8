//! Hosts that the operator allows without TLS: they work from end to end, and nothing else does.

use serde_json::json;
use switchboard::config::Layer;
use switchboard_catalog::{Catalog, PlainHttp};

use crate::support::connected::{Connected, connect, finished};
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// The provider by a name, which toolkit files do not take with `http`.
fn named(provider: &Provider) -> (String, String) {
    let more = format!("revocation_url = \"{}\"", provider.text("revocation_endpoint"));
    let file = provider.toolkit("tk", &more).replace("127.0.0.1", "localhost");
    let host = provider.origin().split_once("://").unwrap().1.replace("127.0.0.1", "localhost");
    (file, host)
}

fn is_taken(file: &str, hosts: &[&str]) -> bool {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut catalog = Catalog::default().allowing(PlainHttp::parse(&hosts).unwrap());
    match catalog.add("tk/toolkit.toml", file) {
        Ok(()) => true,
        Err(error) => {
            assert!(error.to_string().contains("must be an https URL"), "{error}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_host_works_from_end_to_end() {
    let provider = Provider::mock(&[]);
    let (file, host) = named(&provider);
    let layer = Layer { allow_http: Some(vec![host.clone()]), ..Layer::default() };
    let server = TestServer::builder().layer(layer).toolkit("tk", &file).start().await;
    provider.auth_config(&server.api, "tk").await;
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    let connected = Connected { server, session, account };
    assert_eq!(connected.call().await, 200);
    connected.expire();
    assert_eq!(connected.call().await, 200);
    assert_eq!(provider.grants("refresh_token").await, 1);
    assert!(provider.token_requests().await.iter().all(|request| request["headers"]["host"] == host.as_str()));

    // No redirect is followed, wherever it leads, and no other port of the host is called.
    let other = Provider::mock(&[]);
    let elsewhere = format!("{}/api/me", other.origin().replace("127.0.0.1", "localhost"));
    provider
        .fault(&json!({ "path": "/api/me", "status": 302, "headers": { "location": elsewhere }, "times": 1 }))
        .await;
    let answer = connected.server.api.proxy_get(&connected.session, "tk", "/api/me").await.expect(200);
    assert_eq!(answer["status"], 302, "{answer}");
    connected.server.api.proxy_get(&connected.session, "tk", &elsewhere).await.expect_error(400, "OriginMismatch");
    assert!(other.seen("*").await.is_empty());

    let receipt = finished(&connected.server.api, &connected.delete().await).await;
    assert_eq!(receipt["revoked"], 1, "{receipt}");
}

#[test]
fn files_cannot_name_another_host_with_http() {
    let provider = Provider::mock(&[]);
    let (file, host) = named(&provider);
    assert!(is_taken(&file, &[&host]));
    assert!(!is_taken(&file, &[]));
    assert!(!is_taken(&file, &["localhost", "localhost:1", "gitlab.corp"]), "the port counts");
    // A visitor enters the host of a variable, even if the value that the check fills in is allowed.
    let fields = "[oauth2]\nfields = [{ name = \"site\", display_name = \"Site\", format = \"dns_label\" }]";
    let token_url = format!("token_url = \"{}\"", provider.text("token_endpoint").replace("127.0.0.1", "localhost"));
    let open = file.replace("[oauth2]", fields).replace(&token_url, "token_url = \"http://{site}.corp/token\"");
    assert!(open.contains("{site}"), "{open}");
    assert!(!is_taken(&open, &[&host, "sample.corp"]));
}
