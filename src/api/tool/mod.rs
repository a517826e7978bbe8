//! `/tools`: list, read, run (contract sections 6.5 and 6.6). The response types are in `view.rs`; a call and its
//! outcome in `execute.rs`.

pub mod execute;
pub mod logged;
pub mod meta;
pub(in crate::api) mod operations;
pub mod scopes;
pub mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::meta::definitions::MetaTool;
use crate::app::session::policy::Tag;
use crate::app::tool::list::ToolFilter;
use crate::error::Result;

/// Default page size.
const PAGE: i64 = 20;
/// Maximum page size.
pub const MAX_PAGE_SIZE: i64 = 1_000;

/// `GET /tools` → 200 page.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> std::result::Result<Response, ApiError> {
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
        auth_configs: app.auth_configs.allowed_tools(&caller.project_id, &query.list("auth_config_ids")).await?,
        search: query.text("query").or_else(|| query.text("search")).map(str::to_owned),
        include_deprecated: query.flag("include_deprecated")?.unwrap_or(false),
        versions: versions(&query)?,
    };
    let found = app.tools.list(&filter).await?;
    let versions = app.versions.available_of(&found).await?;
    Ok(json(
        StatusCode::OK,
        &page.envelope_of_slice(&found, |found| view::item(&app, found, &versions[&found.toolkit.slug])),
    )?)
}

/// `GET /tools/enum` → 200: the slugs.
pub async fn slugs(State(app): State<Arc<App>>) -> std::result::Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.tools.slugs())?)
}

/// `GET /tools/{slug}` → 200.
pub async fn read(State(app): State<Arc<App>>, Id(slug): Id, query: Query) -> std::result::Result<Response, ApiError> {
    query.flag("include_pricing")?;
    if let Some(tool) = MetaTool::find(&slug) {
        return Ok(json(StatusCode::OK, &view::meta_item(&app, tool))?);
    }
    let asked = versions(&query)?;
    let found = if let Some(version) = query.text("version") {
        app.tools.find_version(&slug, Some(version), "query.version").await?
    } else {
        let toolkit = app.tools.toolkit_of(&slug)?;
        let version = asked.get(&toolkit.slug).map(String::as_str);
        app.tools.find_version(&slug, version, "query.toolkit_versions").await?
    };
    let available = app.versions.available(&found.toolkit).await?;
    Ok(json(StatusCode::OK, &view::item(&app, &found, &available))?)
}

/// The versions of toolkits that a request asks for, by slug; none for `latest`.
fn versions(query: &Query) -> Result<BTreeMap<String, String>> {
    if query.text("toolkit_versions").is_some_and(|word| !word.eq_ignore_ascii_case("latest")) {
        return Err(wrong("toolkit_versions", "must be latest, or versions by toolkit: toolkit_versions[slug]=…"));
    }
    let versions = query.map("toolkit_versions").into_iter();
    Ok(versions.map(|(toolkit, version)| (toolkit.to_ascii_lowercase(), version.to_owned())).collect())
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
