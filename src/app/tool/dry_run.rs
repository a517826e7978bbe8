//! A dry run of a tool: everything that a call does before it is sent, and what would be sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use switchboard_store::accounts::AccountRow;
use switchboard_tools::{Arguments, build};

use super::Tools;
use super::file_arguments::FileArguments;
use super::front_end::ToolFrontEnd;
use super::outcome::Outcome;
use super::run::wrong_arguments;
use crate::app::execute::call::Call;
use crate::app::execute::context::CallContext;
use crate::app::execute::dry_run::PlannedCall;
use crate::app::provider::dry_run::PlannedRequest;
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

impl Tools {
    /// The outcome of a dry run: the request with a marker in place of the credential. Nothing is sent.
    ///
    /// # Errors
    /// Those of the call itself, up to the request.
    pub(super) async fn dry_run(
        &self,
        session: &Session,
        account: Option<&str>,
        front_end: &mut ToolFrontEnd<'_>,
        (files, arguments): (FileArguments, &Arguments),
        context: &CallContext,
    ) -> Result<Outcome> {
        if files.have_url() {
            return Err(Error::new(Code::NotImplemented, "A dry run fetches no URL, and so cannot show such a file")
                .fix("Upload the file, or give its bytes as a data: URL."));
        }
        if !files.is_empty() {
            // Policy and account before the files, as in the call itself.
            let call = Call { toolkit: &front_end.found.toolkit.slug, account, token: None, front_end };
            self.executor.dry_run(session, call).await?;
            let loaded = self.load_files(session, files, context).await?;
            let request = build(&front_end.found.row, arguments, &loaded.files);
            front_end.request = request.map_err(|mistake| wrong_arguments(&[mistake]))?;
        }
        let call = Call { toolkit: &front_end.found.toolkit.slug, account, token: None, front_end };
        let planned = self.executor.dry_run(session, call).await?;
        Ok(Outcome::Completed { data: data(&planned, front_end), page: None })
    }
}

fn data(planned: &PlannedCall, front_end: &ToolFrontEnd<'_>) -> Map<String, Value> {
    let tool = &front_end.found.row;
    let mut data = Map::new();
    data.insert("dry_run".to_owned(), true.into());
    data.insert("request".to_owned(), request(&planned.request));
    data.insert("effect".to_owned(), json!(tool.effect));
    let account = planned.account.as_ref().map(|account| account_of(account, planned.needs_refresh));
    data.insert("account".to_owned(), account.into());
    data.insert("verify_with".to_owned(), json!(tool.verify_with));
    if tool.idempotency_header.is_some() {
        data.insert("idempotency_key".to_owned(), front_end.call_id.into());
    }
    data
}

fn request(planned: &PlannedRequest) -> Value {
    let headers: Map<String, Value> =
        planned.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "method": planned.method.as_str(),
        "url": planned.url,
        "body": body(&planned.body, &headers),
        "headers": headers,
    })
}

/// A text as it is, other bytes in base64 with their type, null for no body.
fn body(bytes: &Bytes, headers: &Map<String, Value>) -> Value {
    match std::str::from_utf8(bytes) {
        Ok("") => Value::Null,
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes), "content_type": headers.get("content-type") }),
    }
}

fn account_of(account: &AccountRow, needs_refresh: bool) -> Value {
    json!({
        "id": account.id.as_str(),
        "alias": account.alias,
        "word_id": account.word_id,
        "scheme": account.scheme,
        "needs_refresh": needs_refresh,
    })
}
