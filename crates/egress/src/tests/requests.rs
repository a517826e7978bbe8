//! What is sent, and what is not.

use bytes::Bytes;
use http::{Method, Request};

use super::server::{Reply, Server};
use super::{get, local_egress, send};
use crate::{Destination, Egress, EgressConfig, EgressError, Limits};

#[tokio::test]
async fn a_request_arrives_as_built_with_our_own_headers_corrected() {
    let server = Server::ok().await;
    let request = Request::post(server.url("/v1/a%2Fb?q=1"))
        .header("authorization", "Bearer s3cret")
        .header("x-custom", "kept")
        .header("host", "evil.test")
        .header("content-length", "1")
        .header("transfer-encoding", "chunked")
        .header("connection", "close, x-named")
        .header("x-named", "dropped")
        .header("te", "trailers")
        .header("upgrade", "websocket")
        .header("expect", "100-continue")
        .header("proxy-authorization", "Basic eA==")
        .header("referer", "https://x.test/?access_token=s3cret")
        .header("accept-encoding", "gzip, br")
        .body(Bytes::from_static(b"{\"a\":1}"))
        .unwrap();
    let answer = send(&local_egress(), request, &Limits::default()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"ok".as_slice()));

    let seen = server.requests().remove(0);
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "post /v1/a%2fb?q=1 http/1.1");
    lines.sort_unstable();
    let host = format!("host: 127.0.0.1:{}", server.port);
    let expected =
        ["accept-encoding: identity", "authorization: bearer s3cret", "content-length: 7", &host, "x-custom: kept"];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn an_empty_post_says_so() {
    let server = Server::ok().await;
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let request = Request::builder().method(method).uri(server.url("/")).body(Bytes::new()).unwrap();
        send(&local_egress(), request, &Limits::default()).await.unwrap();
    }
    assert!(server.requests().iter().all(|request| request.contains("\r\ncontent-length: 0\r\n")));
}

#[tokio::test]
async fn a_redirect_is_returned_and_the_credential_goes_nowhere_else() {
    let other = Server::ok().await;
    for status in [301, 302, 303, 307, 308] {
        let location = other.url("/steal");
        let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::start(vec![Reply::Keep(head.into_bytes())]).await;
        let request = Request::post(server.url("/"))
            .header("x-api-key", "s3cret")
            .body(Bytes::from_static(b"client_secret=s3cret"))
            .unwrap();
        let answer = send(&local_egress(), request, &Limits::default()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["location"], location);
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn this_machine_is_out_of_reach_by_default() {
    let server = Server::ok().await;
    let egress = Egress::new(EgressConfig::default()).unwrap();
    let https = format!("https://127.0.0.1:{}/", server.port);
    for url in [server.url("/"), https, format!("https://localhost:{}/", server.port)] {
        let error = send(&egress, get(&url), &Limits::default()).await.unwrap_err();
        assert_eq!(error, EgressError::AddressDenied, "{url}");
        assert!(!error.may_have_arrived());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_allow_rule_opens_exactly_what_it_names() {
    let server = Server::ok().await;
    let allow = |rule: &str| {
        Egress::new(EgressConfig { allow: vec![rule.parse().unwrap()], ..EgressConfig::default() }).unwrap()
    };
    for rule in ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0"] {
        let answer = send(&allow(rule), get(&server.url("/")), &Limits::default()).await;
        assert_eq!(answer.unwrap().status(), 200, "{rule}");
    }
    for rule in ["127.0.0.2", "127.0.0.2/31", "10.0.0.0/8", "::1", "::ffff:127.0.0.1", "localhost"] {
        let answer = send(&allow(rule), get(&server.url("/")), &Limits::default()).await;
        assert_eq!(answer.unwrap_err(), EgressError::AddressDenied, "{rule}");
    }
}

#[tokio::test]
async fn only_the_destination_is_called() {
    let (server, other) = (Server::ok().await, Server::ok().await);
    let to = Destination::new([format!("127.0.0.1:{}", server.port)]).unwrap();
    let egress = local_egress();
    for url in [other.url("/"), server.url("/").replace("127.0.0.1", "127.0.0.2"), "https://evil.test/".to_owned()] {
        let error = egress.send(&to, get(&url), &Limits::default()).await.unwrap_err();
        assert_eq!(error, EgressError::HostNotAllowed, "{url}");
    }
    let nowhere = Destination::new(Vec::<String>::new()).unwrap();
    let error = egress.send(&nowhere, get(&server.url("/")), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::HostNotAllowed);
    assert_eq!(server.connections() + other.connections(), 0);
}

#[tokio::test]
async fn requests_that_cannot_be_sent() {
    let server = Server::ok().await;
    let to = Destination::new([format!("127.0.0.1:{}", server.port), "a.test".to_owned()]).unwrap();
    let egress = local_egress();
    for method in [Method::CONNECT, Method::TRACE, Method::OPTIONS, Method::from_bytes(b"SPY").unwrap()] {
        let request = Request::builder().method(method).uri(server.url("/")).body(Bytes::new()).unwrap();
        let error = egress.send(&to, request, &Limits::default()).await.unwrap_err();
        assert_eq!(error, EgressError::InvalidRequest { reason: "the method is not supported" });
    }
    let error = egress.send(&to, get("/relative"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::InvalidRequest { reason: "the uri is not an absolute url" });
    let with_user = server.url("/").replace("//", "//user:pw@");
    let error = egress.send(&to, get(&with_user), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::EndpointNotAllowed { reason: "user information" });
    let error = egress.send(&to, get("ftp://a.test/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::HostNotAllowed);
    assert_eq!(server.connections(), 0);
}

/// Lists every error, so that a new one must be added here.
#[test]
fn may_have_arrived_for_every_error() {
    let certain = [
        EgressError::EndpointNotAllowed { reason: "r" },
        EgressError::HostNotAllowed,
        EgressError::AddressDenied,
        EgressError::InvalidRequest { reason: "r" },
        EgressError::Dns,
        EgressError::Connect,
        EgressError::Tls,
        EgressError::Timeout { sent: false },
    ];
    assert!(certain.iter().all(|error| !error.may_have_arrived()));
    let doubtful = [
        EgressError::Timeout { sent: true },
        EgressError::Interrupted,
        EgressError::TooLarge { limit: 1 },
        EgressError::UnsupportedEncoding,
        EgressError::InvalidResponse,
    ];
    assert!(doubtful.iter().all(EgressError::may_have_arrived));
}
