//! The caller's own tools: a small index that is searched together with the catalog's.

use switchboard_search::{Document, Index, IndexBuilder};

use super::Item;
use crate::app::session::custom_tools::{CustomTool, CustomToolkit};
use crate::app::session::policy::Experimental;

/// The toolkit that is shown for tools without one.
pub(super) const NO_TOOLKIT: &str = "local";

/// The caller's own tools with the index of their words.
pub(super) struct OwnTools<'a> {
    pub index: Index,
    /// By the numbers of their documents, each with the slug of its toolkit.
    tools: Vec<(&'a str, &'a CustomTool)>,
    toolkits: &'a [CustomToolkit],
}

impl<'a> OwnTools<'a> {
    /// Of tools that were checked: their slugs are final, and differ.
    pub fn new(own: &'a Experimental) -> Self {
        let toolkits = own.custom_toolkits.as_deref().unwrap_or_default();
        let mut builder = IndexBuilder::new();
        let mut tools = Vec::new();
        let in_toolkits = toolkits
            .iter()
            .flat_map(|toolkit| toolkit.tools.iter().map(|tool| (toolkit.slug.as_str(), toolkit.name.as_str(), tool)));
        let alone = own.custom_tools.iter().flatten().map(|tool| {
            let toolkit = tool.extends_toolkit.as_deref().unwrap_or(NO_TOOLKIT);
            (toolkit, toolkit, tool)
        });
        for (toolkit, name, tool) in in_toolkits.chain(alone) {
            let properties = tool.input_schema.get("properties").and_then(|properties| properties.as_object());
            let properties = properties.into_iter().flatten();
            let parameters: Vec<&str> = properties.map(|(name, _)| name.as_str()).collect();
            builder.add(&Document {
                slug: &tool.slug,
                toolkit,
                toolkit_names: &[name],
                title: &tool.name,
                description: &tool.description,
                parameters: &parameters,
                ..Document::default()
            });
            tools.push((toolkit, tool));
        }
        tools.sort_by(|(_, one), (_, other)| one.slug.cmp(&other.slug));
        Self { index: builder.finish(), tools, toolkits }
    }

    /// The tool of a document.
    pub fn item(&self, document: u32) -> Option<Item<'_>> {
        self.tools.get(document as usize).map(|(toolkit, tool)| Item::Own(toolkit, tool))
    }

    /// What the caller's own toolkits are, by slug.
    pub fn description(&self, slug: &str) -> Option<&str> {
        self.toolkits.iter().find(|toolkit| toolkit.slug == slug).map(|toolkit| toolkit.description.as_str())
    }
}
