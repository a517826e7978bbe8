//! The session's MCP endpoint as an operation: which keys it takes. It is outside of the API's prefix, and not in the
//! `OpenAPI` document.

use super::post;
use crate::api::operations::{Docs, Keys, MCP_PATH, Operation, Permission, handler};
use crate::app::project::permissions::{Access, Preset};

/// As for running tools in a session.
const EXECUTE: Permission = Permission::AnyOf(&[
    (Preset::ToolExecution, Access::Write),
    (Preset::Sessions, Access::Write),
    (Preset::SessionToolExecution, Access::Write),
]);

/// `POST` only: the protocol's newest revision has neither streams that a client opens nor sessions that it closes.
pub(in crate::api) const ENDPOINT: Operation =
    Operation::works("POST", MCP_PATH, Keys::ProjectOrUser, EXECUTE, handler!(post), || {
        Docs::ok("Send a message of the Model Context Protocol")
    });
