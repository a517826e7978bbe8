//! Failures of tools: what the provider said, whose fault it is, and what to do.

use http::StatusCode;
use serde_json::Map;
use switchboard_catalog::Effect;
use switchboard_tools::Failure;

use super::outcome::{FailureKind, LinkReason, ToolFailure};
use crate::app::base::tools::FoundTool;
use crate::app::execute::answer::Answer;
use crate::error::{Code, Error, Result};

/// Longest pause that is passed on, in seconds. A provider that asks for more asks for nothing.
const MAX_RETRY_AFTER: u64 = 7 * 24 * 60 * 60;

/// A header of an answer.
pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(header, _)| header.as_str() == name).map(|(_, value)| value.as_str())
}

/// Whether the user has to connect an account before the call can be made.
pub(super) fn needs_link(error: &Error) -> Option<LinkReason> {
    Some(match error.code() {
        Code::NoActiveConnection => LinkReason::NoConnection,
        Code::ReauthRequired => LinkReason::ConnectionExpired,
        Code::MissingScope => LinkReason::MissingScope(error.errors().to_vec()),
        _ => return None,
    })
}

/// A failure that the provider answered.
pub(super) fn failed(found: &FoundTool, answer: &Answer, failure: Failure) -> ToolFailure {
    let status = answer.status;
    let kind = match status {
        _ if answer.refusal.is_some() => FailureKind::RateLimited,
        StatusCode::UNAUTHORIZED => FailureKind::Unauthorized,
        status if status.is_server_error() => FailureKind::ProviderDown,
        _ => FailureKind::Provider,
    };
    let retry_after = header(answer, "retry-after").and_then(|seconds| seconds.trim().parse::<u64>().ok());
    // A date, or a header of the provider's own.
    let asked = answer.refusal.and_then(|refusal| refusal.retry_after).map(|pause| pause.as_secs().max(1));
    let retry_after = retry_after.or(asked).filter(|seconds| *seconds <= MAX_RETRY_AFTER);
    let reason = status.canonical_reason().filter(|_| !status.is_success()).unwrap_or("no message");
    let words = failure.message.unwrap_or_else(|| reason.to_owned());
    let advice = match kind {
        FailureKind::RateLimited => match retry_after {
            Some(seconds) => format!("This is the provider's limit, not this server's. Call again in {seconds} s."),
            None => "This is the provider's limit, not this server's. Call again later.".to_owned(),
        },
        FailureKind::Unauthorized => "The user has to connect the account again.".to_owned(),
        FailureKind::ProviderDown if found.row.effect != Effect::Read => may_have_happened(found),
        FailureKind::ProviderDown => "The provider has a problem of its own. Call again later.".to_owned(),
        _ => advice(status).to_owned(),
    };
    ToolFailure {
        kind,
        message: answered(found, status, &words, &advice),
        status: Some(status.as_u16()),
        retry_after_ms: retry_after.map(|seconds| seconds * 1_000),
        answer: failure.data,
    }
}

/// A failure because an answer cannot be used. With a successful status, the call had its effect.
pub(super) fn unusable(found: &FoundTool, answer: &Answer, content: &str) -> ToolFailure {
    let advice = match found.row.effect {
        Effect::Read => "Ask for less, or call the toolkit's API with proxy_execute.".to_owned(),
        _ if answer.status.is_success() => may_have_happened(found),
        _ => advice(answer.status).to_owned(),
    };
    ToolFailure {
        kind: FailureKind::UnusableAnswer,
        message: answered(found, answer.status, content, &advice),
        status: Some(answer.status.as_u16()),
        retry_after_ms: None,
        answer: Map::new(),
    }
}

/// A provider that gives no answer: the tool's failure. Any other error stays one.
pub(super) fn provider_failure(found: &FoundTool, error: Error) -> Result<ToolFailure> {
    let (kind, was_sent) = match error.code() {
        Code::UpstreamTls | Code::ProviderPaused => (FailureKind::ProviderDown, false),
        Code::ProviderLimitReached => (FailureKind::RateLimited, false),
        Code::UpstreamUnreachable => (FailureKind::ProviderDown, true),
        Code::UpstreamTimeout => (FailureKind::Timeout, true),
        Code::UpstreamTooLarge => (FailureKind::UnusableAnswer, true),
        _ => return Err(error),
    };
    let has_effect = found.row.effect != Effect::Read;
    let (kind, advice) = if was_sent && has_effect {
        (FailureKind::OutcomeUnknown, may_have_happened(found))
    } else {
        (kind, error.suggested_fix().to_owned())
    };
    Ok(ToolFailure {
        kind,
        message: format!("{}. {advice}", error.message().trim_end_matches('.')),
        status: None,
        retry_after_ms: error.retry_after_seconds().map(|seconds| seconds.saturating_mul(1_000)),
        answer: Map::new(),
    })
}

/// A provider that cannot be called now, found before the call was sent. Any other error stays one.
pub(super) fn not_sent(error: Error) -> Result<ToolFailure> {
    let kind = match error.code() {
        Code::UpstreamTls | Code::ProviderPaused | Code::UpstreamUnreachable | Code::UpstreamTimeout => {
            FailureKind::ProviderDown
        }
        Code::ProviderLimitReached => FailureKind::RateLimited,
        _ => return Err(error),
    };
    Ok(ToolFailure {
        kind,
        message: format!("{}. {}", error.message().trim_end_matches('.'), error.suggested_fix()),
        status: None,
        retry_after_ms: error.retry_after_seconds().map(|seconds| seconds.saturating_mul(1_000)),
        answer: Map::new(),
    })
}

fn answered(found: &FoundTool, status: StatusCode, words: &str, advice: &str) -> String {
    format!("{} answered {}: {}. {advice}", found.toolkit.name, status.as_u16(), words.trim_end_matches('.'))
}

/// What to do when a call may have had its effect.
pub(super) fn may_have_happened(found: &FoundTool) -> String {
    match &found.row.verify_with {
        Some(tool) => format!("The call may have been carried out: look with {tool} before you call again."),
        None => "The call may have been carried out: look before you call again.".to_owned(),
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            "Check the ids in the arguments; the account may not see what they name."
        }
        StatusCode::FORBIDDEN => "The account may not do this at the provider.",
        _ => "Correct the arguments as the provider says.",
    }
}
