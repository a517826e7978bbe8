//! The meta tools: tools of the server itself, with which an agent finds and runs all others (contract section 7.1).
//! Their text is constant, so that a model's cache of it stays valid.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use switchboard_tools::ArgumentCheck;

use crate::app::session::policy::{SessionConfig, Tag};

/// What all slugs of meta tools begin with.
pub const PREFIX: &str = "COMPOSIO_";
/// The version of their definitions. It changes with them.
pub const VERSION: &str = "20261201_00";

/// Every meta tool, in the order of the contract.
static ALL: LazyLock<Vec<MetaTool>> = LazyLock::new(|| {
    let parsed: serde_json::Result<Vec<Definition<'static>>> = serde_json::from_str(include_str!("tools.json"));
    // A test reads them.
    parsed.map(|definitions| definitions.into_iter().filter_map(MetaTool::new).collect()).unwrap_or_default()
});

#[derive(Deserialize)]
struct Definition<'a> {
    slug: &'a str,
    title: &'a str,
    description: &'a str,
    tags: Vec<Tag>,
    #[serde(borrow)]
    input_schema: &'a RawValue,
    #[serde(borrow)]
    output_schema: &'a RawValue,
}

/// A meta tool.
#[derive(Debug)]
pub struct MetaTool {
    /// Which one it is.
    pub kind: MetaKind,
    /// `COMPOSIO_…`
    pub slug: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// For a model.
    pub description: &'static str,
    /// Behaviour hints.
    pub tags: Vec<Tag>,
    /// JSON Schema of the arguments.
    pub input_schema: Box<RawValue>,
    /// JSON Schema of the result.
    pub output_schema: Box<RawValue>,
    /// Checks the arguments.
    pub(super) check: ArgumentCheck,
}

/// Which meta tool it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKind {
    /// Finds tools.
    SearchTools,
    /// Returns schemas of tools.
    GetToolSchemas,
    /// Makes links.
    ManageConnections,
    /// Waits for them.
    WaitForConnections,
    /// Runs tools.
    MultiExecute,
    /// Calls an API.
    ProxyExecute,
}

impl MetaKind {
    fn parse(slug: &str) -> Option<Self> {
        Some(match slug.strip_prefix(PREFIX)? {
            "SEARCH_TOOLS" => Self::SearchTools,
            "GET_TOOL_SCHEMAS" => Self::GetToolSchemas,
            "MANAGE_CONNECTIONS" => Self::ManageConnections,
            "WAIT_FOR_CONNECTIONS" => Self::WaitForConnections,
            "MULTI_EXECUTE_TOOL" => Self::MultiExecute,
            "PROXY_EXECUTE" => Self::ProxyExecute,
            _ => return None,
        })
    }

    /// Whether a session has it.
    fn is_offered(self, config: &SessionConfig) -> bool {
        let manage = config.manage_connections.as_ref();
        let can_link = manage.and_then(|manage| manage.enable) != Some(false);
        match self {
            Self::SearchTools | Self::GetToolSchemas => config.search.is_none_or(|search| search.enable != Some(false)),
            Self::ManageConnections => can_link,
            Self::WaitForConnections => {
                can_link && manage.and_then(|manage| manage.enable_wait_for_connections) == Some(true)
            }
            Self::MultiExecute => config.execute.is_none_or(|execute| execute.enable_multi_execute != Some(false)),
            Self::ProxyExecute => config.proxy_execute.is_some_and(|proxy| proxy.enable),
        }
    }
}

impl MetaTool {
    fn new(definition: Definition<'static>) -> Option<Self> {
        let schema: Map<String, Value> = serde_json::from_str(definition.input_schema.get()).ok()?;
        // As it is printed for tools: keys in order, without spaces.
        let compact = |schema: &RawValue| -> Option<Box<RawValue>> {
            let value: Value = serde_json::from_str(schema.get()).ok()?;
            serde_json::value::to_raw_value(&value).ok()
        };
        Some(Self {
            kind: MetaKind::parse(definition.slug)?,
            slug: definition.slug,
            title: definition.title,
            description: definition.description,
            tags: definition.tags,
            input_schema: compact(definition.input_schema)?,
            output_schema: compact(definition.output_schema)?,
            check: ArgumentCheck::of_schema(schema).ok()?,
        })
    }

    /// All of them.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// Those that a session has.
    pub fn offered(config: &SessionConfig) -> impl Iterator<Item = &'static Self> {
        Self::all().iter().filter(|tool| tool.kind.is_offered(config))
    }

    /// The one with a slug, in any case; none if there is none.
    pub fn find(slug: &str) -> Option<&'static Self> {
        Self::all().iter().find(|tool| tool.slug.eq_ignore_ascii_case(slug))
    }

    /// Whether a session has it.
    pub fn is_offered(&self, config: &SessionConfig) -> bool {
        self.kind.is_offered(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of text that are one token of a model.
    const BYTES_PER_TOKEN: f64 = 3.6;

    #[test]
    fn all_are_read_and_are_short() {
        let slugs: Vec<&str> = MetaTool::all().iter().map(|tool| tool.slug).collect();
        assert_eq!(
            slugs,
            [
                "COMPOSIO_SEARCH_TOOLS",
                "COMPOSIO_GET_TOOL_SCHEMAS",
                "COMPOSIO_MANAGE_CONNECTIONS",
                "COMPOSIO_WAIT_FOR_CONNECTIONS",
                "COMPOSIO_MULTI_EXECUTE_TOOL",
                "COMPOSIO_PROXY_EXECUTE"
            ]
        );
        let bytes: usize =
            MetaTool::all().iter().map(|tool| tool.description.len() + tool.input_schema.get().len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let tokens = bytes as f64 / BYTES_PER_TOKEN;
        assert!(tokens <= 2_500.0, "{tokens}");
    }
}
