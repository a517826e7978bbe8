//! Runs a tool: everything is checked before anything is sent.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Map, Value};
use switchboard_catalog::Effect;
use switchboard_store::failpoint;
use switchboard_tools::json::{self, Unreadable};
use switchboard_tools::{Arguments, Mistake, ProviderAnswer, ToolRequest, build, read};

use super::failure::{failed, header, needs_link, not_sent, provider_failure, unusable};
use super::file_arguments::{FileArguments, LoadedFiles};
use super::front_end::ToolFrontEnd;
use super::outcome::{NeededLink, Outcome, ToolFailure};
use super::pages::{AllPages, PagedQuery};
use super::{ToolCall, Tools, tags};
use crate::app::base::tools::FoundTool;
use crate::app::call_log::Ending;
use crate::app::execute::answer::{Answer, AnswerData};
use crate::app::execute::call::Call;
use crate::app::execute::context::CallContext;
use crate::app::session::Session;
use crate::app::session::policy::{CallKind, ToolDescription};
use crate::error::{Error, Result};

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
        let found = self.find_in(session, slug).await?;
        let is_dry_run = call.options.dry_run;
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
        mut call: ToolCall,
        context: &CallContext,
    ) -> Result<Outcome> {
        tracing::Span::current().record("tool", found.row.slug.as_str());
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        let planned = self.plan(found, session, &mut call, &description, context.call.id())?;
        let Planned { arguments, wanted, request } = planned;
        if session.config.may_ask() && !call.options.dry_run && !call.options.is_unasked {
            let asked = self.approved((session, found, &description), &arguments, call.account.as_deref(), context);
            if let Some(outcome) = asked.await? {
                return Ok(outcome);
            }
        }
        let mut front_end =
            ToolFrontEnd { found, call_id: context.call.id(), request, account: OnceLock::new(), description };
        let account = call.account.as_deref();
        if call.options.dry_run {
            let planned = self.dry_run(session, account, &mut front_end, (wanted, &arguments), context).await;
            return planned.or_else(|error| without_answer(found, &front_end, error, context));
        }
        let timed = context.within(Duration::from_secs(found.row.timeout.into()));
        let timed = if found.row.download { timed.for_file() } else { timed };
        let called = self.call_with_files(session, account, (wanted, &arguments), &mut front_end, &timed).await;
        let query = PagedQuery { session, found, arguments: &arguments, account, front_end: &front_end };
        self.ended(&query, called, call.options.all_pages, (context, &timed)).await
    }

    /// The request of a call, once policy and arguments are checked. It takes the arguments out of the call.
    pub(super) fn plan(
        &self,
        found: &FoundTool,
        session: &Session,
        call: &mut ToolCall,
        description: &ToolDescription<'_>,
        call_id: &str,
    ) -> Result<Planned> {
        session.admit(CallKind::Tool(description), Some(Arc::clone(&found.toolkit)))?;
        let mut given = std::mem::take(&mut call.arguments);
        let wanted = FileArguments::take(&found.row, &mut given).map_err(|mistakes| wrong_arguments(&mistakes))?;
        let arguments = self.checks.of(&found.row)?.check(given);
        let mut arguments = arguments.map_err(|mistakes| wrong_arguments(&mistakes))?.with_call_id(call_id);
        if call.options.all_pages.is_some() && found.row.paging.is_none() {
            return Err(Error::field("all_pages", "this tool has no pages").fix("Leave all_pages out."));
        }
        if let Some(position) = &call.options.page {
            arguments = self.arguments_at((session, call.account.as_deref()), found, arguments, position)?;
        }
        let request = build(&found.row, &arguments, &wanted.placeholders());
        let request = request.map_err(|mistake| wrong_arguments(&[mistake]))?;
        Ok(Planned { arguments, wanted, request })
    }

    /// The outcome of a call that was made, or could not be, and its end in the log.
    async fn ended(
        &self,
        query: &PagedQuery<'_>,
        called: Result<Answer>,
        pages: Option<AllPages>,
        (context, timed): (&CallContext, &CallContext),
    ) -> Result<Outcome> {
        let effect = query.found.row.effect;
        let (outcome, ending) = match called {
            Ok(answer) => {
                let outcome = self.outcome(query, &answer, pages, timed).await;
                let ending = outcome.ending(effect, Some(answer.status));
                (outcome, ending)
            }
            Err(error) => {
                let known = context.call.ending_of(&error);
                let outcome = match without_answer(query.found, query.front_end, error, context) {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        if context.call.is_sent() {
                            context.call.end_without_content(known);
                        }
                        return Err(error);
                    }
                };
                let ending = outcome.ending(effect, None);
                (outcome, Ending { had_no_effect: ending.had_no_effect || known.had_no_effect, ..ending })
            }
        };
        context.call.end(ending, || outcome.to_content(query.arguments)).await;
        Ok(outcome)
    }

    /// Loads the files of a call when everything else is checked, and makes the call.
    async fn call_with_files(
        &self,
        session: &Session,
        account: Option<&str>,
        (wanted, arguments): (FileArguments, &Arguments),
        front_end: &mut ToolFrontEnd<'_>,
        context: &CallContext,
    ) -> Result<Answer> {
        let found = front_end.found;
        let toolkit = found.toolkit.slug.as_str();
        let mut loaded = LoadedFiles::default();
        if !wanted.is_empty() {
            let call = Call { toolkit, account, token: None, front_end };
            self.executor.check(session, call, context).await?;
            loaded = self.load_files(session, wanted, context).await?;
            let request = build(&found.row, arguments, &loaded.files);
            front_end.request = request.map_err(|mistake| wrong_arguments(&[mistake]))?;
        }
        let call = Call { toolkit, account, token: None, front_end };
        let answer = self.call_provider(session, found, call, context).await;
        drop(loaded);
        answer
    }

    /// What an answer leads to.
    async fn outcome(
        &self,
        query: &PagedQuery<'_>,
        answer: &Answer,
        pages: Option<AllPages>,
        context: &CallContext,
    ) -> Outcome {
        let found = query.found;
        if found.row.download
            && let Some(outcome) = self.downloaded(&query.session.project_id, found, answer, context).await
        {
            return outcome;
        }
        let mut json = match parse(found, answer) {
            Ok(json) => json,
            Err(failure) => return Outcome::Failed(failure),
        };
        let page = match &mut json {
            Some(body) if answer.status.is_success() => self.page(query, answer, body, pages, context).await,
            _ => None,
        };
        failpoint::hit("during_call_mapping");
        match result(found, answer, json) {
            Ok(data) => Outcome::Completed { data, page },
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Makes the call, again if the provider cannot answer and the tool only reads.
    pub(super) async fn call_provider(
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

/// A call with everything that its request is made of.
pub(super) struct Planned {
    pub(super) arguments: Arguments,
    pub(super) wanted: FileArguments,
    pub(super) request: ToolRequest,
}

/// What a call without an answer leads to: a link if the user has to connect an account, otherwise a failure.
fn without_answer(
    found: &FoundTool,
    front_end: &ToolFrontEnd<'_>,
    error: Error,
    context: &CallContext,
) -> Result<Outcome> {
    match needs_link(&error) {
        Some(reason) => Ok(Outcome::NeedsLink(NeededLink {
            reason,
            toolkit: found.toolkit.slug.clone(),
            redirect_url: None,
            account: front_end.account.get().cloned(),
            lacks_user_scopes: found.row.token.is_some(),
            message: format!("{}. {}", error.message().trim_end_matches('.'), error.suggested_fix()),
            error,
        })),
        None if context.call.is_sent() => provider_failure(found, error).map(Outcome::Failed),
        None => not_sent(error).map(Outcome::Failed),
    }
}

/// The JSON of an answer; none if it is no JSON.
pub(super) fn parse(found: &FoundTool, answer: &Answer) -> std::result::Result<Option<Value>, ToolFailure> {
    match &answer.data {
        AnswerData::Json(bytes) => json::parse(bytes).map(Some).map_err(|unreadable| match unreadable {
            Unreadable::TooLarge => unusable(found, answer, "too much data"),
            Unreadable::Malformed => unusable(found, answer, "JSON that cannot be read"),
        }),
        AnswerData::Binary { .. } if answer.status.is_success() => {
            Err(unusable(found, answer, "a file, which is no result of this tool"))
        }
        _ => Ok(None),
    }
}

/// The result of an answer.
fn result(
    found: &FoundTool,
    answer: &Answer,
    json: Option<Value>,
) -> std::result::Result<Map<String, Value>, ToolFailure> {
    let text = match &answer.data {
        AnswerData::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    };
    let is_page = header(answer, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let provider = ProviderAnswer { status: answer.status.as_u16(), json, text: text.as_deref(), is_page };
    read(&found.row, provider).map_err(|failure| {
        if is_page && answer.status.is_success() {
            return unusable(found, answer, "a page for people instead of data");
        }
        failed(found, answer, failure)
    })
}

/// What is wrong with arguments, as a validation error. Its message has the first mistake, because it is all that some
/// agent frameworks hand on to the model.
pub(in crate::app) fn wrong_arguments(mistakes: &[Mistake]) -> Error {
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
