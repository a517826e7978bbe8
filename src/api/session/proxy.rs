//! `POST /tool_router/session/{session_id}/proxy_execute` (contract section 2.13).

use std::sync::Arc;

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::proxy_response;
use crate::api::http::auth::Caller;
use crate::api::http::body::JsonBody;
use crate::api::http::error::ApiError;
use crate::api::http::form_body;
use crate::api::http::path::Id;
use crate::api::tool::logged::{self, Start};
use crate::app::App;
use crate::app::base::errors::account_not_found;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::call_log::outcome_unknown;
use crate::app::execute::context::CallContext;
use crate::app::execute::proxy::{ProxyBody, ProxyRequest};
use crate::app::execute::proxy_files::BodyFile;
use crate::app::file::source::NamedFile;
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

/// A proxied request.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProxyRequest")]
pub struct Call {
    /// Slug of the toolkit, in any case.
    toolkit_slug: String,
    /// Path under the toolkit's base URL, or a URL on one of its hosts. On the base URL's own host, a
    /// URL must be below its path, or below one of the `paths` in the toolkit's file.
    endpoint: String,
    /// HTTP method.
    method: WireMethod,
    // Read from the raw text by `raw_body`, so that numbers keep their exact form.
    /// JSON to send as it is. A string is sent as text, and an object whose `Content-Type` is
    /// `application/x-www-form-urlencoded` as a form.
    #[schemars(with = "Option<Value>")]
    body: Option<IgnoredAny>,
    /// Bytes to send instead of `body`.
    binary_body: Option<BinaryBody>,
    /// Extra headers and query parameters.
    parameters: Option<Vec<Parameter>>,
    // Not built yet, so it is not documented.
    #[schemars(skip)]
    custom_connection_data: Option<Value>,
    /// Which of several accounts is used, by id, word id or alias; only in a session with
    /// `multi_account`. An extension: the published schema has it for tools only.
    account: Option<String>,
    /// Which of the account's tokens is sent, if the toolkit's file lists several: `user` for a
    /// person's own token beside an app's, `access_token` for the first. When omitted, the file
    /// decides. An extension.
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "ProxyMethod")]
enum WireMethod {
    Get,
    Post,
    Put,
    Delete,
    Patch,
    Head,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProxyBinaryBody")]
struct BinaryBody {
    /// Where the bytes are: the key of an upload, a URL at a public address, or a path of the session's mount.
    url: Option<String>,
    /// The bytes.
    #[schemars(extend("contentEncoding" = "base64"))]
    base64: Option<String>,
    /// Default: the type of the file at `url`, or `application/octet-stream`.
    content_type: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ProxyParameter")]
struct Parameter {
    /// Its name.
    name: String,
    /// Its value.
    value: String,
    /// Where to put it. `in` is accepted as an alias of this key.
    #[serde(rename = "type", alias = "in")]
    kind: ParameterKind,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ProxyParameterType")]
enum ParameterKind {
    Header,
    Query,
}

#[derive(Deserialize)]
struct RawBody<'a> {
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// `POST /tool_router/session/{session_id}/proxy_execute` → 200, also when the provider returns an
/// error.
pub async fn execute(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<Call>,
) -> std::result::Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    // Only a body is needed in its exact form.
    let raw = if body.value.body.is_some() { raw_body(&body.bytes)? } else { None };
    let request = body.value.into_request(raw)?;
    call(app, caller, body.idempotency, session, request).await
}

/// Makes a call and answers 200 with the provider's response.
async fn call(
    app: Arc<App>,
    caller: Caller,
    key: Option<IdempotencyKey>,
    session: Arc<Session>,
    (request, file): (ProxyRequest, Option<BodyFile>),
) -> std::result::Result<Response, ApiError> {
    let logged = match logged::start(&app, caller.actor(), key).await? {
        Start::Call(logged) => logged,
        Start::Replayed(response) => return Ok(response),
        Start::Lost(row) => return Err(outcome_unknown(&row).into()),
    };
    let work = {
        let app = Arc::clone(&app);
        let context = CallContext::of_proxy(Arc::clone(&logged));
        async move {
            let answer = app.executor.proxy_execute_with_files(&app.files, &session, request, file, &context).await?;
            let response = proxy_response::response(answer).await;
            if !context.call.has_key() {
                return Ok(response);
            }
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(Error::internal)?;
            logged::keep(&context.call, body.into()).await
        }
    };
    Ok(logged::finish(&app, logged, Box::pin(work)).await?)
}

/// A proxied request without a session.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DirectProxyRequest")]
pub struct DirectCall {
    /// The account that is used.
    connected_account_id: Option<String>,
    /// Whose account it is; not needed for the account's own user.
    user_id: Option<String>,
    /// Path under the toolkit's base URL, or a URL on one of its hosts.
    endpoint: String,
    /// HTTP method.
    method: WireMethod,
    // Read from the raw text by `raw_body`, so that numbers keep their exact form.
    /// JSON to send as it is.
    #[schemars(with = "Option<Value>")]
    body: Option<IgnoredAny>,
    /// Bytes to send instead of `body`.
    binary_body: Option<BinaryBody>,
    /// Extra headers and query parameters.
    parameters: Option<Vec<Parameter>>,
    // Not built yet, so it is not documented.
    #[schemars(skip)]
    custom_connection_data: Option<Value>,
}

/// `POST /tools/execute/proxy` → 200, also when the provider returns an error.
pub async fn execute_directly(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<DirectCall>,
) -> std::result::Result<Response, ApiError> {
    let raw = if body.value.body.is_some() { raw_body(&body.bytes)? } else { None };
    let call = body.value;
    let Some(id) = &call.connected_account_id else {
        return Err(Error::new(Code::MissingAuthContext, "No connected account to call the provider with").into());
    };
    let found = app.tools.session_of_account(&caller.project_id, id, call.user_id.as_deref()).await?;
    let (session, toolkit_slug) = found.ok_or_else(|| account_not_found(id))?;
    let call = Call {
        toolkit_slug,
        endpoint: call.endpoint,
        method: call.method,
        body: call.body,
        binary_body: call.binary_body,
        parameters: call.parameters,
        custom_connection_data: call.custom_connection_data,
        account: None,
        token: None,
    };
    let request = call.into_request(raw)?;
    self::call(app, caller, body.idempotency, Arc::new(session), request).await
}

fn raw_body(bytes: &[u8]) -> Result<Option<&RawValue>> {
    let raw: RawBody<'_> = serde_json::from_slice(bytes)
        .map_err(|_| Error::validation(vec!["Error in payload: a key is given twice".to_owned()]))?;
    Ok(raw.body.filter(|body| body.get() != "null"))
}

impl Call {
    fn into_request(self, raw: Option<&RawValue>) -> Result<(ProxyRequest, Option<BodyFile>)> {
        if self.custom_connection_data.is_some_and(|data| !data.is_null()) {
            return Err(Error::new(Code::NotImplemented, "custom_connection_data is not built yet")
                .fix("Connect an account and leave custom_connection_data out."));
        }
        let (headers, query): (Vec<Parameter>, Vec<Parameter>) = self
            .parameters
            .unwrap_or_default()
            .into_iter()
            .partition(|parameter| parameter.kind == ParameterKind::Header);
        let content_type = headers.iter().rev().find(|header| header.name.eq_ignore_ascii_case("content-type"));
        let (body, file) = match (raw, self.binary_body) {
            (Some(_), Some(_)) => return Err(Error::field("body", "give either body or binary_body, not both")),
            (Some(json), None) => (Some(json_body(json, content_type.map(|header| header.value.as_str()))?), None),
            (None, Some(binary)) => binary.into_body()?,
            (None, None) => (None, None),
        };
        let pairs =
            |list: Vec<Parameter>| list.into_iter().map(|parameter| (parameter.name, parameter.value)).collect();
        let request = ProxyRequest {
            toolkit: self.toolkit_slug,
            endpoint: self.endpoint,
            method: self.method.into(),
            body,
            account: self.account,
            token: self.token,
            headers: pairs(headers),
            query: pairs(query),
        };
        Ok((request, file))
    }
}

/// A string is sent as it is, anything else as JSON or, depending on the content type, as a form.
fn json_body(json: &RawValue, content_type: Option<&str>) -> Result<ProxyBody> {
    if let Ok(text) = serde_json::from_str::<String>(json.get()) {
        return Ok(ProxyBody { bytes: text.into(), content_type: "text/plain; charset=utf-8".to_owned() });
    }
    let bytes = form_body::bytes(json, content_type)?;
    Ok(ProxyBody { bytes: bytes.into(), content_type: "application/json".to_owned() })
}

impl BinaryBody {
    /// The bytes, or the file that they are in.
    fn into_body(self) -> Result<(Option<ProxyBody>, Option<BodyFile>)> {
        let Self { url, base64, content_type } = self;
        match (url, base64) {
            (Some(_), Some(_)) => Err(Error::field("binary_body", "give either url or base64, not both")),
            (None, None) => Err(Error::field("binary_body", "give url or base64")),
            (Some(url), None) => {
                let named = NamedFile::parse(&Value::String(url));
                let named = named.map_err(|problem| Error::field("binary_body.url", problem))?;
                Ok((None, Some(BodyFile { named, content_type })))
            }
            (None, Some(text)) => {
                let bytes = BASE64.decode(text).map_err(|error| Error::field("binary_body.base64", error))?;
                let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
                Ok((Some(ProxyBody { bytes: bytes.into(), content_type }), None))
            }
        }
    }
}

impl From<WireMethod> for Method {
    fn from(method: WireMethod) -> Self {
        match method {
            WireMethod::Get => Self::GET,
            WireMethod::Post => Self::POST,
            WireMethod::Put => Self::PUT,
            WireMethod::Delete => Self::DELETE,
            WireMethod::Patch => Self::PATCH,
            WireMethod::Head => Self::HEAD,
        }
    }
}

crate::redacted_debug!(Call, DirectCall);
