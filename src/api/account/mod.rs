//! `/connected_accounts`: list, read, delete, revoke (contract sections 4.1, 4.2, 4.6).

pub mod changes;
pub mod explain;
pub mod links;
pub(in crate::api) mod operations;
pub mod revoke_jobs;
pub mod state;
pub mod state_view;
pub mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::accounts::{AccountFilter, AccountOrder, AccountStatus, AccountTypeFilter};

use crate::api::http::auth::Caller;
use crate::api::http::body::{json, raw};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::account::AccountView;
use crate::app::base::errors::readable;
use crate::app::revocation::RevokedToken;
use crate::error::{Error, Result};

use view::{AccountItem, AccountResponse};

/// `GET /connected_accounts` → 200 page.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, 1_000)?;
    let filter = filter(&query)?;
    if page.is_time_ordered().is_some_and(|tells| tells != (filter.order == AccountOrder::UpdatedAt)) {
        return Err(wrong("cursor", "must be a next_cursor of an answer with the same order_by").into());
    }
    let store_query = page.store_query();
    let app_for_view = Arc::clone(&app);
    let answer = app.accounts.list(&caller.project_id, filter, store_query, move |found| {
        let public_url = &app_for_view.core.settings.public_url;
        let item = |account: &AccountView| readable(&account.row.id, AccountItem::new(account, public_url));
        let items = found.rows.iter().filter_map(item).collect();
        json(StatusCode::OK, &page.envelope::<AccountItem>(items, found.total, found.next.as_ref()))
    });
    Ok(answer.await??)
}

/// `GET /connected_accounts/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let render = |account: &AccountView| {
        let response = AccountResponse::new(account, &app.core.settings.public_url)?;
        serde_json::to_vec(&response).map_err(Error::internal)
    };
    let body = app.accounts.show(&caller.project_id, &id.into(), render).await?;
    Ok(raw(StatusCode::OK, body))
}

/// `DELETE /connected_accounts/{id}` → 200; the credential is erased, the id becomes unknown, and the
/// provider is asked to revoke the credential.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.accounts.delete(&caller.actor(), &id.as_str().into(), revoke).await?;
    Ok(json(StatusCode::OK, &Deleted { success: true, revoke_job_id })?)
}

/// `POST /connected_accounts/{id}/revoke` → 200 once the provider has revoked it.
pub async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
) -> std::result::Result<Response, ApiError> {
    let revoked_tokens = app.revocations.revoke_account(&caller.actor(), &id.as_str().into()).await?;
    let status = AccountStatus::Revoked.as_str();
    Ok(json(StatusCode::OK, &Revoked { revoked_tokens, connected_account: RevokedAccount { id: id.into(), status } })?)
}

/// Response of a deletion.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Deleted {
    /// Always true.
    pub success: bool,
    /// The receipt of the revocation at the provider, for `GET /revoke_jobs/{id}`. Absent when the
    /// account had no credential, or `revoke_on_delete` was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_job_id: Option<String>,
}

/// Response of a revocation.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Revoked {
    /// What the provider revoked; empty when the account was already REVOKED.
    pub revoked_tokens: Vec<RevokedToken>,
    /// The account.
    pub connected_account: RevokedAccount,
}

/// A revoked account.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RevokedAccount {
    /// `ca_…`.
    pub id: String,
    /// Always `REVOKED`.
    pub status: &'static str,
}

fn filter(query: &Query) -> Result<AccountFilter> {
    let mut statuses = Vec::new();
    for word in query.list("statuses") {
        let status = AccountStatus::parse(&word.to_ascii_uppercase());
        statuses.push(status.ok_or_else(|| {
            let known: Vec<&str> = AccountStatus::ALL.iter().map(|status| status.as_str()).collect();
            wrong("statuses", &format!("must be a list of {}", known.join(", ")))
        })?);
    }
    let types = [
        ("PRIVATE", AccountTypeFilter::Private),
        ("SHARED", AccountTypeFilter::Shared),
        ("ALL", AccountTypeFilter::All),
    ];
    let orders = [("created_at", AccountOrder::CreatedAt), ("updated_at", AccountOrder::UpdatedAt)];
    Ok(AccountFilter {
        toolkits: query.list("toolkit_slugs").iter().map(|slug| slug.to_ascii_lowercase()).collect(),
        statuses,
        users: query.filter_names("user_ids")?,
        auth_configs: query.filter_list("auth_config_ids")?,
        ids: query.filter_list("connected_account_ids")?,
        account_type: query.choice("account_type", &types)?.unwrap_or_default(),
        order: query.choice("order_by", &orders)?.unwrap_or_default(),
        ascending: query.choice("order_direction", &[("asc", true), ("desc", false)])?.unwrap_or(false),
    })
}
