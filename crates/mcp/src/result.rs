//! Results of requests.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::server::{Cache, Implementation};
use crate::{Client, Failure};

/// Key of the server's name in `_meta`.
const SERVER: &str = "io.modelcontextprotocol/serverInfo";

/// What a request leads to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Complete {
        /// A JSON object, which is passed on as it is.
        result: Box<RawValue>,
        /// More of `_meta`.
        meta: Map<String, Value>,
    },
    /// Its client has to ask first, and to repeat it with the answers. Only for stateless clients.
    InputRequired {
        /// By id: `{method, params}`.
        requests: Map<String, Value>,
        /// Comes back with the answers.
        state: Option<String>,
    },
}

impl Outcome {
    /// A result from an object.
    pub fn of(result: &Value) -> Self {
        // An object of JSON values can always be written.
        let result = serde_json::value::to_raw_value(result).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self::Complete { result, meta: Map::new() }
    }
}

/// What is added to the results for a client.
pub(crate) struct Frame<'a> {
    pub client: &'a Client,
    pub server: &'a Implementation,
    /// None for results that are not kept.
    pub cache: Option<Cache>,
}

impl Frame<'_> {
    /// The response to the request with an id.
    pub(crate) fn response(&self, id: &Value, outcome: Result<Outcome, Failure>) -> (http::StatusCode, Vec<u8>) {
        match outcome.and_then(|outcome| self.result(outcome)) {
            Ok(result) => {
                let mut body = Vec::with_capacity(result.len() + 64);
                body.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                body.extend_from_slice(id.to_string().as_bytes());
                body.extend_from_slice(br#","result":"#);
                body.extend_from_slice(result.as_bytes());
                body.push(b'}');
                (http::StatusCode::OK, body)
            }
            Err(failure) => {
                let is_stateless = self.client.revision.is_stateless();
                let status = if is_stateless { failure.status } else { http::StatusCode::OK };
                (status, failure.to_response(id))
            }
        }
    }

    fn result(&self, outcome: Outcome) -> Result<String, Failure> {
        let is_stateless = self.client.revision.is_stateless();
        match outcome {
            Outcome::Complete { result, mut meta } => {
                let mut added = Map::new();
                if is_stateless {
                    meta.insert(SERVER.to_owned(), self.server.to_json());
                    added.insert("resultType".to_owned(), "complete".into());
                    if let Some(Cache { ttl_ms, is_private }) = self.cache {
                        added.insert("ttlMs".to_owned(), ttl_ms.into());
                        let scope = if is_private { "private" } else { "public" };
                        added.insert("cacheScope".to_owned(), scope.into());
                    }
                }
                if !meta.is_empty() {
                    added.insert("_meta".to_owned(), meta.into());
                }
                extended(result.get(), &added)
            }
            Outcome::InputRequired { requests, state } => {
                if !is_stateless {
                    return Err(Failure::internal("the client cannot be asked this way"));
                }
                self.check_requests(&requests)?;
                let mut result = json!({ "resultType": "input_required", "_meta": { SERVER: self.server.to_json() } });
                if !requests.is_empty() {
                    result["inputRequests"] = requests.into();
                }
                if let Some(state) = state {
                    result["requestState"] = state.into();
                }
                Ok(result.to_string())
            }
        }
    }

    /// A client is never asked what it did not declare.
    fn check_requests(&self, requests: &Map<String, Value>) -> Result<(), Failure> {
        for request in requests.values() {
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            let params = request.get("params").unwrap_or(&Value::Null);
            self.client.can(method, params).map_err(Failure::needs_capability)?;
        }
        Ok(())
    }
}

/// A JSON object with more members.
fn extended(object: &str, added: &Map<String, Value>) -> Result<String, Failure> {
    if added.is_empty() {
        return Ok(object.to_owned());
    }
    let members = object.trim_end().strip_suffix('}');
    let members = members.filter(|members| members.starts_with('{'));
    let members = members.ok_or_else(|| Failure::internal("the result is no object"))?.trim_end();
    let added = Value::Object(added.clone()).to_string();
    let comma = if members.len() == 1 { "" } else { "," };
    Ok(format!("{members}{comma}{}", &added[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_to_objects() {
        let added = json!({ "a": 1 }).as_object().cloned().unwrap_or_default();
        assert_eq!(extended("{}", &added).ok().as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(extended(r#"{"b":[2]} "#, &added).ok().as_deref(), Some(r#"{"b":[2],"a":1}"#));
        assert!(extended("null", &added).is_err());
    }
}
