//! The front end for raw API calls: one request, as the caller writes it, with the credential of an account
//! (contract section 2.13).
//!
//! The credential is sent only to the hosts of the toolkit (R43), through the egress client. The caller's
//! own credential is never forwarded (R53), and the account's is never returned (R52).

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use switchboard_auth::{UnsentRequest, check_caller_header};
use switchboard_egress::Destination;
use switchboard_types::{CallEffect, CallState};
use url::Url;

use super::answer::{Answer, AnswerData};
use super::call::{Call, FrontEnd, Target};
use super::context::CallContext;
use crate::app::call_log::{Ending, Subject};
use crate::app::execute::Executor;
use crate::app::provider::request::reserved_headers;
use crate::app::session::Session;
use crate::app::session::policy::CallKind;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Request headers that ask for a part of a response.
const RANGE_HEADERS: [&str; 3] = ["range", "x-ms-range", "x-goog-range"];

/// The request that the caller wants to be sent.
pub struct ProxyRequest {
    /// Toolkit slug in any case.
    pub toolkit: String,
    /// Path under the toolkit's base URL, or a URL on one of its hosts.
    pub endpoint: String,
    /// GET, POST, PUT, DELETE, PATCH or HEAD.
    pub method: Method,
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

impl Executor {
    /// Sends one request with the account that the session uses for the toolkit.
    ///
    /// # Errors
    /// As for [`Self::execute`]; also, that the answer is a part of a text.
    #[tracing::instrument(level = "debug", skip_all, fields(method = %request.method))]
    pub async fn proxy_execute(
        &self,
        session: &Session,
        request: &ProxyRequest,
        context: &CallContext,
    ) -> Result<Answer> {
        let answer = self.execute(session, request.call(), context).await;
        let answer = answer.and_then(|answer| request.check_answer(answer));
        match &answer {
            // An answer with any status is an answer.
            Ok(answer) => context.call.end_without_content(Ending {
                http_status: Some(answer.status.as_u16()),
                ..Ending::of(CallState::Completed)
            }),
            Err(error) if context.call.is_sent() => context.call.end_without_content(context.call.ending_of(error)),
            Err(_) => {}
        }
        answer
    }
}

impl FrontEnd for ProxyRequest {
    fn kind<'a>(&'a self, toolkit: &'a str) -> CallKind<'a> {
        CallKind::Proxy { toolkit }
    }

    fn method(&self) -> &Method {
        &self.method
    }

    fn subject<'a>(&'a self, toolkit: &'a str) -> Subject<'a> {
        let effect = if self.method.is_safe() { CallEffect::Read } else { CallEffect::Unknown };
        Subject { toolkit, tool: None, effect, method: &self.method }
    }

    fn request(&self, target: &Target<'_>) -> Result<UnsentRequest> {
        let mut url = target.resolve(&self.endpoint)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        self.check_range(target, &url)?;
        let mut headers = target.headers();
        self.add_headers(&mut headers, target)?;
        let body = self.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        Ok(UnsentRequest { method: self.method.clone(), url, headers, body })
    }
}

impl ProxyRequest {
    /// The call that this request is the front end of.
    pub(super) fn call(&self) -> Call<'_> {
        Call { toolkit: &self.toolkit, account: self.account.as_deref(), token: self.token.as_deref(), front_end: self }
    }

    /// Refuses a part of a text: the range may have split the credential, so that redaction missed it.
    fn check_answer(&self, answer: Answer) -> Result<Answer> {
        let is_text = matches!(answer.data, AnswerData::Json(_) | AnswerData::Text(_));
        if answer.status == StatusCode::PARTIAL_CONTENT && is_text && self.range_header().is_some() {
            let message = "The provider's answer is a part of a text, and texts are handed over whole";
            return Err(Error::new(Code::HeaderNotAllowed, message).fix("Leave the header Range out."));
        }
        Ok(answer)
    }

    /// The name of the header with which the caller asks for a part of a response.
    fn range_header(&self) -> Option<&str> {
        let is_range =
            |name: &str| RANGE_HEADERS.iter().any(|range| name.replace('_', "-").eq_ignore_ascii_case(range));
        self.headers.iter().map(|(name, _)| name.as_str()).find(|name| is_range(name))
    }

    /// Refuses a `Range` header, except for the binary files that the toolkit file lists: a text fetched in parts
    /// could return the credential in parts, which redaction cannot find.
    fn check_range(&self, target: &Target<'_>, url: &Url) -> Result<()> {
        let Some(name) = self.range_header() else { return Ok(()) };
        for range_path in &target.toolkit().ranges {
            let (host, path) = range_path.split_at(range_path.find('/').unwrap_or(range_path.len()));
            let host = target.expand(host)?;
            let admits = Destination::new([host]).is_ok_and(|host| host.admits(url));
            if admits && switchboard_egress::is_at_or_below(url.path(), path) && self.method == Method::GET {
                return Ok(());
            }
        }
        let message = format!("Header \"{}\" is not allowed: answers are handed over whole", truncate(name));
        Err(Error::new(Code::HeaderNotAllowed, message)
            .fix("Leave it out. A toolkit file says with `ranges` where binary files may be fetched in parts."))
    }

    /// Adds the type of the body and the caller's headers.
    fn add_headers(&self, headers: &mut HeaderMap, target: &Target<'_>) -> Result<()> {
        if let Some(body) = &self.body {
            let value = HeaderValue::from_str(&body.content_type)
                .map_err(|_| Error::field("binary_body.content_type", "is not a valid header value"))?;
            headers.insert(header::CONTENT_TYPE, value);
        }
        if self.headers.is_empty() {
            return Ok(());
        }
        let reserved = reserved_headers(target.toolkit(), target.scheme());
        for (name, value) in &self.headers {
            let (name, value) = check_caller_header(name, value, &reserved).map_err(|reason| {
                Error::new(Code::HeaderNotAllowed, format!("Header \"{}\" is not allowed: {reason}", truncate(name)))
            })?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

crate::redacted_debug!(ProxyRequest, ProxyBody);
