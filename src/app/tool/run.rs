//! Runs a tool.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value};
use switchboard_catalog::Effect;
use switchboard_tools::{Failure, Files, Mistake, ProviderAnswer, build, read};
use tokio::time::Instant;

use super::front_end::ToolFrontEnd;
use super::outcome::{FailureKind, LinkReason, NeededLink, Outcome, ToolFailure};
use super::{ToolCall, Tools, tags};
use crate::app::base::tools::FoundTool;
use crate::app::execute::answer::{Answer, AnswerData};
use crate::app::execute::call::Call;
use crate::app::execute::context::CallContext;
use crate::app::link::LinkRequest;
use crate::app::session::Session;
use crate::app::session::policy::{CallKind, ToolDescription};
use crate::error::{Code, Error, Result};

/// How often a call without an effect is made again.
const MAX_RETRIES: u32 = 2;
/// Longest pause that a provider may ask for before such a retry.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Pause before a retry if the provider asks for none.
const PAUSE: Duration = Duration::from_millis(250);

impl Tools {
    /// Runs a tool for a session's user.
    ///
    /// # Errors
    /// There is no such tool; the session's policy, the arguments, the choice of the account or a limit does not allow
    /// the call. Nothing was sent then.
    #[tracing::instrument(level = "debug", skip_all, fields(tool = tracing::field::Empty))]
    pub async fn execute(&self, session: &Session, call: ToolCall, context: &CallContext) -> Result<Outcome> {
        match self.run(session, call, context).await? {
            Outcome::NeedsLink(needed) => self.with_link(session, needed, context).await.map(Outcome::NeedsLink),
            outcome => Ok(outcome),
        }
    }

    /// The same without making a link where one is needed.
    pub(super) async fn run(&self, session: &Session, call: ToolCall, context: &CallContext) -> Result<Outcome> {
        let found = self.find(&call.slug)?;
        tracing::Span::current().record("tool", found.row.slug.as_str());
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        session.admit(CallKind::Tool(&description), Some(Arc::clone(&found.toolkit)))?;
        let arguments = self.checks.of(&found.row)?.check(&found.row, call.arguments);
        let arguments = arguments.map_err(|mistakes| wrong_arguments(&mistakes))?;
        let request = build(&found.row, &arguments, &Files::new()).map_err(|mistake| wrong_arguments(&[mistake]))?;
        let front_end = ToolFrontEnd::new(&found, &tags, request);
        let timed = context.within(Duration::from_secs(found.row.timeout.into()));
        let call =
            Call { toolkit: &found.toolkit.slug, account: call.account.as_deref(), token: None, front_end: &front_end };
        match self.call_provider(session, &found, call, &timed).await {
            Ok(answer) => Self::outcome(&found, &answer),
            Err(error) => match needs_link(&error) {
                Some(reason) => Ok(Outcome::NeedsLink(NeededLink {
                    reason,
                    toolkit: found.toolkit.slug.clone(),
                    redirect_url: None,
                    account: front_end.account.get().cloned(),
                    message: format!("{}. {}", error.message().trim_end_matches('.'), error.suggested_fix()),
                    error,
                })),
                None => provider_failure(error).map(Outcome::Failed),
            },
        }
    }

