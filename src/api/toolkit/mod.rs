//! `/toolkits`: list, read, categories, several at once, changelog (contract sections 6.1 to 6.4). The
//! response types are in `view.rs` and `details.rs`.

pub mod details;
pub(in crate::api) mod operations;
pub mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::http::auth::Caller;
use crate::api::http::body::{OptionalJson, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::{Page, PageRequest};
use crate::api::http::path::Id;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::auth_config::toolkit_not_found;
use crate::app::toolkit::ToolkitListFilter;

use view::{CategoryItem, ToolkitItem};

/// Default page size.
const PAGE: i64 = 100;
/// Maximum page size.
pub const MAX_PAGE_SIZE: i64 = 1_000;
/// Maximum length of a user id.
const MAX_USER_ID: usize = 256;

/// Who provides the auth config of a toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ToolkitManagedBy")]
pub enum ManagedBy {
    /// The operator of this server: you need no auth config of your own.
    Composio,
    /// The project: it needs an auth config of its own.
    Project,
    /// Both.
    All,
}

/// Order of a list of toolkits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ToolkitOrder")]
pub enum SortBy {
    /// Most accounts of this project first, then by name.
    Usage,
    /// By name.
    Alphabetically,
}

/// Body of `POST /toolkits/multi`; may be omitted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ToolkitsMultiBody")]
pub struct MultiBody {
    /// These toolkits; unknown slugs are omitted from the response.
    toolkits: Option<Vec<String>>,
    /// The toolkits of one category, by its id.
    category: Option<String>,
    /// Who provides their auth config.
    managed_by: Option<ManagedBy>,
    /// Order; by name when omitted.
    sort_by: Option<SortBy>,
    /// Toolkits per page, 100 when omitted; a larger number than 1000 is reduced to 1000.
    limit: Option<f64>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// `GET /toolkits` → 200 page.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, PAGE, MAX_PAGE_SIZE)?;
    let has_kind = query.choice("type", &[("native", true), ("custom", false), ("all", true)])?.unwrap_or(true);
    let managed_by = [("composio", ManagedBy::Composio), ("project", ManagedBy::Project), ("all", ManagedBy::All)];
    let orders = [("usage", SortBy::Usage), ("alphabetically", SortBy::Alphabetically)];
    // No toolkit here is deprecated, and none belongs to one user.
    query.flag("include_deprecated")?;
    if query.text("user_id").is_some_and(|user| user.chars().count() > MAX_USER_ID) {
        return Err(wrong("user_id", "must have at most 256 characters").into());
    }
    let filter = ToolkitListFilter {
        // Every toolkit here is native.
        slugs: (!has_kind).then(Vec::new),
        category: query.text("category").map(str::to_owned),
        search: query.text("search").map(str::to_owned),
        managed: managed(query.choice("managed_by", &managed_by)?),
        by_usage: query.choice("sort_by", &orders)? == Some(SortBy::Usage),
    };
    answer(&app, &caller, page, &filter).await
}

/// `POST /toolkits/multi` → 200 page.
pub async fn multi(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJson(body): OptionalJson<MultiBody>,
) -> Result<Response, ApiError> {
    let page = PageRequest::from_body(body.limit, body.cursor.as_deref(), PAGE, MAX_PAGE_SIZE)?;
    let filter = ToolkitListFilter {
        slugs: body.toolkits,
        category: body.category.filter(|category| !category.is_empty()),
        search: None,
        managed: managed(body.managed_by),
        by_usage: body.sort_by == Some(SortBy::Usage),
    };
    answer(&app, &caller, page, &filter).await
}

/// `GET /toolkits/{slug}` → 200.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(slug): Id,
    query: Query,
) -> Result<Response, ApiError> {
    let toolkit = app.core.toolkit(&slug).ok_or_else(|| toolkit_not_found(&slug))?;
    let version = app.versions.named(&toolkit, query.text("version"), "query.version").await?;
    let available = app.versions.available(&toolkit).await?;
    Ok(json(StatusCode::OK, &view::toolkit(&app, &caller.project_id, &version, available))?)
}

/// `GET /toolkits/categories` → 200 page.
pub async fn categories(State(app): State<Arc<App>>, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, MAX_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let all: Vec<String> = app.toolkits.categories().into_iter().collect();
    Ok(json(StatusCode::OK, &page.envelope_of_slice(&all, |id| CategoryItem::of(id)))?)
}

/// `GET /toolkits/changelog` → 200: every toolkit and its versions.
pub async fn changelog(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &view::changelog(app.versions.changelog().await?))?)
}

async fn answer(
    app: &App,
    caller: &Caller,
    page: PageRequest,
    filter: &ToolkitListFilter,
) -> Result<Response, ApiError> {
    let all = app.toolkits.list(&caller.project_id, filter).await?;
    let answer: Page<ToolkitItem> =
        page.envelope_of_slice(&all, |toolkit| view::item(app, &caller.project_id, toolkit));
    Ok(json(StatusCode::OK, &answer)?)
}

fn managed(by: Option<ManagedBy>) -> Option<bool> {
    match by {
        Some(ManagedBy::Composio) => Some(true),
        Some(ManagedBy::Project) => Some(false),
        Some(ManagedBy::All) | None => None,
    }
}
