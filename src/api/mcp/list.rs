//! The list of a session's tools: the preloaded ones by slug, then the meta tools. Its bytes change only with the
//! session's policy or the tools, so that a model's cache of them stays valid.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchboard_mcp::{Failure, Outcome};

use super::server::SessionServer;
use crate::app::meta::definitions::MetaTool;
use crate::app::session::policy::Tag;
use crate::app::tool::tags;
use crate::error::{Error, Result};

/// Tools on a page.
const PAGE: usize = 500;
/// Bytes of JSON that are about one token of a model.
const BYTES_PER_TOKEN: f64 = 3.6;

#[derive(Serialize)]
struct ToolPage<'a> {
    tools: &'a RawValue,
    #[serde(rename = "nextCursor", skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A tool as clients of the protocol get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTool<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    input_schema: &'a RawValue,
    annotations: Annotations,
}

/// What a client shows or asks before a call. Left out is the worst.
#[derive(Clone, Copy, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has four hints")]
#[serde(rename_all = "camelCase")]
struct Annotations {
    read_only_hint: bool,
    destructive_hint: bool,
    idempotent_hint: bool,
    open_world_hint: bool,
}

impl SessionServer {
    /// `tools/list`.
    pub(super) async fn tools(&self, cursor: Option<&str>) -> std::result::Result<Outcome, Failure> {
        let from = match cursor {
            None => 0,
            Some(cursor) => self.position(cursor).ok_or_else(|| {
                Failure::invalid_params("cursor is none of this list, which may have changed: begin without it")
            })?,
        };
        self.page(from).await.map_err(|error| super::answer::failure(&error))
    }

    async fn page(&self, from: usize) -> Result<Outcome> {
        let found = self.app.tools.listed(&self.session).await?;
        let own = found.iter().map(|found| ListedTool {
            name: &found.row.slug,
            title: &found.row.title,
            description: &found.row.description,
            input_schema: &found.row.input_schema,
            annotations: annotations(&tags(&found.row), true),
        });
        let meta = MetaTool::offered(&self.session.config).map(|tool| ListedTool {
            name: tool.slug,
            title: tool.title,
            description: tool.description,
            input_schema: &tool.input_schema,
            annotations: annotations(&tool.tags, tool.tags.contains(&Tag::OpenWorldHint)),
        });
        let mut tools: Vec<_> = own.chain(meta).skip(from).take(PAGE + 1).collect();
        let has_more = tools.len() > PAGE;
        tools.truncate(PAGE);
        let next_cursor = has_more.then(|| self.cursor(from + PAGE));
        let tools = to_raw_value(&tools).map_err(Error::internal)?;
        let meta = describe(tools.get());
        let result = to_raw_value(&ToolPage { tools: &tools, next_cursor }).map_err(Error::internal)?;
        Ok(Outcome::Complete { result, meta })
    }
}

/// What a client can compare and count: the digest of the list, and about how many tokens it is.
fn describe(list: &str) -> Map<String, Value> {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(list));
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let tokens = (list.len() as f64 / BYTES_PER_TOKEN) as u64;
    let meta = json!({ "dev.switchboard/digest": digest, "dev.switchboard/tokensEstimate": tokens });
    meta.as_object().cloned().unwrap_or_default()
}

/// "Destructive" includes overwriting here.
fn annotations(tags: &[Tag], open_world: bool) -> Annotations {
    let has = |tag: Tag| tags.contains(&tag);
    let read_only = has(Tag::ReadOnlyHint);
    Annotations {
        read_only_hint: read_only,
        destructive_hint: !read_only && (has(Tag::UpdateHint) || has(Tag::DestructiveHint)),
        idempotent_hint: read_only || has(Tag::IdempotentHint),
        open_world_hint: open_world,
    }
}
