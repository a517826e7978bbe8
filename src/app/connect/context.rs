//! Whether an authorization response belongs to its request: it came to the redirect URI of the
//! request, from the expected issuer, and the auth config is unchanged (R16, R18, RFC 9207). Otherwise
//! no token request is made, because it could send another provider's code to a malicious one (mix-up
//! attack).

use switchboard_auth::{check_issuer, verify_query_hmac};
use switchboard_store::attempts::AttemptRow;

use super::callback::ParsedCallback;
use super::visit::Offer;
use crate::app::connect::Connector;
use crate::app::provider::Provider;
use crate::error::Result;
use switchboard_types::AccountParams;

/// A response on a path that several auth configs share, without a sign of its sender.
const AMBIGUOUS: &str = "It came to the redirect URI that auth configs of several providers share, and does not say whom it \
                         is from. Forward oauth_redirect_uri to the path that ends with the auth config's id.";

impl Connector {
    /// Why the callback did not come to where its request sent it; none when it did.
    pub(super) async fn address_mismatch(
        &self,
        callback: &ParsedCallback,
        attempt: &AttemptRow,
        offer: &Offer,
    ) -> Result<Option<&'static str>> {
        let path_matches = match callback.name.as_deref() {
            Some(name) => {
                self.redirect_uris.matches_redirect_uri(name, attempt, &offer.config, &offer.settings).await?
            }
            // The shared path serves auth configs with their own redirect URI.
            None => offer.settings.oauth_redirect_uri.is_some(),
        };
        let config_unchanged = offer.config.updated_at == attempt.auth_config_version;
        if !path_matches {
            return Ok(Some("It came to another redirect URI than the one that was asked for."));
        }
        if !config_unchanged {
            return Ok(Some("The auth config was changed while the user was at the provider."));
        }
        Ok(None)
    }

    /// Why an OAuth 2.0 response does not come from the provider that was asked; none when it does.
    pub(super) async fn sender_mismatch(
        &self,
        callback: &ParsedCallback,
        offer: &Offer,
        provider: &Provider<'_>,
        params: &AccountParams,
    ) -> Result<Option<&'static str>> {
        let oauth = &provider.oauth;
        let issuer = oauth.issuer.as_deref().map(|issuer| self.providers.expand(issuer, params)).transpose()?;
        let issuer_matches = check_issuer(issuer.as_deref(), oauth.iss_required, callback.query.iss.as_deref()).is_ok();
        let is_signed = oauth.callback.hmac.as_deref().is_none_or(|name| {
            let secret = provider.client.client_secret.as_ref();
            secret.is_some_and(|secret| verify_query_hmac(callback.raw.expose(), name, secret))
        });
        let identifies_sender = (issuer.is_some() && callback.query.iss.is_some()) || oauth.callback.hmac.is_some();
        if callback.name.is_none()
            && !identifies_sender
            && !self.redirect_uris.is_only_server_on_shared_path(&offer.config).await?
        {
            return Ok(Some(AMBIGUOUS));
        }
        Ok(match (issuer_matches, is_signed) {
            (true, true) => None,
            (false, _) => Some("It names another issuer than the one that was asked, or none."),
            (_, false) => Some("Its signature is missing or wrong."),
        })
    }
}
