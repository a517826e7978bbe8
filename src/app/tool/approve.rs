//! Whether a person has to allow a call first.

use std::sync::Arc;

use serde_json::Map;
use switchboard_catalog::CALL_ID;
use switchboard_store::accounts::AccountRow;
use switchboard_tools::Arguments;
use switchboard_types::AccountId;

use super::Tools;
use super::outcome::{FailureKind, Outcome, ToolFailure};
use crate::app::Actor;
use crate::app::approval::{CallToApprove, Permission};
use crate::app::base::tools::FoundTool;
use crate::app::execute::context::CallContext;
use crate::app::session::Session;
use crate::app::session::policy::{ApprovalRule, CallKind, ToolDescription};
use crate::error::Result;

impl Tools {
    /// What a call leads to that may not be made now; none if it may. An approval is used with the call's row.
    pub(super) async fn approved(
        &self,
        subject: (&Session, &FoundTool, &ToolDescription<'_>),
        arguments: &Arguments,
        account: Option<&str>,
        context: &CallContext,
    ) -> Result<Option<Outcome>> {
        // It was approved when it was first made, and its provider does nothing twice.
        if context.call.is_sent() {
            return Ok(None);
        }
        Ok(match self.permission(subject, arguments, account, context.actor()).await? {
            Permission::Granted(used) => {
                if let Some(used) = used {
                    context.call.join(used);
                }
                None
            }
            Permission::Ask(question) => Some(Outcome::NeedsApproval(vec![question])),
            Permission::Denied => Some(Outcome::Failed(ToolFailure {
                kind: FailureKind::NotApproved,
                message: "The user did not allow this call. Do not make it again unless the user asks for it."
                    .to_owned(),
                status: None,
                retry_after_ms: None,
                answer: Map::new(),
            })),
        })
    }

    /// Whether a call may be made. What is wrong with its account is left to the call, which says it.
    pub(super) async fn permission(
        &self,
        (session, found, description): (&Session, &FoundTool, &ToolDescription<'_>),
        arguments: &Arguments,
        account: Option<&str>,
        actor: &Actor,
    ) -> Result<Permission> {
        let granted = Ok(Permission::Granted(None));
        if session.stored_id().is_none() {
            return granted;
        }
        let admitted = session.admit(CallKind::Tool(description), Some(Arc::clone(&found.toolkit)))?;
        let Ok(account) = self.sessions.resolve(&admitted, account).await else { return granted };
        let id = account.as_ref().map(|account| &account.id);
        let rule = session.config.approval_rule(description, id.map(AccountId::as_str));
        if rule == ApprovalRule::Allow {
            return granted;
        }
        let mut given = (**arguments).clone();
        given.remove(CALL_ID);
        let name = account.as_deref().map(name_of);
        let call = CallToApprove {
            session,
            toolkit: &found.toolkit.slug,
            tool: &found.row.slug,
            title: &found.row.title,
            definition: &found.row.digest,
            account: id,
            account_name: name.as_deref(),
            arguments: &given,
        };
        self.approvals.permit(rule, &call, actor).await
    }
}

/// A name that the account's user recognises.
fn name_of(account: &AccountRow) -> String {
    let identity = account.params.identity.as_ref();
    let shown = identity.and_then(|identity| identity.email.as_ref().or(identity.name.as_ref()));
    account.alias.as_ref().or(shown).unwrap_or(&account.word_id).clone()
}
