//! Checks the tools that a policy names.

use crate::app::base::tools::{ToolkitVersion, nearest_in, problem_in};
use crate::app::session::Sessions;
use crate::app::tool_versions::Member;
use crate::error::{Error, Result};
use crate::text::truncate;

use super::policy::{CallKind, SessionConfig};

impl Sessions {
    /// Checks that the tools that the policy names exist in the versions of the session, where the toolkit has tools: a
    /// misspelt rule would have no effect.
    pub(super) async fn check_tools(&self, config: &SessionConfig, set: Option<i64>) -> Result<()> {
        let mut errors = Vec::new();
        for (slug, rule) in config.tools.iter().flatten() {
            let Some(version) = self.version_in(set, slug).await? else { continue };
            for (key, slugs) in [("enable", &rule.enable), ("disable", &rule.disable)] {
                let problems = slugs.iter().flatten().filter_map(|slug| problem_in(slug, &version));
                let at = format!("Error in payload.tools.{}.{key}", version.toolkit.slug);
                errors.extend(problems.map(|problem| format!("{at}: {problem}")));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
    }

    /// A toolkit with the tools of a release set, or else of the catalog.
    async fn version_in(&self, set: Option<i64>, slug: &str) -> Result<Option<ToolkitVersion>> {
        let Some(toolkit) = self.core.toolkit(slug) else { return Ok(None) };
        Ok(Some(match self.versions.member(set, &toolkit).await? {
            Member::Is(version) => version,
            Member::HasNoTools | Member::IsMissing => ToolkitVersion::current(&toolkit),
        }))
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

    /// Checks that preloaded tools exist in the versions of the session, where their toolkit has tools.
    pub(super) async fn check_preload_tools(&self, config: &SessionConfig, set: Option<i64>) -> Result<()> {
        let mut unknown = Vec::new();
        for slug in config.preloaded() {
            let mut versions = Vec::new();
            for toolkit in self.core.toolkits_of_tool(slug) {
                versions.extend(self.version_in(set, &toolkit.slug).await?);
            }
            let has_tools = versions.first().is_some_and(|version| !version.tools().is_empty());
            if has_tools && !versions.iter().any(|version| version.tool(slug).is_some()) {
                unknown.push(match nearest_in(slug, &versions) {
                    Some(nearest) => preload_error(slug, &format!("is no tool; did you mean {nearest}?")),
                    None => preload_error(slug, "is no tool"),
                });
            }
        }
        refused(unknown)
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
