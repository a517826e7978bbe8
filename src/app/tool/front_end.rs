//! The front end for tools: a request that was built from arguments.

use std::sync::OnceLock;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use switchboard_auth::UnsentRequest;
use switchboard_catalog::{Effect, Tool, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_tools::ToolRequest;
use switchboard_types::{AccountId, AccountParams, CallEffect};
use url::Url;

use crate::app::base::tools::FoundTool;
use crate::app::call_log::Subject;
use crate::app::execute::call::{FrontEnd, Target};
use crate::app::session::policy::{CallKind, ToolDescription};
use crate::error::{Code, Error, Result};

/// A call of a tool, checked and ready to be sent.
pub(super) struct ToolFrontEnd<'a> {
    pub(super) found: &'a FoundTool,
    /// The provider's idempotency key, where it has one.
    pub(super) call_id: &'a str,
    pub(super) request: ToolRequest,
    /// The account that the session uses, once it is known.
    pub(super) account: OnceLock<AccountId>,
    /// What the policy is asked about.
    pub(super) description: ToolDescription<'a>,
}

impl ToolFrontEnd<'_> {
    /// The same with another request.
    pub(super) fn with(&self, request: ToolRequest) -> ToolFrontEnd<'_> {
        let ToolFrontEnd { found, call_id, description, .. } = *self;
        ToolFrontEnd { found, call_id, request, account: OnceLock::new(), description }
    }
}

impl FrontEnd for ToolFrontEnd<'_> {
    fn kind<'s>(&'s self, _: &'s str) -> CallKind<'s> {
        CallKind::Tool(&self.description)
    }

    fn method(&self) -> &Method {
        &self.request.method
    }

    fn subject<'s>(&'s self, toolkit: &'s str) -> Subject<'s> {
        let row = &self.found.row;
        let effect = match row.effect {
            Effect::Read => CallEffect::Read,
            Effect::Create => CallEffect::Create,
            Effect::Update => CallEffect::Update,
            Effect::Destructive => CallEffect::Destructive,
        };
        Subject { toolkit, tool: Some((&row.slug, self.found.version())), effect, method: &self.request.method }
    }

    fn weight(&self) -> u32 {
        self.found.row.weight
    }

    fn check_account(&self, account: &AccountRow) -> Result<()> {
        let _ = self.account.set(account.id.clone());
        let missing = missing_scopes(&self.found.row, account, &self.found.toolkit);
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::of(Code::MissingScope, &[("id", &account.id), ("scopes", &missing.join(" "))]).details(missing))
    }

    fn request(&self, target: &Target<'_>) -> Result<UnsentRequest> {
        let url = target.resolve(&self.request.endpoint)?;
        unsent_request(&self.found.row, &self.request, self.call_id, url, target.headers())
    }
}

/// The request of a tool at its URL, without a credential. `headers` are the toolkit's own.
///
/// # Errors
/// A header that the toolkit's files should not have passed with.
pub(crate) fn unsent_request(
    tool: &Tool,
    request: &ToolRequest,
    call_id: &str,
    mut url: Url,
    mut headers: HeaderMap,
) -> Result<UnsentRequest> {
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    for (name, value) in &request.headers {
        headers.insert(name, value.clone());
    }
    if let Some(name) = &tool.idempotency_header {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(Error::internal)?;
        headers.insert(name, HeaderValue::from_str(call_id).map_err(Error::internal)?);
    }
    let body = match &request.body {
        Some(body) => {
            let value = HeaderValue::from_str(&body.content_type).map_err(Error::internal)?;
            headers.insert(header::CONTENT_TYPE, value);
            body.bytes.clone()
        }
        None => bytes::Bytes::new(),
    };
    Ok(UnsentRequest { method: request.method.clone(), url, headers, body })
}

/// The scopes of the alternative that lacks fewest, without those that the account has. Only an account of OAuth 2.0 has
/// scopes; one whose scopes are not known is left to the provider.
fn missing_scopes(tool: &Tool, account: &AccountRow, toolkit: &Toolkit) -> Vec<String> {
    let alternatives = &tool.scopes;
    if alternatives.is_empty() || toolkit.oauth(account.scheme).is_none() {
        return Vec::new();
    }
    let Some(granted) = granted_scopes(&account.params, tool.token.as_deref()) else { return Vec::new() };
    let lacking = |scopes: &Vec<String>| -> Vec<String> {
        scopes.iter().filter(|scope| !granted.contains(scope)).cloned().collect()
    };
    alternatives.iter().map(lacking).min_by_key(Vec::len).unwrap_or_default()
}

/// The scopes of the token that is sent: of the first one, or of a further one. None if they are not known.
fn granted_scopes<'a>(params: &'a AccountParams, token: Option<&str>) -> Option<&'a [String]> {
    let first = params.granted_scopes.as_ref().unwrap_or(&params.requested_scopes).as_slice();
    // What is asked for a further token is granted as a whole, and not reported.
    let further = params.requested_user_scopes.as_slice();
    match token {
        Some(_) => Some(further).filter(|_| !first.is_empty() || !further.is_empty()),
        None if params.only_token.is_some() && !further.is_empty() => Some(further),
        None => Some(first).filter(|scopes| !scopes.is_empty()),
    }
}
