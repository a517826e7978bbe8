//! From a POST to the method that it names.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::message::{Body, Message};
use crate::result::Frame;
use crate::stream::{self, Response};
use crate::{Answers, Call, Client, Failure, Outcome, Peer, Request, Revision, Server, client, headers, message};

/// Events of one request that wait for a slow client.
const MAX_WAITING: usize = 64;

/// The response to a POST.
pub async fn respond<S: Server>(server: &Arc<S>, headers: &HeaderMap, body: &Bytes) -> Response {
    if !headers::is_json(headers) {
        let failure = Failure::invalid_request("Content-Type must be application/json");
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Value::Null, &failure);
    }
    if !headers::accepts(headers, "application/json") {
        let failure = Failure::invalid_request("Accept must name application/json and text/event-stream");
        return refusal(StatusCode::NOT_ACCEPTABLE, &Value::Null, &failure);
    }
    match message::read(body) {
        Ok(Body::One(message)) => one(server, headers, message).await,
        Ok(Body::Batch(messages)) => batch(server, headers, messages).await,
        Err((id, failure)) => refusal(StatusCode::BAD_REQUEST, &id, &failure),
    }
}

fn refusal(status: StatusCode, id: &Value, failure: &Failure) -> Response {
    Response::json(status, failure.to_response(id))
}

async fn one<S: Server>(server: &Arc<S>, headers: &HeaderMap, message: Message) -> Response {
    let (id, method, params) = match message {
        Message::Request { id, method, params } => (id, method, params),
        Message::Notification => return Response::accepted(),
        Message::Response { id, result } => {
            server.pending().answer(&server.scope(), &id, result);
            return Response::accepted();
        }
    };
    let known = match client_of(&**server, headers, &method, &params) {
        Ok(known) => known,
        Err((status, failure)) => return refusal(status, &id, &failure),
    };
    if method == "initialize" && !known.revision.is_stateless() {
        return initialize(&**server, &id, &params);
    }
    handle(server, headers, known, (id, method, params)).await
}

/// Several messages, one after the other. Only 2025-03-26 has them.
async fn batch<S: Server>(
    server: &Arc<S>,
    headers: &HeaderMap,
    messages: Vec<Result<Message, (Value, Failure)>>,
) -> Response {
    if headers::value(headers, headers::VERSION).is_some_and(|version| version != Revision::V20250326.as_str()) {
        let failure = Failure::invalid_request("This revision has no batches: send one message");
        return refusal(StatusCode::BAD_REQUEST, &Value::Null, &failure);
    }
    // Nothing can be asked in a batch, because its responses come together.
    let mut plain = headers.clone();
    plain.insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    let mut responses = Vec::new();
    for message in messages {
        let response = match message {
            Ok(message) => Box::pin(one(server, &plain, message)).await,
            Err((id, failure)) => refusal(StatusCode::BAD_REQUEST, &id, &failure),
        };
        if let Response::Whole { body: Some(body), .. } = response {
            responses.push(body);
        }
    }
    if responses.is_empty() {
        return Response::accepted();
    }
    let body = [b"[".as_slice(), &responses.join(b",".as_slice()), b"]"].concat();
    Response::json(StatusCode::OK, body)
}

/// Who sends a request.
fn client_of<S: Server>(
    server: &S,
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
) -> Result<Client, (StatusCode, Failure)> {
    let refuse = |failure: Failure| (failure.status, failure);
    let meta = params.get("_meta").and_then(Value::as_object);
    let version = headers::value(headers, headers::VERSION);
    if let Some(declared) = meta.and_then(|meta| meta.get(client::VERSION)) {
        let declared = declared.as_str().ok_or_else(|| refuse(Failure::lacks_meta(client::VERSION)))?;
        headers::check(headers, declared, method, params).map_err(refuse)?;
        let revision = Revision::parse(declared).filter(|revision| revision.is_stateless());
        let revision = revision.ok_or_else(|| refuse(Failure::unsupported_version(declared)))?;
        return Client::of_meta(meta.unwrap_or(&Map::new()), revision).map_err(refuse);
    }
    if method == "initialize" {
        return Ok(Client::unknown(Revision::NEWEST_HANDSHAKE));
    }
    let revision = match version.map(|version| (version, Revision::parse(version))) {
        None => Revision::V20250326,
        Some((_, Some(revision))) if !revision.is_stateless() => revision,
        Some((_, Some(_))) => return Err(refuse(Failure::lacks_meta(client::VERSION))),
        Some((version, None)) => return Err(refuse(Failure::unsupported_version(version))),
    };
    match headers::value(headers, headers::SESSION) {
        // A client that keeps no session id can do all that needs no question.
        None => Ok(Client::unknown(revision)),
        Some(session) => {
            let token = server.open(session);
            let known = token.and_then(|token| Client::of_token(&token, server.now()));
            known.ok_or_else(|| {
                let failure = Failure::invalid_request("The session has ended: send initialize again");
                (StatusCode::NOT_FOUND, failure)
            })
        }
    }
}

