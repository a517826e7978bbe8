//! Connections are reused; requests are not repeated.

use super::server::{Reply, Server};
use super::{get, local_egress, send};
use crate::{EgressError, Limits};

fn ok() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()
}

/// Lets the runtime poll its sockets, so that it notices a close by the peer.
async fn poll_sockets() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(vec![Reply::Keep(ok())]).await;
    let egress = local_egress();
    for _ in 0..5 {
        send(&egress.clone(), get(&server.url("/")), &Limits::default()).await.unwrap();
        poll_sockets().await;
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runtimes_do_not_share_connections() {
    let server = Server::start(vec![Reply::Keep(ok())]).await;
    let (egress, url) = (local_egress(), server.url("/"));
    send(&egress, get(&url), &Limits::default()).await.unwrap();
    poll_sockets().await;
    let (other, there) = (egress.clone(), url.clone());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            send(&other, get(&there), &Limits::default()).await.unwrap();
        });
    });
    thread.join().unwrap();
    assert_eq!(server.connections(), 2);
    send(&egress, get(&url), &Limits::default()).await.unwrap();
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced() {
    let server = Server::start(vec![Reply::Close(ok())]).await;
    let egress = local_egress();
    for _ in 0..5 {
        send(&egress, get(&server.url("/")), &Limits::default()).await.unwrap();
        poll_sockets().await;
    }
    assert_eq!((server.connections(), server.requests().len()), (5, 5));
}

#[tokio::test]
async fn a_request_that_was_received_is_never_sent_again() {
    // The second request arrives on the pooled connection, which then closes without a response.
    let server = Server::start(vec![Reply::Keep(ok()), Reply::Close(Vec::new()), Reply::Keep(ok())]).await;
    let egress = local_egress();
    send(&egress, get(&server.url("/first")), &Limits::default()).await.unwrap();
    poll_sockets().await;
    let error = send(&egress, get(&server.url("/second")), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::Interrupted);
    poll_sockets().await;
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_connection_left_in_the_middle_of_a_body_is_not_used_again() {
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let server = Server::start(vec![Reply::Hang(long), Reply::Keep(ok())]).await;
    let egress = local_egress();
    let small = Limits { max_body: 10, ..Limits::default() };
    let error = send(&egress, get(&server.url("/")), &small).await.unwrap_err();
    assert_eq!(error, EgressError::TooLarge { limit: 10 });
    let answer = send(&egress, get(&server.url("/")), &small).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"ok");
    assert_eq!(server.connections(), 2);
}
