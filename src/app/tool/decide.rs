//! Whether a call would be made, without making it: for several calls, of which none may run before all are decided.

use std::sync::OnceLock;

use super::front_end::ToolFrontEnd;
use super::run::Planned;
use super::{ToolCall, Tools, tags};
use crate::app::execute::call::Call;
use crate::app::session::Session;
use crate::app::session::policy::ToolDescription;
use crate::error::{Code, Result};

impl Tools {
    /// Checks the tool, the session's policy, the arguments, the account and its scopes.
    ///
    /// # Errors
    /// Those of the call itself, up to the request. Nothing was sent.
    pub async fn decide(&self, session: &Session, slug: &str, mut call: ToolCall) -> Result<()> {
        let found = self.core.tool(slug).ok_or_else(|| self.not_found(Code::SessionToolNotFound, slug))?;
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        let Planned { request, .. } = self.plan(&found, session, &mut call, &description, "")?;
        let front_end = ToolFrontEnd { found: &found, call_id: "", request, account: OnceLock::new(), description };
        let account = call.account.as_deref();
        let call = Call { toolkit: &found.toolkit.slug, account, token: None, front_end: &front_end };
        self.executor.dry_run(session, call).await.map(drop)
    }
}
