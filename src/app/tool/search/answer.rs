//! The answer of a search (contract section 2.10). Optional fields are omitted, never `null`. Times are in `time_info`
//! only, so that the rest of equal searches is equal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a search found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolSearch {
    /// One for each query, in their order.
    pub results: Vec<SearchResult>,
    /// How the user is connected to each toolkit of the results.
    pub toolkit_connection_statuses: Vec<ConnectionStatus>,
    /// The tools of the results, by slug.
    pub tool_schemas: BTreeMap<String, ToolSchema>,
    /// The time of the search.
    pub time_info: TimeInfo,
    /// The session that was searched.
    pub session: SearchSession,
    /// What to do next.
    pub next_steps_guidance: Vec<String>,
}

impl ToolSearch {
    /// Number of queries that found no tool.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.error.is_some()).count()
    }

    /// The error of a search with queries that found no tool.
    pub fn error(&self) -> Option<String> {
        let failed = self.failed();
        (failed > 0).then(|| format!("{failed} of {} queries found no tool; see results[].error", self.results.len()))
    }
}

/// What was found for a query.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolSearchResult")]
pub struct SearchResult {
    /// The place of the query, from 1.
    pub index: usize,
    /// The query.
    pub use_case: String,
    /// Tools that do it, the best first: at most five, each of which the session may run.
    pub primary_tool_slugs: Vec<String>,
    /// Tools that find what those need, that check what they did, or that are less fitting.
    pub related_tool_slugs: Vec<String>,
    /// Their toolkits.
    pub toolkits: Vec<String>,
    /// How to call the best tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub recommended_plan_steps: Vec<String>,
    /// What to know before a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub known_pitfalls: Vec<String>,
    /// Why no tool was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How the session's user is connected to a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitConnectionStatus")]
pub struct ConnectionStatus {
    /// Lower case.
    pub toolkit: String,
    /// What the toolkit is.
    pub description: String,
    /// Whether its tools can be run now.
    pub has_active_connection: bool,
    /// The account that calls use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_details: Option<ConnectionDetails>,
    /// Who that account is at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_user_info: Option<Map<String, Value>>,
    /// Whether that account is the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_type: Option<&'static str>,
    /// The accounts that a call may choose from, in a session with several accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<ConnectedAccount>>,
    /// `required` if a call must name an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_selection: Option<&'static str>,
    /// The same in words.
    pub status_message: String,
}

/// The account that calls use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectionDetails")]
pub struct ConnectionDetails {
    /// `ca_…`.
    pub connected_account_id: String,
    /// `ac_…`.
    pub auth_config_id: String,
    /// Such as `ACTIVE`.
    pub status: &'static str,
}

/// An account that a call may choose.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SelectableAccount")]
pub struct ConnectedAccount {
    /// `ca_…`.
    pub id: String,
    /// The developer's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Who it is at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_info: Option<Map<String, Value>>,
    /// Such as `ACTIVE`.
    pub status: &'static str,
    /// ISO 8601.
    pub created_at: String,
    /// Whether a call uses it that names none.
    pub is_default: bool,
    /// `PRIVATE` or `SHARED`.
    pub account_type: &'static str,
}

/// A tool of the results.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolSearchSchema")]
pub struct ToolSchema {
    /// Its toolkit.
    pub toolkit: String,
    /// Its slug.
    pub tool_slug: String,
    /// What it does; the first sentence only without `input_schema`.
    pub description: String,
    /// JSON Schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub input_schema: Option<Box<RawValue>>,
    /// Whether `input_schema` is there. Related tools, and those beyond the size of the answer, have none.
    #[serde(rename = "hasFullSchema")]
    pub has_full_schema: bool,
    /// Where the schema is, if it is not there.
    #[serde(rename = "schemaRef", skip_serializing_if = "Option::is_none")]
    pub schema_ref: Option<SchemaRef>,
}

/// Where a schema is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolSchemaRef")]
pub struct SchemaRef {
    /// The meta tool that returns it.
    #[schemars(extend("const" = "COMPOSIO_GET_TOOL_SCHEMAS"))]
    pub tool: &'static str,
    /// Its arguments.
    pub args: SchemaRefArguments,
    /// Another way.
    pub message: String,
}

/// Arguments of the meta tool that returns schemas.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolSchemaRefArguments")]
pub struct SchemaRefArguments {
    /// Slugs of tools.
    pub tool_slugs: Vec<String>,
}

/// The time of a search.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchTime")]
pub struct TimeInfo {
    /// ISO 8601.
    pub current_time_utc: String,
    /// Seconds since 1970.
    pub current_time_utc_epoch_seconds: i64,
    /// What it is for.
    pub message: &'static str,
}

impl TimeInfo {
    pub(super) fn at(current_time_utc: String, current_time_utc_epoch_seconds: i64) -> Self {
        let message = "The time in UTC. For times in arguments, use the user's time zone if you know it.";
        Self { current_time_utc, current_time_utc_epoch_seconds, message }
    }
}

/// The session that was searched.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchSession")]
pub struct SearchSession {
    /// Its id, or the one that the caller gave.
    pub id: String,
    /// Whether the caller must make an id: never.
    pub generate_id: bool,
    /// What the id is for.
    pub instructions: String,
}

impl SearchSession {
    pub(super) fn new(id: String) -> Self {
        let instructions = format!("Pass session_id \"{id}\" to the meta tools of this workflow.");
        Self { id, generate_id: false, instructions }
    }
}
