//! Using an account: one API call to its provider, with its credential (contract section 2.13).
//!
//! The credential goes to the toolkit's own hosts only (R43), through the one egress client; the
//! caller's own credential never goes along (R53), and the account's never comes back (R52).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use switchboard_auth::{Redactor, UnsentRequest, check_caller_header};
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::{BudgetExhausted, Destination, EgressError, Limits, Reservation};
use switchboard_store::accounts::AccountRow;
use switchboard_vault::Secrets;
use url::Url;

use super::answer::{self, Content};
use crate::app::base::errors::auth_config_not_found;
use crate::app::execute::Executor;
use crate::app::model::params::AccountParams;
use crate::app::provider::extra_tokens::select_token;
use crate::app::provider::request::{busy, egress_error, reserved_headers};
use crate::app::session::Session;
use crate::app::session::resolve::ResolvedToolkit;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Response headers that never reach the caller: cookies and credentials.
const DROPPED: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

/// How long a call waits for room for its answer, before it is sent and while the answer arrives.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// The same for the answer to a request that may have done something.
const SENT_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes from which on an answer is read on another thread.
const LARGE: usize = 256 * 1_024;

/// Headers that ask for a part of an answer.
const RANGES: [&str; 3] = ["range", "x-ms-range", "x-goog-range"];

/// Largest body of an answer, in bytes, as it comes and once it is unpacked and in UTF-8.
const MAX_ANSWER: usize = 10 * 1024 * 1024;

/// What a caller asks to be sent.
pub struct ProxyRequest {
    /// Toolkit slug in any case.
    pub toolkit: String,
    /// Path under the toolkit's base URL, or a URL on one of its hosts.
    pub endpoint: String,
    /// GET, POST, PUT, DELETE, PATCH or HEAD.
    pub method: http::Method,
    /// Body and its type.
    pub body: Option<ProxyBody>,
    /// Which of several accounts, by id, name in words or alias.
    pub account: Option<String>,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Extra query parameters.
    pub query: Vec<(String, String)>,
    /// Which of the account's tokens, where it has several.
    pub token: Option<String>,
}

/// A body to send.
pub struct ProxyBody {
    /// Bytes, as they are sent.
    pub bytes: Bytes,
    /// Sent unless the caller names another.
    pub content_type: String,
}

/// What the provider answered.
pub struct ProxyAnswer {
    /// The provider's status, whatever it is.
    pub status: u16,
    /// Lower-case names; repeated values joined with a comma.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub data: ProxyData,
}

/// A provider's body, by what it is. Its bytes hold their room in the budget of answers
/// ([`Executor::answers`]) until the last of them is dropped; whoever passes them on copies them at most once.
pub enum ProxyData {
    /// Nothing.
    Empty,
    /// JSON, passed through unparsed, without spaces around it.
    Json(Bytes),
    /// Text in UTF-8.
    Text(Bytes),
    /// Anything else.
    Binary {
        /// What came.
        bytes: Bytes,
        /// As the provider named it.
        content_type: String,
    },
}

