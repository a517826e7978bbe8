//! The client, as a server sees it while it handles a request: what it can do, and its open stream.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::stream::event;
use crate::{Client, Pending};

/// Why a client cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// It did not declare that it can be asked that, or it is stateless: then the answer of the request asks.
    Unsupported,
    /// It answered with an error, or has gone.
    NoAnswer,
}

/// The client of a request.
#[derive(Debug)]
pub struct Peer {
    /// What is known of it.
    pub client: Client,
    /// Whose questions and answers these are; an answer of another scope is ignored.
    pub(crate) scope: String,
    pub(crate) pending: Arc<Pending>,
    /// None if the client takes no stream.
    pub(crate) events: Option<mpsc::Sender<Bytes>>,
    /// What progress is reported under; none if the client wants no reports.
    pub(crate) progress_token: Option<Value>,
}

impl Peer {
    /// Whether the client wants to know how far its request has come.
    pub fn wants_progress(&self) -> bool {
        self.progress_token.is_some() && self.events.is_some()
    }

    /// Says how far the request has come, of `total`. Nothing happens if the client does not want to know.
    pub async fn progress(&self, progress: u32, total: u32, message: &str) {
        if let Some(token) = &self.progress_token {
            let params = json!({ "progressToken": token, "progress": progress, "total": total, "message": message });
            self.notify("notifications/progress", params).await;
        }
    }

    /// Sends a notification on the request's stream. Nothing happens if the client takes no stream, or has gone.
    pub async fn notify(&self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Asks a client with a handshake, and waits for its answer. The caller says for how long. `id` has to be
    /// unguessable.
    ///
    /// # Errors
    /// The client cannot be asked that, or does not answer.
    pub async fn ask(&self, id: String, method: &str, params: Value) -> Result<Value, AskError> {
        let cannot = self.client.revision.is_stateless() || self.client.can(method, &params).is_err();
        if cannot || self.events.is_none() {
            return Err(AskError::Unsupported);
        }
        let question = self.pending.add(&self.scope, id.clone()).ok_or(AskError::NoAnswer)?;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        question.answer().await.ok_or(AskError::NoAnswer)
    }

    async fn send(&self, message: &Value) {
        if let Some(events) = &self.events {
            // Without a receiver the client has gone, and the request ends.
            let _ = events.send(event(message.to_string().as_bytes())).await;
        }
    }
}
