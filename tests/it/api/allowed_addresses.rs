//! A key with allowed addresses opens nothing from elsewhere (R61).

use std::net::SocketAddr;
use std::sync::Arc;

use switchboard::api;
use switchboard::app::keys::KeyScope;
use tokio::net::TcpListener;

use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

/// A listener of the same application that knows where its connections come from; its address.
async fn listener_with_addresses(server: &TestServer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api::router(&Arc::clone(&server.app)).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn toolkits(server: &TestServer, address: SocketAddr, key: &str) -> Reply {
    let host = server.url.strip_prefix("http://").unwrap();
    let headers = [("x-api-key", key), ("host", host)];
    Http::new().send("GET", &format!("http://{address}/api/v3.1/toolkits"), &headers, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_from_its_own_addresses_only() {
    let server = TestServer::start().await;
    let address = listener_with_addresses(&server).await;
    toolkits(&server, address, &server.api.key).await.expect(200);
    for (networks, admitted) in [
        (&["127.0.0.1"][..], true),
        (&["10.0.0.0/8", "127.0.0.0/8"], true),
        (&["10.0.0.0/8"], false),
        (&["::1"], false),
    ] {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        let key = server.scoped_key(&KeyScope { permissions: None, allowed_ips: Some(networks) }).await;
        let reply = toolkits(&server, address, &key).await;
        if admitted {
            reply.expect(200);
        } else {
            let error = reply.expect_error(403, "HTTP_Forbidden");
            assert_eq!(error["message"], "This API key may not be used from this address");
        }
    }
}
