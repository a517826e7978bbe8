//! `COMPOSIO_WAIT_FOR_CONNECTIONS`: waits until the user has connected toolkits. It is woken when an account of the user
//! is connected or fails; what another process does is seen within seconds.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchboard_catalog::Toolkit;
use switchboard_store::accounts::AccountRow;
use tokio::time::{Instant, sleep_until, timeout};

use super::connections::{distinct, is_active, session_view, user_info};
use super::{Data, MetaTools, members};
use crate::app::session::Session;
use crate::error::Result;
use crate::time::iso;

/// How long it waits: below the 60 seconds after which clients give up.
const MAX_WAIT: Duration = Duration::from_secs(50);
/// How often the database is read for what other processes did.
const RECHECK: Duration = Duration::from_secs(5);

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct WaitForConnections {
    toolkits: Vec<String>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Any,
    All,
}

/// The connection of a toolkit.
struct ConnectionState {
    status: &'static str,
    account: Option<AccountRow>,
}

impl ConnectionState {
    fn is_settled(&self) -> bool {
        matches!(self.status, "ACTIVE" | "FAILED")
    }
}

impl MetaTools {
    /// The toolkits' connections: as soon as one of them, or all, are connected or have failed, or when the
    /// time is up.
    pub(super) async fn wait_for_connections(&self, session: &Session, wanted: &WaitForConnections) -> Result<Data> {
        let slugs = distinct(&wanted.toolkits);
        let toolkits: Vec<Arc<Toolkit>> =
            slugs.iter().map(|slug| self.admitted(session, slug)).collect::<Result<_>>()?;
        let waiting = self.core.connection_waiters.wait_for(&session.project_id, &session.user_id);
        let until = Instant::now() + MAX_WAIT;
        loop {
            // Before the database is read, so that no change between is missed.
            let change = waiting.change();
            let states = self.states(session, &toolkits).await?;
            let mut settled = states.iter().map(|(_, state)| state.is_settled());
            let is_over = match wanted.mode {
                Mode::Any => settled.any(|is_settled| is_settled),
                Mode::All => settled.all(|is_settled| is_settled),
            };
            if is_over || Instant::now() >= until || self.core.stopping.is_cancelled() {
                return Ok(data(session, is_over, &states));
            }
            tokio::select! {
                _ = timeout(RECHECK, change) => {}
                () = sleep_until(until) => {}
                () = self.core.stopping.cancelled() => {}
            }
        }
    }

    async fn states<'t>(
        &self,
        session: &Session,
        toolkits: &'t [Arc<Toolkit>],
    ) -> Result<Vec<(&'t str, ConnectionState)>> {
        let wanted: Vec<&Arc<Toolkit>> = toolkits.iter().collect();
        let mut accounts = self.sessions.default_accounts(session, &wanted).await?;
        let mut connections = Vec::with_capacity(toolkits.len());
        for toolkit in toolkits {
            let account = match accounts.remove(&toolkit.slug) {
                Some(account) => Some(account),
                None => self.unconnected(session, &toolkit.slug).await?,
            };
            let status = match &account {
                None if toolkit.has_only_no_auth() => "ACTIVE",
                None => "NOT_FOUND",
                Some(account) if is_active(account) => "ACTIVE",
                Some(account) if account.status.is_connecting() => "INITIATED",
                Some(_) => "FAILED",
            };
            connections.push((toolkit.slug.as_str(), ConnectionState { status, account }));
        }
        Ok(connections)
    }

    /// The account that the user is connecting, or did not connect.
    async fn unconnected(&self, session: &Session, toolkit: &str) -> Result<Option<AccountRow>> {
        if session.config.pins(toolkit).is_some() {
            return Ok(None);
        }
        let config = session.config.auth_config(toolkit);
        let (project, user) = (&session.project_id, session.user_id.as_str());
        Ok(self.core.store.newest_unconnected_account(project, user, toolkit, config.as_ref()).await?)
    }
}

fn data(session: &Session, is_over: bool, states: &[(&str, ConnectionState)]) -> Data {
    let results: Map<String, Value> =
        states.iter().map(|(slug, state)| ((*slug).to_owned(), result(slug, state))).collect();
    let message = if is_over {
        "The wait is over: see the status of each app."
    } else {
        "The user has not finished yet. Ask whether they need help, and call this tool again."
    };
    members(json!({ "message": message, "results": results, "session": session_view(session) }))
}

fn result(slug: &str, state: &ConnectionState) -> Value {
    let mut result = json!({
        "toolkit": slug,
        "status": state.status,
        "has_active_connection": state.status == "ACTIVE",
    });
    if let Some(account) = &state.account {
        result["connected_account_id"] = account.id.as_str().into();
        result["auth_config_id"] = account.auth_config_id.as_str().into();
        result["created_at"] = iso(account.created_at).into();
        result["current_user_info"] = user_info(account);
        if let Some(reason) = account.status_reason.as_ref().filter(|_| state.status == "FAILED") {
            result["error_message"] = reason.to_string().into();
        }
    }
    result
}
