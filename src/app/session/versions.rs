//! The versions of tools that a session uses.

use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_store::{Refusal, Unit, WriteError, releases};

use super::{Session, Sessions};
use crate::app::base::tools::ToolkitVersion;
use crate::app::tool_versions::Member;
use crate::error::{Code, Error, Result};

/// How often a version is added to a session that is changed at the same time.
const MAX_ATTEMPTS: usize = 8;

impl Sessions {
    /// A toolkit with the tools that a session uses; none if it has none. A session that is not stored uses those in the
    /// catalog.
    ///
    /// # Errors
    /// The database does not respond, or no longer has the version.
    pub async fn tools_of(&self, session: &Session, toolkit: &Arc<Toolkit>) -> Result<Option<ToolkitVersion>> {
        let Some(id) = session.stored_id() else { return Ok(Some(ToolkitVersion::current(toolkit))) };
        let mut set = session.release_set;
        for _ in 0..MAX_ATTEMPTS {
            match self.versions.member(set, toolkit).await? {
                Member::Is(version) => return Ok(Some(version)),
                Member::HasNoTools => return Ok(None),
                Member::IsMissing => {}
            }
            let after = self.versions.set_with_current(set, toolkit).await?;
            let unit = Unit::new().with(releases::move_session(&session.project_id, id, set, after));
            let applied = self.core.store.apply(unit).await;
            self.recent.forget(&(session.project_id.clone(), id.clone()));
            match applied {
                Ok(_) => set = Some(after),
                // Another call has added it, or the session was changed or deleted.
                Err(WriteError::Refused(Refusal::SessionChanged)) => {
                    set = self.get(&session.project_id, id).await?.release_set;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Code::Conflict, format!("Session \"{id}\" is being changed too often")))
    }

    /// All toolkits with the tools that a session uses, in the order of their slugs, without those that `admits` does
    /// not. A toolkit that is gone is left out.
    ///
    /// # Errors
    /// As for [`Self::tools_of`].
    pub async fn all_tools_of(&self, session: &Session, admits: impl Fn(&str) -> bool) -> Result<Vec<ToolkitVersion>> {
        let catalog = self.core.catalog.get();
        let toolkits: Vec<Arc<Toolkit>> = match session.release_set {
            Some(set) => {
                let set = self.versions.set(set).await?;
                set.toolkits().filter(|slug| admits(slug)).filter_map(|slug| catalog.get(slug).cloned()).collect()
            }
            None => catalog.iter().filter(|toolkit| admits(&toolkit.slug)).cloned().collect(),
        };
        let mut versions = Vec::with_capacity(toolkits.len());
        for toolkit in &toolkits {
            versions.extend(self.tools_of(session, toolkit).await?);
        }
        Ok(versions)
    }
}
