//! A provider that stops where a test wants it to: before a connection is there, in a request, in an answer. It counts
//! the requests that reached it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::api::help::keyed;

/// Where it stops.
#[derive(Clone, Debug)]
pub enum Stop {
    /// When it has the head of the request: it reads no more.
    AfterHead,
    /// After these bytes, which are the beginning of an answer.
    InAnswer(Vec<u8>),
}

/// Where it stops, and who is told.
type Stopping = (Stop, oneshot::Sender<()>);

/// The provider. It closes every connection after one answer.
#[derive(Clone)]
pub struct Stalling {
    pub host: String,
    answer: Vec<u8>,
    requests: Arc<Mutex<usize>>,
    stop: Arc<Mutex<Option<Stopping>>>,
    /// No connection is accepted without a permit.
    gate: Arc<Semaphore>,
}

/// A time in which no connection is accepted.
pub struct Shut {
    _permit: OwnedSemaphorePermit,
    _connections: [TcpStream; 2],
}

impl Stalling {
    /// Gives this answer until told otherwise. One connection has room that is not accepted, and few bytes that are not
    /// read yet.
    pub fn start(answer: &[u8]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1_024).unwrap();
        socket.set_send_buffer_size(4 * 1_024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(0).unwrap();
        let provider = Self {
            host: listener.local_addr().unwrap().to_string(),
            answer: answer.to_vec(),
            requests: Arc::default(),
            stop: Arc::default(),
            gate: Arc::new(Semaphore::new(1)),
        };
        let accepting = provider.clone();
        tokio::spawn(async move {
            loop {
                drop(accepting.gate.acquire().await.unwrap());
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        provider
    }

    /// A toolkit file for it.
    pub fn toolkit(&self, slug: &str) -> String {
        keyed(slug, &format!("http://{}/base", self.host), &self.host)
    }

    /// The number of requests so far, which begins anew.
    pub fn take(&self) -> usize {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Stops at the next request. The result says when it is there.
    pub fn stop(&self, at: Stop) -> oneshot::Receiver<()> {
        let (told, stopped) = oneshot::channel();
        *self.stop.lock().unwrap() = Some((at, told));
        stopped
    }

    /// Accepts no connection any more until the returned value is dropped: a new one is not established.
    pub async fn shut(&self) -> Shut {
        let permit = Arc::clone(&self.gate).acquire_owned().await.unwrap();
        // It waits for one already; the other one fills its queue.
        let waiting = TcpStream::connect(&self.host).await.unwrap();
        let queued = TcpStream::connect(&self.host).await.unwrap();
        Shut { _permit: permit, _connections: [waiting, queued] }
    }

    /// One connection.
    async fn serve(self, mut stream: TcpStream) {
        let stopped = |told: oneshot::Sender<()>| async {
            let _ = told.send(());
            std::future::pending::<()>().await;
        };
        // A connection without a request is none of the server's.
        if !read_until_head(&mut stream).await {
            return;
        }
        *self.requests.lock().unwrap() += 1;
        let stop = self.stop.lock().unwrap().take();
        match stop {
            None => {}
            Some((Stop::InAnswer(beginning), told)) => {
                stream.write_all(&beginning).await.unwrap();
                stopped(told).await;
            }
            Some((Stop::AfterHead, told)) => stopped(told).await,
        }
        let (mut reading, mut writing) = stream.split();
        // What comes of a body is taken, so that the other end is not reset.
        let _ = writing.write_all(&self.answer).await;
        let _ = writing.shutdown().await;
        let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
    }
}

/// Whether the head of a request came.
async fn read_until_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}
