//! One call, from its beginning to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use switchboard_store::accounts::AccountRow;
use switchboard_store::tool_calls::{self, CallEnding, CallRow};
use switchboard_store::{Refusal, Statement, Unit, WriteError, failpoint};
use switchboard_types::{CallEffect, CallState, CompactString};
use switchboard_vault::SealContext;

use super::content::Content;
use super::queue::Entry;
use super::{CallLog, earlier};
use crate::app::Actor;
use crate::app::base::idempotency::{IdempotencyKey, StoredResponse};
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

/// Time after a call's deadline in which it ends.
const MARGIN: Duration = Duration::from_secs(30);
/// Maximum size of a response that is kept for its idempotency key, in bytes.
const MAX_RESPONSE: usize = 2 * 1024 * 1024;

/// What is called.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Slug of the toolkit.
    pub toolkit: &'a str,
    /// Slug and version of the tool; none for a raw API call.
    pub tool: Option<(&'a str, &'a str)>,
    /// What it may do.
    pub effect: CallEffect,
    /// HTTP method.
    pub method: &'a Method,
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Completed, failed or unknown.
    pub state: CallState,
    /// HTTP status of the provider.
    pub http_status: Option<u16>,
    /// Why it failed.
    pub error_code: Option<&'static str>,
    /// Nothing was done at the provider, so that the same request can be made again with its key.
    pub had_no_effect: bool,
}

/// A call. If it is dropped before its end, because its caller has gone, the log says so.
pub struct LoggedCall {
    log: Arc<CallLog>,
    id: CompactString,
    actor: Actor,
    key: Option<IdempotencyKey>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// None until it is known what is called.
    row: Option<CallRow>,
    stage: Stage,
    /// It is made again after its answer was lost. Only a success says that it had its effect.
    is_repeat: bool,
    /// How it went, while its response is rendered: a key is stored with its response.
    ending: Option<(CallEnding, bool)>,
    /// What is written in one unit with its row.
    joined: Option<Statement>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent.
    #[default]
    Checked,
    /// Its row is being committed.
    BeingStored,
    /// A request is about to be sent, or was. Its row is written at its end.
    Sent,
    /// The same, with its row in the database.
    StoredAndSent,
    /// It has ended, and the log will say so.
    Over,
}

impl Ending {
    /// The end of a call with this state and nothing else.
    pub fn of(state: CallState) -> Self {
        Self { state, http_status: None, error_code: None, had_no_effect: false }
    }
}

impl LoggedCall {
    pub(super) fn new(log: Arc<CallLog>, id: CompactString, actor: Actor, key: Option<IdempotencyKey>) -> Self {
        Self { log, id, actor, key, progress: Mutex::default() }
    }

    /// A stored call that is made again.
    pub(super) fn again(log: Arc<CallLog>, actor: Actor, key: IdempotencyKey, row: CallRow) -> Self {
        log.lock_being_made().insert(row.id.clone());
        let progress =
            Progress { row: Some(row.clone()), stage: Stage::StoredAndSent, is_repeat: true, ..Progress::default() };
        Self { log, id: row.id, actor, key: Some(key), progress: Mutex::new(progress) }
    }

    /// `log_…`
    pub fn id(&self) -> &CompactString {
        &self.id
    }

    /// Who makes it, in which request.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether the request has an idempotency key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether a request was sent, or is about to be.
    pub fn is_sent(&self) -> bool {
        matches!(self.lock().stage, Stage::Sent | Stage::StoredAndSent)
    }

