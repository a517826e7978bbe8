//! `COMPOSIO_PROXY_EXECUTE`: a raw API call by an agent, in the sessions that allow it.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MetaTools, members};
use crate::app::execute::answer::AnswerData;
use crate::app::execute::context::CallContext;
use crate::app::execute::proxy::{ProxyBody, ProxyRequest};
use crate::app::session::Session;
use crate::app::tool::outcome::Outcome;
use crate::error::{Error, Result};

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct RawCall {
    toolkit_slug: String,
    endpoint: String,
    method: String,
    body: Option<Value>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    account: Option<String>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: String,
    r#type: ParameterKind,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum ParameterKind {
    Header,
    Query,
}

impl MetaTools {
    /// Sends one request. Any status of the provider is an answer.
    pub(super) async fn raw_call(&self, session: &Session, call: RawCall, context: &CallContext) -> Result<Outcome> {
        let answer = self.executor.proxy_execute(session, &call.into_request()?, context).await?;
        let headers: Map<String, Value> =
            answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().into())).collect();
        let mut data = json!({ "status": answer.status.as_u16(), "headers": headers });
        match &answer.data {
            AnswerData::Empty => {}
            AnswerData::Json(bytes) => data["data"] = serde_json::from_slice(bytes).unwrap_or(Value::Null),
            AnswerData::Text(bytes) => data["data"] = String::from_utf8_lossy(bytes).into(),
            AnswerData::Binary { bytes, content_type } => {
                data["binary_data"] = json!({
                    "content_type": content_type,
                    "size": bytes.len(),
                    "message": "The answer is a file, which is left out here: use a tool that returns files.",
                });
            }
        }
        Ok(Outcome::Completed { data: members(data), page: None })
    }
}

impl RawCall {
    fn into_request(self) -> Result<ProxyRequest> {
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|_| Error::field("arguments.method", "is no HTTP method"))?;
        let body = match self.body {
            None => None,
            Some(body) => Some(ProxyBody {
                bytes: serde_json::to_vec(&body).map_err(Error::internal)?.into(),
                content_type: "application/json".to_owned(),
            }),
        };
        let of_kind = |wanted: ParameterKind| {
            let parameters = self.parameters.iter().filter(move |parameter| parameter.r#type == wanted);
            parameters.map(|parameter| (parameter.name.clone(), parameter.value.clone())).collect()
        };
        Ok(ProxyRequest {
            headers: of_kind(ParameterKind::Header),
            query: of_kind(ParameterKind::Query),
            toolkit: self.toolkit_slug,
            endpoint: self.endpoint,
            method,
            body,
            account: self.account,
            token: None,
        })
    }
}
