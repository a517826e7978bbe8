//! Finds a tool by its slug, or says which one it is like.

use super::Tools;
use crate::app::base::tools::{FoundTool, nearest_tool};
use crate::error::{Code, Error, Result};
use crate::text::truncate;

impl Tools {
    /// The tool of a slug in any case.
    ///
    /// # Errors
    /// There is no such tool. The error names one that is like it.
    pub fn find(&self, slug: &str) -> Result<FoundTool> {
        self.core.tool(slug).ok_or_else(|| self.not_found(Code::ToolNotFound, slug))
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