    /// How a call ends that has no answer.
    pub fn ending_of(&self, error: &Error) -> Ending {
        let progress = self.lock();
        let may_change = progress.row.as_ref().is_some_and(|row| row.effect.may_change());
        let is_sent = matches!(progress.stage, Stage::Sent | Stage::StoredAndSent);
        let was_sent = is_sent && !matches!(error.code(), Code::UpstreamTls | Code::ProviderPaused);
        Ending {
            state: if was_sent && may_change { CallState::Unknown } else { CallState::Failed },
            http_status: None,
            error_code: Some(error.code().slug()),
            had_no_effect: !was_sent || !may_change,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is called. The first note stays.
    pub fn describe(&self, session: &Session, subject: Subject<'_>, remaining: Duration) {
        let mut progress = self.lock();
        if progress.row.is_some() {
            return;
        }
        let now = self.log.core.now();
        let (tool, version) = subject.tool.unzip();
        progress.row = Some(CallRow {
            id: self.id.clone(),
            project_id: session.project_id.clone(),
            state: CallState::Sent,
            run: self.log.run,
            user_id: session.user_id.as_str().into(),
            session_id: session.stored_id().cloned(),
            toolkit: subject.toolkit.into(),
            tool: tool.map(Into::into),
            version: version.map(Into::into),
            effect: subject.effect,
            method: subject.method.as_str().into(),
            account_id: None,
            auth_config_id: None,
            actor: self.actor.name.clone(),
            request_id: self.actor.request_id.clone(),
            started_at: now,
            until_at: now + remaining + MARGIN,
            ending: None,
            key: self.key.as_ref().map(IdempotencyKey::to_stored),
        });
    }

    /// Has a statement written in one unit with the call's row, before anything is sent. If it is refused, nothing is sent.
    pub fn join(&self, statement: Statement) {
        self.lock().joined = Some(statement);
    }

    /// Notes the account that is used.
    ///
    /// # Errors
    /// The call is made again, and was made with another account: its provider would do it a second time.
    pub fn with_account(&self, account: &AccountRow) -> Result<()> {
        let mut progress = self.lock();
        let is_repeat = progress.is_repeat;
        let Some(row) = &mut progress.row else { return Ok(()) };
        if is_repeat && row.account_id.as_ref() != Some(&account.id) {
            return Err(earlier::outcome_unknown(row));
        }
        row.account_id = Some(account.id.clone());
        row.auth_config_id = Some(account.auth_config_id.clone());
        Ok(())
    }

    /// Must be called before a request is sent. Commits the row of a call that may change something or has a key.
    ///
    /// # Errors
    /// Another request with the same key is being made, or the database takes no writes. Nothing may be sent then.
    pub async fn before_sending(&self) -> Result<()> {
        let row = {
            let mut progress = self.lock();
            if progress.stage != Stage::Checked {
                return Ok(());
            }
            let Some(row) = &progress.row else { return Ok(()) };
            let is_stored = row.effect.may_change() || self.key.is_some() || progress.joined.is_some();
            let row = is_stored.then(|| row.clone());
            progress.stage = if row.is_some() { Stage::BeingStored } else { Stage::Sent };
            row.map(|row| (row, progress.joined.take()))
        };
        let Some((row, joined)) = row else { return Ok(()) };
        failpoint::hit("before_call_row");
        self.log.lock_being_made().insert(self.id.clone());
        let unit = joined.into_iter().fold(Unit::new().with(tool_calls::insert(row)), Unit::with);
        if let Err(error) = self.log.core.store.apply(unit).await {
            self.log.lock_being_made().remove(&self.id);
            self.lock().stage = Stage::Checked;
            return Err(match error {
                WriteError::Refused(Refusal::IdempotencyKeyUsed) => self.log.key_is_taken(self.key.as_ref()).await,
                WriteError::Refused(Refusal::ApprovalUsed) => approval_used(),
                error => error.into(),
            });
        }
        self.lock().stage = Stage::StoredAndSent;
        failpoint::hit("after_call_row");
        Ok(())
    }

    /// Ends the call, with arguments and answer if its project keeps them. If it has a key, its response has to follow
    /// ([`Self::respond`]).
    pub async fn end(&self, how: Ending, content: impl FnOnce() -> Content) {
        let is_described = self.lock().row.is_some();
        let keeps = is_described && self.log.keeps_content(&self.actor.project_id).await;
        let content = keeps.then(|| self.seal(&content()));
        self.end_with(how, content);
    }

    /// The same without arguments and answer.
    pub fn end_without_content(&self, how: Ending) {
        self.end_with(how, None);
    }

    fn end_with(&self, how: Ending, content_sealed: Option<Vec<u8>>) {
        failpoint::hit("before_call_end");
        let ending = CallEnding {
            state: how.state,
            at: self.log.core.now(),
            http_status: how.http_status,
            error_code: how.error_code.map(CompactString::const_new),
            content_sealed,
        };
        let mut progress = self.lock();
        if progress.stage == Stage::Over {
            return;
        }
        let is_stored = progress.stage == Stage::StoredAndSent;
        if self.key.is_some() && is_stored {
            let is_unclear = progress.is_repeat && how.state != CallState::Completed;
            progress.ending = Some(if is_unclear {
                (CallEnding { state: CallState::Unknown, ..ending }, false)
            } else {
                (ending, how.had_no_effect)
            });
            return;
        }
        let Some(row) = progress.row.take() else { return };
        progress.stage = Stage::Over;
        drop(progress);
        self.log.queue.push(entry(row, is_stored, ending, false));
    }

    /// Stores the response of a call with a key, for when the request is repeated. None for an error: the repeated
    /// request gets what is known of the call, or makes it if it had no effect.
    pub async fn respond(&self, response: Option<&StoredResponse>) {
        let Some(key) = &self.key else { return };
        let (ending, frees_key, row) = {
            let mut progress = self.lock();
            let (Some((ending, frees_key)), Some(row)) = (progress.ending.take(), progress.row.take()) else { return };
            progress.stage = Stage::Over;
            (ending, frees_key, row)
        };
        failpoint::hit("before_call_response");
        // What is unknown is said anew to a repeated request, or the call is made again if the provider does nothing twice.
        let is_kept = |response: &&StoredResponse| {
            ending.state != CallState::Unknown && response.body.len() <= MAX_RESPONSE && !frees_key
        };
        let sealed = response.filter(is_kept).map(|response| {
            let status = i64::from(response.status);
            (status, self.log.ring.seal(earlier::seal_context(key, &self.id, status), &response.body))
        });
        let end = tool_calls::end(key.project_id(), &self.id, row.run, ending.clone(), sealed);
        let mut unit = Unit::new().with(end);
        if frees_key {
            unit.push(tool_calls::free_key(key.project_id(), &self.id));
        }
        let written = self.log.core.store.apply(unit).await;
        if written.is_ok() {
            self.log.lock_being_made().remove(&self.id);
        }
        if let Err(error) = written {
            // The call was made, and its caller has to know. The log says how it went when it can be written.
            tracing::error!(call = %self.id, error = %error, "the response of a call with an idempotency key is not kept");
            self.log.queue.push(entry(row, true, ending, frees_key));
        }
        failpoint::hit("after_call_end");
    }

    fn seal(&self, content: &Content) -> Vec<u8> {
        self.log.ring.seal(content_context(&self.actor.project_id, &self.id), &content.to_json())
    }
}

/// Another call used the approval first.
fn approval_used() -> Error {
    Error::of(Code::Conflict, &[("reason", &"Another call with the same arguments used the approval first")])
        .fix("Call again: the user is asked anew.")
}

/// The seal context of arguments and answer.
pub(super) fn content_context(project: &str, id: &str) -> SealContext {
    SealContext::new(project, "tool_calls", id, "content_sealed")
}

/// What is written of a call that has ended. A call that was not stored was not sent: its key stays free.
fn entry(row: CallRow, is_stored: bool, ending: CallEnding, frees_key: bool) -> Entry {
    if is_stored {
        return Entry::Ended { project: row.project_id, id: row.id, run: row.run, ending, frees_key };
    }
    Entry::New(Box::new(CallRow { ending: Some(ending), key: None, ..row }))
}

impl Drop for LoggedCall {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        let may_be_stored = matches!(progress.stage, Stage::BeingStored | Stage::StoredAndSent);
        if matches!(progress.stage, Stage::Checked | Stage::Over) {
            return;
        }
        let Some(row) = progress.row.take() else { return };
        let (ending, frees_key) = progress.ending.take().unwrap_or_else(|| {
            let is_unclear = progress.stage != Stage::BeingStored && row.effect.may_change();
            let state = if is_unclear { CallState::Unknown } else { CallState::Failed };
            let error_code = Some(CompactString::const_new("caller_gone"));
            let at = self.log.core.now();
            (CallEnding { state, at, http_status: None, error_code, content_sealed: None }, !is_unclear)
        });
        self.log.queue.push(entry(row, may_be_stored, ending, frees_key));
    }
}
