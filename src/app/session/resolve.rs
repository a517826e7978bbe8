//! Which account a session uses for a toolkit (contract section 2.2). The only way to get an
//! account for use: there is no "any account" and no fallback to another user's (R64).
//!
//! Candidates are the session's pins, and no others; without pins, the user's own ACTIVE PRIVATE
//! accounts, the most recently connected first, under the session's auth config if it names one.
//! SHARED accounts take part only when pinned, and their access list is asked at each call (R65).
//! A session with several accounts per toolkit may be told which; any other has one to use.

use std::collections::HashMap;
use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{AccountQuery, AccountRow, AccountStatus, AccountType};

use super::{Session, may_use_shared};
use crate::app::base::errors::{invalid_slugs, reauth_required, toolkit_not_allowed};
use crate::app::session::Sessions;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// What a session uses a toolkit with.
#[derive(Debug)]
pub struct Usable {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// ACTIVE, of an enabled auth config; none where the provider asks for no credential.
    pub account: Option<AccountRow>,
}

impl Sessions {
    /// The account of a session for a toolkit. `selector` names one of several by id, name in words
    /// or alias.
    pub async fn resolve(&self, session: &Session, toolkit_slug: &str, selector: Option<&str>) -> Result<Usable> {
        let toolkit = self.core.toolkit(toolkit_slug).ok_or_else(|| invalid_slugs(&[toolkit_slug]))?;
        let slug = toolkit.slug.as_str();
        if !session.config.admits_toolkit(slug) {
            return Err(toolkit_not_allowed(slug));
        }
        if selector.is_some() && !session.config.is_multi_account() {
            return Err(Error::new(
                Code::SessionBadRequest,
                "This session uses one account per toolkit: none can be selected",
            )
            .fix("Leave `account` out, or set multi_account.enable in the session."));
        }
        let candidates = self.candidates(session, slug).await?;
        if candidates.is_empty() && toolkit.schemes() == [Scheme::NoAuth] {
            return Ok(Usable { toolkit, account: None });
        }
        let account = match selector {
            Some(selector) => select(session, slug, &candidates, selector)?,
            None => only_or_first(session, slug, candidates)?,
        };
        if !may_use(session, &account)? {
            let holes: [(&str, &dyn std::fmt::Display); 2] = [("user", &session.user_id), ("id", &account.id)];
            return Err(Error::of(Code::SharedAccessDenied, &holes));
        }
        check_usable(&account)?;
        Ok(Usable { toolkit, account: Some(account) })
    }

    /// The accounts that [`Self::resolve`] would use without being told which, whatever their status, by
    /// toolkit: what a session shows of its toolkits. A toolkit without one, or without one that the user
    /// may use, is not in it.
    pub async fn shown_accounts(
        &self,
        session: &Session,
        toolkits: &[&Arc<Toolkit>],
    ) -> Result<HashMap<String, AccountRow>> {
        let wanted = toolkits.iter().filter_map(|toolkit| {
            let slug = toolkit.slug.as_str();
            Some(match session.config.pins(slug) {
                Some([first, ..]) => AccountQuery::Pinned { id: first.clone(), toolkit: slug.to_owned() },
                Some([]) => return None,
                None => AccountQuery::Newest {
                    toolkit: slug.to_owned(),
                    auth_config: session.config.auth_config(slug).map(ToOwned::to_owned),
                },
            })
        });
        let found = self.core.store.find_accounts(&session.project_id, &session.user_id, wanted.collect()).await?;
        let mut shown = HashMap::with_capacity(found.len());
        for (toolkit, account) in found {
            if may_use(session, &account)? {
                shown.insert(toolkit, account);
            }
        }
        Ok(shown)
    }

    /// What there is to choose from, the default first. Pins that are gone stay as gaps, so that the
    /// next one does not take their place.
    async fn candidates(&self, session: &Session, slug: &str) -> Result<Vec<Option<AccountRow>>> {
        let Some(pins) = session.config.pins(slug) else {
            if !session.config.is_multi_account() {
                return Ok(self.newest(session, slug).await?.into_iter().map(Some).collect());
            }
            let most = i64::try_from(session.config.max_accounts()).unwrap_or(1);
            let config = session.config.auth_config(slug);
            let found =
                self.core.store.active_accounts(&session.project_id, &session.user_id, slug, config, most).await?;
            return Ok(found.into_iter().map(Some).collect());
        };
        let mut pinned = Vec::with_capacity(pins.len());
        for id in pins {
            pinned.push(self.core.store.account(&session.project_id, id).await?);
        }
        Ok(pinned)
    }

