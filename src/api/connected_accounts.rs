//! `/connected_accounts`: list, read, delete, revoke (contract sections 4.1, 4.2, 4.6).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use switchboard_store::accounts::{AccountFilter, AccountOrder, AccountStatus, AccountType, AccountTypeFilter};

use super::auth::Caller;
use super::body::json;
use super::error::ApiError;
use super::page::PageRequest;
use super::path::Id;
use super::query::{Query, wrong};
use super::state_view::state_val;
use crate::app::App;
use crate::app::access::Acl;
use crate::app::accounts::AccountView;
use crate::app::params::AccountParams;
use crate::app::revocation::RevokedToken;
use crate::error::{Error, Result};
use crate::time::iso;

/// `GET /connected_accounts` → 200 page.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, 1_000)?;
    let filter = filter(&query)?;
    let (accounts, total) = app.accounts(&caller.project_id, &filter, page.offset(), page.limit).await?;
    let items: Result<Vec<Value>> = accounts.iter().map(|account| item(account, &app.settings.public_url)).collect();
    Ok(json(StatusCode::OK, &page.envelope(items?, total))?)
}

/// `GET /connected_accounts/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let account = app.account(&caller.project_id, &id).await?;
    let params = AccountParams::parse(&account.row.params)?;
    let mut view = item(&account, &app.settings.public_url)?;
    if let Some(view) = view.as_object_mut() {
        view.insert("params".to_owned(), json!({}));
        view.insert("requested_scopes".to_owned(), json!(params.requested_scopes));
        view.insert("requested_user_scopes".to_owned(), json!(params.requested_user_scopes));
    }
    Ok(json(StatusCode::OK, &view)?)
}

/// `DELETE /connected_accounts/{id}` → 200; the credential is erased, the id unknown afterwards, and the
/// provider asked to forget the credential.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.delete_account(&caller.actor(), &id, revoke).await?;
    Ok(json(StatusCode::OK, &Deleted { success: true, revoke_job_id })?)
}

/// `POST /connected_accounts/{id}/revoke` → 200 once the provider has revoked it.
pub async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
) -> std::result::Result<Response, ApiError> {
    let revoked_tokens = app.revoke_account(&caller.actor(), &id).await?;
    let status = AccountStatus::Revoked.as_str();
    Ok(json(StatusCode::OK, &Revoked { revoked_tokens, connected_account: RevokedAccount { id, status } })?)
}

/// Answer of a deletion.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Deleted {
    /// Always true.
    pub success: bool,
    /// Where to read what became of the credential at its provider: `GET /revoke_jobs/{id}`. Absent
    /// when the account held none, or `revoke_on_delete` was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_job_id: Option<String>,
}

/// Answer of a revocation.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Revoked {
    /// What the provider revoked; empty when the account had been REVOKED before.
    pub revoked_tokens: Vec<RevokedToken>,
    /// The account.
    pub connected_account: RevokedAccount,
}

/// An account that was revoked.
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
        users: query.narrowing_list("user_ids")?,
        auth_configs: query.narrowing_list("auth_config_ids")?,
        ids: query.narrowing_list("connected_account_ids")?,
        account_type: query.choice("account_type", &types)?.unwrap_or_default(),
        order: query.choice("order_by", &orders)?.unwrap_or_default(),
        ascending: query.choice("order_direction", &[("asc", true), ("desc", false)])?.unwrap_or(false),
    })
}

fn item(account: &AccountView, public_url: &str) -> Result<Value> {
    let row = &account.row;
    let params = AccountParams::parse(&row.params)?;
    let val = Value::Object(state_val(account, &params, public_url));
    let config = account.auth_config.as_ref();
    let mut view = json!({
        "id": row.id,
        "toolkit": { "slug": row.toolkit },
        "auth_config": {
            "id": row.auth_config_id,
            "auth_scheme": row.scheme,
            "is_composio_managed": config.is_some_and(|config| config.is_managed),
            "is_disabled": config.is_none_or(|config| !config.is_enabled),
        },
        "authScheme": row.scheme,
        "word_id": row.word_id,
        "user_id": row.user_id,
        "status": account.status().as_str(),
        "experimental": experimental(account)?,
        // Null rather than absent: the TypeScript SDKs warn about a missing key.
        "status_reason": account.status_reason(),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "state": { "authScheme": row.scheme, "val": val.clone() },
        "data": val,
        "is_disabled": account.status() == AccountStatus::Inactive,
    });
    if let Some(alias) = &row.alias {
        view["alias"] = alias.as_str().into();
    }
    Ok(view)
}

fn experimental(account: &AccountView) -> Result<Value> {
    let row = &account.row;
    let mut view = json!({ "account_type": row.account_type.as_str() });
    if row.account_type == AccountType::Shared
        && let (Some(text), Some(view)) = (&row.acl, view.as_object_mut())
    {
        let acl: Acl = serde_json::from_str(text).map_err(Error::internal)?;
        view.insert("acl_config_for_shared".to_owned(), json!(acl));
    }
    Ok(view)
}
