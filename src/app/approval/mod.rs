//! Approvals: a person is asked before a tool is called, where the session's policy wants it
//! (`session/policy/approval.rs`).
//!
//! An approval is for one exact call: its digest covers the session, the tool with its definition, the account and the
//! arguments. It is used once, in the unit that opens the call's row in the log, so that two calls never share one. A
//! person can also allow further calls of the tool with the account for the rest of the session.
//!
//! What a client sends back as the state of a question is sealed for the session. With another state, or other
//! arguments, the person is asked anew.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchboard_store::approvals::{self, ApprovalRow, ApprovalScope, ApprovalState};
use switchboard_store::{Refusal, Statement, Unit, WriteError};
use switchboard_types::{AccountId, AuditAction, AuditOutcome, CompactString, ProjectId};
use switchboard_vault::{KeyRing, SealContext};

use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::session::Session;
use crate::app::session::policy::ApprovalRule;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::time::DAY;

/// How long a question can be answered, and its approval used.
const LIFETIME: Duration = DAY;
/// Approvals in a list.
const MAX_LISTED: i64 = 100;
/// Characters of the arguments in a question.
const MAX_SHOWN: usize = 1_000;

/// Asks for approvals and takes the answers.
pub struct Approvals {
    core: Arc<Core>,
    ring: KeyRing,
}

crate::redacted_debug!(Approvals, CallToApprove<'a>, Question, Permission);

/// A call before which a person may have to be asked.
pub struct CallToApprove<'a> {
    /// The session that calls.
    pub session: &'a Session,
    /// Slug of the toolkit.
    pub toolkit: &'a str,
    /// Slug of the tool.
    pub tool: &'a str,
    /// Name of the tool for people.
    pub title: &'a str,
    /// Digest of its definition.
    pub definition: &'a str,
    /// The account.
    pub account: Option<&'a AccountId>,
    /// Name of the account for people.
    pub account_name: Option<&'a str>,
    /// The checked arguments.
    pub arguments: &'a Map<String, Value>,
}

/// A question to a person.
#[derive(Clone)]
pub struct Question {
    /// `apr_…`
    pub id: CompactString,
    /// Slug of the tool.
    pub tool: String,
    /// What is asked.
    pub message: String,
}

/// Whether a call may be made.
pub enum Permission {
    /// It may. The statement uses the approval; it has to be applied with the call's row.
    Granted(Option<Statement>),
    /// A person has to be asked.
    Ask(Question),
    /// The person said no.
    Denied,
}

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This call may be made.
    Approve,
    /// This call and further ones of the tool with the account may be made, for the rest of the session.
    AlwaysApprove,
    /// This call may not be made.
    Deny,
}

impl Decision {
    /// The words of the wire, in the order in which a person is offered them.
    pub const WORDS: [&'static str; 3] = ["approve", "always_approve", "deny"];

    /// The decision of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "approve" => Self::Approve,
            "always_approve" => Self::AlwaysApprove,
            "deny" => Self::Deny,
            _ => return None,
        })
    }
}

/// An approval as the developer sees it.
#[derive(Debug)]
pub struct ShownApproval {
    /// The row.
    pub row: ApprovalRow,
    /// Whether its time is over.
    pub is_expired: bool,
    /// The arguments of the call.
    pub arguments: Value,
}

impl Approvals {
    /// Creates the service.
    pub fn new(core: Arc<Core>, ring: KeyRing) -> Self {
        Self { core, ring }
    }

    /// Whether a call may be made by a rule of the policy. Asks if no person was asked yet.
    ///
    /// # Errors
    /// The policy never allows the call, or the database does not respond.
    pub async fn permit(&self, rule: ApprovalRule, call: &CallToApprove<'_>, actor: &Actor) -> Result<Permission> {
        match rule {
            ApprovalRule::Allow => return Ok(Permission::Granted(None)),
            ApprovalRule::Deny => return Err(denied_by_policy(call.tool)),
            ApprovalRule::AskOnce | ApprovalRule::Ask | ApprovalRule::AskAlways => {}
        }
        let (project, session) = (&call.session.project_id, &call.session.id);
        if rule != ApprovalRule::AskAlways {
            let granted = self.core.store.granted_approval((project, session), call.tool, call.account).await?;
            let is_enough = |row: &ApprovalRow| rule == ApprovalRule::AskOnce || row.scope == ApprovalScope::Session;
            // The approval of this very call is used below.
            let is_of_other_call =
                |row: &ApprovalRow| row.scope == ApprovalScope::Session || row.state == ApprovalState::Used;
            if granted.is_some_and(|row| is_enough(&row) && is_of_other_call(&row)) {
                return Ok(Permission::Granted(None));
            }
        }
        let digest = call.digest();
        let now = self.core.now();
        let known = self.core.store.approval_of_call(project, session, &digest).await?;
        match known.filter(|row| row.expires_at > now) {
            Some(row) if row.state == ApprovalState::Approved => {
                Ok(Permission::Granted(Some(approvals::use_once(project, &row.id, now))))
            }
            Some(row) if row.state == ApprovalState::Denied => Ok(Permission::Denied),
            Some(row) if row.state == ApprovalState::Pending => Ok(Permission::Ask(call.question(row.id))),
            _ => self.ask(call, digest, actor).await.map(Permission::Ask),
        }
    }

