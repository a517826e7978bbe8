//! `COMPOSIO_MANAGE_CONNECTIONS`: which toolkits the user has connected, and links for those that are not.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchboard_catalog::Toolkit;
use switchboard_store::accounts::{AccountRow, AccountStatus};

use super::{Data, MetaTools, members};
use crate::app::base::errors::invalid_slugs;
use crate::app::execute::context::CallContext;
use crate::app::link::LinkRequest;
use crate::app::session::Session;
use crate::app::session::policy::CallKind;
use crate::error::{Error, Result};
use crate::time::iso;

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct ManageConnections {
    toolkits: Vec<String>,
    #[serde(default)]
    reinitiate_all: bool,
}

/// How many of the toolkits are in which state.
#[derive(Default)]
struct Summary {
    active: usize,
    initiated: usize,
    failed: usize,
}

impl MetaTools {
    /// The state of each toolkit's connection; with a link where there is none, or where a new one is wanted.
    pub(super) async fn manage_connections(
        &self,
        session: &Session,
        wanted: &ManageConnections,
        context: &CallContext,
    ) -> Result<Data> {
        let slugs = distinct(&wanted.toolkits);
        let found: Vec<_> = slugs.iter().map(|slug| (slug, self.admitted(session, slug))).collect();
        let toolkits: Vec<&Arc<Toolkit>> = found.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
        let accounts = self.sessions.default_accounts(session, &toolkits).await?;
        let (mut results, mut summary) = (Map::new(), Summary::default());
        for (slug, found) in &found {
            let toolkit = match found {
                Ok(toolkit) => toolkit,
                Err(error) => {
                    summary.failed += 1;
                    results.insert((*slug).clone(), failed(slug, error));
                    continue;
                }
            };
            let account = accounts.get(&toolkit.slug);
            let active = account.filter(|account| is_active(account));
            let result = match active {
                Some(account) if !wanted.reinitiate_all => {
                    summary.active += 1;
                    connected(account)
                }
                None if toolkit.has_only_no_auth() => {
                    summary.active += 1;
                    json!({ "toolkit": toolkit.slug, "status": "active", "has_active_connection": true,
                            "instruction": "This app needs no connection." })
                }
                _ => match self.new_link(session, &toolkit.slug, context).await {
                    Ok(mut link) => {
                        summary.initiated += 1;
                        link["was_reinitiated"] = account.is_some().into();
                        link["has_active_connection"] = active.is_some().into();
                        link
                    }
                    Err(error) => {
                        summary.failed += 1;
                        failed(&toolkit.slug, &error)
                    }
                },
            };
            results.insert((*slug).clone(), result);
        }
        Ok(data(session, slugs.len(), &results, &summary))
    }

    /// A toolkit that the session may link.
    pub(super) fn admitted(&self, session: &Session, slug: &str) -> Result<Arc<Toolkit>> {
        let toolkit = self.core.toolkit(slug).ok_or_else(|| invalid_slugs(&[slug]))?;
        let kind = CallKind::Toolkit { toolkit: &toolkit.slug };
        session.config.check(kind).map_err(|denial| denial.error(kind))?;
        Ok(toolkit)
    }

    async fn new_link(&self, session: &Session, toolkit: &str, context: &CallContext) -> Result<Value> {
        let request = LinkRequest { toolkit: toolkit.to_owned(), ..LinkRequest::default() };
        let link = self.links.create(context.actor(), session, &request).await?;
        Ok(json!({
            "toolkit": toolkit,
            "status": "initiated",
            "connected_account_id": link.account_id,
            "auth_config_id": link.auth_config_id,
            "account_type": link.account_type.as_str(),
            "redirect_url": link.redirect_url,
            "instruction": format!("Show the user this link and ask them to open it: {}", link.redirect_url),
            "expires_at": iso(link.expires_at),
        }))
    }
}

/// Whether calls can use an account.
pub(super) fn is_active(account: &AccountRow) -> bool {
    account.status == AccountStatus::Active && account.has_enabled_auth_config
}

/// Who an account is at its provider, for the user to recognise.
pub(super) fn user_info(account: &AccountRow) -> Value {
    let Some(identity) = &account.params.identity else { return json!({}) };
    let mut info = Map::new();
    info.insert("id".to_owned(), identity.id.clone().into());
    for (name, value) in [("email", &identity.email), ("name", &identity.name), ("workspace", &identity.tenant_name)] {
        if let Some(value) = value {
            info.insert(name.to_owned(), value.clone().into());
        }
    }
    info.into()
}

/// Slugs in lower case, each once.
pub(super) fn distinct(slugs: &[String]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(slugs.len());
    for slug in slugs {
        let slug = slug.trim().to_ascii_lowercase();
        if !distinct.contains(&slug) {
            distinct.push(slug);
        }
    }
    distinct
}

fn connected(account: &AccountRow) -> Value {
    json!({
        "toolkit": account.toolkit,
        "status": "active",
        "has_active_connection": true,
        "connected_account_id": account.id,
        "auth_config_id": account.auth_config_id,
        "account_type": account.account_type.as_str(),
        "current_user_info": user_info(account),
        "created_at": iso(account.created_at),
        "was_reinitiated": false,
    })
}

fn failed(slug: &str, error: &Error) -> Value {
    json!({ "toolkit": slug, "status": "failed", "has_active_connection": false, "error_message": error.in_words() })
}

fn data(session: &Session, total: usize, results: &Map<String, Value>, summary: &Summary) -> Data {
    let message = match summary {
        Summary { initiated: 0, failed: 0, .. } => "All apps are connected.".to_owned(),
        Summary { initiated: 0, .. } => "Some apps cannot be connected: see error_message.".to_owned(),
        _ => "Show the user each redirect_url, and go on when they have connected the apps.".to_owned(),
    };
    members(json!({
        "message": message,
        "results": results,
        "summary": {
            "total_toolkits": total,
            "active_connections": summary.active,
            "initiated_connections": summary.initiated,
            "failed_connections": summary.failed,
        },
        "session": session_view(session),
    }))
}

/// The session, as answers of meta tools name it.
pub(super) fn session_view(session: &Session) -> Value {
    json!({ "id": session.id, "instructions": "Give this id as session_id in further calls of the same work." })
}