/// Bytes of an answer, and the room that they take.
struct Held {
    bytes: Bytes,
    _room: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Executor {
    /// Sends one request with the account that the session uses for the toolkit.
    pub async fn proxy_execute(self: &Arc<Self>, session: &Session, request: ProxyRequest) -> Result<ProxyAnswer> {
        if session.config.proxy_execute.is_some_and(|proxy| !proxy.enable) {
            return Err(Error::new(Code::Forbidden, "Proxy execution is disabled for this session")
                .fix("Create the session with proxy_execute.enable true, or without proxy_execute."));
        }
        let ResolvedToolkit { toolkit, account } =
            &self.sessions.resolve(session, &request.toolkit, request.account.as_deref()).await?;
        let Some(account) = account else {
            let without = (Scheme::NoAuth, Secrets::new(), AccountParams::default());
            return Ok(self.forward(toolkit, without, &request).await?.0);
        };
        self.limits.count_account(&account.id)?;
        let (account, secrets) = self.refresher.fresh_credential(account, toolkit).await?;
        let (answer, is_refused) =
            self.forward(toolkit, self.bearer(toolkit, &account, secrets).await?, &request).await?;
        if !is_refused {
            return Ok(answer);
        }
        match self.renewed_after_refusal(&account, toolkit).await? {
            // A request that may have done something is the caller's to repeat.
            Some((account, secrets)) if request.method.is_idempotent() => {
                Ok(self.forward(toolkit, self.bearer(toolkit, &account, secrets).await?, &request).await?.0)
            }
            _ => Ok(answer),
        }
    }

    /// What requests with an account need to know of it.
    async fn bearer(
        &self,
        toolkit: &Toolkit,
        account: &AccountRow,
        secrets: Secrets,
    ) -> Result<(Scheme, Secrets, AccountParams)> {
        let scheme: Scheme = account.scheme.parse().map_err(Error::internal)?;
        let params = AccountParams::parse(&account.params)?.with_derived_values(toolkit, scheme);
        let mut secrets = secrets;
        if scheme == Scheme::OAuth1 {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            secrets = self.providers.signing_secrets(toolkit, scheme, &config, &params, &secrets)?;
        }
        Ok((scheme, secrets, params))
    }

    /// One request to the provider; also whether it says that it does not know the credential.
    async fn forward(
        &self,
        toolkit: &Toolkit,
        (scheme, secrets, params): (Scheme, Secrets, AccountParams),
        request: &ProxyRequest,
    ) -> Result<(ProxyAnswer, bool)> {
        let picked = select_token(toolkit, scheme, &secrets, &params, request.token.as_deref())?;
        let destination = self.providers.destination(toolkit, &params)?;
        let base = Url::parse(&self.providers.expand(toolkit.base_url(scheme), &params)?).map_err(Error::internal)?;
        let mut url = destination.resolve(&base, &request.endpoint).map_err(|error| egress_error(&error))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let is_ranged = self.check_caller_range(toolkit, &params, request, &url)?;
        let mut headers = self.providers.default_headers(toolkit, std::iter::empty(), &params)?;
        add_caller_headers(&mut headers, toolkit, scheme, request)?;
        let body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let room = self.answers.reserve(ROOM_PATIENCE).await.map_err(|BudgetExhausted| busy())?;
        // What a request may have done cannot be asked for again: its answer is waited for longer.
        let is_harmless = request.method.is_idempotent();
        let mut room = room.with_timeout(if is_harmless { ROOM_PATIENCE } else { SENT_PATIENCE });
        let limits = Limits { max_body: MAX_ANSWER, any_coding: true, ..Limits::default() };
        let draft = UnsentRequest { method: request.method.clone(), url, headers, body };
        let account = (toolkit, scheme, picked.as_ref().unwrap_or(&secrets), &params);
        let answer = self.providers.send_as(account, &destination, draft, &limits, Some(&mut room)).await?;
        let is_refused = answer.status() == http::StatusCode::UNAUTHORIZED;
        if answer::may_grow(answer.headers()) {
            let held = room.grow(MAX_ANSWER, MAX_ANSWER).await;
            held.map_err(|BudgetExhausted| {
                let told = egress_error(&EgressError::BudgetExhausted);
                if is_harmless { told } else { told.do_not_repeat() }
            })?;
        }
        let answer = self.read_apart(answer, redactor(toolkit, scheme, &secrets), room).await?;
        if answer.status == 206 && is_ranged && matches!(answer.data, ProxyData::Json(_) | ProxyData::Text(_)) {
            // It may have been cut through the credential.
            let message = "The provider's answer is a part of a text, and texts are handed over whole";
            return Err(Error::new(Code::HeaderNotAllowed, message).fix("Leave the header Range out."));
        }
        Ok((answer, is_refused))
    }
}

impl Executor {
    /// [`read_answer`], for large answers on another thread and one after the other: searching megabytes
    /// takes a thread for as long as it lasts, and the threads of the runtime serve everybody else.
    async fn read_apart(
        &self,
        answer: http::Response<Bytes>,
        redactor: Redactor,
        room: Reservation,
    ) -> Result<ProxyAnswer> {
        if answer.body().len() < LARGE && !answer::may_grow(answer.headers()) {
            return read_answer(answer, &redactor, room);
        }
        let reading = self.large_answers.run(move || read_answer(answer, &redactor, room));
        reading.await.map_err(Error::internal)?
    }

