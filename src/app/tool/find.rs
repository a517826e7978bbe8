//! Finds a tool by its slug, or says which one it is like.

use switchboard_tools::nearest_of;

use super::Tools;
use super::list::is_allowed;
use crate::app::base::tools::{FoundTool, nearest_tool};
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
