//! A slow disk delays the requests that need the file, and no others.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::connected::Connected;
use crate::support::providers::Provider;

/// Once a pipe is being read, asks the server whether it lives, and closes the pipe whatever the answer: the
/// first line of it. On a thread of its own, since timers stand still with the thread that serves.
fn asks_while_the_disk_is_slow(pipe: PathBuf, authority: String) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let _disk = OpenOptions::new().write(true).open(&pipe).unwrap();
        let mut server = TcpStream::connect(&authority).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(server, "GET /livez HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap_or_else(|error| panic!("the server stands still: {error}"));
        answer.lines().next().unwrap_or_default().to_owned()
    })
}

/// The one thread that serves would stand still with the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_spool_file_delays_only_its_account() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    let app = &connected.server.app;
    let row = app
        .core
        .store
        .account(&connected.server.project_id, &connected.account.as_str().into())
        .await
        .unwrap()
        .unwrap();
    std::fs::create_dir_all(app.spool.folder()).unwrap();
    // Reading a pipe blocks until a writer writes into it or closes it.
    let file = app.spool.folder().join(format!("{}-{}.json", row.id, row.refresh_fence));
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    connected.expire();
    let authority = connected.server.url.strip_prefix("http://").unwrap().to_owned();
    let asks = asks_while_the_disk_is_slow(file.clone(), authority);
    assert_eq!(connected.call().await, 503, "what the file holds cannot be used");
    assert_eq!(asks.join().expect("the server was asked"), "HTTP/1.1 200 OK");
    assert_eq!(provider.grants("refresh_token").await, 0, "the old token was not sent meanwhile");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(connected.call().await, 200);
}
