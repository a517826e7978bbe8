//! Which account a session uses for a toolkit (contract section 2.2). The only way to get an
//! account for use: there is no "any account" and no fallback to another user's (R64).

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{AccountRow, AccountStatus, AccountType};

use super::App;
use super::links::{invalid_slugs, toolkit_not_allowed};
use super::sessions::{Session, may_use_shared};
use crate::error::{Code, Error, Result};

/// What a session uses a toolkit with.
#[derive(Debug)]
pub struct Usable {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// ACTIVE, of an enabled auth config; none where the provider asks for no credential.
    pub account: Option<AccountRow>,
}

impl App {
    /// The account of a session for a toolkit: pins, then the session's auth config, then the
    /// user's newest ACTIVE account. SHARED accounts take part only when pinned.
    pub async fn resolve(&self, session: &Session, toolkit_slug: &str) -> Result<Usable> {
        let toolkit = self.toolkit(toolkit_slug).ok_or_else(|| invalid_slugs(&[toolkit_slug]))?;
        let slug = toolkit.slug.as_str();
        if !session.config.admits_toolkit(slug) {
            return Err(toolkit_not_allowed(slug));
        }
        let account = if let Some(pins) = session.config.pins(slug) {
            Some(self.pinned(session, slug, pins).await?)
        } else {
            let config = session.config.auth_config(slug);
            self.store.newest_active_account(&session.project_id, &session.user_id, slug, config).await?
        };
        match account {
            Some(account) => Self::check_usable(account, toolkit),
            None if toolkit.schemes() == [Scheme::NoAuth] => Ok(Usable { toolkit: Arc::clone(toolkit), account: None }),
            None => Err(no_connection(session, slug)),
        }
    }

    /// Exactly the pinned account, even when it is not usable: no fallback.
    async fn pinned(&self, session: &Session, slug: &str, pins: &[String]) -> Result<AccountRow> {
        let [id] = pins else {
            return Err(Error::new(
                Code::SessionBadRequest,
                format!("Toolkit \"{slug}\" has {} accounts pinned; selecting one is not built yet", pins.len()),
            )
            .fix("Pin one account for this toolkit."));
        };
        let found = self.store.account(&session.project_id, id).await?;
        let account = found.ok_or_else(|| no_connection(session, slug))?;
        let allowed = match account.account_type {
            AccountType::Private => account.user_id == session.user_id,
            AccountType::Shared => may_use_shared(&account, &session.user_id)?,
        };
        if !allowed {
            return Err(Error::new(
                Code::Forbidden,
                format!("User \"{}\" may not use SHARED connection {id}", session.user_id),
            )
            .fix("Add the user to the account's access list."));
        }
        Ok(account)
    }

    fn check_usable(account: AccountRow, toolkit: &Arc<Toolkit>) -> Result<Usable> {
        match account.status {
            AccountStatus::Active => {}
            AccountStatus::Expired | AccountStatus::Revoked => {
                return Err(reauth_required(&account));
            }
            other => {
                return Err(Error::new(
                    Code::NoActiveConnection,
                    format!("No active connection: connected account {} is in {} state", account.id, other.as_str()),
                ));
            }
        }
        if !account.has_enabled_auth_config {
            return Err(Error::new(Code::NoActiveConnection, "Auth config is disabled")
                .fix("Enable the auth config, or connect the user through another one."));
        }
        Ok(Usable { toolkit: Arc::clone(toolkit), account: Some(account) })
    }
}

/// The account is dead; the user must connect again.
pub fn reauth_required(account: &AccountRow) -> Error {
    let reason = account.status_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Error::new(
        Code::ReauthRequired,
        format!("Connected account {} is in {} state{reason}", account.id, account.status.as_str()),
    )
}

fn no_connection(session: &Session, slug: &str) -> Error {
    let error = Error::new(
        Code::NoActiveConnection,
        format!("No active connection found for user ID {} for toolkit {slug}", session.user_id),
    );
    if session.config.pins(slug).is_some() {
        return error.fix("The session pins an account that is gone. Create a session that pins another one, or none.");
    }
    error.fix(format!(
        "Connect the user first: POST /api/v3.1/tool_router/session/{}/link with {{\"toolkit\":\"{slug}\"}}.",
        session.id
    ))
}
