//! The cookies of a connect flow: one for each attempt, which binds it to the browser that began it
//! (R04), and one by which a browser is told later how a link ended that it went through.
//!
//! `__Host-` admits no subdomain to set a cookie and demands `Secure`, which browsers may refuse on plain
//! http, loopback included (Safari does); there, both fall away and nothing else changes.

use data_encoding::HEXLOWER;
use switchboard_store::attempts::AttemptRow;
use switchboard_store::links::LinkRow;
use switchboard_vault::OneTimeToken;

use crate::app::base::core::Core;
use crate::app::connect::Connector;
use crate::error::Result;

/// Name of the cookie of one attempt: two tabs do not disturb each other (R15).
pub fn attempt_cookie_name(core: &Core, attempt_id: &str) -> String {
    format!("{}sb_{attempt_id}", prefix(core))
}

/// Name of the cookie that a browser keeps of a link that it went through.
pub fn link_cookie_name(core: &Core, link_id: &str) -> String {
    format!("{}sb_link_{link_id}", prefix(core))
}

/// Its value: the hash of the link's token, in hexadecimal. It shows how the link ended, and opens nothing.
pub fn link_cookie(link: &LinkRow) -> String {
    HEXLOWER.encode(&link.token_hash)
}

fn prefix(core: &Core) -> &'static str {
    if core.settings.is_https() { "__Host-" } else { "" }
}

impl Connector {
    /// Whether a browser began an attempt. `cookie` gives the value of a cookie by name.
    pub(super) fn began(&self, attempt: &AttemptRow, cookie: &impl Fn(&str) -> Option<String>) -> bool {
        let own = cookie(&attempt_cookie_name(&self.core, &attempt.id));
        own.is_some_and(|value| OneTimeToken::matches(&value, &attempt.browser_hash))
    }

    /// Whether a browser went through a link, by the cookies that it keeps of it.
    pub(super) async fn went_through(&self, link: &LinkRow, cookie: &impl Fn(&str) -> Option<String>) -> Result<bool> {
        if self.keeps(link, cookie) {
            return Ok(true);
        }
        let attempts = self.core.store.attempts_of_link(&link.id).await?;
        Ok(attempts.iter().any(|attempt| self.began(attempt, cookie)))
    }

    /// Whether a browser keeps a link's own cookie.
    pub(super) fn keeps(&self, link: &LinkRow, cookie: &impl Fn(&str) -> Option<String>) -> bool {
        cookie(&link_cookie_name(&self.core, &link.id)).is_some_and(|kept| kept == link_cookie(link))
    }
}
