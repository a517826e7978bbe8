//! Pages of results: a position that only its own query can use, and several pages in one answer.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};
use switchboard_catalog::CALL_ID;
use switchboard_tools::paging::{self, PageOfResults};
use switchboard_tools::{Arguments, Files, build};
use switchboard_vault::SealContext;

use super::Tools;
use super::failure::header;
use super::front_end::ToolFrontEnd;
use super::run::parse;
use crate::app::base::tools::FoundTool;
use crate::app::execute::answer::{Answer, AnswerData};
use crate::app::execute::call::Call;
use crate::app::execute::context::CallContext;
use crate::app::session::Session;
use crate::error::{Error, Result};

/// Maximum number of results that several pages may have before the last one of them.
pub const MAX_ITEMS: usize = 1_000;
/// Maximum number of pages in one answer.
pub const MAX_CALLS: usize = 10;

/// No further page is fetched once the answers have so many bytes.
const MAX_SIZE: usize = 2 * 1024 * 1024;

/// A page after the first.
struct LaterPage {
    body: Value,
    page: PageOfResults,
    size: usize,
}

/// Bytes of an answer.
fn size(answer: &Answer) -> usize {
    match &answer.data {
        AnswerData::Json(bytes) | AnswerData::Text(bytes) | AnswerData::Binary { bytes, .. } => bytes.len(),
        AnswerData::Empty => 0,
    }
}

/// How many pages are wanted in one answer.
#[derive(Clone, Copy, Debug)]
pub struct AllPages {
    /// No further page is fetched once there are so many results.
    pub max_items: usize,
    /// Number of pages.
    pub max_calls: usize,
}

/// Where the results of an answer are in their list.
#[derive(Clone, Debug)]
pub struct ResultPage {
    /// The position of the next page; none on the last one.
    pub next: Option<String>,
    /// Number of results in this answer.
    pub count: usize,
}

/// A query: the tool, the user and the arguments, and how it is called.
pub(super) struct PagedQuery<'a> {
    pub(super) session: &'a Session,
    pub(super) found: &'a FoundTool,
    pub(super) arguments: &'a Arguments,
    pub(super) account: Option<&'a str>,
    pub(super) front_end: &'a ToolFrontEnd<'a>,
}

impl Tools {
    /// The arguments of the page at a position.
    ///
    /// # Errors
    /// The tool has no pages, or the position is none of this query.
    pub(super) fn arguments_at(
        &self,
        (session, account): (&Session, Option<&str>),
        found: &FoundTool,
        arguments: Arguments,
        position: &str,
    ) -> Result<Arguments> {
        let Some(paging) = &found.row.paging else {
            return Err(Error::field("page", "this tool has no pages").fix("Leave page out."));
        };
        let foreign = || {
            Error::field("page", "is no position of this query")
                .fix("Use page.next of an earlier answer, with the same tool, user and arguments.")
        };
        let sealed = BASE64.decode(position).map_err(|_| foreign())?;
        let value =
            self.ring.open(seal_context((session, account), found, &arguments), &sealed).map_err(|_| foreign())?;
        let value: Value = serde_json::from_slice(&value).map_err(Error::internal)?;
        Ok(arguments.with(&paging.argument, value))
    }

    fn position(&self, query: &PagedQuery<'_>, next: &Value) -> String {
        let context = seal_context((query.session, query.account), query.found, query.arguments);
        BASE64.encode(self.ring.seal(context, next.to_string().as_bytes()))
    }

    /// The page that an answer is. Further pages are fetched and appended if they are wanted; one that cannot be
    /// fetched is left for the next call.
    pub(super) async fn page(
        &self,
        query: &PagedQuery<'_>,
        answer: &Answer,
        body: &mut Value,
        wanted: Option<AllPages>,
        context: &CallContext,
    ) -> Option<ResultPage> {
        let tool = &query.found.row;
        let PageOfResults { mut next, mut count } = paging::page(tool, query.arguments, body, header(answer, "link"))?;
        let wanted = wanted.unwrap_or(AllPages { max_items: 0, max_calls: 1 });
        let mut size = size(answer);
        for _ in 1..wanted.max_calls {
            let is_wanted = count < wanted.max_items && size < MAX_SIZE;
            let Some(position) = next.clone().filter(|_| is_wanted) else { break };
            let fetched = self.next_page(query, position.clone(), context).await;
            let Some(mut later) = fetched else { break };
            count += paging::append(tool, body, &mut later.body);
            size += later.size;
            // A provider that names the same page again has no further one.
            next = later.page.next.filter(|next| *next != position);
        }
        Some(ResultPage { next: next.map(|next| self.position(query, &next)), count })
    }

    /// The body and the page at a position; none if it cannot be fetched now.
    async fn next_page(&self, query: &PagedQuery<'_>, position: Value, context: &CallContext) -> Option<LaterPage> {
        let tool = &query.found.row;
        if Instant::now() >= context.deadline {
            return None;
        }
        let arguments = query.arguments.clone().with(&tool.paging.as_ref()?.argument, position);
        let request = build(tool, &arguments, &Files::new()).ok()?;
        let front_end = query.front_end.with(request);
        let toolkit = query.found.toolkit.slug.as_str();
        let call = Call { toolkit, account: query.account, token: None, front_end: &front_end };
        let answer = self.call_provider(query.session, query.found, call, context).await.ok()?;
        let body = parse(query.found, &answer).ok().flatten().filter(|_| answer.status == StatusCode::OK)?;
        let page = paging::page(tool, &arguments, &body, header(&answer, "link"))?;
        Some(LaterPage { size: size(&answer), body, page })
    }
}

/// A position is bound to the tool, the user, the account that was asked for and the arguments without the position.
fn seal_context((session, account): (&Session, Option<&str>), found: &FoundTool, arguments: &Arguments) -> SealContext {
    let position = found.row.paging.as_ref().map(|paging| paging.argument.as_str());
    let others: BTreeMap<_, _> =
        arguments.iter().filter(|(name, _)| Some(name.as_str()) != position && *name != CALL_ID).collect();
    let digest = Sha256::digest(serde_json::to_vec(&others).unwrap_or_default());
    SealContext::new(&session.project_id, "tool_pages", &found.row.slug, "position")
        .with("version", found.version())
        .with("user", session.user_id.as_str())
        .with("account", account.unwrap_or_default())
        .with("arguments", digest)
}

crate::redacted_debug!(PagedQuery<'a>, LaterPage);
