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
    /// The toolkit, as it is now.
    pub toolkit: Arc<Toolkit>,
    /// The tool.
    pub row: Arc<ToolRow>,
    /// The version that the tool is of. None for the toolkit's own.
    pub earlier: Option<Arc<EarlierTools>>,
}

impl FoundTool {
    /// The version that the tool is of.
    pub fn version(&self) -> &str {
        self.earlier.as_ref().map_or(&self.toolkit.version, |earlier| &earlier.version)
    }

    /// The name of the toolkit in that version.
    pub fn toolkit_name(&self) -> &str {
        self.earlier.as_ref().map_or(&self.toolkit.name, |earlier| &earlier.name)
    }
}

/// The tools of a toolkit in another version than its file has.
#[derive(Debug)]
pub struct EarlierTools {
    /// `YYYYMMDD_NN`.
    pub version: String,
    /// The toolkit's name.
    pub name: String,
    /// Its tools, in the order of their slugs.
    pub rows: Vec<Arc<ToolRow>>,
}

/// A toolkit with the tools of one version.
#[derive(Clone, Debug)]
pub struct ToolkitVersion {
    /// The toolkit, as it is now.
    pub toolkit: Arc<Toolkit>,
    earlier: Option<Arc<EarlierTools>>,
}

impl ToolkitVersion {
    /// The version that the toolkit's file has.
    pub fn current(toolkit: &Arc<Toolkit>) -> Self {
        Self { toolkit: Arc::clone(toolkit), earlier: None }
    }

    /// Another version.
    pub fn earlier(toolkit: &Arc<Toolkit>, earlier: Arc<EarlierTools>) -> Self {
        Self { toolkit: Arc::clone(toolkit), earlier: Some(earlier) }
    }

    /// `YYYYMMDD_NN`.
    pub fn version(&self) -> &str {
        self.earlier.as_ref().map_or(&self.toolkit.version, |earlier| &earlier.version)
    }

    /// The tools, in the order of their slugs.
    pub fn tools(&self) -> &[Arc<ToolRow>] {
        self.earlier.as_ref().map_or_else(|| self.toolkit.tools(), |earlier| &earlier.rows)
    }

    /// One of the tools, by its slug in any case.
    pub fn tool(&self, slug: &str) -> Option<FoundTool> {
        let slug = slug.to_ascii_uppercase();
        let tools = self.tools();
        let index = tools.binary_search_by(|row| row.slug.as_str().cmp(&slug)).ok()?;
        Some(self.found(&tools[index]))
    }

    /// All of the tools.
    pub fn all(&self) -> impl Iterator<Item = FoundTool> {
        self.tools().iter().map(|row| self.found(row))
    }

    fn found(&self, row: &Arc<ToolRow>) -> FoundTool {
        FoundTool { toolkit: Arc::clone(&self.toolkit), row: Arc::clone(row), earlier: self.earlier.clone() }
    }
}

impl Core {
    /// The tool of a slug in any case.
    pub fn tool(&self, slug: &str) -> Option<FoundTool> {
        self.toolkits_of_tool(slug).into_iter().find_map(|toolkit| {
            let row = Arc::clone(toolkit.tool(slug)?);
            Some(FoundTool { toolkit, row, earlier: None })
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
    problem_in(slug, &ToolkitVersion::current(toolkit))
}

/// The same for a version of a toolkit.
pub fn problem_in(slug: &str, version: &ToolkitVersion) -> Option<String> {
    let toolkit = &version.toolkit;
    // Without reading the tools of a toolkit that has none.
    if (version.earlier.is_none() && toolkit.tool_count() == 0) || version.tool(slug).is_some() {
        return None;
    }
    let hint = match nearest_in(slug, std::slice::from_ref(version)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("GET /tools?toolkit_slug={} lists them", toolkit.slug),
    };
    Some(format!("{} is no tool of the toolkit; {hint}", truncate(slug)))
}

/// The slug of a tool of these toolkits that is like `slug`.
pub fn nearest_tool(slug: &str, toolkits: &[Arc<Toolkit>]) -> Option<String> {
    let versions: Vec<_> = toolkits.iter().map(ToolkitVersion::current).collect();
    nearest_in(slug, &versions)
}

/// The slug of a tool of these versions that is like `slug`.
pub fn nearest_in(slug: &str, versions: &[ToolkitVersion]) -> Option<String> {
    let known = versions.iter().flat_map(ToolkitVersion::tools).map(|row| row.slug.as_str());
    nearest(slug, known).map(str::to_owned)
}
