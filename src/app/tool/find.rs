//! Finds a tool by its slug, or says which one it is like.

use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_tools::nearest_of;

use super::Tools;
use super::list::is_allowed;
use crate::app::base::tools::{FoundTool, ToolkitVersion, nearest_tool};
use crate::app::session::Session;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Number of tools that a misspelt slug is answered with.
const MAX_SIMILAR: usize = 3;
/// Number of similar slugs of which those are taken that the session allows.
const MAX_COMPARED: usize = 20;

impl Tools {
    /// The tool of a slug in any case.
    ///
    /// # Errors
    /// There is no such tool. The error names one that is like it.
    pub fn find(&self, slug: &str) -> Result<FoundTool> {
        self.core.tool(slug).ok_or_else(|| self.not_found(Code::ToolNotFound, slug))
    }

    /// Up to three tools that the session may use and whose slugs are like this one, the most like first.
    pub fn similar(&self, session: &Session, slug: &str) -> Vec<String> {
        let toolkits = match self.core.toolkits_of_tool(slug) {
            toolkits if toolkits.is_empty() => self.core.catalog.get().iter().cloned().collect(),
            toolkits => toolkits,
        };
        let slugs: Vec<&str> =
            toolkits.iter().flat_map(|toolkit| toolkit.tools()).map(|row| row.slug.as_str()).collect();
        let near = nearest_of(slug, slugs, MAX_COMPARED).into_iter();
        let allowed = near.filter(|slug| self.core.tool(slug).is_some_and(|found| is_allowed(session, &found)));
        allowed.take(MAX_SIMILAR).map(str::to_owned).collect()
    }

    /// The toolkit of a tool. A tool that is gone is taken for one of an earlier version.
    ///
    /// # Errors
    /// There is no toolkit that the tool could belong to.
    pub fn toolkit_of(&self, slug: &str) -> Result<Arc<Toolkit>> {
        let toolkit = self.core.tool(slug).map(|found| found.toolkit);
        let toolkit = toolkit.or_else(|| self.core.toolkits_of_tool(slug).into_iter().next());
        toolkit.ok_or_else(|| self.not_found(Code::ToolNotFound, slug))
    }

    /// The tool of a slug in any case, in a version of its toolkit; the one in the catalog for `latest` and when omitted.
    /// `place` names the parameter as messages do, such as `query.version`.
    ///
    /// # Errors
    /// There is no such tool or version, or the version is withdrawn.
    pub async fn find_version(&self, slug: &str, version: Option<&str>, place: &str) -> Result<FoundTool> {
        let version = self.versions.named(&self.toolkit_of(slug)?, version, place).await?;
        let found = version.tool(slug).ok_or_else(|| self.not_found(Code::ToolNotFound, slug))?;
        version.check_withdrawn(&found.row.slug, "")?;
        Ok(found)
    }

    /// The tool of a slug in any case, in the version that a session uses.
    ///
    /// # Errors
    /// There is no such tool in this version, or the version is withdrawn.
    pub async fn find_in(&self, session: &Session, slug: &str) -> Result<FoundTool> {
        let mut other = None;
        for toolkit in self.core.toolkits_of_tool(slug) {
            let Some(version) = self.sessions.tools_of(session, &toolkit).await? else { continue };
            if let Some(found) = version.tool(slug) {
                version.check_withdrawn(&found.row.slug, &session.id)?;
                return Ok(found);
            }
            if toolkit.tool(slug).is_some() {
                other = Some(version);
            }
        }
        let error = self.not_found(Code::SessionToolNotFound, slug);
        let Some(version) = other else { return Err(error) };
        let ToolkitVersion { toolkit, .. } = &version;
        Err(error.fix(format!(
            "The session uses version {} of toolkit {}, which has no such tool; version {} has it. Move the session: PATCH \
             /api/v3.1/tool_router/session/{} with {{\"toolkit_versions\":{{\"{}\":\"latest\"}}}}.",
            version.version(),
            toolkit.slug,
            toolkit.version,
            session.id,
            toolkit.slug
        )))
    }

    /// The error for a tool that does not exist.
    pub(super) fn not_found(&self, code: Code, slug: &str) -> Error {
        let toolkits = self.core.toolkits_of_tool(slug);
        let error = Error::of(code, &[("slug", &truncate(slug))]);
        match (nearest_tool(slug, &toolkits), toolkits.first()) {
            (Some(nearest), _) => error.fix(format!("Did you mean {nearest}?")),
            (None, Some(toolkit)) if toolkit.tool_count() == 0 => {
                error.fix(format!("Toolkit {} has no tools here; call its API with proxy_execute.", toolkit.slug))
            }
            _ => error,
        }
    }
}
