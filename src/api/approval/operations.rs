//! Operations on approvals: extensions of this server.

use super::{Approval, ApprovalDecision, ApprovalList};
use crate::api::approval;
use crate::api::operations::{Docs, Keys, Operation, Permission, handler};
use crate::app::project::permissions::{Access, Preset};

const READ: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Read), (Preset::SessionManagement, Access::Read)]);
/// More than running tools: an agent's key does not answer the questions that its calls raise here.
const WRITE: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Write), (Preset::SessionManagement, Access::Write)]);

/// `/tool_router/session/{session_id}/approvals…`.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/approvals",
        Keys::ProjectOrUser,
        READ,
        handler!(approval::list),
        || {
            Docs::ok("List a session's approvals")
                .about("What a person was asked before calls, and the answers. An extension of this server.")
                .response::<ApprovalList>()
        },
    ),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/approvals/{approval_id}",
        Keys::ProjectOrUser,
        READ,
        handler!(approval::read),
        || Docs::ok("Read an approval").about("An extension of this server.").response::<Approval>(),
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/approvals/{approval_id}",
        Keys::ProjectOrUser,
        WRITE,
        handler!(approval::decide),
        || {
            Docs::ok("Answer an approval")
                .about(
                    "A person of your app allows the call, or not. The same call is made when it is repeated, once. 409 if \
                     the approval was answered before. An extension of this server.",
                )
                .body::<ApprovalDecision>()
                .response::<Approval>()
                .without_key("Leave the header out; a second answer is refused.")
        },
    ),
];
