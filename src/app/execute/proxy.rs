//! Sends one API request to the provider with the credential of an account (contract section 2.13).
//!
//! The credential is sent only to the hosts of the toolkit (R43), through the egress client. The caller's
//! own credential is never forwarded (R53), and the account's is never returned (R52).

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
const DROPPED_HEADERS: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

/// How long a call waits for response memory, before it is sent and while the response arrives.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for the response to a request that is not idempotent.
const NON_IDEMPOTENT_RESERVATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Responses of this size, in bytes, and above are processed on another thread.
const LARGE_RESPONSE: usize = 256 * 1_024;

/// Request headers that ask for a part of a response.
const RANGE_HEADERS: [&str; 3] = ["range", "x-ms-range", "x-goog-range"];

/// Maximum size of a response body in bytes, both as received and after decompression and conversion to UTF-8.
const MAX_RESPONSE: usize = 10 * 1024 * 1024;

/// The request that the caller wants to be sent.
pub struct ProxyRequest {
    /// Toolkit slug in any case.
    pub toolkit: String,
    /// Path under the toolkit's base URL, or a URL on one of its hosts.
    pub endpoint: String,
    /// GET, POST, PUT, DELETE, PATCH or HEAD.
    pub method: http::Method,
    /// Body and its type.
    pub body: Option<ProxyBody>,
    /// Which of several accounts, by id, readable name or alias.
    pub account: Option<String>,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Extra query parameters.
    pub query: Vec<(String, String)>,
    /// Which of the account's tokens, if it has several.
    pub token: Option<String>,
}

/// A body to send.
pub struct ProxyBody {
    /// The bytes to send.
    pub bytes: Bytes,
    /// Used unless the caller sets another in a header.
    pub content_type: String,
}

/// The response of the provider.
pub struct ProxyAnswer {
    /// The provider's status, unchanged.
    pub status: u16,
    /// Lower-case names; repeated values joined with a comma.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub data: ProxyData,
}

/// A response body by its kind. Its bytes keep their reservation in the memory budget for responses
/// ([`Executor::answers`]) until the last reference is dropped. Users copy them at most once.
pub enum ProxyData {
    /// No body.
    Empty,
    /// JSON, passed through unparsed, without spaces around it.
    Json(Bytes),
    /// Text in UTF-8.
    Text(Bytes),
    /// Anything else.
    Binary {
        /// The bytes received.
        bytes: Bytes,
        /// The media type that the provider sent.
        content_type: String,
    },
}

/// Bytes of a response, with their reservation of memory.
struct ReservedBytes {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for ReservedBytes {
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
            let no_auth = (Scheme::NoAuth, Secrets::new(), AccountParams::default());
            return Ok(self.forward(toolkit, no_auth, &request).await?.0);
        };
        self.limits.count_account(&account.id)?;
        let (account, secrets) = self.refresher.fresh_credential(account, toolkit).await?;
        let (answer, is_unauthorized) =
            self.forward(toolkit, self.request_auth(toolkit, &account, secrets).await?, &request).await?;
        if !is_unauthorized {
            return Ok(answer);
        }
        match self.renew_after_unauthorized(&account, toolkit).await? {
            // Only the caller can decide to repeat a request that may have had an effect.
            Some((account, secrets)) if request.method.is_idempotent() => {
                Ok(self.forward(toolkit, self.request_auth(toolkit, &account, secrets).await?, &request).await?.0)
            }
            _ => Ok(answer),
        }
    }

    /// What requests need for authentication as an account.
    async fn request_auth(
        &self,
        toolkit: &Toolkit,
        account: &AccountRow,
        secrets: Secrets,
    ) -> Result<(Scheme, Secrets, AccountParams)> {
        let scheme = account.scheme;
        let params = AccountParams::parse(&account.params)?.with_derived_values(toolkit, scheme);
        let mut secrets = secrets;
        if scheme == Scheme::OAuth1 {
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
            secrets = self.providers.signing_secrets(toolkit, scheme, &config, &params, &secrets)?;
        }
        Ok((scheme, secrets, params))
    }

    /// Sends one request to the provider. Also tells whether the response was 401.
    async fn forward(
        &self,
        toolkit: &Toolkit,
        (scheme, secrets, params): (Scheme, Secrets, AccountParams),
        request: &ProxyRequest,
    ) -> Result<(ProxyAnswer, bool)> {
        let selected = select_token(toolkit, scheme, &secrets, &params, request.token.as_deref())?;
        let destination = self.providers.destination(toolkit, &params)?;
        let base = Url::parse(&self.providers.expand(toolkit.base_url(scheme), &params)?).map_err(Error::internal)?;
        let mut url = destination.resolve(&base, &request.endpoint).map_err(|error| egress_error(&error))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let is_range_request = self.check_caller_range(toolkit, &params, request, &url)?;
        let mut headers = self.providers.default_headers(toolkit, std::iter::empty(), &params)?;
        add_caller_headers(&mut headers, toolkit, scheme, request)?;
        let body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let reservation = self.answers.reserve(RESERVATION_TIMEOUT).await.map_err(|BudgetExhausted| busy())?;
        // The response to a request with effects cannot be requested again, so the wait for memory is longer.
        let is_idempotent = request.method.is_idempotent();
        let mut reservation = reservation.with_timeout(if is_idempotent {
            RESERVATION_TIMEOUT
        } else {
            NON_IDEMPOTENT_RESERVATION_TIMEOUT
        });
        let limits = Limits { max_body: MAX_RESPONSE, any_coding: true, ..Limits::default() };
        let draft = UnsentRequest { method: request.method.clone(), url, headers, body };
        let account = (toolkit, scheme, selected.as_ref().unwrap_or(&secrets), &params);
        let answer = self.providers.send_as(account, &destination, draft, &limits, Some(&mut reservation)).await?;
        let is_unauthorized = answer.status() == http::StatusCode::UNAUTHORIZED;
        if answer::may_grow(answer.headers()) {
            let grown = reservation.grow(MAX_RESPONSE, MAX_RESPONSE).await;
            grown.map_err(|BudgetExhausted| {
                let error = egress_error(&EgressError::BudgetExhausted);
                if is_idempotent { error } else { error.do_not_repeat() }
            })?;
        }
        let answer = self.read_response_off_thread(answer, redactor(toolkit, scheme, &secrets), reservation).await?;
        if answer.status == 206 && is_range_request && matches!(answer.data, ProxyData::Json(_) | ProxyData::Text(_)) {
            // The range may have split the credential, so that redaction missed it.
            let message = "The provider's answer is a part of a text, and texts are handed over whole";
            return Err(Error::new(Code::HeaderNotAllowed, message).fix("Leave the header Range out."));
        }
        Ok((answer, is_unauthorized))
    }
}