    /// Makes the call, again if the provider cannot answer and the tool only reads.
    async fn call_provider(
        &self,
        session: &Session,
        found: &FoundTool,
        call: Call<'_>,
        context: &CallContext,
    ) -> Result<Answer> {
        let mut retries = 0;
        loop {
            let answer = self.executor.execute(session, call, context).await?;
            let pause = pause_before_retry(&answer);
            let (Some(pause), true) = (pause, found.row.effect == Effect::Read && retries < MAX_RETRIES) else {
                return Ok(answer);
            };
            if Instant::now().into_std() + pause >= context.deadline {
                return Ok(answer);
            }
            retries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    fn outcome(found: &FoundTool, answer: &Answer) -> Result<Outcome> {
        let parsed: Option<Value> = match &answer.data {
            AnswerData::Json(bytes) => Some(serde_json::from_slice(bytes).map_err(Error::internal)?),
            _ => None,
        };
        let text = match &answer.data {
            AnswerData::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        };
        let content_type = header(answer, "content-type").unwrap_or_default();
        let provider = ProviderAnswer {
            status: answer.status.as_u16(),
            json: parsed.as_ref(),
            text: text.as_deref(),
            is_page: content_type.starts_with("text/html"),
        };
        Ok(match (read(&found.row, provider), &answer.data) {
            (Err(failure), _) => Outcome::Failed(failed(found, answer, failure)),
            (Ok(_), AnswerData::Binary { content_type, bytes }) => Outcome::Failed(ToolFailure {
                kind: FailureKind::UnusableAnswer,
                message: format!(
                    "{} answered with a file ({content_type}, {} bytes), which this server cannot hand over yet. Use \
                     proxy_execute.",
                    found.toolkit.name,
                    bytes.len()
                ),
                status: Some(answer.status.as_u16()),
                retry_after_ms: None,
                answer: Map::new(),
            }),
            (Ok(data), _) => Outcome::Completed { data },
        })
    }

    /// Makes the link that is needed, unless the session keeps the agent from it.
    async fn with_link(&self, session: &Session, needed: NeededLink, context: &CallContext) -> Result<NeededLink> {
        let manage = session.config.manage_connections.as_ref();
        if manage.and_then(|manage| manage.enable) == Some(false) {
            return Ok(needed);
        }
        let actor = &context.principal;
        let linked = match (&needed.reason, &needed.account) {
            (LinkReason::NoConnection, _) => {
                let request = LinkRequest { toolkit: needed.toolkit.clone(), ..LinkRequest::default() };
                let link = self.links.create(actor, session, &request).await;
                link.map(|link| Some((link.redirect_url, link.account_id)))
            }
            // The same account again, so that what uses it goes on with it.
            (_, Some(account)) => {
                let refreshed = self.links.refresh_account(actor, account, None, true).await;
                refreshed.map(|refreshed| refreshed.redirect_url.map(|url| (url, refreshed.id)))
            }
            // A pinned account that has ended: only its developer can pin another one.
            (_, None) => Ok(None),
        };
        let reason = needed.error.message().trim_end_matches('.');
        Ok(match linked {
            Ok(Some((url, account))) => NeededLink {
                message: format!("{reason}. Ask the user to open {url} and then call again."),
                redirect_url: Some(url),
                account: Some(account),
                ..needed
            },
            Ok(None) => needed,
            // There is no way to link this toolkit: the reason is what the developer has to mend.
            Err(cause) => NeededLink {
                message: format!("{reason}. {}. {}", cause.message().trim_end_matches('.'), cause.suggested_fix()),
                ..needed
            },
        })
    }
}

/// Whether the user has to connect an account before the call can be made.
fn needs_link(error: &Error) -> Option<LinkReason> {
    Some(match error.code() {
        Code::NoActiveConnection => LinkReason::NoConnection,
        Code::ReauthRequired => LinkReason::ConnectionExpired,
        Code::MissingScope => LinkReason::MissingScope(error.errors().to_vec()),
        _ => return None,
    })
}

/// What is wrong with arguments, as a validation error.
fn wrong_arguments(mistakes: &[Mistake]) -> Error {
    let place = |mistake: &Mistake| match mistake.argument.as_str() {
        "" => format!("Error in payload.arguments: {}", mistake.message),
        argument => format!("Error in payload.arguments.{argument}: {}", mistake.message),
    };
    let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
    Error::validation(mistakes.iter().map(place).collect()).fix(format!("Correct the arguments: {first}."))
}

/// How long to wait before a call is made again; none if it would not help, or takes too long.
fn pause_before_retry(answer: &Answer) -> Option<Duration> {
    let is_temporary = matches!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if !is_temporary {
        return None;
    }
    match header(answer, "retry-after") {
        Some(seconds) => seconds.trim().parse().ok().map(Duration::from_secs).filter(|pause| *pause <= MAX_PAUSE),
        None if answer.status == StatusCode::TOO_MANY_REQUESTS => None,
        None => Some(PAUSE),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(header, _)| header.as_str() == name).map(|(_, value)| value.as_str())
}

/// A failure that the provider answered, with what to do.
fn failed(found: &FoundTool, answer: &Answer, failure: Failure) -> ToolFailure {
    let status = answer.status;
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => FailureKind::RateLimited,
        StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
        status if status.is_server_error() => FailureKind::ProviderDown,
        status if status.is_success() && failure.message.is_none() => FailureKind::UnusableAnswer,
        _ => FailureKind::Provider,
    };
    let retry_after = header(answer, "retry-after").and_then(|seconds| seconds.trim().parse::<u64>().ok());
    let words = failure.message.unwrap_or_else(|| match kind {
        FailureKind::UnusableAnswer => "a page for people instead of data".to_owned(),
        _ => status.canonical_reason().unwrap_or("no message").to_owned(),
    });
    let advice = match kind {
        FailureKind::RateLimited => match retry_after {
            Some(seconds) => format!("This is the provider's limit, not this server's. Call again in {seconds} s."),
            None => "This is the provider's limit, not this server's. Call again later.".to_owned(),
        },
        FailureKind::Unauthorized => "The user has to connect the account again.".to_owned(),
        FailureKind::ProviderDown => "The provider has a problem of its own. Call again later.".to_owned(),
        FailureKind::Provider if status == StatusCode::NOT_FOUND || status == StatusCode::GONE => {
            "Check the ids in the arguments; the account may not see what they name.".to_owned()
        }
        FailureKind::Provider if status == StatusCode::FORBIDDEN => {
            "The account may not do this at the provider.".to_owned()
        }
        _ => "Correct the arguments as the provider says.".to_owned(),
    };
    ToolFailure {
        kind,
        message: format!(
            "{} answered {}: {}. {advice}",
            found.toolkit.name,
            status.as_u16(),
            words.trim_end_matches('.')
        ),
        status: Some(status.as_u16()),
        retry_after_ms: retry_after.map(|seconds| seconds * 1_000),
        answer: failure.data,
    }
}

/// A provider that gives no answer: the tool's failure. Any other error stays one.
fn provider_failure(error: Error) -> Result<ToolFailure> {
    let kind = match error.code() {
        Code::UpstreamUnreachable | Code::UpstreamTls | Code::ProviderPaused => FailureKind::ProviderDown,
        Code::UpstreamTimeout => FailureKind::Timeout,
        Code::UpstreamTooLarge => FailureKind::UnusableAnswer,
        _ => return Err(error),
    };
    let retry_after_ms = error.retry_after_seconds().map(|seconds| seconds * 1_000);
    let message = format!("{}. {}", error.message(), error.suggested_fix());
    Ok(ToolFailure { kind, message, status: None, retry_after_ms, answer: Map::new() })
}
