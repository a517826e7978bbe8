//! `GET /tool_router/session/{session_id}/toolkits` (contract section 2.8).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_catalog::Scheme;

use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::page::{Page, PageRequest};
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::api::toolkit::view::logo_url;
use crate::app::App;
use crate::app::account::effective_status;
use crate::app::session::toolkits::{SessionAccount, SessionToolkit, ToolkitFilter};
use crate::time::iso;

/// A toolkit in a session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionToolkit")]
pub struct ToolkitItem {
    /// Display name.
    name: String,
    /// Lower case.
    slug: String,
    /// Whether the session allows it.
    enabled: bool,
    /// Whether it is used without an account.
    is_no_auth: bool,
    /// Schemes that can be used without an auth config of your own.
    composio_managed_auth_schemes: Vec<&'static str>,
    /// Metadata for lists.
    meta: ToolkitMeta,
    /// The account that the session uses; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_account: Option<ToolkitAccount>,
}

/// Metadata of a toolkit for lists.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionToolkitMeta")]
pub struct ToolkitMeta {
    /// URL of an image on this server.
    logo: String,
    /// A sentence.
    description: String,
}

/// The account that the session uses for a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionToolkitAccount")]
pub struct ToolkitAccount {
    /// `ca_…`.
    id: String,
    /// The account's user; for a SHARED account, its creator.
    user_id: String,
    /// `ACTIVE`, unless it is pinned.
    status: &'static str,
    /// ISO 8601.
    created_at: String,
    /// The auth config that it was connected with.
    auth_config: ToolkitAuthConfig,
}

/// The auth config of an account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionToolkitAuthConfig")]
pub struct ToolkitAuthConfig {
    /// `ac_…`.
    id: String,
    /// Such as `OAUTH2`.
    auth_scheme: String,
    /// Whether it uses the operator's client.
    is_composio_managed: bool,
}

/// `GET /tool_router/session/{session_id}/toolkits` → 200 page.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, Id(id): Id, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, 50)?;
    let filter = ToolkitFilter {
        toolkits: query.list("toolkits"),
        is_connected: query.flag("is_connected")?,
        search: query.text("search").map(str::to_owned),
    };
    let session = app.sessions.get(&caller.project_id, &id.into()).await?;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let (toolkits, total) = app.sessions.toolkits(&session, &filter, offset, limit).await?;
    let items = toolkits.into_iter().map(|toolkit| item(&app, toolkit)).collect();
    let total = i64::try_from(total).unwrap_or(i64::MAX);
    Ok(json(StatusCode::OK, &Page::<ToolkitItem> { items, info: page.counted_page_info(total) })?)
}

fn item(app: &App, found: SessionToolkit) -> ToolkitItem {
    let toolkit = &found.toolkit;
    ToolkitItem {
        name: toolkit.name.clone(),
        slug: toolkit.slug.clone(),
        enabled: found.is_enabled,
        is_no_auth: found.is_no_auth,
        composio_managed_auth_schemes: found.managed_scheme.map(Scheme::as_str).into_iter().collect(),
        meta: ToolkitMeta { logo: logo_url(app, &toolkit.slug), description: toolkit.description.clone() },
        connected_account: found.account.map(account),
    }
}

fn account(shown: SessionAccount) -> ToolkitAccount {
    let SessionAccount { row, is_managed } = shown;
    let status = effective_status(&row).as_str();
    ToolkitAccount {
        id: row.id.into(),
        user_id: row.user_id,
        status,
        created_at: iso(row.created_at),
        auth_config: ToolkitAuthConfig {
            id: row.auth_config_id.into(),
            auth_scheme: row.scheme.to_string(),
            is_composio_managed: is_managed,
        },
    }
}
