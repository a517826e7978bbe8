//! What a call of a tool leads to.

use http::StatusCode;
use serde_json::{Map, Value, json};
use switchboard_catalog::Effect;
use switchboard_types::{AccountId, CallState};

use super::pages::ResultPage;
use crate::app::approval::Question;
use crate::app::call_log::{Content, Ending};
use crate::error::Error;

/// What a call of a tool leads to. Whatever keeps it from being made at all is an error instead.
pub enum Outcome {
    /// The tool did what it does.
    Completed {
        /// The result.
        data: Map<String, Value>,
        /// Where its results are in their list; none if the tool has no pages.
        page: Option<ResultPage>,
    },
    /// The provider refused, or has no usable answer.
    Failed(ToolFailure),
    /// The user has to connect an account first.
    NeedsLink(NeededLink),
    /// A person has to allow the call first, or several that are made at once.
    NeedsApproval(Vec<Question>),
}

impl Outcome {
    /// How the call went, for the log. `status` is the provider's. A call that has an effect may have had it when the
    /// provider has an error of its own, or its answer cannot be used.
    pub(super) fn ending(&self, effect: Effect, status: Option<StatusCode>) -> Ending {
        let may_have_happened = |failure: &ToolFailure| match failure.kind {
            FailureKind::OutcomeUnknown => true,
            FailureKind::ProviderDown => effect != Effect::Read && failure.status.is_some(),
            FailureKind::UnusableAnswer => effect != Effect::Read && status.is_some_and(|status| status.is_success()),
            _ => false,
        };
        let http_status = status.map(|status| status.as_u16());
        match self {
            Self::Completed { .. } => Ending { http_status, ..Ending::of(CallState::Completed) },
            Self::Failed(failure) => Ending {
                state: if may_have_happened(failure) { CallState::Unknown } else { CallState::Failed },
                http_status,
                error_code: Some(failure.kind.code()),
                had_no_effect: matches!(
                    failure.kind,
                    FailureKind::RateLimited | FailureKind::Unauthorized | FailureKind::NotApproved
                ),
            },
            Self::NeedsApproval(_) => Ending {
                http_status,
                error_code: Some(APPROVAL_REQUIRED),
                had_no_effect: true,
                ..Ending::of(CallState::Failed)
            },
            Self::NeedsLink(needed) => Ending {
                state: CallState::Failed,
                http_status,
                error_code: Some(needed.reason.code()),
                had_no_effect: true,
            },
        }
    }

    /// What callers get of it: data and, exactly if the tool did not do what it does, an error. All surfaces print these.
    pub fn into_answer(self) -> (Map<String, Value>, Option<String>) {
        match self {
            Self::Completed { data, .. } => (data, None),
            Self::Failed(failure) => failure.into_answer(),
            Self::NeedsLink(needed) => needed.into_answer(),
            Self::NeedsApproval(questions) => unapproved(&questions),
        }
    }

    /// Arguments and answer, for the log.
    pub(super) fn to_content(&self, arguments: &Map<String, Value>) -> Content {
        let (answer, error) = match self {
            Self::Completed { data, .. } => (data.clone().into(), None),
            Self::Failed(failure) => (failure.answer.clone().into(), Some(failure.message.clone())),
            Self::NeedsLink(needed) => (Value::Null, Some(needed.error.message().to_owned())),
            Self::NeedsApproval(questions) => (Value::Null, unapproved(questions).1),
        };
        Content { arguments: arguments.clone(), answer, error }
    }
}

/// Machine-readable name of calls that a person has to allow.
const APPROVAL_REQUIRED: &str = "approval_required";

/// What callers get that cannot ask.
fn unapproved(questions: &[Question]) -> (Map<String, Value>, Option<String>) {
    let approvals: Vec<Value> = questions
        .iter()
        .map(|question| json!({ "id": question.id, "tool_slug": question.tool, "message": question.message }))
        .collect();
    let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
    let mut data = Map::new();
    data.insert("error_code".to_owned(), APPROVAL_REQUIRED.into());
    data.insert("approvals".to_owned(), approvals.into());
    let message = format!(
        "A person has to approve this first ({}). Nothing was done. Tell the user, and call again with the same arguments when \
         it is approved.",
        ids.join(", ")
    );
    (data, Some(message))
}

