//! Checks the tools that a policy names.

use crate::app::base::tools::nearest_tool;
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
            let Some(toolkit) = self.core.toolkit(toolkit).filter(|toolkit| !toolkit.tools().is_empty()) else {
                continue;
            };
            for (key, slugs) in [("enable", &rule.enable), ("disable", &rule.disable)] {
                let unknown = slugs.iter().flatten().filter(|slug| toolkit.tool(slug).is_none());
                errors.extend(unknown.map(|slug| {
                    let hint = match nearest_tool(slug, std::slice::from_ref(&toolkit)) {
                        Some(nearest) => format!("did you mean {nearest}?"),
                        None => format!("GET /tools?toolkit_slug={} lists them", toolkit.slug),
                    };
                    format!(
                        "Error in payload.tools.{}.{key}: {} is no tool of the toolkit; {hint}",
                        toolkit.slug,
                        truncate(slug)
                    )
                }));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
    }

    /// Checks that preloaded tools exist, where their toolkit has tools, and that the session may use them.
    pub(super) fn check_preload(&self, config: &SessionConfig) -> Result<()> {
        let errors: Vec<String> =
            config.preloaded().iter().filter_map(|slug| self.preload_error(config, slug)).collect();
        if errors.is_empty() {
            return Ok(());
        }
        Err(Error::validation(errors)
            .fix("Take these tools out of preload.tools, or admit them in toolkits and tools."))
    }

    fn preload_error(&self, config: &SessionConfig, slug: &str) -> Option<String> {
        let toolkits = self.core.toolkits_of_tool(slug);
        let toolkit = toolkits.first()?;
        let outside = config.check(CallKind::ToolName { slug, toolkit: &toolkit.slug }).is_err();
        let problem = match nearest_tool(slug, &toolkits) {
            _ if outside => "is outside the session's toolkits and tools".to_owned(),
            _ if toolkit.tools().is_empty() || self.core.tool(slug).is_some() => return None,
            Some(nearest) => format!("is no tool; did you mean {nearest}?"),
            None => "is no tool".to_owned(),
        };
        Some(format!("Error in payload.preload.tools: {} {problem}", truncate(slug)))
    }
}
