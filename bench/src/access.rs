//! Requests with one key of a running server: of a project, or of the organisation.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::load::{Connection, request};

const API: &str = "/api/v3.1";
/// Header of a project's key.
const PROJECT: &str = "x-api-key";
/// Header of the organisation's key.
const ORGANIZATION: &str = "x-org-api-key";

/// A key, and the server that accepts it.
#[derive(Clone, Debug)]
pub struct Access {
    address: SocketAddr,
    header: &'static str,
    key: Arc<str>,
}

impl Access {
    /// With the key of a project.
    pub fn project(address: SocketAddr, key: &str) -> Self {
        Self { address, header: PROJECT, key: key.into() }
    }

    /// With the key of the organisation.
    pub fn organization(address: SocketAddr, key: &str) -> Self {
        Self { address, header: ORGANIZATION, key: key.into() }
    }

    /// The same key at another address.
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of a request to any operation; `null` for no body.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [(self.header, &*self.key), ("content-type", "application/json")];
        request(method, &format!("{API}{path}"), self.address, &headers, &text)
    }

    /// Sends a request and returns its JSON response. An error if the status is not 2xx.
    pub async fn exchange(&self, connection: &mut Connection, method: &str, path: &str, body: &Value) -> Result<Value> {
        json_over(connection, &self.request(method, path, body)).await
    }

    /// The same on a new connection.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.exchange(&mut Connection::open(self.address).await?, method, path, body).await
    }
}

/// Sends a prepared request and returns its JSON response. An error if the status is not 2xx.
pub async fn json_over(connection: &mut Connection, request: &[u8]) -> Result<Value> {
    let answer = connection.exchange(request).await?;
    if !(200..300).contains(&answer.status) {
        bail!("the server answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    serde_json::from_slice(answer.body).context("the server's answer is not JSON")
}

/// A text in a response.
pub fn text_at(answer: &Value, name: &str) -> Result<String> {
    answer[name].as_str().map(ToOwned::to_owned).with_context(|| format!("the server's answer has no {name}"))
}
