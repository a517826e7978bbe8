//! Whether a call would be made, without making it: for several calls, of which none may run before all are decided.

use std::sync::OnceLock;

use super::front_end::ToolFrontEnd;
use super::run::Planned;
use super::{ToolCall, Tools, tags};
use crate::app::Actor;
use crate::app::approval::{Permission, Question};
use crate::app::execute::call::Call;
use crate::app::session::Session;
use crate::app::session::policy::ToolDescription;
use crate::error::Result;

impl Tools {
    /// Checks the tool, the session's policy, the arguments, the account and its scopes. Returns what a person has to be
    /// asked first.
    ///
    /// # Errors
    /// Those of the call itself, up to the request. Nothing was sent.
    pub async fn decide(
        &self,
        session: &Session,
        slug: &str,
        mut call: ToolCall,
        actor: &Actor,
    ) -> Result<Option<Question>> {
        let found = self.find_in(session, slug).await?;
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        let Planned { request, arguments, .. } = self.plan(&found, session, &mut call, &description, "")?;
        let front_end = ToolFrontEnd { found: &found, call_id: "", request, account: OnceLock::new(), description };
        let account = call.account.as_deref();
        let planned = Call { toolkit: &found.toolkit.slug, account, token: None, front_end: &front_end };
        self.executor.dry_run(session, planned).await?;
        if !session.config.may_ask() || call.options.dry_run || call.options.is_unasked {
            return Ok(None);
        }
        let subject = (session, &found, &front_end.description);
        Ok(match self.permission(subject, &arguments, account, actor).await? {
            Permission::Ask(question) => Some(question),
            Permission::Granted(_) | Permission::Denied => None,
        })
    }
}
