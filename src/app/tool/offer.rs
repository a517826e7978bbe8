//! Links for calls that need one. The same link is offered again while it can be opened, so that calls that are made at
//! once, or again, do not make one each.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use switchboard_store::accounts::AccountRow;
use switchboard_types::{AccountId, SessionId, Timestamp};

use super::Tools;
use super::outcome::{LinkReason, NeededLink};
use crate::app::execute::context::CallContext;
use crate::app::link::LinkRequest;
use crate::app::session::Session;
use crate::app::session::link_scopes::LinkScopes;
use crate::error::Result;

/// Number of links that are remembered.
const CAPACITY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(1_023);
/// A link is offered again for this part of its lifetime.
const PART: u32 = 2;

/// A link that was offered lately.
#[derive(Clone)]
struct Offer {
    url: String,
    account: AccountId,
    until: Timestamp,
}

/// The links that were offered lately, by session and toolkit.
pub(super) struct Offers(Mutex<LruCache<(SessionId, String), Offer>>);

impl Default for Offers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, LruCache<(SessionId, String), Offer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tools {
    /// Adds the link that is needed, unless the session keeps the agent from linking or a link would not help.
    pub(super) async fn with_link(
        &self,
        session: &Session,
        needed: NeededLink,
        context: &CallContext,
    ) -> Result<NeededLink> {
        let manage = session.config.manage_connections.as_ref();
        if manage.and_then(|manage| manage.enable) == Some(false) {
            return Ok(needed);
        }
        let key = (session.id.clone(), needed.toolkit.clone());
        if let Some(offer) = self.open_offer(session, &key).await? {
            return Ok(offered(needed, offer.url, offer.account));
        }
        let reason = needed.error.message().trim_end_matches('.').to_owned();
        Ok(match self.make_link(session, &needed, context).await {
            Ok(Some((url, account))) => {
                let until = self.core.now() + self.core.settings.link_ttl / PART;
                self.offers.lock().put(key, Offer { url: url.clone(), account: account.clone(), until });
                offered(needed, url, account)
            }
            Ok(None) => needed,
            // There is no way to link this toolkit: the reason is what the developer has to mend.
            Err(cause) => NeededLink {
                message: format!("{reason}. {}. {}", cause.message().trim_end_matches('.'), cause.suggested_fix()),
                ..needed
            },
        })
    }

    /// The link that was offered before, if it was not used yet.
    async fn open_offer(&self, session: &Session, key: &(SessionId, String)) -> Result<Option<Offer>> {
        let offer = self.offers.lock().get(key).cloned();
        let Some(offer) = offer.filter(|offer| self.core.now() < offer.until) else { return Ok(None) };
        let account = self.core.store.account(&session.project_id, &offer.account).await?;
        let is_open = account.is_some_and(|account| account.status.is_connecting());
        Ok(Some(offer).filter(|_| is_open))
    }

    async fn make_link(
        &self,
        session: &Session,
        needed: &NeededLink,
        context: &CallContext,
    ) -> Result<Option<(String, AccountId)>> {
        let actor = context.actor();
        let missing = match &needed.reason {
            LinkReason::NoConnection => {
                let request = LinkRequest { toolkit: needed.toolkit.clone(), ..LinkRequest::default() };
                let link = self.links.create(actor, session, &request).await?;
                return Ok(Some((link.redirect_url, link.account_id)));
            }
            LinkReason::ConnectionExpired => LinkScopes::default(),
            LinkReason::MissingScope(missing) if needed.lacks_user_scopes => {
                LinkScopes { user_scopes: missing.clone(), ..LinkScopes::default() }
            }
            LinkReason::MissingScope(missing) => LinkScopes { scopes: missing.clone(), ..LinkScopes::default() },
        };
        let Some(account) = self.own_account(session, needed).await? else { return Ok(None) };
        let manage = session.config.manage_connections.as_ref();
        let callback = manage.and_then(|manage| manage.callback_url.as_deref());
        // The same account again, so that what uses it goes on with it.
        self.links.create_again(actor, &account, &missing, callback).await
    }

    /// The account that the call would have used, if it is the session's user's own: only its user may connect it again.
    async fn own_account(&self, session: &Session, needed: &NeededLink) -> Result<Option<AccountRow>> {
        let pinned = || match session.config.pins(&needed.toolkit) {
            Some([pin]) => Some(AccountId::from(pin.as_str())),
            _ => None,
        };
        let Some(id) = needed.account.clone().or_else(pinned) else { return Ok(None) };
        let account = self.core.store.account(&session.project_id, &id).await?;
        Ok(account.filter(|account| account.user_id == session.user_id))
    }
}

fn offered(needed: NeededLink, url: String, account: AccountId) -> NeededLink {
    let reason = needed.error.message().trim_end_matches('.');
    NeededLink {
        message: format!("{reason}. Ask the user to open {url} and then call again."),
        redirect_url: Some(url),
        account: Some(account),
        ..needed
    }
}

crate::redacted_debug!(Offers, Offer);
