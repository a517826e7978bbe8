//! Runs a tool: everything is checked before anything is sent.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Map, Value};
use switchboard_catalog::{Effect, Tool};
use switchboard_tools::json::{self, Unreadable};
use switchboard_tools::{Files, Mistake, ProviderAnswer, build, read};
use switchboard_types::AccountId;

use super::failure::{failed, header, needs_link, provider_failure, unusable};
use super::front_end::ToolFrontEnd;
use super::outcome::{NeededLink, Outcome};
use super::{ToolCall, Tools, tags};
use crate::app::base::tools::FoundTool;
use crate::app::execute::answer::{Answer, AnswerData};
use crate::app::execute::call::Call;
use crate::app::execute::context::CallContext;
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
    /// Runs the tool with this slug, in any case, for a session's user.
    ///
    /// # Errors
    /// There is no such tool; the session's policy, the arguments, the choice of the account or a limit does not allow
    /// the call. Nothing was sent then.
    #[tracing::instrument(level = "debug", skip_all, fields(tool = tracing::field::Empty))]
    pub async fn execute(
        &self,
        session: &Session,
        slug: &str,
        call: ToolCall,
        context: &CallContext,
    ) -> Result<Outcome> {
        let found = self.core.tool(slug).ok_or_else(|| self.not_found(Code::SessionToolNotFound, slug))?;
        let is_dry_run = call.dry_run;
        match self.run(&found, session, call, context).await? {
            Outcome::NeedsLink(needed) if !is_dry_run => {
                self.with_link(session, needed, context).await.map(Outcome::NeedsLink)
            }
            outcome => Ok(outcome),
        }
    }

    /// The same without making a link where one is needed.
    pub(super) async fn run(
        &self,
        found: &FoundTool,
        session: &Session,
        call: ToolCall,
        context: &CallContext,
    ) -> Result<Outcome> {
        tracing::Span::current().record("tool", found.row.slug.as_str());
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        session.admit(CallKind::Tool(&description), Some(Arc::clone(&found.toolkit)))?;
        check_files(&found.row, &call.arguments)?;
        let arguments = self.checks.of(&found.row)?.check(&found.row, call.arguments);
        let arguments = arguments.map_err(|mistakes| wrong_arguments(&mistakes))?.with_call_id(context.call.id());
        let request = build(&found.row, &arguments, &Files::new()).map_err(|mistake| wrong_arguments(&[mistake]))?;
        let front_end =
            ToolFrontEnd { found, call_id: context.call.id(), request, account: OnceLock::new(), description };
        let is_dry_run = call.dry_run;
        let timed = context.within(Duration::from_secs(found.row.timeout.into()));
        let call =
            Call { toolkit: &found.toolkit.slug, account: call.account.as_deref(), token: None, front_end: &front_end };
        if is_dry_run {
            let planned = self.dry_run(session, call, &front_end).await;
            return planned.or_else(|error| without_result(found, error, front_end.account.get()));
        }
        let answered = self.call_provider(session, found, call, &timed).await;
        let status = answered.as_ref().ok().map(|answer| answer.status);
        let without_answer = answered.as_ref().err().map(|error| context.call.ending_of(error));
        let outcome = match answered {
            Ok(answer) => outcome(found, &answer),
            Err(error) => match without_result(found, error, front_end.account.get()) {
                Ok(outcome) => outcome,
                Err(error) => {
                    context.call.end_without_content(context.call.ending_of(&error));
                    return Err(error);
                }
            },
        };
        let mut ending = outcome.ending(status);
        ending.had_no_effect |= without_answer.is_some_and(|ending| ending.had_no_effect);
        context.call.end(ending, || outcome.to_content(&arguments)).await;
        Ok(outcome)
    }

    /// Makes the call, again if the provider cannot answer and the tool only reads.
    async fn call_provider(
        &self,
        session: &Session,
        found: &FoundTool,
        call: Call<'_>,
        context: &CallContext,
    ) -> Result<Answer> {
        let mut answer = self.executor.execute(session, call, context).await?;
        for _ in 0..MAX_RETRIES {
            let Some(pause) = pause_before_retry(&answer).filter(|_| found.row.effect == Effect::Read) else { break };
            if Instant::now() + pause >= context.deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            // If it cannot be made again, the provider's answer is still the best one.
            let Ok(next) = self.executor.execute(session, call, context).await else { break };
            answer = next;
        }
        Ok(answer)
    }
}

