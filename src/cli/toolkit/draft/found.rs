//! What was found out for a draft.

use switchboard_auth::{Metadata, ResourceMetadata};
use switchboard_catalog::Scheme;
use url::Url;

/// What was found out, and what the draft says of it.
pub(super) struct Found {
    /// What was asked.
    pub(super) url: Url,
    pub(super) metadata: Metadata,
    /// What an MCP server says of itself.
    pub(super) resource: Option<ResourceMetadata>,
    pub(super) is_mcp: bool,
    /// Whose table the draft has.
    pub(super) scheme: Scheme,
}
