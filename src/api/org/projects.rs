//! `/org/owner/project/…`: managing projects with an organisation key (contract section 8.5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProjectView, projects_page};
use crate::api::http::auth::OrgCaller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::base::networks;
use crate::app::project::ProjectSettings;
use crate::app::project::config::ConfigChange;
use crate::app::project::keys::{KeyScope, is_live, permissions_from};
use crate::app::project::permissions::{Access, Preset};
use crate::error::{Error, Result};
use crate::time::iso;

/// A new project.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewProjectBody {
    /// 3 to 75 letters, digits, underscores or hyphens.
    name: String,
    /// Whether to create its first key.
    should_create_api_key: Option<bool>,
    /// Addresses and CIDR ranges that may use the key; when omitted, any address.
    api_key_allowed_ips: Option<Vec<String>>,
    /// What the key may do; when omitted, everything in the project.
    api_key_permissions: Option<Vec<KeyGrant>>,
    /// Settings, as in `PATCH /org/project/config`.
    config: Option<ConfigChange>,
}

/// One permission of a scoped key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyGrant {
    /// Area of the API.
    preset: Preset,
    /// The allowed access.
    access: Access,
}

/// The new project.
#[derive(Serialize, JsonSchema)]
pub struct NewProjectResponse {
    /// `pr_…`.
    id: String,
    /// Its name.
    name: String,
    /// Its key, shown only once; only if one was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

/// A project and its keys.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProjectDetail {
    #[serde(flatten)]
    project: ProjectView,
    /// Its valid keys.
    api_keys: Vec<KeyView>,
}

/// A key as shown in lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyView {
    /// `key_…`.
    id: String,
    /// Name given when the key was created.
    name: String,
    /// Its first characters and `…`: the key itself is stored nowhere.
    key: String,
    /// ISO 8601.
    created_at: String,
}

/// The only key of a project from now on.
#[derive(Serialize, JsonSchema)]
pub struct RegeneratedKey {
    /// The key.
    api_key: NewKeyView,
    /// What happened to the earlier keys.
    message: String,
}

/// A new key.
#[derive(Serialize, JsonSchema)]
pub struct NewKeyView {
    /// `key_…`.
    id: String,
    /// `default`.
    name: String,
    /// The whole key, shown only once.
    key: String,
    /// ISO 8601.
    created_at: String,
}

/// The result of a deletion.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedProject {
    /// `success`.
    status: &'static str,
    /// Id of the job that revokes its credentials, in the audit log and the server's log. Absent when
    /// there were none, or `revoke_on_delete` was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_job_id: Option<String>,
}

crate::redacted_debug!(NewProjectResponse, RegeneratedKey, NewKeyView);

/// `GET /org/owner/project/list` → 200.
pub async fn list(State(app): State<Arc<App>>, _: OrgCaller, query: Query) -> std::result::Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &projects_page(&app, &query).await?)?)
}

/// `POST /org/owner/project/new` → 200.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: OrgCaller,
    body: JsonBody<NewProjectBody>,
) -> std::result::Result<Response, ApiError> {
    let mut settings = ProjectSettings::default();
    if let Some(config) = &body.value.config {
        config.apply(&mut settings, "payload.config")?;
    }
    let scope = body.value.scope()?;
    let (project, key) = app.projects.new_project(&caller.actor(), &body.value.name, &settings, scope.as_ref()).await?;
    let answer = NewProjectResponse {
        id: project.id.into(),
        name: project.name,
        api_key: key.map(|key| key.expose().to_owned()),
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// `GET /org/owner/project/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, _: OrgCaller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let project = app.projects.get(&id.as_str().into()).await?;
    let now = app.core.now();
    let keys = app.keys.list(&project.id).await?;
    let live = keys.iter().filter(|key| is_live(key.revoked_at, key.expires_at, now));
    let api_keys = live.map(|key| KeyView {
        id: key.id.clone(),
        name: key.name.clone(),
        key: format!("{}…", key.prefix),
        created_at: iso(key.created_at),
    });
    let detail = ProjectDetail {
        project: ProjectView::new(&project, &app.projects.organization().await?),
        api_keys: api_keys.collect(),
    };
    Ok(json(StatusCode::OK, &detail)?)
}

/// `DELETE /org/owner/project/{id}` → 200. Deletes its keys, sessions, links and accounts.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: OrgCaller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.project_deletion.delete(&caller.actor(), &id.as_str().into(), revoke).await?;
    Ok(json(StatusCode::OK, &DeletedProject { status: "success", revoke_job_id })?)
}

/// `POST /org/owner/project/{id}/regenerate_api_key` → 200.
pub async fn regenerate(
    State(app): State<Arc<App>>,
    caller: OrgCaller,
    Id(id): Id,
) -> std::result::Result<Response, ApiError> {
    let (key, row) = app.projects.regenerate_key(&caller.actor(), &id.as_str().into()).await?;
    let api_key =
        NewKeyView { id: row.id, name: row.name, key: key.expose().to_owned(), created_at: iso(row.created_at) };
    let message = "A new API key was made; all earlier keys of the project are revoked".to_owned();
    Ok(json(StatusCode::OK, &RegeneratedKey { api_key, message })?)
}

impl NewProjectBody {
    /// The scope of the new key; none if no key is requested.
    fn scope(&self) -> Result<Option<KeyScope>> {
        if self.should_create_api_key != Some(true) {
            let without = "is given, but no key is to be made; set should_create_api_key to true";
            let unused = [
                ("api_key_allowed_ips", self.api_key_allowed_ips.is_some()),
                ("api_key_permissions", self.api_key_permissions.is_some()),
            ];
            let unused: Vec<&str> = unused.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
            let lines = unused.iter().map(|name| format!("Error in payload.{name}: {without}")).collect::<Vec<_>>();
            return if lines.is_empty() { Ok(None) } else { Err(Error::validation(lines)) };
        }
        let ips = self.api_key_allowed_ips.as_deref();
        let pairs: Option<Vec<(Preset, Access)>> = self
            .api_key_permissions
            .as_ref()
            .map(|grants| grants.iter().map(|grant| (grant.preset, grant.access)).collect());
        Ok(Some(KeyScope {
            permissions: pairs.map(|pairs| permissions_from("api_key_permissions", &pairs)).transpose()?,
            allowed_ips: ips.map(|ips| networks::parse_list("api_key_allowed_ips", ips)).transpose()?,
            session: None,
        }))
    }
}
