//! A server that sends arbitrary bytes and records what it received.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does on receiving a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Sends this and keeps the connection.
    Keep(Vec<u8>),
    /// Sends this and closes.
    Close(Vec<u8>),
    /// Sends this and then nothing more, leaving the connection open.
    Hang(Vec<u8>),
    /// Sends the first part, then repeats the second while it is read.
    Endless(Vec<u8>, Vec<u8>),
    /// The same, slowly.
    Trickle(Vec<u8>, Vec<u8>),
}

/// A server on a free port of 127.0.0.1.
pub(super) struct Server {
    pub(super) port: u16,
    connections: Arc<Mutex<usize>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers requests with the replies in order; the last one repeats.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(Mutex::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { port, connections: Arc::clone(&connections), requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, replies.clone(), Arc::clone(&requests)));
            }
        });
        server
    }

    /// A server that always sends 200 and `ok`.
    pub(super) async fn ok() -> Self {
        Self::start(vec![Reply::Keep(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())]).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Every request received: head in lower case, then body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, replies: Vec<Reply>, requests: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let turn = {
            let mut requests = requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let (first, repeated, pause) = match replies[turn.min(replies.len() - 1)].clone() {
            Reply::Keep(bytes) => {
                let _ = stream.write_all(&bytes).await;
                continue;
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the client gives up.
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Reply::Endless(first, repeated) => (first, repeated, 0),
            Reply::Trickle(first, repeated) => (first, repeated, 10),
        };
        let _ = stream.write_all(&first).await;
        while stream.write_all(&repeated).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        return;
    }
}

/// The next request on a connection, or `None` when it ends.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
