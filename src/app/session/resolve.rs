//! Selects the account that a session uses for a toolkit (contract section 2.2), after its policy has allowed
//! the call. This is the only way to get an account for use. There is no "any account" and no fallback to
//! another user's account (R64).
//!
//! If the session pins accounts, only those are candidates. Otherwise the user's own ACTIVE PRIVATE accounts
//! are, most recently connected first, limited to the session's auth config if it names one. SHARED accounts
//! are used only if pinned, and their access list is checked at each call (R65). A call may name an account
//! only in a session with several accounts per toolkit.

use std::collections::HashMap;
use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_store::accounts::{AccountQuery, AccountRow, AccountStatus, AccountType};
use switchboard_types::{AccountId, AllowedTools, AuthConfigId, CompactString, ProjectId};

use super::policy::{CallKind, Denial};
use super::{Session, may_use_shared};
use crate::app::base::errors::{invalid_slugs, reauth_required};
use crate::app::session::Sessions;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// A call that a session allows, and its toolkit. Only [`Session::admit`] makes one.
#[derive(Clone, Debug)]
pub struct Admitted<'s> {
    session: &'s Session,
    call: CallKind<'s>,
    toolkit: Arc<Toolkit>,
}

impl Admitted<'_> {
    /// The toolkit.
    pub fn toolkit(&self) -> &Arc<Toolkit> {
        &self.toolkit
    }
}

impl Session {
    /// The toolkit of a call that the policy allows. `toolkit` is the one with the slug in `call`, if there is one.
    ///
    /// # Errors
    /// What the policy says; otherwise that there is no such toolkit.
    pub fn admit<'s>(&'s self, call: CallKind<'s>, toolkit: Option<Arc<Toolkit>>) -> Result<Admitted<'s>> {
        match (self.config.check(call), toolkit) {
            (Ok(()), Some(toolkit)) => Ok(Admitted { session: self, call, toolkit }),
            (Ok(()) | Err(Denial::Toolkit), None) => Err(invalid_slugs(&[call.toolkit()])),
            (Err(denial), _) => Err(denial.error(call)),
        }
    }
}

impl Sessions {
    /// The account that a session uses for a toolkit: an ACTIVE one of an enabled auth config; none if the toolkit
    /// needs no credential. `selector` names one of several accounts by id, word id or alias.
    ///
    /// # Errors
    /// There is no such account, it cannot be used, or its auth config does not allow the call.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn resolve(&self, admitted: &Admitted<'_>, selector: Option<&str>) -> Result<Option<Arc<AccountRow>>> {
        let Admitted { session, call, toolkit } = admitted;
        let slug = toolkit.slug.as_str();
        if selector.is_some() && !session.config.is_multi_account() {
            return Err(Error::new(
                Code::SessionBadRequest,
                "This session uses one account per toolkit: none can be selected",
            )
            .fix("Leave `account` out, or set multi_account.enable in the session."));
        }
        let candidates = self.candidates(session, slug).await?;
        if candidates.is_empty() && toolkit.has_only_no_auth() {
            return Ok(None);
        }
        let account = match selector {
            Some(selector) => select(session, slug, &candidates, selector)?,
            None => only_or_first(session, slug, candidates)?,
        };
        if !may_use(session, &account)? {
            let placeholders: [(&str, &dyn std::fmt::Display); 2] = [("user", &session.user_id), ("id", &account.id)];
            return Err(Error::of(Code::SharedAccessDenied, &placeholders));
        }
        let allowed = account.allowed_tools.as_deref();
        session.config.check_account(*call, allowed).map_err(|denial| denial.error(*call))?;
        check_usable(&account)?;
        Ok(Some(account))
    }

    /// The accounts that [`Self::resolve`] would use without a selector, whatever their status, by toolkit.
    /// Toolkits without an account that the user may use are left out.
    pub async fn default_accounts(
        &self,
        session: &Session,
        toolkits: &[&Arc<Toolkit>],
    ) -> Result<HashMap<String, AccountRow>> {
        let queries = toolkits.iter().filter_map(|toolkit| {
            let slug = toolkit.slug.as_str();
            Some(match session.config.pins(slug) {
                Some([first, ..]) => AccountQuery::Pinned { id: first.clone(), toolkit: slug.to_owned() },
                Some([]) => return None,
                None => {
                    AccountQuery::Newest { toolkit: slug.to_owned(), auth_config: session.config.auth_config(slug) }
                }
            })
        });
        let found = self.core.store.find_accounts(&session.project_id, &session.user_id, queries.collect()).await?;
        let mut accounts = HashMap::with_capacity(found.len());
        for (toolkit, account) in found {
            if may_use(session, &account)? {
                accounts.insert(toolkit, account);
            }
        }
        Ok(accounts)
    }

    /// The candidates, the default first. Pins of deleted accounts stay as `None`, so that the next pin does
    /// not become the default.
    async fn candidates(&self, session: &Session, slug: &str) -> Result<Vec<Option<Arc<AccountRow>>>> {
        let Some(pins) = session.config.pins(slug) else {
            if !session.config.is_multi_account() {
                return Ok(self.newest(session, slug).await?.into_iter().map(Some).collect());
            }
            let limit = i64::try_from(session.config.max_accounts()).unwrap_or(1);
            let config = session.config.auth_config(slug);
            let found = self
                .core
                .store
                .active_accounts(&session.project_id, &session.user_id, slug, config.as_ref(), limit)
                .await?;
            return Ok(found.into_iter().map(|account| Some(Arc::new(account))).collect());
        };
        if let [only] = pins {
            return Ok(vec![self.pinned(session, only).await?]);
        }
        let found = self.core.store.accounts_by_id(&session.project_id, pins).await?;
        let mut candidates = Vec::with_capacity(pins.len());
        for pin in pins {
            candidates.push(match found.iter().find(|account| account.id == *pin) {
                Some(account) => Some(Arc::new(account.clone())),
                // Deleted, or unreadable: the latter is an error.
                None => self.pinned(session, pin).await?,
            });
        }
        Ok(candidates)
    }

    async fn newest(&self, session: &Session, slug: &str) -> Result<Option<Arc<AccountRow>>> {
        let (project, user) = (&session.project_id, session.user_id.as_str());
        let config = session.config.auth_config(slug);
        let key = AccountKey::Newest {
            project: project.clone(),
            user: user.into(),
            toolkit: slug.into(),
            auth_config: config.clone(),
        };
        let store = &self.core.store;
        let read = async || Ok(store.newest_active_account(project, user, slug, config.as_ref()).await?.map(Arc::new));
        self.accounts.get(store, key, read).await
    }

    async fn pinned(&self, session: &Session, id: &str) -> Result<Option<Arc<AccountRow>>> {
        let (project, id) = (&session.project_id, AccountId::from(id));
        let key = AccountKey::Pinned { project: project.clone(), id: id.clone() };
        let store = &self.core.store;
        let read = async || Ok(store.account(project, &id).await?.map(Arc::new));
        self.accounts.get(store, key, read).await
    }
}

