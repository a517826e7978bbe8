//! Errors of the protocol (JSON-RPC 2.0 section 5.1 and those of MCP).

use http::StatusCode;
use serde_json::{Value, json};

use crate::Revision;

/// Why a request has no result.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Code of the error.
    pub code: i64,
    /// For people.
    pub message: String,
    /// More, for programs.
    pub data: Option<Value>,
    /// HTTP status for a stateless client. Others get 200, except for a message that cannot be read.
    pub(crate) status: StatusCode,
}

impl Failure {
    const fn new(code: i64, message: String, status: StatusCode) -> Self {
        Self { code, message, data: None, status }
    }

    /// The body is no JSON: -32700.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(-32_700, message.into(), StatusCode::BAD_REQUEST)
    }

    /// The message is none of JSON-RPC: -32600.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32_600, message.into(), StatusCode::BAD_REQUEST)
    }

    /// There is no such method: -32601.
    pub fn unknown_method(method: &str) -> Self {
        let name: String = method.chars().take(100).collect();
        Self::new(-32_601, format!("Method not found: {name}"), StatusCode::NOT_FOUND)
    }

    /// The parameters are wrong: -32602.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32_602, message.into(), StatusCode::OK)
    }

    /// `_meta` lacks what every stateless request has: -32602.
    pub(crate) fn lacks_meta(key: &str) -> Self {
        let message = format!("params._meta lacks {key}, which every request of this revision has");
        Self::new(-32_602, message, StatusCode::BAD_REQUEST)
    }

    /// The server cannot do it: -32603.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(-32_603, message.into(), StatusCode::OK)
    }

    /// A header and the body differ: -32020.
    pub(crate) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(-32_020, message.into(), StatusCode::BAD_REQUEST)
    }

    /// The client does not say that it has a capability that is needed: -32021. `capability` is one of
    /// `ClientCapabilities`.
    pub fn needs_capability(capability: &str) -> Self {
        let message = format!("The client has to declare the capability {capability} for this request");
        let mut failure = Self::new(-32_021, message, StatusCode::BAD_REQUEST);
        failure.data = Some(json!({ "requiredCapabilities": { capability: {} } }));
        failure
    }

    /// The revision is not served: -32022.
    pub(crate) fn unsupported_version(requested: &str) -> Self {
        let supported: Vec<_> = Revision::ALL.iter().map(|revision| revision.as_str()).collect();
        let message = format!("Unsupported protocol version; supported are {}", supported.join(", "));
        let requested: String = requested.chars().take(100).collect();
        let mut failure = Self::new(-32_022, message, StatusCode::BAD_REQUEST);
        failure.data = Some(json!({ "supported": supported, "requested": requested }));
        failure
    }

    /// An error of the server's own, with a code outside of -32768 to -32000, or one that a revision defines.
    pub fn custom(code: i64, message: impl Into<String>, data: Value) -> Self {
        Self { data: Some(data), ..Self::new(code, message.into(), StatusCode::OK) }
    }

    /// The same with data.
    #[must_use]
    pub fn with_data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The response to the request with an id.
    pub(crate) fn to_response(&self, id: &Value) -> Vec<u8> {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into_bytes()
    }
}
