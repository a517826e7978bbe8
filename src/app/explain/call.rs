//! Explains one call: what was decided, sent and answered, and what that means. Everything is derived from the log of
//! calls and from what is stored beside it, so that a call costs no more for being explained.

use std::fmt::Write as _;

use switchboard_store::accounts::AccountRow;
use switchboard_store::files::MountPath;
use switchboard_store::sessions::SessionVersion;
use switchboard_store::tool_calls::CallRow;
use switchboard_store::{PageQuery, PageStart};
use switchboard_types::{CallState, ProjectId, Timestamp};

use super::{Ended, Explanations};
use crate::app::session::policy::SessionConfig;
use crate::error::{Error, Result};
use crate::time::{iso, millis};

/// Versions of a policy among which the one of the call is looked for.
const MAX_VERSIONS: i64 = 100;

/// What happened in a call.
#[derive(Debug)]
pub struct CallExplanation {
    /// `log_…`
    pub log_id: String,
    /// How it went.
    pub state: CallState,
    /// In one sentence.
    pub summary: String,
    /// What to do; none if there is nothing to do.
    pub fix: Option<String>,
    /// The steps, in their order.
    pub timeline: Vec<CallStep>,
}

/// A step of a call.
#[derive(Debug)]
pub struct CallStep {
    /// A word for programs.
    pub step: &'static str,
    /// When; none for a step whose time is not kept.
    pub at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Ended,
    /// One line for people.
    pub title: String,
    /// Details for people.
    pub detail: Option<String>,
}

impl CallStep {
    fn new(step: &'static str, outcome: Ended, title: impl Into<String>) -> Self {
        Self { step, at: None, outcome, title: title.into(), detail: None }
    }

    fn at(self, at: Timestamp) -> Self {
        Self { at: Some(at), ..self }
    }

    fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// How far the request of a call came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    No,
    /// It may not have left.
    Perhaps,
    Answered(u16),
}

impl Explanations {
    /// Explains a call of a project.
    ///
    /// # Errors
    /// There is no such call, or it is older than what is kept.
    pub async fn of_call(&self, project: &ProjectId, id: &str) -> Result<CallExplanation> {
        let call = self.call_log.get(project, id).await?;
        let mut timeline = vec![received(&call)];
        let policy = self.policy_of(&call).await?;
        timeline.push(allowed(&call, policy.as_ref()));
        let account = match &call.account_id {
            Some(id) => self.core.store.account(project, id).await?,
            None => None,
        };
        timeline.push(account_step(&call, account.as_ref(), policy.as_ref().map(|(_, config)| config)));
        let sent = sent(&call);
        timeline.push(sent_step(&call, sent));
        if let Sent::Answered(status) = sent {
            let is_good = (200..300).contains(&status);
            let outcome = if is_good { Ended::Ok } else { Ended::Failed };
            timeline.push(CallStep::new("answered", outcome, format!("The provider answered {status}.")));
        }
        let provider_message =
            self.call_log.content(&call)?.and_then(|content| content["error"].as_str().map(str::to_owned));
        timeline.extend(result_step(&call, sent, provider_message.as_deref()));
        timeline.extend(self.stored_step(&call).await?);
        timeline.extend(idempotency_step(&call));
        timeline.push(ended(&call));
        Ok(CallExplanation {
            summary: summary(&call),
            fix: fix(&call),
            state: call.state,
            log_id: call.id.into(),
            timeline,
        })
    }

    /// The version of the session's policy that counted when the call began, with the policy.
    async fn policy_of(&self, call: &CallRow) -> Result<Option<(i64, SessionConfig)>> {
        let Some(session) = &call.session_id else { return Ok(None) };
        let page = PageQuery { start: PageStart::Skip(0), limit: MAX_VERSIONS };
        let versions = self.core.store.session_versions(&call.project_id, session, page).await?.rows;
        let in_force = |version: &&SessionVersion| version.created_at <= call.started_at;
        let Some(version) = versions.iter().find(in_force) else { return Ok(None) };
        let config = serde_json::from_str(&version.config).map_err(Error::internal)?;
        Ok(Some((version.version, config)))
    }

    /// That the result became a file of its session.
    async fn stored_step(&self, call: &CallRow) -> Result<Option<CallStep>> {
        let Some(session) = &call.session_id else { return Ok(None) };
        let mount = MountPath { session_id: session.clone(), path: format!("results/{}.json", call.id) };
        let file = self.core.store.file_at(&call.project_id, &mount, self.core.now()).await?;
        Ok(file.map(|file| {
            let title = "The result was large and became a file of the session.";
            let detail = format!("{} bytes at /mnt/files/{}; read_result returns parts of it.", file.size, mount.path);
            CallStep { at: file.stored_at, ..CallStep::new("off_loaded", Ended::Ok, title).detail(detail) }
        }))
    }
}

