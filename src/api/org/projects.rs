//! `/org/owner/project/…`: what an organisation key does with projects (contract section 8.5).

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
    /// Make its first key, too.
    should_create_api_key: Option<bool>,
    /// Addresses and CIDR ranges that the key may be used from; left out: from anywhere.
    api_key_allowed_ips: Option<Vec<String>>,
    /// What the key may do; left out: everything in the project.
    api_key_permissions: Option<Vec<KeyGrant>>,
    /// Settings, as `PATCH /org/project/config` takes them.
    config: Option<ConfigChange>,
}

/// One right of a scoped key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyGrant {
    /// Area of the API.
    preset: Preset,
    /// What is allowed there.
    access: Access,
}

/// The project that was made.
#[derive(Serialize, JsonSchema)]
pub struct NewProjectAnswer {
    /// `pr_…`.
    id: String,
    /// Its name.
    name: String,
    /// Its key, shown this once; only when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

/// A project and its keys.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProjectDetail {
    #[serde(flatten)]
    project: ProjectView,
    /// Keys that open it.
    api_keys: Vec<KeyView>,
}

/// A key as it is listed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyView {
    /// `key_…`.
    id: String,
    /// Given by whoever made it.
    name: String,
    /// Its first characters and `…`: the key itself is stored nowhere.
    key: String,
    /// ISO 8601.
    created_at: String,
}

/// The one key of a project from now on.
#[derive(Serialize, JsonSchema)]
pub struct RegeneratedKey {
    /// The key.
    api_key: NewKeyView,
    /// What happened to the earlier ones.
    message: String,
}

/// A new key.
#[derive(Serialize, JsonSchema)]
pub struct NewKeyView {
    /// `key_…`.
    id: String,
    /// `default`.
    name: String,
    /// The whole key, shown this once.
    key: String,
    /// ISO 8601.
    created_at: String,
}

/// How a deletion went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedProject {
    /// `success`.
    status: &'static str,
    /// What its credentials are revoked under, in the audit log and the server's own log. Absent when
    /// there were none, or `revoke_on_delete` was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_job_id: Option<String>,
}

crate::redacted_debug!(NewProjectAnswer, RegeneratedKey, NewKeyView);

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
    let answer =
        NewProjectAnswer { id: project.id, name: project.name, api_key: key.map(|key| key.expose().to_owned()) };
    Ok(json(StatusCode::OK, &answer)?)
}

/// `GET /org/owner/project/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, _: OrgCaller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let project = app.projects.get(&id).await?;
    let now = app.core.now();
    let keys = app.core.store.api_keys(&project.id).await?;
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

/// `DELETE /org/owner/project/{id}` → 200. Its keys, sessions, links and accounts end with it.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: OrgCaller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.project_deletion.delete(&caller.actor(), &id, revoke).await?;
    Ok(json(StatusCode::OK, &DeletedProject { status: "success", revoke_job_id })?)
}

/// `POST /org/owner/project/{id}/regenerate_api_key` → 200.
pub async fn regenerate(
    State(app): State<Arc<App>>,
    caller: OrgCaller,
    Id(id): Id,
) -> std::result::Result<Response, ApiError> {
    let (key, row) = app.projects.regenerate_key(&caller.actor(), &id).await?;
    let api_key =
        NewKeyView { id: row.id, name: row.name, key: key.expose().to_owned(), created_at: iso(row.created_at) };
    let message = "A new API key was made; all earlier keys of the project are revoked".to_owned();
    Ok(json(StatusCode::OK, &RegeneratedKey { api_key, message })?)
}

impl NewProjectBody {
    /// The scope of the key to make; none when no key is wanted.
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
        let pairs: Option<Vec<(Preset, Access)>> =
            self.api_key_permissions.as_ref().map(|grants| grants.iter().map(|it| (it.preset, it.access)).collect());
        Ok(Some(KeyScope {
            permissions: pairs.map(|pairs| permissions_from("api_key_permissions", &pairs)).transpose()?,
            allowed_ips: ips.map(|ips| networks::parse_list("api_key_allowed_ips", ips)).transpose()?,
        }))
    }
}