/// Maximum size of a row that is remembered, in bytes: of its access list, parameters, credential and list of tools.
const MAX_REMEMBERED: usize = 16 * 1024;

/// Whether an account may be remembered.
pub(in crate::app) fn is_small(account: &Arc<AccountRow>) -> bool {
    let acl = account.acl.as_deref().unwrap_or_default().len();
    let credential = account.credential_sealed.as_deref().unwrap_or_default().len();
    let tools = account.allowed_tools.as_deref().map_or(0, AllowedTools::size);
    acl + account.params.to_text().len() + credential + tools <= MAX_REMEMBERED
}

/// What an account that sessions use is found by.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) enum AccountKey {
    /// The newest ACTIVE account of a user.
    Newest { project: ProjectId, user: CompactString, toolkit: CompactString, auth_config: Option<AuthConfigId> },
    /// The account that a session pins.
    Pinned { project: ProjectId, id: AccountId },
}

/// The selected candidate: by id, else by alias, else by word id. An ambiguous name selects none.
fn select(
    session: &Session,
    slug: &str,
    candidates: &[Option<Arc<AccountRow>>],
    selector: &str,
) -> Result<Arc<AccountRow>> {
    if candidates.is_empty() {
        return Err(no_connection(session, slug));
    }
    let names: [fn(&AccountRow) -> Option<&str>; 3] = [
        |account| Some(account.id.as_str()),
        |account| account.alias.as_deref(),
        |account| Some(account.word_id.as_str()),
    ];
    for name in names {
        let mut matching = candidates.iter().flatten().filter(|account| name(account) == Some(selector));
        match (matching.next(), matching.next()) {
            (Some(_), Some(_)) => {
                let message = format!("More than one account of toolkit \"{slug}\" has that name");
                return Err(Error::new(Code::SessionBadRequest, message).fix(choices(session, candidates)?));
            }
            (Some(account), None) => return Ok(Arc::clone(account)),
            (None, _) => {}
        }
    }
    Err(Error::of(Code::AccountNotFound, &[("id", &truncate(selector))]).fix(choices(session, candidates)?))
}

/// The default candidate, unless the session requires an explicit selection.
fn only_or_first(session: &Session, slug: &str, candidates: Vec<Option<Arc<AccountRow>>>) -> Result<Arc<AccountRow>> {
    if candidates.len() > 1 && session.config.needs_selection() {
        let message = format!("Toolkit \"{slug}\" has {} connected accounts; name one in `account`", candidates.len());
        return Err(Error::new(Code::SessionBadRequest, message).fix(choices(session, &candidates)?));
    }
    candidates.into_iter().next().flatten().ok_or_else(|| no_connection(session, slug))
}

/// `Set account to one of: ca_… (github_red-castle, alias "work"); …`. Lists only accounts that the user may
/// use.
fn choices(session: &Session, candidates: &[Option<Arc<AccountRow>>]) -> Result<String> {
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

/// Whether the session's user may use an account: a PRIVATE one if it is theirs, a SHARED one if its access
/// list allows them now.
pub(super) fn may_use(session: &Session, account: &AccountRow) -> Result<bool> {
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
