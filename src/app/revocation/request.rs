//! Builds the revocation requests for all schemes.

use bytes::Bytes;
use http::Request;
use switchboard_auth::{BuildError, ClientCredentials, UnsentRequest, call_request, revocation_request};
use switchboard_catalog::{Call, OAuth2, Scheme, Toolkit};

use super::RevokedToken;
use super::attempt::{Task, TokenOutcome};
use crate::app::credential::client::Client;
use crate::app::credential::secret_addresses::check_managed_hosts;
use crate::app::provider::{Failure, Provider, select_method};
use crate::app::revocation::Revocations;

impl Revocations {
    /// The provider of the account, with the client that the tokens were issued to.
    pub(super) async fn revoking_provider<'t>(
        &self,
        task: &'t Task<'_>,
        oauth: &'t OAuth2,
    ) -> Result<Provider<'t>, TokenOutcome> {
        // Used even if the operator's client is no longer offered to this project: the tokens were issued to it.
        let managed = self.core.settings.managed.get(task.toolkit).filter(|_| task.is_managed);
        let client = match managed {
            Some(client) => {
                let value = |name: &str| task.params.value(name).cloned();
                if let Some(toolkit) = self.core.toolkit(task.toolkit)
                    && let Err(error) = check_managed_hosts(&toolkit, Scheme::OAuth2, client, &value)
                {
                    return Err(TokenOutcome::Refused(error.message().to_owned()));
                }
                Client::managed(client)
            }
            None => Client::of(&mut task.material.clone()).ok_or_else(|| {
                let detail = "The operator's OAuth client for this toolkit is not configured any more";
                TokenOutcome::Retry(detail.to_owned(), None)
            })?,
        };
        let completed = self.providers.complete_with_metadata(oauth, task.params).await;
        let (mut oauth, metadata) = completed.map_err(|error| TokenOutcome::Retry(error.message().to_owned(), None))?;
        select_method(&mut oauth, task.scheme, &client, None);
        // The revocation endpoint has its own list of methods.
        let method = oauth.revocation_client_authentication.unwrap_or_else(|| {
            let method = oauth.client_authentication;
            metadata.map_or(method, |metadata| metadata.revocation_authentication(method))
        });
        if method != oauth.client_authentication {
            oauth.to_mut().client_authentication = method;
        }
        if oauth.revoke.is_none() && oauth.revocation_url.is_none() {
            return Err(TokenOutcome::Unsupported);
        }
        Ok(Provider { oauth, client, params: task.params })
    }

    /// A request of the OAuth client, with the client authentication method of `oauth`.
    pub(super) fn client_revocation(
        &self,
        task: &Task<'_>,
        provider: &Provider<'_>,
        oauth: &OAuth2,
        token: RevokedToken,
        secret: &str,
    ) -> Result<Request<Bytes>, TokenOutcome> {
        let request = self.providers.authenticated(provider, oauth, |client, variables| match &oauth.revoke {
            Some(call) => {
                let known = |name: &str| match name {
                    "token" => Some(secret.to_owned()),
                    "access_token" | "refresh_token" => task.material.get(name).map(str::to_owned),
                    _ => variables(name),
                };
                call_request(call, Some(client), self.providers.moment(&self.providers.unique()), &known)
            }
            None => {
                revocation_request(oauth, client, secret, token.as_str(), variables).unwrap_or(Err(BuildError::Body))
            }
        });
        request.map_err(|failure: Failure| {
            TokenOutcome::Refused(format!("The request cannot be made: {}", failure.message().unwrap_or_default()))
        })
    }

    /// A request of a scheme that has no OAuth client in its auth config.
    pub(super) fn call_revocation(
        &self,
        task: &Task<'_>,
        call: &Call,
        secret: &str,
    ) -> Result<Request<Bytes>, TokenOutcome> {
        let known = |name: &str| match name {
            "token" => Some(secret.to_owned()),
            _ => task.material.get(name).map(str::to_owned).or_else(|| self.core.variable(task.params, name)),
        };
        // A client id is not secret, so it is one of the account's parameters.
        let client_id = known("client_id");
        let client = client_id.as_deref().map(|client_id| ClientCredentials {
            client_id,
            client_secret: task.material.get("client_secret"),
            assertion: None,
        });
        call_request(call, client.as_ref(), self.providers.moment(&self.providers.unique()), &known)
            .map_err(|error| build_failure(&error))
    }

    /// A request with an OAuth 1.0a signature.
    pub(super) fn signed_revocation(
        &self,
        task: &Task<'_>,
        toolkit: &Toolkit,
        call: &Call,
        token: &str,
    ) -> Result<Request<Bytes>, TokenOutcome> {
        let known = |name: &str| match name {
            "token" => Some(token.to_owned()),
            "client_id" => task.material.get("consumer_key").map(str::to_owned),
            _ => self.core.variable(task.params, name),
        };
        let request = call_request(call, None, self.providers.moment(&self.providers.unique()), &known)
            .map_err(|error| build_failure(&error))?;
        let mut draft = UnsentRequest::of(request).map_err(|error| build_failure(&error))?;
        self.providers
            .oauth1_sign(toolkit, task.material, task.params, &mut draft)
            .map_err(|error| build_failure(&error))?;
        draft.into_request().map_err(|error| build_failure(&error))
    }
}

fn build_failure(error: &BuildError) -> TokenOutcome {
    TokenOutcome::Refused(format!("The request cannot be made: {error}"))
}