/// What is called, in words.
fn name(call: &CallRow) -> String {
    match (&call.tool, &call.version) {
        (Some(tool), Some(version)) => format!("{tool} (version {version} of {})", call.toolkit),
        (Some(tool), None) => format!("{tool} of {}", call.toolkit),
        (None, _) => format!("a raw {} request to {}", call.method, call.toolkit),
    }
}

fn received(call: &CallRow) -> CallStep {
    let mut detail = format!("By {}", call.actor);
    if let Some(request) = &call.request_id {
        let _ = write!(detail, " in request {request}");
    }
    let _ = match &call.session_id {
        Some(session) => write!(detail, ", for the user of session {session}"),
        None => write!(detail, ", without a session"),
    };
    let _ = write!(detail, ". Its effect is {}.", call.effect.as_str());
    CallStep::new("received", Ended::Ok, format!("A call of {} came in.", name(call)))
        .at(call.started_at)
        .detail(detail)
}

fn allowed(call: &CallRow, policy: Option<&(i64, SessionConfig)>) -> CallStep {
    let step = |title: String| CallStep::new("allowed", Ended::Ok, title);
    match (policy, &call.session_id) {
        (Some((version, config)), _) => {
            step(format!("Version {version} of the session's policy allowed it.")).detail(rule(call, config))
        }
        (None, Some(_)) => step("The session's policy allowed it.".to_owned())
            .detail("The policy of that time is not kept: the session was deleted or changed often since."),
        (None, None) => {
            step("A call without a session has no policy; the auth config of its account allowed it.".to_owned())
        }
    }
}

/// The rules that the policy has for what was called.
fn rule(call: &CallRow, config: &SessionConfig) -> String {
    let toolkit = call.toolkit.as_str();
    let mut rules = Vec::new();
    if let Some(filter) = &config.toolkits {
        let named = if filter.enable.is_some() {
            "toolkits.enable names the toolkit"
        } else {
            "toolkits.disable does not name the toolkit"
        };
        rules.push(named.to_owned());
    }
    let of_toolkit = config.tools.as_ref().and_then(|tools| tools.get(toolkit));
    if let Some(rule) = of_toolkit {
        if rule.enable.is_some() {
            rules.push(format!("tools.{toolkit}.enable names the tool"));
        } else if rule.disable.is_some() {
            rules.push(format!("tools.{toolkit}.disable does not name the tool"));
        }
    }
    match of_toolkit.filter(|rule| rule.tags.is_some()) {
        Some(_) => rules.push(format!("tools.{toolkit}.tags allows its effect")),
        None if config.tags.is_some() => rules.push("tags allows its effect".to_owned()),
        None => {}
    }
    match (call.tool.is_none(), rules.is_empty()) {
        (true, _) => "Raw calls of the toolkit are possible in this session.".to_owned(),
        (false, true) => "It has no rule for this toolkit.".to_owned(),
        (false, false) => format!("By its rules: {}.", rules.join("; ")),
    }
}

fn account_step(call: &CallRow, account: Option<&AccountRow>, config: Option<&SessionConfig>) -> CallStep {
    let Some(id) = &call.account_id else {
        let (outcome, title) = match error_code(call) {
            Some("no_active_connection") => (Ended::Failed, "The user had no ACTIVE account of the toolkit."),
            _ => (Ended::Ok, "No account was needed."),
        };
        return CallStep::new("account", outcome, title);
    };
    let toolkit = call.toolkit.as_str();
    let why = match config {
        Some(config) if config.pins(toolkit).is_some() => "the session pins it (connected_accounts)",
        Some(config) if config.is_multi_account() => "the call named it, or it was the first of the session's accounts",
        Some(config) if config.auth_config(toolkit).is_some() => {
            "it was the user's newest ACTIVE one of the auth config that the session names"
        }
        Some(_) => "it was the user's newest ACTIVE one of the toolkit",
        None if call.session_id.is_none() => "the call named it, or it was the user's newest ACTIVE one",
        None => "the session's policy of that time chose it",
    };
    let mut detail = format!("Why: {why}.");
    if let Some(config) = &call.auth_config_id {
        let _ = write!(detail, " Its auth config is {config}.");
    }
    let _ = match account {
        Some(account) => write!(detail, " It is {} now.", account.status.as_str()),
        None => write!(detail, " It was deleted since."),
    };
    let outcome = match error_code(call) {
        Some("connection_expired" | "MISSING_SCOPE") => Ended::Failed,
        _ => Ended::Ok,
    };
    CallStep::new("account", outcome, format!("The account was {id}.")).detail(detail)
}

