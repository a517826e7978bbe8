//! `COMPOSIO_GET_TOOL_SCHEMAS`: the schemas of tools by their slugs.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Data, MetaTools, members};
use crate::app::session::Session;
use crate::app::tool::list::is_allowed;
use crate::error::{Code, Result};

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct GetSchemas {
    tool_slugs: Vec<String>,
    include: Option<Vec<String>>,
}

impl MetaTools {
    /// The schemas of the tools that the session may use, and what is like the others.
    pub(super) async fn schemas(&self, session: &Session, wanted: &GetSchemas) -> Result<Data> {
        let includes = |part: &str, default: bool| {
            wanted.include.as_ref().map_or(default, |include| include.iter().any(|named| named == part))
        };
        let (input, output) = (includes("input_schema", true), includes("output_schema", false));
        let (mut schemas, mut suggestions) = (Map::new(), Map::new());
        let mut not_found = Vec::new();
        for slug in &wanted.tool_slugs {
            let found = match self.tools.find_in(session, slug).await {
                Err(error) if error.code() != Code::SessionToolNotFound => return Err(error),
                found => found.ok().filter(|found| is_allowed(session, found)),
            };
            let Some(found) = found else {
                not_found.push(slug.as_str());
                let like = self.tools.similar(session, slug);
                if !like.is_empty() {
                    suggestions.insert(slug.clone(), json!(like));
                }
                continue;
            };
            let row = &found.row;
            let mut schema = json!({
                "toolkit": found.toolkit.slug,
                "tool_slug": row.slug,
                "description": row.description,
            });
            if input {
                schema["input_schema"] = parsed(&row.input_schema);
            }
            if output {
                schema["output_schema"] = parsed(&row.output_schema);
            }
            schemas.insert(row.slug.clone(), schema);
        }
        let mut data = json!({ "success": not_found.is_empty(), "tool_schemas": schemas });
        if !not_found.is_empty() {
            data["not_found_message"] = format!(
                "These are no tools that this session may use: {}. Use slugs that COMPOSIO_SEARCH_TOOLS returns.",
                not_found.join(", ")
            )
            .into();
            data["not_found"] = json!(not_found);
        }
        if !suggestions.is_empty() {
            data["suggestions"] = suggestions.into();
        }
        Ok(members(data))
    }
}

fn parsed(schema: &RawValue) -> Value {
    // It was written from a value.
    serde_json::from_str(schema.get()).unwrap_or_default()
}
