//! Names: one look-up per connection, all addresses checked, no other address used.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Reply, Server};
use super::{answers, get, send};
use crate::connect::Lookup;
use crate::{Egress, EgressConfig, EgressError, Limits};

fn allowing(rules: &[&str], lookup: &Lookup) -> Egress {
    let allow = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Egress::with_lookup(EgressConfig { allow, ..EgressConfig::default() }, lookup).unwrap()
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_stays_the_host() {
    let server = Server::ok().await;
    let (lookup, asked) = answers(&[&["127.0.0.1"]]);
    let egress = allowing(&["127.0.0.1"], &lookup);
    let url = format!("http://api.example.test:{}/x", server.port);
    send(&egress, get(&url), &Limits::default()).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["api.example.test"]);
    assert!(server.requests()[0].contains(&format!("host: api.example.test:{}", server.port)));
}

#[tokio::test]
async fn one_denied_address_refuses_the_whole_result() {
    let server = Server::ok().await;
    let port = server.port;
    for answer in [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1"]] {
        let (lookup, _) = answers(&[&answer]);
        let egress = allowing(&["127.0.0.1"], &lookup);
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://api.example.test:{port}/");
            let error = send(&egress, get(&url), &Limits::default()).await.unwrap_err();
            assert_eq!(error, EgressError::AddressDenied, "{answer:?}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_rebound_name_is_refused_on_the_next_connection() {
    let once = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let server = Server::start(vec![Reply::Close(once)]).await;
    let (lookup, asked) = answers(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = allowing(&["127.0.0.1"], &lookup);
    let url = format!("http://rebind.example.test:{}/", server.port);
    send(&egress, get(&url), &Limits::default()).await.unwrap();
    let error = send(&egress, get(&url), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::AddressDenied);
    assert_eq!((asked.lock().unwrap().len(), server.connections()), (2, 1));
}

#[tokio::test]
async fn names_of_private_addresses_are_denied_whatever_the_port() {
    for address in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fe80::1", "64:ff9b::a00:1"] {
        let (lookup, _) = answers(&[&[address]]);
        let egress = allowing(&[], &lookup);
        for port in [443, 1, 8080] {
            let url = format!("https://api.example.test:{port}/");
            let error = send(&egress, get(&url), &Limits::default()).await.unwrap_err();
            assert_eq!(error, EgressError::AddressDenied, "{address}");
        }
    }
}

#[tokio::test]
async fn plain_http_needs_an_exception() {
    let https_required = EgressError::EndpointNotAllowed { reason: "https is required" };
    // Without an exception there is no look-up.
    let (lookup, asked) = answers(&[&["8.8.8.8"]]);
    let error = send(&allowing(&[], &lookup), get("http://api.example.test/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, https_required);
    let error = send(&allowing(&[], &lookup), get("http://8.8.8.8/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, https_required);
    assert!(asked.lock().unwrap().is_empty());
    // With an exception, a public address is still refused.
    let error = send(&allowing(&["10.0.0.0/8"], &lookup), get("http://api.example.test/"), &Limits::default())
        .await
        .unwrap_err();
    assert_eq!(error, https_required);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_host_rule_vouches_for_that_name_only() {
    let server = Server::ok().await;
    let (lookup, _) = answers(&[&["127.0.0.1"]]);
    let egress = allowing(&["Internal.corp"], &lookup);
    let url = |host: &str| format!("http://{host}:{}/", server.port);
    assert_eq!(send(&egress, get(&url("internal.corp")), &Limits::default()).await.unwrap().status(), 200);
    for host in ["x.internal.corp", "internal.corp.test", "127.0.0.1", "localhost"] {
        assert!(send(&egress, get(&url(host)), &Limits::default()).await.is_err(), "{host}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_dns_says() {
    let (lookup, asked) = answers(&[&["8.8.8.8"]]);
    for host in ["localhost", "LOCALHOST", "a.localhost"] {
        let url = format!("https://{host}/");
        let error = send(&allowing(&["10.0.0.0/8"], &lookup), get(&url), &Limits::default()).await.unwrap_err();
        assert_eq!(error, EgressError::AddressDenied, "{host}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    for script in [&[][..], &[&[][..]][..]] {
        let (lookup, _) = answers(script);
        let error =
            send(&allowing(&[], &lookup), get("https://nx.example.test/"), &Limits::default()).await.unwrap_err();
        assert_eq!(error, EgressError::Dns);
    }
}

/// A temporary DNS failure is looked up again by the next connection.
#[tokio::test]
async fn a_name_that_was_not_found_is_looked_up_again() {
    let server = Server::ok().await;
    let (lookup, asked) = answers(&[&[], &["127.0.0.1"]]);
    let egress = allowing(&["127.0.0.1"], &lookup);
    let url = format!("http://api.example.test:{}/", server.port);
    assert_eq!(send(&egress, get(&url), &Limits::default()).await.unwrap_err(), EgressError::Dns);
    assert_eq!(send(&egress, get(&url), &Limits::default()).await.unwrap().status(), 200);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

/// Too many queued names of a domain say nothing about the name itself.
#[tokio::test]
async fn a_refused_look_up_counts_as_timed_out() {
    let lookup: Lookup = Arc::new(|_| Box::pin(std::future::ready(Err(std::io::ErrorKind::TimedOut.into()))));
    let error = send(&allowing(&[], &lookup), get("https://slow.example.test/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
}

#[tokio::test]
async fn a_silent_name_server_costs_the_connect_time_or_the_total() {
    let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let brief = Duration::from_millis(50);
    let config = EgressConfig { connect_timeout: brief, ..EgressConfig::default() };
    let egress = Egress::with_lookup(config, &lookup).unwrap();
    let error = send(&egress, get("https://slow.example.test/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
    let total = Limits { total: brief, ..Limits::default() };
    let error = send(&allowing(&[], &lookup), get("https://slow.example.test/"), &total).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
}
