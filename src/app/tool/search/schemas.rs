//! Schemas of the tools that were found, within a size: an agent pays for each.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::Item;
use super::answer::{SchemaRef, SchemaRefArguments, ToolSchema};
use super::select::Selection;

/// Maximum size of all schemas and descriptions that are shown in full, in tokens of a model.
const MAX_TOKENS: usize = 6_000;
/// Bytes of JSON for each ten tokens, about.
const BYTES_PER_TEN_TOKENS: usize = 36;

/// The schemas of an answer.
#[derive(Default)]
pub(super) struct Schemas {
    tools: BTreeMap<String, ToolSchema>,
    bytes: usize,
}

impl Schemas {
    /// Adds the tools of a query: those that do what is wanted in full while there is room.
    pub fn add(&mut self, selection: &Selection<'_>) {
        for item in &selection.primary {
            let has_schema = self.tools.get(item.slug()).is_some_and(|known| known.has_full_schema);
            let schema = input_schema(*item);
            let bytes = item.description().len() + schema.get().len();
            let fits = self.bytes + bytes <= MAX_TOKENS * BYTES_PER_TEN_TOKENS / 10;
            if has_schema {
                continue;
            }
            if fits {
                self.bytes += bytes;
                self.tools.insert(item.slug().to_owned(), full(*item, schema));
            } else {
                self.refer(*item);
            }
        }
        for item in &selection.related {
            self.refer(*item);
        }
    }

    /// Adds a tool without its schema, unless it is there.
    fn refer(&mut self, item: Item<'_>) {
        self.tools.entry(item.slug().to_owned()).or_insert_with(|| reference(item));
    }

    /// All tools, by slug.
    pub fn finish(self) -> BTreeMap<String, ToolSchema> {
        self.tools
    }
}

fn input_schema(item: Item<'_>) -> Box<RawValue> {
    match item {
        Item::Tool(found) => found.row.input_schema.clone(),
        // Writing a `Map` cannot fail.
        Item::Own(_, tool) => to_raw_value(&tool.input_schema).unwrap_or_default(),
    }
}

fn full(item: Item<'_>, input_schema: Box<RawValue>) -> ToolSchema {
    ToolSchema {
        toolkit: item.toolkit().to_owned(),
        tool_slug: item.slug().to_owned(),
        description: item.description().to_owned(),
        input_schema: Some(input_schema),
        has_full_schema: true,
        schema_ref: None,
    }
}

fn reference(item: Item<'_>) -> ToolSchema {
    let description = item.description();
    let end = description.find(". ").map_or(description.len(), |end| end + 1);
    let slug = item.slug().to_owned();
    ToolSchema {
        toolkit: item.toolkit().to_owned(),
        description: description[..end].to_owned(),
        input_schema: None,
        has_full_schema: false,
        schema_ref: Some(SchemaRef {
            tool: "COMPOSIO_GET_TOOL_SCHEMAS",
            message: format!("Or read GET /api/v3.1/tools/{slug}."),
            args: SchemaRefArguments { tool_slugs: vec![slug.clone()] },
        }),
        tool_slug: slug,
    }
}