fn initialize<S: Server>(server: &S, id: &Value, params: &Map<String, Value>) -> Response {
    let Some(requested) = params.get("protocolVersion").and_then(Value::as_str) else {
        let failure = Failure::invalid_params("protocolVersion must be a string");
        return refusal(StatusCode::OK, id, &failure);
    };
    let revision = Revision::parse(requested).filter(|revision| !revision.is_stateless());
    let revision = revision.unwrap_or(Revision::NEWEST_HANDSHAKE);
    let client = Client::new(revision, params.get("capabilities").unwrap_or(&Value::Null));
    let mut result = json!({
        "protocolVersion": revision.as_str(),
        "capabilities": server.capabilities(revision),
        "serverInfo": server.implementation().to_json(),
    });
    if let Some(instructions) = server.instructions() {
        result["instructions"] = instructions.into();
    }
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string().into_bytes();
    let session = Some(server.seal(&client.to_token(server.now())));
    Response::Whole { status: StatusCode::OK, session, body: Some(body) }
}

async fn handle<S: Server>(
    server: &Arc<S>,
    headers: &HeaderMap,
    client: Client,
    (id, method, params): (Value, String, Map<String, Value>),
) -> Response {
    let (sender, events) = mpsc::channel(MAX_WAITING);
    let takes_stream = headers::accepts(headers, "text/event-stream");
    let peer = Peer {
        client,
        scope: server.scope(),
        pending: Arc::clone(server.pending()),
        events: takes_stream.then_some(sender),
        progress_token: params.get("_meta").and_then(|meta| meta.get("progressToken")).cloned(),
    };
    let server = Arc::clone(server);
    let handling = Box::pin(async move {
        let implementation = server.implementation();
        let cache = is_kept(&method).then(|| server.cache());
        let outcome = match local(&*server, &peer.client, &method) {
            Some(outcome) => outcome,
            None => match request(method, params) {
                Ok(request) => server.handle(request, &peer).await,
                Err(failure) => Err(failure),
            },
        };
        Frame { client: &peer.client, server: &implementation, cache }.response(&id, outcome)
    });
    stream::respond(handling, events).await
}

/// The methods whose results a client may keep.
fn is_kept(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// What this layer answers by itself.
fn local<S: Server>(server: &S, client: &Client, method: &str) -> Option<Result<Outcome, Failure>> {
    let is_stateless = client.revision.is_stateless();
    match method {
        "server/discover" if is_stateless => {
            let supported: Vec<_> = Revision::ALL.iter().map(|revision| revision.as_str()).collect();
            let mut result =
                json!({ "supportedVersions": supported, "capabilities": server.capabilities(client.revision) });
            if let Some(instructions) = server.instructions() {
                result["instructions"] = instructions.into();
            }
            Some(Ok(Outcome::of(&result)))
        }
        "ping" if !is_stateless => Some(Ok(Outcome::of(&json!({})))),
        "server/discover" | "ping" | "initialize" => Some(Err(Failure::unknown_method(method))),
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if is_stateless => {
            Some(Err(Failure::unknown_method(method)))
        }
        _ => None,
    }
}

/// The request of a method with its parameters.
fn request(method: String, mut params: Map<String, Value>) -> Result<Request, Failure> {
    let cursor = |params: &Map<String, Value>| match params.get("cursor") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(cursor)) => Ok(Some(cursor.clone())),
        Some(_) => Err(Failure::invalid_params("cursor must be a string")),
    };
    Ok(match method.as_str() {
        "tools/list" => Request::ListTools { cursor: cursor(&params)? },
        "prompts/list" => Request::ListPrompts { cursor: cursor(&params)? },
        "resources/list" => Request::ListResources { cursor: cursor(&params)? },
        "resources/templates/list" => Request::ListResourceTemplates { cursor: cursor(&params)? },
        "tools/call" => Request::CallTool(call(params)?),
        "prompts/get" => Request::GetPrompt(call(params)?),
        "resources/read" => Request::ReadResource { uri: text(&mut params, "uri")?, answers: answers(&mut params)? },
        _ => Request::Other { method, params },
    })
}

fn call(mut params: Map<String, Value>) -> Result<Call, Failure> {
    Ok(Call {
        name: text(&mut params, "name")?,
        answers: answers(&mut params)?,
        arguments: params.remove("arguments"),
        meta: match params.remove("_meta") {
            Some(Value::Object(meta)) => meta,
            _ => Map::new(),
        },
    })
}

fn answers(params: &mut Map<String, Value>) -> Result<Answers, Failure> {
    let responses = match params.remove("inputResponses") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(responses)) => responses,
        Some(_) => return Err(Failure::invalid_params("inputResponses must be an object")),
    };
    let state = match params.remove("requestState") {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) => Some(state),
        Some(_) => return Err(Failure::invalid_params("requestState must be a string")),
    };
    Ok(Answers { responses, state })
}

fn text(params: &mut Map<String, Value>, name: &str) -> Result<String, Failure> {
    match params.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Failure::invalid_params(format!("{name} must be a string"))),
    }
}
