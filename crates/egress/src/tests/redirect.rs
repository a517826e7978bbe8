//! All hosts redirected to one address of this machine.

use std::net::SocketAddr;

use super::server::Server;
use super::{get, send};
use crate::{Destination, Egress, EgressConfig, EgressError, Limits};

fn redirected(server: &Server) -> Egress {
    let redirect_all_to = Some(SocketAddr::from(([127, 0, 0, 1], server.port)));
    Egress::new(EgressConfig { redirect_all_to, ..EgressConfig::default() }).unwrap()
}

#[tokio::test]
async fn every_connection_is_redirected_and_keeps_its_host_header() {
    let server = Server::ok().await;
    let egress = redirected(&server);
    for url in ["https://login.no-such-host.example/token", "https://api.no-such-host.example:8443/me?a=b"] {
        assert_eq!(send(&egress, get(url), &Limits::default()).await.unwrap().body().as_ref(), b"ok");
    }
    let requests = server.requests();
    assert!(requests[0].starts_with("get /token http/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains("host: login.no-such-host.example\r\n"), "{requests:?}");
    assert!(requests[1].starts_with("get /me?a=b http/1.1\r\n"), "{requests:?}");
    assert!(requests[1].contains("host: api.no-such-host.example:8443\r\n"), "{requests:?}");
}

#[tokio::test]
async fn other_hosts_are_still_refused() {
    let server = Server::ok().await;
    let to = Destination::new(["api.no-such-host.example"]).unwrap();
    let refused = redirected(&server).send(&to, get("https://other.example/"), &Limits::default()).await.unwrap_err();
    assert_eq!(refused, EgressError::HostNotAllowed);
    assert_eq!(server.connections(), 0);
}
