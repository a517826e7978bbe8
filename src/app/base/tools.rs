//! Finds the tools of the catalog by their slugs.

use std::sync::Arc;

use switchboard_catalog::{ToolRow, Toolkit};
use switchboard_tools::nearest;

use crate::app::base::core::Core;
use crate::text::truncate;

/// Maximum length of a toolkit slug at the start of a tool slug.
const MAX_TOOLKIT_SLUG: usize = 64;

/// A tool with its toolkit.
#[derive(Clone, Debug)]
pub struct FoundTool {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// The tool.
    pub row: Arc<ToolRow>,
}

impl Core {
    /// The tool of a slug in any case.
    pub fn tool(&self, slug: &str) -> Option<FoundTool> {
        self.toolkits_of_tool(slug).into_iter().find_map(|toolkit| {
            let row = Arc::clone(toolkit.tool(slug)?);
            Some(FoundTool { toolkit, row })
        })
    }

    /// The toolkits that a tool's slug may belong to, longest first: `GITHUB_CREATE_AN_ISSUE` belongs to `github`.
    pub fn toolkits_of_tool(&self, slug: &str) -> Vec<Arc<Toolkit>> {
        let slug = slug.to_ascii_lowercase();
        let ends = slug.match_indices('_').map(|(end, _)| end).take_while(|end| *end <= MAX_TOOLKIT_SLUG);
        let mut toolkits: Vec<_> = ends.filter_map(|end| self.toolkit(&slug[..end])).collect();
        toolkits.reverse();
        toolkits
    }
}

/// What is wrong with a slug that is no tool of a toolkit, with the tool that it is like. None if it is one, or if the
/// toolkit has no tools here.
pub fn tool_problem(slug: &str, toolkit: &Arc<Toolkit>) -> Option<String> {
    if toolkit.tool_count() == 0 || toolkit.tool(slug).is_some() {
        return None;
    }
    let hint = match nearest_tool(slug, std::slice::from_ref(toolkit)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("GET /tools?toolkit_slug={} lists them", toolkit.slug),
    };
    Some(format!("{} is no tool of the toolkit; {hint}", truncate(slug)))
}

/// The slug of a tool of these toolkits that is like `slug`.
pub fn nearest_tool(slug: &str, toolkits: &[Arc<Toolkit>]) -> Option<String> {
    let known = toolkits.iter().flat_map(|toolkit| toolkit.tools()).map(|row| row.slug.as_str());
    nearest(slug, known).map(str::to_owned)
}
