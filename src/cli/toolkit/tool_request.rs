//! The request of a tool, in each scheme of its toolkit.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use serde_json::{Map, Value};
use switchboard_catalog::{Scheme, Tool, ToolRow, Toolkit};
use switchboard_tools::{File, Files, ToolRequest, build};

use super::requests::{Plan, PlannedRequest, error_text};
use super::tool;
use crate::app::tool::unsent_request;

/// Placeholder for the id of a call.
const CALL_ID: &str = "CALL_ID";
/// The contents of the file that stands in for each file among the arguments.
const FILE: &str = "FILE";

/// The requests of a tool with these arguments. A file stands in for each file among them.
///
/// # Errors
/// The arguments do not fit.
pub(super) fn of_tool(
    toolkit: &Toolkit,
    tool: &ToolRow,
    arguments: &Map<String, Value>,
) -> Result<Vec<PlannedRequest>> {
    let checked = tool::check(tool, arguments)?.with_call_id(CALL_ID);
    let request =
        build(tool, &checked, &files(tool, arguments)).map_err(|mistake| tool::wrong_arguments(&[mistake]))?;
    Ok(toolkit.schemes().into_iter().map(|scheme| planned(toolkit, scheme, tool, &request)).collect())
}

fn planned(toolkit: &Toolkit, scheme: Scheme, tool: &ToolRow, request: &ToolRequest) -> PlannedRequest {
    let plan = Plan::new(toolkit, scheme);
    let draft = plan.url(&request.endpoint).and_then(|url| {
        let headers = plan.headers(&BTreeMap::new())?;
        let unsent = unsent_request(tool, request, CALL_ID, url, headers);
        plan.with_credential(unsent.map_err(|error| error.message().to_owned())?)
    });
    let signed = match scheme {
        Scheme::OAuth1 => Some("and Authorization: OAuth, with a signature by the client's and the token's secret"),
        _ if toolkit.oauth(scheme).is_some_and(|oauth| oauth.dpop) => {
            Some("and DPoP, with a proof of the account's key")
        }
        _ => None,
    };
    let built = draft.and_then(|draft| {
        let mut request = draft.into_request().map_err(error_text)?;
        // As the client adds it.
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(request)
    });
    plan.planned(format!("{} with {scheme}", tool.slug), built, signed.map(str::to_owned))
}

/// A file for each argument that is one.
fn files(tool: &Tool, arguments: &Map<String, Value>) -> Files {
    let is_file = |name: &String| {
        let argument = tool.input.get(name);
        argument.is_some_and(|argument| argument.schema.get("file_uploadable") == Some(&Value::Bool(true)))
    };
    let file = |name: &Value| File {
        name: name.as_str().unwrap_or(FILE).to_owned(),
        media_type: "application/octet-stream".to_owned(),
        bytes: Bytes::from_static(FILE.as_bytes()),
    };
    arguments.iter().filter(|(name, _)| is_file(name)).map(|(name, value)| (name.clone(), file(value))).collect()
}
