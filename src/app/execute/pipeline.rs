//! The one way from a call to its answer, for all front ends.

use std::time::Duration;

use http::StatusCode;
use switchboard_auth::Redactor;
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::{BudgetExhausted, Reservation};
use switchboard_store::accounts::AccountRow;
use switchboard_vault::Secrets;
use tracing::Span;
use tracing::field::Empty;

use super::answer::Answer;
use super::call::{Call, Target};
use super::context::CallContext;
use crate::app::base::errors::auth_config_not_found;
use crate::app::execute::Executor;
use crate::app::model::params::AccountParams;
use crate::app::provider::extra_tokens::select_token;
use crate::app::provider::request::busy;
use crate::app::session::Session;
use crate::app::session::resolve::Admitted;
use crate::error::Result;
use crate::text::truncate;

/// How long a call waits for response memory, before it is sent and while the response arrives.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for the response to a request that is not idempotent: it cannot be requested again.
const NON_IDEMPOTENT_RESERVATION_TIMEOUT: Duration = Duration::from_secs(20);

/// What requests of an account are authenticated with.
struct Authentication {
    scheme: Scheme,
    secrets: Secrets,
    params: AccountParams,
}

impl Executor {
    /// Makes a call with the account that the session uses for the toolkit. An answer with any status is an
    /// answer; its body is decompressed and redacted.
    ///
    /// # Errors
    /// The session's policy, its account or a limit does not allow the call; the front end refuses it; or the
    /// provider has no answer that can be returned.
    #[tracing::instrument(
        level = "debug",
        skip_all,
        fields(toolkit = %truncate(call.toolkit), account = Empty, principal = context.principal.name)
    )]
    pub async fn execute(&self, session: &Session, call: Call<'_>, context: &CallContext) -> Result<Answer> {
        let admitted = self.admit(session, &call)?;
        let toolkit = admitted.toolkit();
        let Some(account) = self.sessions.resolve(&admitted, call.account).await? else {
            return self.send(toolkit, &Authentication::none(), &call, context).await;
        };
        Span::current().record("account", account.id.as_str());
        self.limits.count_account(&account.id)?;
        let (account, secrets) = self.refresher.fresh_credential(account, toolkit).await?;
        let authentication = self.authentication(toolkit, &account, secrets).await?;
        let answer = self.send(toolkit, &authentication, &call, context).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        match self.renew_after_unauthorized(&account, toolkit, context.deadline).await? {
            // Only the caller can decide to repeat a request that may have had an effect.
            Some((account, secrets)) if call.front_end.method().is_idempotent() => {
                let authentication = self.authentication(toolkit, &account, secrets).await?;
                self.send(toolkit, &authentication, &call, context).await
            }
            _ => Ok(answer),
        }
    }

    /// The toolkit, if the session's policy allows the call.
    fn admit<'s>(&self, session: &'s Session, call: &Call<'_>) -> Result<Admitted<'s>> {
        let toolkit = self.core.toolkit(call.toolkit);
        let slug = toolkit.as_ref().map_or(call.toolkit, |toolkit| &toolkit.slug);
        session.admit(call.front_end.kind(slug), toolkit.clone())
    }

    /// What requests need for authentication as an account.
    async fn authentication(
        &self,
        toolkit: &Toolkit,
        account: &AccountRow,
        secrets: Secrets,
    ) -> Result<Authentication> {
        let scheme = account.scheme;
        let params = AccountParams::parse(&account.params)?.with_derived_values(toolkit, scheme);
        let mut secrets = secrets;
        if scheme == Scheme::OAuth1 {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            secrets = self.providers.signing_secrets(toolkit, scheme, &config, &params, &secrets)?;
        }
        Ok(Authentication { scheme, secrets, params })
    }

    /// Sends the request once and reads its answer.
    async fn send(
        &self,
        toolkit: &Toolkit,
        authentication: &Authentication,
        call: &Call<'_>,
        context: &CallContext,
    ) -> Result<Answer> {
        let Authentication { scheme, secrets, params } = authentication;
        let scheme = *scheme;
        let selected = select_token(toolkit, scheme, secrets, params, call.token)?;
        let destination = self.providers.destination(toolkit, params)?;
        let target = Target { providers: &self.providers, toolkit, scheme, params, destination: &destination };
        let draft = call.front_end.request(&target)?;
        let is_idempotent = draft.method.is_idempotent();
        let reservation = Some(self.reserve(is_idempotent).await?);
        let account = (toolkit, scheme, selected.as_ref().unwrap_or(secrets), params);
        let response = self.providers.send_as(account, &destination, draft, &context.limits(), reservation).await?;
        let redactor = authentication.redactor(toolkit);
        self.read_answer(response, redactor, is_idempotent, context.max_answer).await
    }

    /// Reserves memory for a response, so that no request is sent whose response cannot be stored.
    async fn reserve(&self, is_idempotent: bool) -> Result<Reservation> {
        let reservation = self.answers.reserve(RESERVATION_TIMEOUT).await.map_err(|BudgetExhausted| busy())?;
        let timeout = if is_idempotent { RESERVATION_TIMEOUT } else { NON_IDEMPOTENT_RESERVATION_TIMEOUT };
        Ok(reservation.with_timeout(timeout))
    }
}

impl Authentication {
    /// That of a toolkit that needs no credential.
    fn none() -> Self {
        Self { scheme: Scheme::NoAuth, secrets: Secrets::new(), params: AccountParams::default() }
    }

    /// Redacts the secrets of the account in responses: the fields that the toolkit file declares as secret.
    fn redactor(&self, toolkit: &Toolkit) -> Redactor {
        let Self { scheme, secrets, .. } = self;
        let redactor = Redactor::new(secrets, |name| toolkit.is_secret(*scheme, name));
        match (&toolkit.basic, secrets.get("username")) {
            (Some(basic), Some(_)) if *scheme == Scheme::Basic => {
                // The username as it was sent. This cannot fail here: the request was sent.
                let username = switchboard_auth::basic_username(basic, secrets).unwrap_or_default();
                redactor.with_basic(username.expose(), secrets.get("password").unwrap_or_default())
            }
            _ => redactor,
        }
    }
}
