//! Whether an answer belongs to the question: it came on the redirect URI that was asked for, from the
//! issuer that was asked, while the auth config stayed as it was (R16, R18, RFC 9207). Otherwise no token
//! request is made: a malicious provider would be sent another one's code.

use switchboard_auth::{check_issuer, verify_query_hmac};
use switchboard_catalog::Scheme;
use switchboard_store::attempts::AttemptRow;

use super::callback::Came;
use super::visit::Offer;
use crate::app::connect::Connector;
use crate::error::Result;

/// An answer on the path that several auth configs share, which says not whom it comes from.
const AMBIGUOUS: &str = "It came to the redirect URI that auth configs of several providers share, and does not say whom it \
                         is from. Forward oauth_redirect_uri to the path that ends with the auth config's id.";

impl Connector {
    /// What the answer does not fit to; none when it fits.
    pub(super) async fn context_mismatch(
        &self,
        came: &Came,
        attempt: &AttemptRow,
        offer: &Offer,
    ) -> Result<Option<&'static str>> {
        let path_matches = match came.name.as_deref() {
            Some(name) => self.redirect_uris.came_where_asked(name, attempt, &offer.config, &offer.settings).await?,
            // The shared path serves auth configs with a redirect URI of their own.
            None => offer.settings.oauth_redirect_uri.is_some(),
        };
        let config_unchanged = offer.config.updated_at == attempt.auth_config_version;
        if !path_matches {
            return Ok(Some("It came to another redirect URI than the one that was asked for."));
        }
        if !config_unchanged {
            return Ok(Some("The auth config was changed while the user was at the provider."));
        }
        if offer.scheme == Scheme::OAuth1 {
            return Ok(None);
        }
        let params = offer.params()?;
        let provider = self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, &params).await?;
        let oauth = &provider.oauth;
        let issuer = oauth.issuer.as_deref().map(|issuer| self.providers.expand(issuer, &params)).transpose()?;
        let issuer_matches = check_issuer(issuer.as_deref(), oauth.iss_required, came.query.iss.as_deref()).is_ok();
        let is_signed = oauth.callback.hmac.as_deref().is_none_or(|name| {
            let secret = provider.client.client_secret.as_ref();
            secret.is_some_and(|secret| verify_query_hmac(came.raw.expose(), name, secret))
        });
        let says_whence = (issuer.is_some() && came.query.iss.is_some()) || oauth.callback.hmac.is_some();
        if came.name.is_none() && !says_whence && !self.redirect_uris.is_alone_on_shared_path(&offer.config).await? {
            return Ok(Some(AMBIGUOUS));
        }
        Ok(match (issuer_matches, is_signed) {
            (true, true) => None,
            (false, _) => Some("It names another issuer than the one that was asked, or none."),
            (_, false) => Some("Its signature is missing or wrong."),
        })
    }
}
