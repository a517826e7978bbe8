//! `GET /auth/session/info`: describes the key of this request (contract section 8.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::organization_keys::OrganizationKeyRow;

use super::ProjectView;
use crate::api::http::auth::{Caller, Principal};
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::app::App;
use crate::app::project::organization::Organization;
use crate::error::Result;
use crate::time::iso;

/// Rows here have no numeric id.
const AUTO_ID: u32 = 0;

/// Description of a key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionInfo {
    /// The project; only with a project key.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<SessionProject>,
    /// The key; only with a project key.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<SessionKey>,
    /// The owner of the key.
    org_member: SessionMember,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SessionProject {
    #[serde(flatten)]
    view: ProjectView,
    /// Always 0: rows here have no running number.
    auto_id: u32,
    /// As `id`.
    nano_id: String,
    /// Always false.
    is_new_webhook: bool,
    /// The organisation.
    org: SessionOrganization,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SessionOrganization {
    /// `ok_…`.
    id: String,
    /// Its name.
    name: &'static str,
    /// `self-hosted`.
    plan: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SessionKey {
    /// Always 0: rows here have no numeric id.
    auto_id: u32,
    /// `key_…`.
    id: String,
    /// Name given when the key was created.
    name: String,
    /// The key's project.
    project_id: String,
    /// As `org_member.id`.
    org_member_id: String,
    /// ISO 8601.
    created_at: String,
    /// As `created_at`: keys do not change.
    updated_at: String,
    /// Its first characters and `…`: the key itself is stored nowhere.
    key: String,
    /// False: a revoked key is rejected.
    deleted: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SessionMember {
    /// The organisation's id for the operator, the key's for a member.
    id: String,
    /// The member's; empty for the operator.
    email: String,
    /// Name of a member's key, or the operator.
    name: String,
    /// `owner` for the operator, `member` otherwise.
    role: &'static str,
    /// Empty.
    metadata: BTreeMap<String, String>,
}

/// `GET /auth/session/info` → 200.
pub async fn read(State(app): State<Arc<App>>, principal: Principal) -> std::result::Result<Response, ApiError> {
    let organization = app.projects.organization().await?;
    let answer = match principal {
        Principal::Project(caller) => of_project(&app, &caller, organization).await?,
        Principal::Organization(caller) => {
            SessionInfo { project: None, api_key: None, org_member: member(&caller.key, &organization) }
        }
    };
    Ok(json(StatusCode::OK, &answer)?)
}

async fn of_project(app: &App, caller: &Caller, organization: Organization) -> Result<SessionInfo> {
    let project = app.projects.get(&caller.project_id).await?;
    let row = app.keys.get(&project.id, &caller.key_id).await?;
    let operator = operator(&organization);
    Ok(SessionInfo {
        project: Some(SessionProject {
            view: ProjectView::new(&project, &organization),
            auto_id: AUTO_ID,
            nano_id: project.id.to_string(),
            is_new_webhook: false,
            org: SessionOrganization { id: organization.id, name: Organization::NAME, plan: "self-hosted" },
        }),
        api_key: Some(SessionKey {
            auto_id: AUTO_ID,
            id: row.id,
            name: row.name,
            project_id: project.id.into(),
            org_member_id: operator.id.clone(),
            created_at: iso(row.created_at),
            updated_at: iso(row.created_at),
            key: format!("{}…", row.prefix),
            deleted: false,
        }),
        org_member: operator,
    })
}

/// The operator of the installation.
fn operator(organization: &Organization) -> SessionMember {
    SessionMember {
        id: organization.id.clone(),
        email: String::new(),
        name: "Operator".to_owned(),
        role: "owner",
        metadata: BTreeMap::new(),
    }
}

fn member(key: &OrganizationKeyRow, organization: &Organization) -> SessionMember {
    match &key.email {
        None => operator(organization),
        Some(email) => SessionMember {
            id: key.id.clone(),
            email: email.clone(),
            name: key.name.clone(),
            role: "member",
            metadata: BTreeMap::new(),
        },
    }
}