/// Why a tool failed.
pub struct ToolFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The provider's own words with what to do; never empty.
    pub message: String,
    /// HTTP status of the provider, if it answered.
    pub status: Option<u16>,
    /// Milliseconds after which the same call may succeed.
    pub retry_after_ms: Option<u64>,
    /// The provider's answer.
    pub answer: Map<String, Value>,
}

impl ToolFailure {
    fn into_answer(self) -> (Map<String, Value>, Option<String>) {
        let Self { kind, message, status, retry_after_ms, answer } = self;
        let mut data = Map::new();
        data.insert("error_code".to_owned(), kind.code().into());
        if let Some(status) = status {
            data.insert("http_status".to_owned(), status.into());
            data.insert("answer".to_owned(), answer.into());
        }
        if let Some(retry_after_ms) = retry_after_ms {
            data.insert("retry_after_ms".to_owned(), retry_after_ms.into());
        }
        if kind == FailureKind::RateLimited {
            data.insert("limit_owner".to_owned(), "provider".into());
        }
        (data, Some(message))
    }
}

/// What kind of failure a tool had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// The provider refused the request: its own error.
    Provider,
    /// The provider's limit is reached.
    RateLimited,
    /// The provider did not accept the credential.
    Unauthorized,
    /// The provider has an error of its own.
    ProviderDown,
    /// The provider did not answer in time.
    Timeout,
    /// The call was sent and its answer lost: it may have had its effect.
    OutcomeUnknown,
    /// The answer cannot be used: too large, not readable, a page for people.
    UnusableAnswer,
    /// A person was asked and did not allow the call.
    NotApproved,
}

impl FailureKind {
    /// Machine-readable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Provider => "provider_error",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "provider_unauthorized",
            Self::ProviderDown => "provider_unavailable",
            Self::Timeout => "provider_timeout",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::UnusableAnswer => "unusable_answer",
            Self::NotApproved => "approval_denied",
        }
    }
}

/// A link that the user has to open before the tool can run.
pub struct NeededLink {
    /// Why: no account, one that has ended, or one without scopes.
    pub reason: LinkReason,
    /// Slug of the toolkit.
    pub toolkit: String,
    /// Where to send the user. None if the session does not let the agent link accounts.
    pub redirect_url: Option<String>,
    /// The account that the link connects.
    pub account: Option<AccountId>,
    /// Missing scopes are user-level scopes: those of a further token of the account.
    pub lacks_user_scopes: bool,
    /// What to tell the user; never empty.
    pub message: String,
    /// The error of a surface that cannot offer a link.
    pub error: Error,
}

impl NeededLink {
    fn into_answer(self) -> (Map<String, Value>, Option<String>) {
        let Self { reason, toolkit, redirect_url, account, message, .. } = self;
        let mut data = Map::new();
        data.insert("error_code".to_owned(), reason.code().into());
        data.insert("toolkit".to_owned(), toolkit.into());
        if let LinkReason::MissingScope(missing) = reason {
            data.insert("missing_scopes".to_owned(), json!(missing));
        }
        if let Some(redirect_url) = redirect_url {
            data.insert("redirect_url".to_owned(), redirect_url.into());
        }
        if let Some(account) = account {
            data.insert("connected_account_id".to_owned(), account.as_str().into());
        }
        (data, Some(message))
    }
}

/// Why a link is needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkReason {
    /// The user has no account of the toolkit.
    NoConnection,
    /// The account has ended.
    ConnectionExpired,
    /// The account lacks scopes.
    MissingScope(Vec<String>),
}

impl LinkReason {
    /// Machine-readable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoConnection => "no_active_connection",
            Self::ConnectionExpired => "connection_expired",
            Self::MissingScope(_) => "MISSING_SCOPE",
        }
    }
}

crate::redacted_debug!(Outcome, ToolFailure, NeededLink);