    async fn ask(&self, call: &CallToApprove<'_>, digest: Vec<u8>, actor: &Actor) -> Result<Question> {
        let now = self.core.now();
        let session = call.session;
        let id = self.core.mint(Kind::Approval);
        let arguments = serde_json::to_vec(call.arguments).map_err(Error::internal)?;
        let row = ApprovalRow {
            id: id.clone(),
            project_id: session.project_id.clone(),
            session_id: session.id.clone(),
            user_id: session.user_id.clone(),
            toolkit: call.toolkit.to_owned(),
            tool: call.tool.to_owned(),
            account_id: call.account.cloned(),
            state: ApprovalState::Pending,
            scope: ApprovalScope::Once,
            preview_sealed: self.ring.seal(preview_context(&session.project_id, &id), &arguments),
            requested_by: actor.name.to_string(),
            created_at: now,
            expires_at: now + LIFETIME,
            decided_at: None,
            decided_by: None,
            digest,
        };
        let unit = Unit::new()
            .with(approvals::end_expired(&session.project_id, &session.id, &row.digest, now))
            .with(approvals::insert(&row));
        self.core.store.apply(unit).await?;
        // Another request may have asked the same at once.
        let asked = self.core.store.approval_of_call(&session.project_id, &session.id, &row.digest).await?;
        Ok(call.question(asked.map_or(id, |row| row.id)))
    }