    /// Whether the caller sends a `Range`. It is refused, but for the binary files that the toolkit's file
    /// names: a text that is fetched piece by piece brings the credential back in pieces, which nobody can
    /// search.
    fn check_caller_range(
        &self,
        toolkit: &Toolkit,
        params: &AccountParams,
        request: &ProxyRequest,
        url: &Url,
    ) -> Result<bool> {
        let is_range = |name: &str| RANGES.iter().any(|range| name.replace('_', "-").eq_ignore_ascii_case(range));
        let Some((name, _)) = request.headers.iter().find(|(name, _)| is_range(name)) else { return Ok(false) };
        for place in &toolkit.ranges {
            let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
            let admits = Destination::new([self.providers.expand(host, params)?]).is_ok_and(|host| host.admits(url));
            if admits && switchboard_egress::is_at_or_below(url.path(), path) && request.method == http::Method::GET {
                return Ok(true);
            }
        }
        let message = format!("Header \"{}\" is not allowed: answers are handed over whole", truncate(name));
        Err(Error::new(Code::HeaderNotAllowed, message)
            .fix("Leave it out. A toolkit file says with `ranges` where binary files may be fetched in parts."))
    }
}

fn add_caller_headers(
    headers: &mut HeaderMap,
    toolkit: &Toolkit,
    scheme: Scheme,
    request: &ProxyRequest,
) -> Result<()> {
    if let Some(body) = &request.body {
        let value = HeaderValue::from_str(&body.content_type)
            .map_err(|_| Error::field("binary_body.content_type", "is not a valid header value"))?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    let reserved = reserved_headers(toolkit, scheme);
    for (name, value) in &request.headers {
        let (name, value) = check_caller_header(name, value, &reserved).map_err(|reason| {
            Error::new(Code::HeaderNotAllowed, format!("Header \"{}\" is not allowed: {reason}", truncate(name)))
        })?;
        headers.insert(name, value);
    }
    Ok(())
}

/// What takes the account's secrets out of answers: those that the toolkit's file calls secret.
fn redactor(toolkit: &Toolkit, scheme: Scheme, secrets: &Secrets) -> Redactor {
    let redactor = Redactor::new(secrets, |name| toolkit.is_secret(scheme, name));
    match (&toolkit.basic, secrets.get("username")) {
        (Some(basic), Some(_)) if scheme == Scheme::Basic => {
            // As it was sent; it was, or there would be no answer.
            let username = switchboard_auth::basic_username(basic, secrets).unwrap_or_default();
            redactor.with_basic(username.expose(), secrets.get("password").unwrap_or_default())
        }
        _ => redactor,
    }
}

/// The answer unpacked and with the credential taken out, in whatever form it came back (R52).
fn read_answer(answer: http::Response<Bytes>, redactor: &Redactor, mut room: Reservation) -> Result<ProxyAnswer> {
    let (mut parts, body) = answer.into_parts();
    let body = answer::unpack(&mut parts.headers, body, MAX_ANSWER)?;
    let mut headers: Vec<(String, String)> = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        if DROPPED.contains(name) {
            continue;
        }
        let value = String::from_utf8_lossy(&redactor.redact(value.as_bytes())).into_owned();
        match headers.iter_mut().find(|(known, _)| known == name.as_str()) {
            Some((_, joined)) => {
                joined.push_str(", ");
                joined.push_str(&value);
            }
            None => headers.push((name.as_str().to_owned(), value)),
        }
    }
    let content = answer::content(&parts.headers, body, redactor, MAX_ANSWER)?;
    room.shrink(content.bytes().map_or(0, Bytes::len));
    let held = |bytes: Bytes| Bytes::from_owner(Held { bytes, _room: room });
    let data = match content {
        Content::Empty => ProxyData::Empty,
        Content::Json(json) => ProxyData::Json(held(json)),
        Content::Text(text) => ProxyData::Text(held(text)),
        Content::Binary(bytes) => {
            let content_type = headers.iter().find(|(name, _)| name == "content-type");
            binary(held(bytes), content_type.map_or("", |(_, value)| value.as_str()))
        }
    };
    Ok(ProxyAnswer { status: parts.status.as_u16(), headers, data })
}

fn binary(bytes: Bytes, content_type: &str) -> ProxyData {
    let content_type = if content_type.is_empty() { "application/octet-stream" } else { content_type };
    ProxyData::Binary { bytes, content_type: content_type.to_owned() }
}

crate::redacted_debug!(ProxyRequest, ProxyBody, ProxyAnswer, ProxyData);