    async fn newest(&self, session: &Session, slug: &str) -> Result<Option<AccountRow>> {
        let config = session.config.auth_config(slug);
        Ok(self.core.store.newest_active_account(&session.project_id, &session.user_id, slug, config).await?)
    }
}

/// The named candidate: by id, else by alias, else by name in words. A name that two of them share
/// selects neither.
fn select(session: &Session, slug: &str, candidates: &[Option<AccountRow>], selector: &str) -> Result<AccountRow> {
    if candidates.is_empty() {
        return Err(no_connection(session, slug));
    }
    let ways: [fn(&AccountRow) -> Option<&str>; 3] =
        [|it| Some(it.id.as_str()), |it| it.alias.as_deref(), |it| Some(it.word_id.as_str())];
    for name in ways {
        let mut matching = candidates.iter().flatten().filter(|it| name(it) == Some(selector));
        match (matching.next(), matching.next()) {
            (Some(_), Some(_)) => {
                let what = format!("More than one account of toolkit \"{slug}\" has that name");
                return Err(Error::new(Code::SessionBadRequest, what).fix(choices(session, candidates)?));
            }
            (Some(account), None) => return Ok(account.clone()),
            (None, _) => {}
        }
    }
    Err(Error::of(Code::AccountNotFound, &[("id", &truncate(selector))]).fix(choices(session, candidates)?))
}

/// The default, unless the session wants to be told.
fn only_or_first(session: &Session, slug: &str, candidates: Vec<Option<AccountRow>>) -> Result<AccountRow> {
    if candidates.len() > 1 && session.config.needs_selection() {
        let what = format!("Toolkit \"{slug}\" has {} connected accounts; name one in `account`", candidates.len());
        return Err(Error::new(Code::SessionBadRequest, what).fix(choices(session, &candidates)?));
    }
    candidates.into_iter().next().flatten().ok_or_else(|| no_connection(session, slug))
}

/// `Set account to one of: ca_… (github_red-castle, alias "work"); …`. Names nothing that the user
/// may not use.
fn choices(session: &Session, candidates: &[Option<AccountRow>]) -> Result<String> {
    let mut listed = Vec::with_capacity(candidates.len());
    for account in candidates.iter().flatten() {
        if may_use(session, account)? {
            let alias = account.alias.as_deref().map(|alias| format!(", alias \"{alias}\"")).unwrap_or_default();
            listed.push(format!("{} ({}{alias})", account.id, account.word_id));
        }
    }
    if listed.is_empty() {
        return Ok("Connect an account first, or change the session's connected_accounts.".to_owned());
    }
    Ok(format!("Set `account` to one of: {}.", listed.join("; ")))
}

/// A PRIVATE account is its user's alone; a SHARED one is for whom its list admits now.
fn may_use(session: &Session, account: &AccountRow) -> Result<bool> {
    match account.account_type {
        AccountType::Private => Ok(account.user_id == session.user_id),
        AccountType::Shared => may_use_shared(account, &session.user_id),
    }
}

fn check_usable(account: &AccountRow) -> Result<()> {
    match account.status {
        AccountStatus::Active => {}
        AccountStatus::Expired | AccountStatus::Revoked => return Err(reauth_required(account)),
        other => {
            return Err(Error::new(
                Code::NoActiveConnection,
                format!("No active connection: connected account {} is in {} state", account.id, other.as_str()),
            ));
        }
    }
    if !account.has_enabled_auth_config {
        return Err(Error::new(Code::NoActiveConnection, crate::app::account::CONFIG_DISABLED)
            .fix("Enable the auth config, or connect the user through another one."));
    }
    Ok(())
}

fn no_connection(session: &Session, slug: &str) -> Error {
    let error = Error::new(
        Code::NoActiveConnection,
        format!("No active connection found for user ID {} for toolkit {slug}", session.user_id),
    );
    if session.config.pins(slug).is_some() {
        return error.fix("The session pins an account that is gone. Change the session's connected_accounts.");
    }
    error.fix(format!(
        "Connect the user first: POST /api/v3.1/tool_router/session/{}/link with {{\"toolkit\":\"{slug}\"}}.",
        session.id
    ))
}
