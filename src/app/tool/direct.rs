//! Runs a tool for a user without a session (contract section 6.6).

use serde_json::{Map, Value};
use switchboard_store::accounts::AccountType;
use switchboard_types::{ProjectId, SessionId};

use super::outcome::{LinkReason, Outcome};
use super::{CallOptions, ToolCall, Tools};
use crate::app::execute::context::CallContext;
use crate::app::session::Session;
use crate::app::session::policy::SessionConfig;
use crate::error::{Code, Error, Result};

/// A call without a session.
pub struct DirectCall {
    /// Slug of the tool, in any case.
    pub slug: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// Whose account is used.
    pub user_id: Option<String>,
    /// The account; the user's newest ACTIVE one when omitted.
    pub account: Option<String>,
    /// `latest` or a version of the tool.
    pub version: Option<String>,
    /// How it is made.
    pub options: CallOptions,
}

crate::redacted_debug!(DirectCall);

impl Tools {
    /// Runs a tool with an account of a user, by the rules of a session that allows everything and pins the account.
    ///
    /// # Errors
    /// As for a session; an account that is missing or has ended is an error here.
    pub async fn execute_directly(&self, call: DirectCall, context: &CallContext) -> Result<Outcome> {
        let found = self.find_version(&call.slug, call.version.as_deref(), "payload.version").await?;
        let project = &context.actor().project_id;
        let user_id = match call.user_id.filter(|user| !user.is_empty()) {
            Some(user_id) => user_id,
            None if found.toolkit.has_only_no_auth() => String::new(),
            None => return Err(Error::new(Code::UserIdMissing, "User ID is required to use a connected account")),
        };
        let session = match &call.account {
            None => self.plain_session(project, user_id, SessionConfig::default()),
            Some(id) => self
                .session_of_account(project, id, Some(&user_id))
                .await?
                .filter(|(_, toolkit)| *toolkit == found.toolkit.slug)
                .map(|(session, _)| session)
                .ok_or_else(|| no_account(&user_id, &found.toolkit.slug))?,
        };
        let tool_call = ToolCall { arguments: call.arguments, account: None, options: call.options };
        match self.run(&found, &session, tool_call, context).await? {
            Outcome::NeedsLink(needed) => Err(match needed.reason {
                // It exists, but is off or not connected yet: its own reason says more.
                LinkReason::NoConnection if call.account.is_some() => {
                    Error::new(Code::AccountUnusable, needed.error.message().to_owned())
                        .fix(needed.error.suggested_fix().to_owned())
                }
                LinkReason::NoConnection => no_account(&session.user_id, &found.toolkit.slug),
                LinkReason::ConnectionExpired => Error::new(Code::AccountGone, needed.error.message().to_owned()),
                LinkReason::MissingScope(_) => needed.error,
            }),
            outcome => Ok(outcome),
        }
    }
}

impl Tools {
    /// A session that pins an account and allows everything, and the account's toolkit. It belongs to `user`, or else to
    /// the account's own. None if there is no such account.
    ///
    /// # Errors
    /// The account is another user's.
    pub async fn session_of_account(
        &self,
        project: &ProjectId,
        id: &str,
        user: Option<&str>,
    ) -> Result<Option<(Session, String)>> {
        let Some(account) = self.core.store.account(project, &id.into()).await? else { return Ok(None) };
        let user = user.unwrap_or(&account.user_id);
        if user != account.user_id && account.account_type != AccountType::Shared {
            return Err(Error::of(Code::UserIdMismatch, &[("id", &account.id)]));
        }
        let mut config = SessionConfig::default();
        config.pin(&account.toolkit, &account.id);
        Ok(Some((self.plain_session(project, user.to_owned(), config), account.toolkit)))
    }

    /// A session that is not stored.
    fn plain_session(&self, project: &ProjectId, user_id: String, config: SessionConfig) -> Session {
        Session {
            id: SessionId::default(),
            project_id: project.clone(),
            user_id,
            config,
            config_version: 1,
            created_at: self.core.now(),
            release_set: None,
        }
    }
}

fn no_account(user_id: &str, toolkit: &str) -> Error {
    Error::of(Code::ToolAccountNotFound, &[("user", &user_id), ("toolkit", &toolkit)])
}
