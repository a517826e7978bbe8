//! The one way from a call to its answer, for all front ends.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use switchboard_auth::UnsentRequest;
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::{BudgetExhausted, Reservation};
use switchboard_store::accounts::AccountRow;
use switchboard_store::failpoint;
use switchboard_vault::Secrets;
use tracing::Span;
use tracing::field::Empty;
use url::Url;

use super::answer::{Answer, Refusal};
use super::call::{Call, Target};
use super::context::CallContext;
use super::ready::{self, Ready};
use crate::app::base::errors::auth_config_not_found;
use crate::app::execute::Executor;
use crate::app::model::params::with_derived_values;
use crate::app::provider::extra_tokens::select_token;
use crate::app::provider::request::busy;
use crate::app::provider_limits::{Caller, LimitReport};
use crate::app::session::Session;
use crate::app::session::resolve::is_small;
use crate::error::{Error, Result};
use crate::text::truncate;
use switchboard_types::{AccountParams, CompactString};

/// How long a call waits for response memory, before it is sent and while the response arrives.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for the response to a request that is not idempotent: it cannot be requested again.
const NON_IDEMPOTENT_RESERVATION_TIMEOUT: Duration = Duration::from_secs(20);

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
        fields(toolkit = %truncate(call.toolkit), account = Empty, principal = %context.actor().name)
    )]
    pub async fn execute(&self, session: &Session, call: Call<'_>, context: &CallContext) -> Result<Answer> {
        let found = self.core.toolkit(call.toolkit);
        let slug = found.as_ref().map_or(call.toolkit, |toolkit| &toolkit.slug);
        let admitted = session.admit(call.front_end.kind(slug), found.clone())?;
        let toolkit = admitted.toolkit();
        context.call.describe(session, call.front_end.subject(&toolkit.slug), context.remaining());
        let Some(account) = self.sessions.resolve(&admitted, call.account).await? else {
            return self.send(&Arc::new(self.without_account(toolkit)?), &call, session, context).await;
        };
        Span::current().record("account", account.id.as_str());
        context.call.with_account(&account)?;
        self.limits.count_account(&account.id)?;
        call.front_end.check_account(&account)?;
        let ready = self.ready(account, toolkit).await?;
        let answer = self.send(&ready, &call, session, context).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        match self.renew_after_unauthorized(&ready, context.deadline).await? {
            // Only the caller can decide to repeat a request that may have had an effect.
            Some(renewed) if call.front_end.method().is_idempotent() => {
                self.send(&renewed, &call, session, context).await
            }
            _ => Ok(answer),
        }
    }

    /// Checks all of a call that can be checked without sending it: policy, account, credential, request. What costs
    /// much for a call is done after this.
    ///
    /// # Errors
    /// As for [`Self::execute`], before anything is sent to the toolkit's API.
    pub async fn check(&self, session: &Session, call: Call<'_>, context: &CallContext) -> Result<()> {
        let found = self.core.toolkit(call.toolkit);
        let slug = found.as_ref().map_or(call.toolkit, |toolkit| &toolkit.slug);
        let admitted = session.admit(call.front_end.kind(slug), found.clone())?;
        let toolkit = admitted.toolkit();
        context.call.describe(session, call.front_end.subject(&toolkit.slug), context.remaining());
        let ready = match self.sessions.resolve(&admitted, call.account).await? {
            None => Arc::new(self.without_account(toolkit)?),
            Some(account) => {
                context.call.with_account(&account)?;
                call.front_end.check_account(&account)?;
                self.ready(account, toolkit).await?
            }
        };
        let Ready { toolkit, scheme, secrets, params, .. } = &*ready;
        select_token(toolkit, *scheme, secrets, params, call.token)?;
        call.front_end.request(&Target { providers: &self.providers, ready: &ready }).map(drop)
    }

    /// The account with a credential that is alive, refreshed first when it is due. One that is due is never taken
    /// from memory.
    async fn ready(&self, account: Arc<AccountRow>, toolkit: &Arc<Toolkit>) -> Result<Arc<Ready>> {
        if !self.refresher.is_fresh(&account) {
            let (account, secrets) = self.refresher.fresh_credential(account, toolkit).await?;
            return self.prepare(account, toolkit, secrets).await.map(Arc::new);
        }
        if let Some(ready) = self.ready_accounts.get(&account, toolkit) {
            return Ok(ready);
        }
        let secrets = self.credentials.open_credential(&account)?;
        let ready = Arc::new(self.prepare(Arc::clone(&account), toolkit, secrets).await?);
        if is_small(&account) {
            self.ready_accounts.put(&account, &ready);
        }
        Ok(ready)
    }

    /// What requests of an account need.
    pub(super) async fn prepare(
        &self,
        account: Arc<AccountRow>,
        toolkit: &Arc<Toolkit>,
        mut secrets: Secrets,
    ) -> Result<Ready> {
        let scheme = account.scheme;
        let params = with_derived_values(&account.params, toolkit, scheme);
        if scheme == Scheme::OAuth1 {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            secrets = self.providers.signing_secrets(toolkit, scheme, &config, &params, &secrets)?;
        }
        self.assemble(Some(account), toolkit, scheme, secrets, params)
    }

    /// The same for a toolkit that needs no credential.
    pub(super) fn without_account(&self, toolkit: &Arc<Toolkit>) -> Result<Ready> {
        self.assemble(None, toolkit, Scheme::NoAuth, Secrets::new(), AccountParams::default())
    }

    fn assemble(
        &self,
        account: Option<Arc<AccountRow>>,
        toolkit: &Arc<Toolkit>,
        scheme: Scheme,
        secrets: Secrets,
        params: AccountParams,
    ) -> Result<Ready> {
        let base_url = self.providers.expand(toolkit.base_url(scheme), &params)?;
        Ok(Ready {
            destination: self.providers.destination(toolkit, &params)?,
            base_url: Url::parse(&base_url).map_err(Error::internal)?,
            headers: self.providers.default_headers(toolkit, std::iter::empty(), &params)?,
            redactor: ready::redactor(toolkit, scheme, &secrets),
            account,
            toolkit: Arc::clone(toolkit),
            scheme,
            secrets,
            params,
        })
    }

    /// Sends the request once, when the provider's limit allows it, and reads its answer.
    async fn send(
        &self,
        ready: &Arc<Ready>,
        call: &Call<'_>,
        session: &Session,
        context: &CallContext,
    ) -> Result<Answer> {
        let Ready { account, toolkit, scheme, secrets, params, destination, .. } = &**ready;
        let (selected, draft) = self.draft(ready, call)?;
        // Most host names fit into this without an allocation.
        let host = CompactString::from(draft.url.host_str().unwrap_or_default());
        let tool = call.front_end.subject(&toolkit.slug).tool.map(|(slug, _)| slug);
        let path = draft.url.path().strip_prefix(ready.base_url.path()).unwrap_or(draft.url.path());
        let caller = Caller {
            account: account.as_ref().map_or(&toolkit.slug, |account| account.id.as_str()),
            host: &host,
            kind: self.provider_limits.kind(tool, path),
            weight: call.front_end.weight(),
        };
        let queue = session.stored_id().map_or(context.actor().name.as_str(), |id| id.as_str());
        let turn = self.provider_limits.turn(caller, queue, context.deadline).await?;
        let is_idempotent = draft.method.is_idempotent();
        let reservation = Some(self.reserve(is_idempotent).await?);
        context.call.before_sending().await?;
        let account = (&**toolkit, *scheme, selected.as_ref().unwrap_or(secrets), params);
        let response = self.providers.send_as(account, destination, draft, &context.limits(), reservation).await?;
        failpoint::hit("after_call_answer_head");
        let (status, now) = (response.status(), self.core.now());
        let report = LimitReport::by(toolkit, status, response.headers(), now);
        let by_bodies = report.by_bodies(toolkit, status, response.headers(), now);
        drop(turn);
        if by_bodies.is_empty() {
            self.provider_limits.learn(caller, report);
        }
        let answer = self.read_answer(response, ready, is_idempotent, context.max_answer).await;
        let report = answer.as_ref().map_or(report, |answer| report.or_by_body(&by_bodies, answer.readable()));
        if !by_bodies.is_empty() {
            self.provider_limits.learn(caller, report);
        }
        let refusal = report.is_refusal.then_some(Refusal { retry_after: report.retry_after });
        answer.map(|answer| Answer { refusal, ..answer })
    }

    /// The request without the credential, and the credential if the caller has selected a part of it.
    pub(super) fn draft(&self, ready: &Ready, call: &Call<'_>) -> Result<(Option<Secrets>, UnsentRequest)> {
        let selected = select_token(&ready.toolkit, ready.scheme, &ready.secrets, &ready.params, call.token)?;
        let draft = call.front_end.request(&Target { providers: &self.providers, ready })?;
        Ok((selected, draft))
    }

    /// Reserves memory for a response, so that no request is sent whose response cannot be stored.
    async fn reserve(&self, is_idempotent: bool) -> Result<Reservation> {
        let reservation = self.answers.reserve(RESERVATION_TIMEOUT).await.map_err(|BudgetExhausted| busy())?;
        let timeout = if is_idempotent { RESERVATION_TIMEOUT } else { NON_IDEMPOTENT_RESERVATION_TIMEOUT };
        Ok(reservation.with_timeout(timeout))
    }
}