/// What a call without an answer leads to.
fn without_result(found: &FoundTool, error: Error, account: Option<&AccountId>) -> Result<Outcome> {
    let Some(reason) = needs_link(&error) else { return provider_failure(found, error).map(Outcome::Failed) };
    Ok(Outcome::NeedsLink(NeededLink {
        reason,
        toolkit: found.toolkit.slug.clone(),
        redirect_url: None,
        account: account.cloned(),
        message: format!("{}. {}", error.message().trim_end_matches('.'), error.suggested_fix()),
        error,
    }))
}

/// Refuses what needs files before anything is sent: sending the name of a file instead of the file would destroy data.
fn check_files(tool: &Tool, arguments: &Map<String, Value>) -> Result<()> {
    let is_file = |name: &String| {
        let argument = tool.input.get(name);
        argument.is_some_and(|argument| argument.schema.get("file_uploadable") == Some(&Value::Bool(true)))
    };
    let is_given = |value: &Value| !value.is_null() && value != "";
    if let Some((name, _)) = arguments.iter().find(|(name, value)| is_file(name) && is_given(value)) {
        return Err(Error::new(Code::NotImplemented, format!("File arguments such as {name} are not built yet"))
            .fix(format!("Leave {name} out, or call the toolkit's API with proxy_execute and binary_body.")));
    }
    if tool.download {
        return Err(Error::new(Code::NotImplemented, "Tools that return a file are not built yet")
            .fix("Call the toolkit's API with proxy_execute: binary answers come as binary_data."));
    }
    Ok(())
}

/// What an answer leads to.
fn outcome(found: &FoundTool, answer: &Answer) -> Outcome {
    let text = match &answer.data {
        AnswerData::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    };
    let json = match &answer.data {
        AnswerData::Json(bytes) => match json::parse(bytes) {
            Ok(json) => Some(json),
            Err(Unreadable::TooLarge) => return Outcome::Failed(unusable(found, answer, "too much data")),
            Err(Unreadable::Malformed) => return Outcome::Failed(unusable(found, answer, "JSON that cannot be read")),
        },
        AnswerData::Binary { .. } if answer.status.is_success() => {
            return Outcome::Failed(unusable(found, answer, "a file, which is no result of a tool yet"));
        }
        _ => None,
    };
    let is_page = header(answer, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let provider = ProviderAnswer { status: answer.status.as_u16(), json, text: text.as_deref(), is_page };
    match read(&found.row, provider) {
        Ok(data) => Outcome::Completed { data },
        Err(_) if is_page && answer.status.is_success() => {
            Outcome::Failed(unusable(found, answer, "a page for people instead of data"))
        }
        Err(failure) => Outcome::Failed(failed(found, answer, failure)),
    }
}

/// What is wrong with arguments, as a validation error. Its message has the first mistake, because it is all that some
/// agent frameworks hand on to the model.
fn wrong_arguments(mistakes: &[Mistake]) -> Error {
    let place = |mistake: &Mistake| match mistake.argument.as_str() {
        "" => format!("Error in payload.arguments: {}", mistake.message),
        argument => format!("Error in payload.arguments.{argument}: {}", mistake.message),
    };
    let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
    Error::validation(mistakes.iter().map(place).collect())
        .reason(&first)
        .fix(format!("Correct the arguments: {first}."))
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