fn sent(call: &CallRow) -> Sent {
    let status = call.ending.as_ref().and_then(|ending| ending.http_status);
    match (status, error_code(call)) {
        (Some(status), _) => Sent::Answered(status),
        (None, Some("no_active_connection" | "connection_expired" | "MISSING_SCOPE")) => Sent::No,
        _ => Sent::Perhaps,
    }
}

fn sent_step(call: &CallRow, sent: Sent) -> CallStep {
    let order = if call.effect.may_change() {
        "The row of the call was stored before its first byte."
    } else {
        "It changes nothing, so it may have been sent again after a passing failure."
    };
    match sent {
        Sent::No => CallStep::new("sent", Ended::Failed, "Nothing was sent."),
        Sent::Answered(_) => {
            CallStep::new("sent", Ended::Ok, format!("A {} request was sent.", call.method)).detail(order)
        }
        Sent::Perhaps => {
            let title = format!("A {} request was about to be sent; how far it came is not known.", call.method);
            CallStep::new("sent", Ended::Waiting, title).detail(order)
        }
    }
}

/// What was made of the answer.
fn result_step(call: &CallRow, sent: Sent, provider_message: Option<&str>) -> Option<CallStep> {
    let step = match (call.state, sent) {
        (CallState::Completed, _) if call.tool.is_some() => {
            CallStep::new("mapped", Ended::Ok, "The answer became the tool's result.")
        }
        (CallState::Completed, _) => CallStep::new("mapped", Ended::Ok, "The answer was passed on."),
        (_, Sent::Answered(_)) => {
            let code = error_code(call).unwrap_or("a failure");
            CallStep::new("mapped", Ended::Failed, format!("The answer was read as {code}."))
        }
        _ => return None,
    };
    Some(CallStep { detail: provider_message.map(str::to_owned), ..step })
}

fn idempotency_step(call: &CallRow) -> Option<CallStep> {
    call.key.as_ref()?;
    let title = "The request had an Idempotency-Key.";
    let step = CallStep::new("idempotency", Ended::Ok, title);
    Some(step.detail(match call.state {
        CallState::Sent => "The same request gets 409 until this call has ended.",
        CallState::Completed | CallState::Failed => "The same request gets the stored response, for 24 hours.",
        CallState::Unknown => "The same request is not sent a second time, unless the provider itself takes such keys.",
    }))
}

fn ended(call: &CallRow) -> CallStep {
    let Some(ending) = &call.ending else {
        return CallStep::new("ended", Ended::Waiting, "It has not ended.")
            .detail(format!("It ends by {}.", iso(call.until_at)));
    };
    let outcome = if call.state == CallState::Completed { Ended::Ok } else { Ended::Failed };
    let title = format!("It ended as {} after {} ms.", call.state.as_str(), millis(ending.at.since(call.started_at)));
    CallStep::new("ended", outcome, title).at(ending.at)
}

fn error_code(call: &CallRow) -> Option<&str> {
    call.ending.as_ref()?.error_code.as_deref()
}

fn summary(call: &CallRow) -> String {
    let name = name(call);
    match (call.state, error_code(call)) {
        (CallState::Sent, _) => format!("The call of {name} is being made."),
        (CallState::Completed, _) => format!("The call of {name} did what it does."),
        (CallState::Failed, Some(code)) => format!("The call of {name} failed: {code}."),
        (CallState::Failed, None) => format!("The call of {name} failed."),
        (CallState::Unknown, _) => {
            format!("The call of {name} was sent and may have had its effect; its answer is lost or cannot be used.")
        }
    }
}

/// What to do about a call that did not complete.
fn fix(call: &CallRow) -> Option<String> {
    let text = match (call.state, error_code(call)) {
        (CallState::Completed | CallState::Sent, _) => return None,
        (CallState::Unknown, _) => "Look at the provider whether it happened before you call again.",
        (_, Some("no_active_connection" | "connection_expired" | "MISSING_SCOPE" | "provider_unauthorized")) => {
            "Let the user connect the account again, with the link of the response or a new one."
        }
        (_, Some("rate_limited")) => "Call again later: it is the provider's limit.",
        (_, Some("provider_unavailable" | "provider_timeout")) => "Call again later: the provider could not answer.",
        (_, Some("unusable_answer")) => "Ask for less, or call the toolkit's API with proxy_execute.",
        (_, Some("provider_error")) => "Act on the provider's words, which the response of the call had.",
        (_, Some("caller_gone")) => "The caller hung up before the answer. Wait longer, or send an Idempotency-Key.",
        _ => "The response of the call says what to do; its request_id finds it in the server's log.",
    };
    Some(text.to_owned())
}
