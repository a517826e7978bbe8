//! `/project/usage` and `/org/usage`: numbers of calls, counted from their log. They reach back as far as it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_store::tool_calls::{CallGroup, CallUsage, UsageOrder, UsageQuery};
use switchboard_types::{ProjectId, SessionId};

use super::search::first_id;
use crate::api::http::auth::{Caller, OrgCaller};
use crate::api::http::body::{OptionalJson, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::app::App;
use crate::error::{Error, Result};
use crate::time::DAY;

/// What is counted: `(entity type, whether it is of tools)`.
const ENTITIES: [(&str, bool); 2] = [("tool_calls", true), ("proxy_calls", false)];
/// Groups in a response.
const LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Values in a filter.
const MAX_VALUES: usize = 1_000;

/// Which calls are counted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "UsageSummaryQuery")]
#[serde(default)]
pub struct SummaryBody {
    /// The first millisecond since 1970 UTC; by default 30 days before `to`.
    from: Option<f64>,
    /// The millisecond after the last; by default now.
    to: Option<f64>,
    /// `tool_calls` and `proxy_calls`; both when omitted.
    entity_types: Option<Vec<String>>,
    /// Of these only.
    filters: Option<Filters>,
}

/// Which calls are counted, and by what.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "UsageQuery")]
#[serde(default)]
pub struct GroupBody {
    /// The first millisecond since 1970 UTC; by default 30 days before `to`.
    from: Option<f64>,
    /// The millisecond after the last; by default now.
    to: Option<f64>,
    /// `user_id`, `session_id`, `toolkit_slug`, `tool_slug`, `connected_account_id`, `day` or `project_id`. By
    /// default `tool_slug` for `tool_calls` and `toolkit_slug` for `proxy_calls`.
    group_by: Option<GroupBy>,
    /// Default `total_quantity`.
    order_by: Option<OrderBy>,
    /// Default `desc`.
    order_direction: Option<Direction>,
    /// Groups in the response; default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
    /// Of these only.
    filters: Option<Filters>,
}

/// Which calls are counted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "UsageFilters")]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the published names")]
pub struct Filters {
    /// Of these end users.
    user_id: Option<Vec<String>>,
    /// In these sessions.
    session_id: Option<Vec<String>>,
    /// In these projects; only for the organization.
    project_id: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UsageGroup")]
enum GroupBy {
    UserId,
    SessionId,
    ToolkitSlug,
    ToolSlug,
    ConnectedAccountId,
    Day,
    ProjectId,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UsageOrder")]
enum OrderBy {
    Key,
    #[default]
    TotalQuantity,
    EventCount,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UsageDirection")]
enum Direction {
    Asc,
    #[default]
    Desc,
}

/// Numbers of calls by entity type.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageSummary")]
pub struct Summary {
    entities: BTreeMap<&'static str, Entity>,
    /// Nothing is charged here: `0`.
    instant_charge: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageEntity")]
struct Entity {
    /// `call`
    unit: &'static str,
    /// The number of calls, as text.
    total_quantity: String,
    /// The number of calls.
    event_count: i64,
}

/// Numbers of calls by group.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Usage")]
pub struct Usage {
    entity_type: &'static str,
    /// `call`
    unit: &'static str,
    total_quantity: String,
    event_count: i64,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageGroupItem")]
struct Group {
    key: String,
    total_quantity: String,
    event_count: i64,
}

/// `POST /project/usage/summary` → 200.
pub async fn project_summary(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJson(body): OptionalJson<SummaryBody>,
) -> std::result::Result<Response, ApiError> {
    only_project(body.filters.as_ref())?;
    let projects = vec![caller.project_id.clone()];
    Ok(json(StatusCode::OK, &summary(&app, &caller.project_id, projects, body).await?)?)
}

/// `POST /project/usage/{entity_type}` → 200.
pub async fn project_usage(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(entity): Id,
    OptionalJson(body): OptionalJson<GroupBody>,
) -> std::result::Result<Response, ApiError> {
    only_project(body.filters.as_ref())?;
    let projects = vec![caller.project_id.clone()];
    Ok(json(StatusCode::OK, &usage(&app, &caller.project_id, projects, &entity, body).await?)?)
}

/// `POST /org/usage/summary` → 200.
pub async fn org_summary(
    State(app): State<Arc<App>>,
    _: OrgCaller,
    OptionalJson(body): OptionalJson<SummaryBody>,
) -> std::result::Result<Response, ApiError> {
    let projects = projects(&app, body.filters.as_ref()).await?;
    Ok(json(StatusCode::OK, &summary(&app, &ProjectId::default(), projects, body).await?)?)
}

/// `POST /org/usage/{entity_type}` → 200.
pub async fn org_usage(
    State(app): State<Arc<App>>,
    _: OrgCaller,
    Id(entity): Id,
    OptionalJson(body): OptionalJson<GroupBody>,
) -> std::result::Result<Response, ApiError> {
    let projects = projects(&app, body.filters.as_ref()).await?;
    Ok(json(StatusCode::OK, &usage(&app, &ProjectId::default(), projects, &entity, body).await?)?)
}

/// A project's key sees no other project.
fn only_project(filters: Option<&Filters>) -> Result<()> {
    match filters.and_then(|filters| filters.project_id.as_ref()) {
        Some(_) => Err(Error::field("filters.project_id", "is for the organization's key only")
            .fix("Leave it out, or ask /org/usage with x-org-api-key.")),
        None => Ok(()),
    }
}

/// The projects that are counted.
async fn projects(app: &App, filters: Option<&Filters>) -> Result<Vec<ProjectId>> {
    if let Some(given) = filters.and_then(|filters| filters.project_id.clone()) {
        if given.len() > MAX_VALUES {
            return Err(Error::field("filters.project_id", format!("must have at most {MAX_VALUES} entries")));
        }
        return Ok(given.into_iter().map(Into::into).collect());
    }
    app.call_log.projects().await
}

/// Whether an entity type is of tools, and its name.
fn entity(name: &str, path: &str) -> Result<(&'static str, bool)> {
    let found = ENTITIES.into_iter().find(|(entity, _)| *entity == name);
    found.ok_or_else(|| {
        let detail = format!("Error in {path}: must be tool_calls or proxy_calls");
        Error::validation(vec![detail])
    })
}

fn query(
    app: &App,
    is_tool: bool,
    projects: Vec<ProjectId>,
    (from, until): (Option<f64>, Option<f64>),
    filters: Option<&Filters>,
) -> Result<UsageQuery> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
    let from =
        from.or_else(|| Some(until.unwrap_or(app.core.now().as_millis() as f64) - 30.0 * DAY.as_millis() as f64));
    let values = |name: &str, given: Option<&Vec<String>>| match given {
        Some(values) if values.len() > MAX_VALUES => {
            Err(Error::field(&format!("filters.{name}"), format!("must have at most {MAX_VALUES} entries")))
        }
        values => Ok(values.cloned().unwrap_or_default()),
    };
    let sessions = values("session_id", filters.and_then(|filters| filters.session_id.as_ref()))?;
    Ok(UsageQuery {
        is_tool,
        projects,
        users: values("user_id", filters.and_then(|filters| filters.user_id.as_ref()))?,
        sessions: sessions.into_iter().map(SessionId::from).collect(),
        from: first_id(app, from),
        until: first_id(app, until),
    })
}

async fn summary(app: &App, reader: &ProjectId, projects: Vec<ProjectId>, body: SummaryBody) -> Result<Summary> {
    let names = body.entity_types.as_deref();
    for name in names.unwrap_or_default() {
        entity(name, "payload.entity_types")?;
    }
    let wanted =
        ENTITIES.into_iter().filter(|(entity, _)| names.is_none_or(|names| names.iter().any(|name| name == entity)));
    let mut entities = BTreeMap::new();
    for (name, is_tool) in wanted {
        let query = query(app, is_tool, projects.clone(), (body.from, body.to), body.filters.as_ref())?;
        let calls = if projects.is_empty() { 0 } else { app.call_log.count(reader, &query).await? };
        entities.insert(name, Entity { unit: "call", total_quantity: calls.to_string(), event_count: calls });
    }
    Ok(Summary { entities, instant_charge: "0" })
}

async fn usage(
    app: &App,
    reader: &ProjectId,
    projects: Vec<ProjectId>,
    entity_type: &str,
    body: GroupBody,
) -> Result<Usage> {
    let (entity_type, is_tool) = entity(entity_type, "path.entity_type")?;
    let limit = body.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::field("limit", format!("must be a number from 1 to {MAX_LIMIT}")));
    }
    let is_empty = projects.is_empty();
    let query = query(app, is_tool, projects, (body.from, body.to), body.filters.as_ref())?;
    let calls = if is_empty { 0 } else { app.call_log.count(reader, &query).await? };
    let order = UsageOrder {
        is_by_calls: !matches!(body.order_by.unwrap_or_default(), OrderBy::Key),
        is_descending: body.order_direction.unwrap_or_default() == Direction::Desc,
    };
    let max_groups = i64::try_from(limit).unwrap_or(i64::MAX);
    let group = body.group_by.unwrap_or(if is_tool { GroupBy::ToolSlug } else { GroupBy::ToolkitSlug });
    let groups =
        if is_empty { Vec::new() } else { app.call_log.usage(reader, &query, group.into(), order, max_groups).await? };
    let groups = groups
        .into_iter()
        .map(|CallUsage { key, calls }| Group { key, total_quantity: calls.to_string(), event_count: calls })
        .collect();
    Ok(Usage { entity_type, unit: "call", total_quantity: calls.to_string(), event_count: calls, groups })
}

impl From<GroupBy> for CallGroup {
    fn from(group: GroupBy) -> Self {
        match group {
            GroupBy::UserId => Self::User,
            GroupBy::SessionId => Self::Session,
            GroupBy::ToolkitSlug => Self::Toolkit,
            GroupBy::ToolSlug => Self::Tool,
            GroupBy::ConnectedAccountId => Self::Account,
            GroupBy::Day => Self::Day,
            GroupBy::ProjectId => Self::Project,
        }
    }
}