impl Executor {
    /// Like [`read_response`], but large responses are processed on another thread, one after the other.
    /// Redacting megabytes would block a thread of the runtime.
    async fn read_response_off_thread(
        &self,
        answer: http::Response<Bytes>,
        redactor: Redactor,
        reservation: Reservation,
    ) -> Result<ProxyAnswer> {
        if answer.body().len() < LARGE_RESPONSE && !answer::may_grow(answer.headers()) {
            return read_response(answer, &redactor, reservation);
        }
        let reading = self.large_answers.run(move || read_response(answer, &redactor, reservation));
        reading.await.map_err(Error::internal)?
    }

    /// Whether the caller sends a `Range` header. It is refused, except for the binary files that the toolkit
    /// file lists: a text fetched in parts could return the credential in parts, which redaction cannot find.
    fn check_caller_range(
        &self,
        toolkit: &Toolkit,
        params: &AccountParams,
        request: &ProxyRequest,
        url: &Url,
    ) -> Result<bool> {
        let is_range =
            |name: &str| RANGE_HEADERS.iter().any(|range| name.replace('_', "-").eq_ignore_ascii_case(range));
        let Some((name, _)) = request.headers.iter().find(|(name, _)| is_range(name)) else { return Ok(false) };
        for range_path in &toolkit.ranges {
            let (host, path) = range_path.split_at(range_path.find('/').unwrap_or(range_path.len()));
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

/// Redacts the secrets of the account in responses: the fields that the toolkit file declares as secret.
fn redactor(toolkit: &Toolkit, scheme: Scheme, secrets: &Secrets) -> Redactor {
    let redactor = Redactor::new(secrets, |name| toolkit.is_secret(scheme, name));
    match (&toolkit.basic, secrets.get("username")) {
        (Some(basic), Some(_)) if scheme == Scheme::Basic => {
            // The username as it was sent. This cannot fail here: the request was sent.
            let username = switchboard_auth::basic_username(basic, secrets).unwrap_or_default();
            redactor.with_basic(username.expose(), secrets.get("password").unwrap_or_default())
        }
        _ => redactor,
    }
}

/// The response, decompressed and with the credential redacted in every encoding (R52).
fn read_response(
    answer: http::Response<Bytes>,
    redactor: &Redactor,
    mut reservation: Reservation,
) -> Result<ProxyAnswer> {
    let (mut parts, body) = answer.into_parts();
    let body = answer::decompress(&mut parts.headers, body, MAX_RESPONSE)?;
    let mut headers: Vec<(String, String)> = Vec::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        if DROPPED_HEADERS.contains(name) {
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
    let content = answer::parse_content(&parts.headers, body, redactor, MAX_RESPONSE)?;
    reservation.shrink(content.bytes().map_or(0, Bytes::len));
    let reserved = |bytes: Bytes| Bytes::from_owner(ReservedBytes { bytes, _reservation: reservation });
    let data = match content {
        Content::Empty => ProxyData::Empty,
        Content::Json(json) => ProxyData::Json(reserved(json)),
        Content::Text(text) => ProxyData::Text(reserved(text)),
        Content::Binary(bytes) => {
            let content_type = headers.iter().find(|(name, _)| name == "content-type");
            binary(reserved(bytes), content_type.map_or("", |(_, value)| value.as_str()))
        }
    };
    Ok(ProxyAnswer { status: parts.status.as_u16(), headers, data })
}

fn binary(bytes: Bytes, content_type: &str) -> ProxyData {
    let content_type = if content_type.is_empty() { "application/octet-stream" } else { content_type };
    ProxyData::Binary { bytes, content_type: content_type.to_owned() }
}

crate::redacted_debug!(ProxyRequest, ProxyBody, ProxyAnswer, ProxyData);
