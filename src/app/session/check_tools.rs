//! Checks the tools that a policy names.

use crate::app::base::tools::{nearest_tool, tool_problem};
use crate::app::session::Sessions;
use crate::error::{Error, Result};
use crate::text::truncate;

use super::policy::{CallKind, SessionConfig};

impl Sessions {
    /// Checks that the tools that the policy names exist, where the toolkit has tools: a misspelt rule would have no
    /// effect.
    pub(super) fn check_tools(&self, config: &SessionConfig) -> Result<()> {
        let mut errors = Vec::new();
        for (toolkit, rule) in config.tools.iter().flatten() {
            let Some(toolkit) = self.core.toolkit(toolkit) else { continue };
            for (key, slugs) in [("enable", &rule.enable), ("disable", &rule.disable)] {
                let problems = slugs.iter().flatten().filter_map(|slug| tool_problem(slug, &toolkit));
                let at = format!("Error in payload.tools.{}.{key}", toolkit.slug);
                errors.extend(problems.map(|problem| format!("{at}: {problem}")));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
    }

    /// Checks that the session may use the tools that it preloads.
    pub(super) fn check_preload(&self, config: &SessionConfig) -> Result<()> {
        let is_outside = |slug: &&String| {
            let toolkits = self.core.toolkits_of_tool(slug);
            let call = |toolkit| CallKind::ToolName { slug: slug.as_str(), toolkit };
            toolkits.first().is_some_and(|toolkit| config.check(call(&toolkit.slug)).is_err())
        };
        let outside = config.preloaded().iter().filter(is_outside);
        let outside = outside.map(|slug| preload_error(slug, "is outside the session's toolkits and tools"));
        refused(outside.collect())
    }

    /// Checks that preloaded tools exist, where their toolkit has tools.
    pub(super) fn check_preload_tools(&self, config: &SessionConfig) -> Result<()> {
        let unknown = config.preloaded().iter().filter_map(|slug| {
            let toolkits = self.core.toolkits_of_tool(slug);
            let has_tools = toolkits.first().is_some_and(|toolkit| toolkit.tool_count() > 0);
            (has_tools && self.core.tool(slug).is_none()).then(|| match nearest_tool(slug, &toolkits) {
                Some(nearest) => preload_error(slug, &format!("is no tool; did you mean {nearest}?")),
                None => preload_error(slug, "is no tool"),
            })
        });
        refused(unknown.collect())
    }
}

fn preload_error(slug: &str, problem: &str) -> String {
    format!("Error in payload.preload.tools: {} {problem}", truncate(slug))
}

fn refused(errors: Vec<String>) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::validation(errors).fix("Take these tools out of preload.tools, or admit them in toolkits and tools."))
}