    /// Takes a person's answer to a question of a session.
    ///
    /// # Errors
    /// There is no such question, or it was answered before.
    pub async fn decide(
        &self,
        session: &Session,
        id: &str,
        decision: Decision,
        actor: &Actor,
    ) -> Result<ShownApproval> {
        self.get(session, id).await?;
        let answer = match decision {
            Decision::Approve => (ApprovalState::Approved, ApprovalScope::Once),
            Decision::AlwaysApprove => (ApprovalState::Approved, ApprovalScope::Session),
            Decision::Deny => (ApprovalState::Denied, ApprovalScope::Once),
        };
        let action = if decision == Decision::Deny { AuditAction::ApprovalDeny } else { AuditAction::ApprovalGrant };
        let now = self.core.now();
        let unit = Unit::new()
            .with(approvals::decide((&session.project_id, id), answer, &actor.name, now))
            .with(self.core.audit(actor, action, id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            Ok(_) => self.get(session, id).await,
            Err(WriteError::Refused(Refusal::ApprovalAnswered)) => Err(answered()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the answers that come with a repeated call: those to the questions in the state. Any other is ignored, and
    /// the call asks anew.
    ///
    /// # Errors
    /// An answer cannot be read, or the database does not respond.
    pub async fn answer(
        &self,
        session: &Session,
        state: Option<&str>,
        responses: &Map<String, Value>,
        actor: &Actor,
    ) -> Result<()> {
        let Some(asked) = state.and_then(|state| self.open_state(session, state)) else { return Ok(()) };
        for (id, response) in responses.iter().filter(|(id, _)| asked.iter().any(|known| known == *id)) {
            let Some(decision) = decision_of(id, response)? else { continue };
            match self.decide(session, id, decision, actor).await {
                Err(error) if matches!(error.code(), Code::Conflict | Code::ApprovalNotFound) => {}
                decided => drop(decided?),
            }
        }
        Ok(())
    }

    /// The state of questions, which comes back with their answers.
    pub fn state(&self, session: &Session, questions: &[Question]) -> String {
        let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
        let until = (self.core.now() + LIFETIME).as_millis();
        BASE64.encode(self.ring.seal(state_context(session), json!([until, ids]).to_string().as_bytes()))
    }

    fn open_state(&self, session: &Session, state: &str) -> Option<Vec<String>> {
        let content = self.ring.open(state_context(session), &BASE64.decode(state).ok()?).ok()?;
        let (until, ids): (i64, Vec<String>) = serde_json::from_slice(&content).ok()?;
        (until > self.core.now().as_millis()).then_some(ids)
    }

    /// One approval of a session.
    ///
    /// # Errors
    /// There is no such approval.
    pub async fn get(&self, session: &Session, id: &str) -> Result<ShownApproval> {
        let row = self.core.store.approval(&session.project_id, id).await?;
        let row = row.filter(|row| row.session_id == session.id).ok_or_else(|| not_found(id))?;
        self.shown(row)
    }

    /// The newest approvals of a session.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn list(&self, session: &Session) -> Result<Vec<ShownApproval>> {
        let rows = self.core.store.approvals(&session.project_id, &session.id, MAX_LISTED).await?;
        rows.into_iter().map(|row| self.shown(row)).collect()
    }

    fn shown(&self, row: ApprovalRow) -> Result<ShownApproval> {
        let context = preview_context(&row.project_id, &row.id);
        let arguments = self.ring.open(context, &row.preview_sealed).map_err(Error::internal)?;
        let arguments = serde_json::from_slice(&arguments).map_err(Error::internal)?;
        let is_expired = row.expires_at <= self.core.now() && row.scope == ApprovalScope::Once;
        Ok(ShownApproval { row, is_expired, arguments })
    }
}

impl CallToApprove<'_> {
    /// Keys of a map are sorted, so that their order does not matter.
    fn digest(&self) -> Vec<u8> {
        let account = self.account.map(AccountId::as_str);
        let call = json!([self.session.id, self.tool, self.definition, account, self.arguments]);
        Sha256::digest(call.to_string()).to_vec()
    }

    fn question(&self, id: CompactString) -> Question {
        let arguments = Value::Object(self.arguments.clone()).to_string();
        let shown = match arguments.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => format!("{}…", &arguments[..end]),
            None => arguments,
        };
        let account = self.account_name.map(|name| format!(" with the account {name}")).unwrap_or_default();
        let message = format!("Allow \"{}\" ({}){account}? Arguments: {shown}", self.title, self.tool);
        Question { id, tool: self.tool.to_owned(), message }
    }
}

impl Question {
    /// JSON Schema of the answer.
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "decision": {
                    "type": "string",
                    "title": "Decision",
                    "description": "always_approve also allows further calls of this tool with this account in the session.",
                    "enum": Decision::WORDS,
                }
            },
            "required": ["decision"],
        })
    }
}

/// The decision of a response to a question; none if the person closed the question without one.
pub fn decision_of(id: &str, response: &Value) -> Result<Option<Decision>> {
    let wrong = |problem: &str| Error::field(&format!("input_responses.{id}"), problem);
    match response.get("action").and_then(Value::as_str) {
        Some("accept") => {
            let decision = response.pointer("/content/decision").and_then(Value::as_str).and_then(Decision::parse);
            let words = Decision::WORDS.join(", ");
            decision.map(Some).ok_or_else(|| wrong(&format!("content.decision must be one of {words}")))
        }
        Some("decline") => Ok(Some(Decision::Deny)),
        Some("cancel") => Ok(None),
        _ => Err(wrong("action must be one of accept, decline, cancel")),
    }
}

fn state_context(session: &Session) -> SealContext {
    SealContext::new(&session.project_id, "sessions", &session.id, "approval_state")
}

fn preview_context(project: &ProjectId, id: &str) -> SealContext {
    SealContext::new(project, "approvals", id, "preview_sealed")
}

fn not_found(id: &str) -> Error {
    Error::of(Code::ApprovalNotFound, &[("id", &crate::text::truncate(id))])
}

fn answered() -> Error {
    Error::of(Code::Conflict, &[("reason", &"This approval was answered before, or its time is over")])
        .fix("Read it to see the answer. The same call asks anew once its approval is used or its time is over.")
}

fn denied_by_policy(tool: &str) -> Error {
    Error::new(Code::Forbidden, format!("The session's permissions never allow {tool}"))
        .fix("Change experimental.permissions of the session, or do without this tool.")
}
