//! The cookies of a connect flow. Each attempt has one, which binds it to the browser that started it
//! (R04). Another one lets a browser see later how a link ended.
//!
//! The `__Host-` prefix keeps subdomains from setting the cookie and requires `Secure`. Browsers may
//! refuse `Secure` on plain http, loopback included (Safari does), so both are omitted there.

use data_encoding::HEXLOWER;
use switchboard_store::attempts::AttemptRow;
use switchboard_store::links::LinkRow;
use switchboard_types::LinkId;
use switchboard_vault::OneTimeToken;

use crate::app::base::core::Core;
use crate::app::connect::Connector;
use crate::error::Result;

/// Name of the cookie of one attempt. Each attempt has its own, so two tabs do not interfere (R15).
pub fn attempt_cookie_name(core: &Core, attempt_id: &str) -> String {
    format!("{}sb_{attempt_id}", prefix(core))
}

/// Name of the cookie that a browser keeps for a link it used.
pub fn link_cookie_name(core: &Core, link_id: &LinkId) -> String {
    format!("{}sb_link_{link_id}", prefix(core))
}

/// Value of the link's cookie: the hash of the link's token, in hexadecimal. It shows how the link
/// ended and grants nothing.
pub fn link_cookie(link: &LinkRow) -> String {
    HEXLOWER.encode(&link.token_hash)
}

fn prefix(core: &Core) -> &'static str {
    if core.settings.is_https() { "__Host-" } else { "" }
}

impl Connector {
    /// Whether a browser started an attempt. `cookie` gives the value of a cookie by name.
    pub(super) fn is_attempt_browser(&self, attempt: &AttemptRow, cookie: &impl Fn(&str) -> Option<String>) -> bool {
        let own = cookie(&attempt_cookie_name(&self.core, &attempt.id));
        own.is_some_and(|value| OneTimeToken::matches(&value, &attempt.browser_hash))
    }

    /// Whether a browser used a link, according to its cookies.
    pub(super) async fn has_used_link(&self, link: &LinkRow, cookie: &impl Fn(&str) -> Option<String>) -> Result<bool> {
        if self.has_link_cookie(link, cookie) {
            return Ok(true);
        }
        let attempts = self.core.store.attempts_of_link(&link.id).await?;
        Ok(attempts.iter().any(|attempt| self.is_attempt_browser(attempt, cookie)))
    }

    /// Whether a browser has the link's own cookie.
    pub(super) fn has_link_cookie(&self, link: &LinkRow, cookie: &impl Fn(&str) -> Option<String>) -> bool {
        cookie(&link_cookie_name(&self.core, &link.id)).is_some_and(|kept| kept == link_cookie(link))
    }
}
