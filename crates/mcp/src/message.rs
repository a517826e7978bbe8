//! Messages of JSON-RPC 2.0.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Failure;

/// Maximum number of messages in a batch.
const MAX_BATCH: usize = 50;

/// A message from a client.
#[derive(Debug)]
pub(crate) enum Message {
    /// Wants a response.
    Request { id: Value, method: String, params: Map<String, Value> },
    /// Wants none.
    Notification,
    /// The answer to a request of ours: its result, or none for an error.
    Response { id: String, result: Option<Value> },
}

/// The body of a request.
pub(crate) enum Body {
    /// One message.
    One(Message),
    /// Several, of which some may be invalid.
    Batch(Vec<Result<Message, (Value, Failure)>>),
}

#[derive(Deserialize)]
struct Fields {
    jsonrpc: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: Option<Value>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
}

/// `null` is a value, too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a body. A failure comes with the id of its request, which is null if there is none.
pub(crate) fn read(body: &[u8]) -> Result<Body, (Value, Failure)> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| (Value::Null, Failure::unreadable(format!("The body is no JSON: {error}"))))?;
    match value {
        Value::Array(messages) if messages.is_empty() || messages.len() > MAX_BATCH => {
            let message = format!("A batch has 1 to {MAX_BATCH} messages");
            Err((Value::Null, Failure::invalid_request(message)))
        }
        Value::Array(messages) => Ok(Body::Batch(messages.into_iter().map(message).collect())),
        value => message(value).map(Body::One),
    }
}

fn message(value: Value) -> Result<Message, (Value, Failure)> {
    let invalid = |id: &Value, text: &str| (id.clone(), Failure::invalid_request(text));
    if !value.is_object() {
        return Err(invalid(&Value::Null, "The body is no JSON-RPC message"));
    }
    let fields =
        Fields::deserialize(value).map_err(|error| (Value::Null, Failure::invalid_request(error.to_string())))?;
    let id = fields.id;
    let known_id = match &id {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    if fields.jsonrpc.as_ref().and_then(Value::as_str) != Some("2.0") {
        return Err(invalid(&known_id, "jsonrpc must be \"2.0\""));
    }
    let Some(method) = fields.method else {
        let Some(Value::String(id)) = id.filter(|_| fields.result.is_some() || fields.error.is_some()) else {
            return Err(invalid(
                &known_id,
                "A message has a method, or it is the response to a request of this server",
            ));
        };
        return Ok(Message::Response { id, result: fields.result });
    };
    let Value::String(method) = method else { return Err(invalid(&known_id, "method must be a string")) };
    let params = match fields.params {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            return Err((known_id, Failure::invalid_params("params must be an object")));
        }
    };
    match id {
        None => Ok(Message::Notification),
        Some(Value::String(_) | Value::Number(_)) => Ok(Message::Request { id: known_id, method, params }),
        Some(_) => Err(invalid(&Value::Null, "id must be a string or a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(body: &str) -> (Value, i64) {
        match read(body.as_bytes()) {
            Err((id, failure)) => (id, failure.code),
            Ok(_) => (Value::Null, 0),
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_id_of_its_request() {
        assert_eq!(failure("{"), (Value::Null, -32_700));
        assert_eq!(failure("[]"), (Value::Null, -32_600));
        assert_eq!(failure("3"), (Value::Null, -32_600));
        assert_eq!(failure(r#"{"jsonrpc":"1.0","id":4,"method":"ping"}"#), (4.into(), -32_600));
        assert_eq!(failure(r#"{"jsonrpc":"2.0","id":4}"#), (4.into(), -32_600));
        assert_eq!(failure(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#), (Value::Null, -32_600));
        assert_eq!(failure(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":[]}"#), ("a".into(), -32_602));
    }

    #[test]
    fn requests_notifications_and_responses_are_told_apart() {
        let one = |body: &str| match read(body.as_bytes()) {
            Ok(Body::One(message)) => format!("{message:?}"),
            _ => String::new(),
        };
        assert!(one(r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#).starts_with("Request"));
        assert!(one(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).starts_with("Notification"));
        assert!(one(r#"{"jsonrpc":"2.0","id":"q","result":{}}"#).starts_with("Response"));
        assert!(one(r#"{"jsonrpc":"2.0","id":"q","error":{"code":1,"message":""}}"#).starts_with("Response"));
    }
}
