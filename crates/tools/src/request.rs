//! The request of a tool, without a credential.

use http::{HeaderMap, Method};
use serde_json::Map;
use switchboard_catalog::{Tool, ToolMethod};

use crate::body::{ToolBody, body};
use crate::place::{Placed, place};
use crate::{Arguments, Files, Mistake};

/// A request below the toolkit's base URL.
#[derive(Clone, Debug)]
pub struct ToolRequest {
    /// The method.
    pub method: Method,
    /// The path below the base URL, or a whole URL.
    pub endpoint: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// Headers of the tool and of arguments.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<ToolBody>,
}

/// Builds the request of a call.
///
/// # Errors
/// An argument cannot be written where it goes.
pub fn build(tool: &Tool, arguments: &Arguments, files: &Files) -> Result<ToolRequest, Mistake> {
    let arguments: &Map<_, _> = arguments;
    let Placed { path, query, headers, body: placed } = place(tool, arguments, files)?;
    let body = body(tool, placed, arguments, files)?;
    Ok(ToolRequest { method: method(tool.method), endpoint: path, query, headers, body })
}

fn method(method: ToolMethod) -> Method {
    match method {
        ToolMethod::Get => Method::GET,
        ToolMethod::Post => Method::POST,
        ToolMethod::Put => Method::PUT,
        ToolMethod::Patch => Method::PATCH,
        ToolMethod::Delete => Method::DELETE,
    }
}
