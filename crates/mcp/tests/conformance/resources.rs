//! Resources that the suite reads by URI.

use serde_json::{Value, json};
use switchboard_mcp::{Failure, Outcome, Peer};

use crate::tools::PNG;

pub fn list() -> Value {
    let resource = |name: &str, kind: &str| json!({ "uri": format!("test://{name}"), "name": name, "description": name, "mimeType": kind });
    json!({ "resources": [
        resource("static-binary", "image/png"),
        resource("static-text", "text/plain"),
        resource("watched-resource", "text/plain"),
    ] })
}

pub fn templates() -> Value {
    json!({ "resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "Data of an id",
        "mimeType": "application/json",
    }] })
}

pub fn read(uri: &str, peer: &Peer) -> Result<Outcome, Failure> {
    let of_template = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let content = match (uri, of_template) {
        (_, Some(id)) => {
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
        ("test://static-text", _) => {
            let text = "This is the content of the static text resource.";
            json!({ "uri": uri, "mimeType": "text/plain", "text": text })
        }
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        ("test://watched-resource", _) => json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched." }),
        _ => {
            let code = if peer.client.revision.is_stateless() { -32_602 } else { -32_002 };
            return Err(Failure::custom(code, "Resource not found", json!({ "uri": uri })));
        }
    };
    Ok(Outcome::of(&json!({ "contents": [content] })))
}
