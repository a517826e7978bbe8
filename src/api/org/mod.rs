//! `/org/list`, `/org/project/list`: what a user key can access (contract section 8.5).

pub mod api_key_revocation;
pub(in crate::api) mod operations;
pub mod project_config;
pub mod projects;
pub mod session_info;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::projects::Project;

use crate::api::http::auth::OrgCaller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::page::{PageInfo, PageRequest};
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::project::organization::Organization;
use crate::error::Result;
use crate::time::iso;

/// Default page size for projects and organisations.
const DEFAULT_PAGE: i64 = 20;
/// Maximum page size.
pub const MAX_PAGE_SIZE: i64 = 50;

/// The organisations of a member: only this installation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrganizationPage {
    /// The organisations.
    organizations: Vec<OrganizationView>,
    #[serde(flatten)]
    info: PageInfo,
}

/// An organisation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrganizationView {
    /// `ok_…`; the value of `x-org-id`.
    id: String,
    /// Its name.
    name: String,
    /// ISO 8601.
    created_at: String,
    /// ISO 8601.
    updated_at: String,
}

/// A page of projects.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProjectPage {
    /// The projects, newest first.
    data: Vec<ProjectView>,
    #[serde(flatten)]
    info: PageInfo,
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProjectView {
    /// `pr_…`; the value of `x-project-id`.
    pub(super) id: String,
    /// The organisation.
    pub(super) org_id: String,
    /// Its name.
    pub(super) name: String,
    /// Empty: projects here have no owner.
    pub(super) email: String,
    /// ISO 8601.
    pub(super) created_at: String,
    /// Time of the last change to its settings, ISO 8601.
    pub(super) updated_at: String,
    /// False: this server has no triggers.
    triggers_enabled: bool,
    /// Always V3.
    webhook_version: &'static str,
    /// Always false: a deleted project is unknown.
    deleted: bool,
}

impl ProjectView {
    pub(super) fn new(project: &Project, organization: &Organization) -> Self {
        Self {
            id: project.id.to_string(),
            org_id: organization.id.clone(),
            name: project.name.clone(),
            email: String::new(),
            created_at: iso(project.created_at),
            updated_at: iso(project.updated_at),
            triggers_enabled: false,
            webhook_version: "V3",
            deleted: false,
        }
    }
}

/// One page of all projects of the installation.
pub(super) async fn projects_page(app: &App, query: &Query) -> Result<ProjectPage> {
    let page = PageRequest::from_query(query, DEFAULT_PAGE, MAX_PAGE_SIZE)?;
    let organization = app.projects.organization().await?;
    let found = app.projects.page(page.store_query()).await?;
    let data = found.rows.iter().map(|row| ProjectView::new(row, &organization)).collect();
    Ok(ProjectPage { data, info: page.page_info(found.total, found.next.as_ref()) })
}

/// `GET /org/list` → 200.
pub async fn list(State(app): State<Arc<App>>, _: OrgCaller, query: Query) -> std::result::Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, DEFAULT_PAGE, MAX_PAGE_SIZE)?;
    let organization = app.projects.organization().await?;
    let made = iso(organization.created_at);
    let view = OrganizationView {
        id: organization.id,
        name: Organization::NAME.to_owned(),
        created_at: made.clone(),
        updated_at: made,
    };
    let organizations = if page.page == 1 { vec![view] } else { Vec::new() };
    Ok(json(StatusCode::OK, &OrganizationPage { organizations, info: page.counted_page_info(1) })?)
}

/// `GET /org/project/list` → 200. A member sees every project, with or without `list_all_org_projects`.
pub async fn project_list(
    State(app): State<Arc<App>>,
    _: OrgCaller,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    query.flag("list_all_org_projects")?;
    Ok(json(StatusCode::OK, &projects_page(&app, &query).await?)?)
}
