//! The metadata that was found for a draft.

use switchboard_auth::{Metadata, ResourceMetadata};
use switchboard_catalog::Scheme;
use url::Url;

/// The metadata of a draft.
pub(super) struct Found {
    /// The request.
    pub(super) url: Url,
    pub(super) metadata: Metadata,
    /// The metadata of an MCP server.
    pub(super) resource: Option<ResourceMetadata>,
    pub(super) is_mcp: bool,
    /// Whose table the draft has.
    pub(super) scheme: Scheme,
}
