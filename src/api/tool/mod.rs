//! `/tools`: list, read, run (contract sections 6.5 and 6.6). The response types are in `view.rs`; a call and its
//! outcome in `execute.rs`.

pub mod execute;
pub(in crate::api) mod operations;
pub mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::base::tools::FoundTool;
use crate::app::session::policy::Tag;
use crate::app::tool::list::ToolFilter;
use crate::error::{Error, Result};

use view::{ScopeRequirements, fewest_scopes, scope_requirements};

/// Default page size.
const PAGE: i64 = 20;
/// Maximum page size.
pub const MAX_PAGE_SIZE: i64 = 1_000;

/// `GET /tools` → 200 page.
pub async fn list(State(app): State<Arc<App>>, query: Query) -> std::result::Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, PAGE, MAX_PAGE_SIZE)?;
    let mut tags = Vec::new();
    for word in query.list("tags") {
        // No tool here is marked as important, so that all are.
        if !word.eq_ignore_ascii_case("important") {
            tags.push(tag(&word)?);
        }
    }
    query.flag("important")?;
    query.flag("include_pricing")?;
    let filter = ToolFilter {
        toolkits: query.list("toolkit_slug").iter().map(|slug| slug.to_ascii_lowercase()).collect(),
        slugs: query.list("tool_slugs"),
        tags,
        scopes: query.list("scopes"),
        search: query.text("query").or_else(|| query.text("search")).map(str::to_owned),
        include_deprecated: query.flag("include_deprecated")?.unwrap_or(false),
    };
    let found = app.tools.list(&filter);
    Ok(json(StatusCode::OK, &page.envelope_of_slice(&found, |found| view::item(&app, found)))?)
}

/// `GET /tools/enum` → 200: the slugs.
pub async fn slugs(State(app): State<Arc<App>>) -> std::result::Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.tools.slugs())?)
}

/// `GET /tools/{slug}` → 200.
pub async fn read(State(app): State<Arc<App>>, Id(slug): Id, query: Query) -> std::result::Result<Response, ApiError> {
    let found = app.tools.find(&slug)?;
    query.flag("include_pricing")?;
    require_version(&found, query.text("version"))?;
    Ok(json(StatusCode::OK, &view::item(&app, &found))?)
}

/// Body of `POST /tools/scopes/required`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RequiredScopesBody")]
pub struct ScopesBody {
    /// Slugs of tools of one toolkit.
    #[schemars(length(min = 1))]
    tools: Vec<String>,
    /// `latest` or the version of the toolkit here.
    version: Option<String>,
}

/// The scopes that tools need.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RequiredScopes")]
pub struct RequiredScopes<'a> {
    /// Scopes that are enough for all of them.
    scopes_required: Vec<&'a str>,
    /// Tool by tool.
    per_tool_requirements: Vec<ToolScopes<'a>>,
}

/// The scopes that a tool needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolScopes<'a> {
    /// Its slug.
    tool: &'a str,
    /// Absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope_requirements: Option<ScopeRequirements<'a>>,
}

/// `POST /tools/scopes/required` → 200.
pub async fn required_scopes(
    State(app): State<Arc<App>>,
    body: JsonBody<ScopesBody>,
) -> std::result::Result<Response, ApiError> {
    let body = body.value;
    if body.tools.is_empty() {
        return Err(Error::field("tools", "must hold at least one tool").into());
    }
    let found = body.tools.iter().map(|slug| app.tools.find(slug)).collect::<Result<Vec<_>>>()?;
    for tool in &found {
        require_version(tool, body.version.as_deref())?;
        if tool.toolkit.slug != found[0].toolkit.slug {
            return Err(Error::field("tools", "must be tools of one toolkit").into());
        }
    }
    let mut scopes: Vec<&str> = found.iter().flat_map(|found| fewest_scopes(&found.row)).map(String::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let per_tool = found
        .iter()
        .map(|found| ToolScopes { tool: &found.row.slug, scope_requirements: scope_requirements(&found.row) });
    let answer = RequiredScopes { scopes_required: scopes, per_tool_requirements: per_tool.collect() };
    Ok(json(StatusCode::OK, &answer)?)
}

/// A toolkit has exactly the version in its file.
fn require_version(found: &FoundTool, version: Option<&str>) -> Result<()> {
    let known = &found.toolkit.version;
    match version {
        Some(version) if version != known && !version.eq_ignore_ascii_case("latest") => {
            Err(wrong("version", &format!("must be latest or {known}, the version of this tool here")))
        }
        _ => Ok(()),
    }
}

/// A tag by its name.
fn tag(word: &str) -> Result<Tag> {
    serde_json::from_value(word.into()).map_err(|_| {
        wrong(
            "tags",
            "must be a list of readOnlyHint, createHint, updateHint, destructiveHint, idempotentHint, openWorldHint",
        )
    })
}
