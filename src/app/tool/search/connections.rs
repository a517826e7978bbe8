//! How the session's user is connected to the toolkits of a search.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use switchboard_catalog::Toolkit;
use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_types::AccountIdentity;

use super::answer::{ConnectedAccount, ConnectionDetails, ConnectionStatus};
use crate::app::account::effective_status;
use crate::app::session::Session;
use crate::time::iso;

/// The toolkits of a search, and the accounts that their calls may use.
pub(super) struct Connections<'a> {
    session: &'a Session,
    toolkits: &'a [&'a Arc<Toolkit>],
    accounts: &'a HashMap<String, Vec<AccountRow>>,
    own: Vec<(&'a str, &'a str)>,
}

/// Slugs of the toolkits whose calls can be made now.
pub(super) fn connected<'a>(accounts: &HashMap<String, AccountRow>, toolkits: &[&'a Arc<Toolkit>]) -> Vec<&'a str> {
    let is_connected = |toolkit: &&&Arc<Toolkit>| accounts.get(&toolkit.slug).is_some_and(is_active);
    toolkits.iter().filter(is_connected).map(|toolkit| toolkit.slug.as_str()).collect()
}

fn is_active(account: &AccountRow) -> bool {
    effective_status(account) == AccountStatus::Active
}

impl<'a> Connections<'a> {
    /// Of the toolkits whose tools are shown. `own` has the slugs and descriptions of the caller's own ones among them.
    pub fn new(
        session: &'a Session,
        toolkits: &'a [&'a Arc<Toolkit>],
        accounts: &'a HashMap<String, Vec<AccountRow>>,
        own: Vec<(&'a str, &'a str)>,
    ) -> Self {
        Self { session, toolkits, accounts, own }
    }

    fn of(&self, slug: &str) -> &[AccountRow] {
        self.accounts.get(slug).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether calls of a toolkit can be made now.
    pub fn is_connected(&self, slug: &str) -> bool {
        let Some(toolkit) = self.toolkits.iter().find(|toolkit| toolkit.slug == slug) else { return true };
        match self.of(slug) {
            [] => toolkit.has_only_no_auth(),
            [first, ..] => is_active(first),
        }
    }

    /// The toolkits whose user must connect an account first.
    pub fn missing(&self) -> Vec<&'a str> {
        let slugs = self.toolkits.iter().map(|toolkit| toolkit.slug.as_str());
        slugs.filter(|slug| !self.is_connected(slug)).collect()
    }

    /// How accounts of toolkits are connected.
    pub fn advice(&self, toolkits: &[&str]) -> String {
        let list = toolkits.join(", ");
        let manage = self.session.config.manage_connections.as_ref();
        if manage.and_then(|manage| manage.enable) == Some(false) {
            return format!(
                "The user must connect {list} in the application first: this session makes no links for agents."
            );
        }
        format!(
            "Connect {list} before you run its tools: COMPOSIO_MANAGE_CONNECTIONS, or POST \
             /api/v3.1/tool_router/session/{}/link, returns a link for the user.",
            self.session.id
        )
    }

    /// All of them, in the order of their slugs.
    pub fn statuses(&self) -> Vec<ConnectionStatus> {
        let own = self.own.iter().map(|(slug, description)| ConnectionStatus {
            toolkit: (*slug).to_owned(),
            description: (*description).to_owned(),
            has_active_connection: true,
            connection_details: None,
            current_user_info: None,
            account_type: None,
            accounts: None,
            account_selection: None,
            status_message: "Its tools run in the caller's own process.".to_owned(),
        });
        self.toolkits.iter().map(|toolkit| self.status(toolkit)).chain(own).collect()
    }

    fn status(&self, toolkit: &Toolkit) -> ConnectionStatus {
        let accounts = self.of(&toolkit.slug);
        let first = accounts.first();
        let is_multi = self.session.config.is_multi_account();
        ConnectionStatus {
            toolkit: toolkit.slug.clone(),
            description: toolkit.description.clone(),
            has_active_connection: self.is_connected(&toolkit.slug),
            connection_details: first.map(|account| ConnectionDetails {
                connected_account_id: account.id.to_string(),
                auth_config_id: account.auth_config_id.to_string(),
                status: effective_status(account).as_str(),
            }),
            current_user_info: first.and_then(user_info),
            account_type: first.map(|account| account.account_type.as_str()),
            accounts: (is_multi && first.is_some()).then(|| accounts.iter().enumerate().map(selectable).collect()),
            account_selection: (self.session.config.needs_selection() && accounts.len() > 1).then_some("required"),
            status_message: self.message(toolkit, accounts),
        }
    }

    fn message(&self, toolkit: &Toolkit, accounts: &[AccountRow]) -> String {
        let slug = &toolkit.slug;
        match accounts {
            [] if toolkit.has_only_no_auth() => format!("Toolkit {slug} needs no connection."),
            [] => format!("The user has no connection to toolkit {slug}. {}", self.advice(&[slug])),
            [first, ..] if !is_active(first) => {
                let status = effective_status(first).as_str();
                format!("The connection to toolkit {slug} is {status}. {}", self.advice(&[slug]))
            }
            [_] => format!("The user is connected to toolkit {slug}."),
            several if self.session.config.needs_selection() => {
                format!("The user has {} connections to toolkit {slug}: name one in `account`.", several.len())
            }
            several => {
                format!("The user has {} connections to toolkit {slug}; the first is the default.", several.len())
            }
        }
    }
}

fn selectable((place, account): (usize, &AccountRow)) -> ConnectedAccount {
    ConnectedAccount {
        id: account.id.to_string(),
        alias: account.alias.clone(),
        user_info: user_info(account),
        status: effective_status(account).as_str(),
        created_at: iso(account.created_at),
        is_default: place == 0,
        account_type: account.account_type.as_str(),
    }
}

/// Who an account is at the provider.
fn user_info(account: &AccountRow) -> Option<Map<String, Value>> {
    let identity: &AccountIdentity = account.params.identity.as_ref()?;
    match serde_json::to_value(identity) {
        Ok(Value::Object(identity)) => Some(identity),
        _ => None,
    }
}
