//! A key with allowed addresses opens nothing from elsewhere (R61).

use switchboard::app::project::keys::KeyScope;

use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

async fn toolkits(server: &TestServer, key: &str) -> Reply {
    Http::new().send("GET", &format!("{}/api/v3.1/toolkits", server.url), &[("x-api-key", key)], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_from_its_own_addresses_only() {
    let server = TestServer::start().await;
    toolkits(&server, &server.api.key).await.expect(200);
    for (networks, admitted) in [
        (&["127.0.0.1"][..], true),
        (&["10.0.0.0/8", "127.0.0.0/8"], true),
        (&["10.0.0.0/8"], false),
        (&["::1"], false),
    ] {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        let key = server.scoped_key(&KeyScope { allowed_ips: Some(networks), ..KeyScope::default() }).await;
        let reply = toolkits(&server, &key).await;
        if admitted {
            reply.expect(200);
        } else {
            let error = reply.expect_error(403, "HTTP_Forbidden");
            assert_eq!(error["message"], "This API key may not be used from this address");
        }
    }
}
