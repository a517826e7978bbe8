//! Operations on files (contract sections 2.15 and 8.3).

use super::mounts;
use crate::api::file;
use crate::api::http::page::Page;
use crate::api::operations::{Docs, Keys, Operation, ParameterType, Permission, handler};
use crate::app::project::permissions::{Access, Preset};

const TOOLS: Permission = Permission::AnyOf(&[(Preset::Tools, Access::Read)]);
const RUN: Permission = Permission::AnyOf(&[(Preset::ToolExecution, Access::Write)]);
const READ: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Read), (Preset::SessionManagement, Access::Read)]);
const WRITE: Permission =
    Permission::AnyOf(&[(Preset::Sessions, Access::Write), (Preset::SessionManagement, Access::Write)]);

const ONCE: &str = "Leave the header out; each call makes a URL of its own, and what is not used ends by itself.";

/// `/files…` and the mounts of sessions.
pub(in crate::api) const OPERATIONS: &[Operation] = &[
    Operation::works("GET", "/files/list", Keys::Project, TOOLS, handler!(file::list), || {
        Docs::ok("List uploads and results of tools")
            .about("Newest first. Files of sessions are listed by their mounts.")
            .response::<Page<file::FileItem>>()
            .paged(file::MAX_PAGE_SIZE)
            .query("toolkit_slug", ParameterType::Text, "For or from this toolkit.")
            .query("tool_slug", ParameterType::Text, "For or from this tool.")
    }),
    Operation::works("POST", "/files/upload/request", Keys::Project, RUN, handler!(file::request_upload), || {
        Docs::ok("Ask where to upload a file")
            .about(
                "Send the bytes to `new_presigned_url` with PUT; the response is 200. Then give \
                 `{name, mimetype, s3key}` with the `key`, or the key alone, as an argument of a tool.",
            )
            .body::<file::FileUpload>()
            .response::<file::FileUploadRequest>()
            .without_key(ONCE)
    }),
    Operation::works(
        "GET",
        "/tool_router/session/{session_id}/mounts/{mount_id}/items",
        Keys::ProjectOrUser,
        READ,
        handler!(mounts::items),
        || {
            Docs::ok("List the files of a session")
                .about("By path. The only mount is `files`.")
                .response::<mounts::MountItems>()
                .paged(mounts::MAX_PAGE_SIZE)
                .query("mount_relative_prefix", ParameterType::Text, "Files whose path begins with this.")
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/upload_url",
        Keys::ProjectOrUser,
        WRITE,
        handler!(mounts::upload_url),
        || {
            Docs::created("Ask where to upload a file of a session")
                .about("A file at the same path is replaced when the bytes have come.")
                .body::<mounts::MountUpload>()
                .response::<mounts::MountUploadUrl>()
                .without_key(ONCE)
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/download_url",
        Keys::ProjectOrUser,
        READ,
        handler!(mounts::download_url),
        || {
            Docs::created("Ask where to download a file of a session")
                .body::<mounts::MountPath>()
                .response::<mounts::MountDownloadUrl>()
                .without_key(ONCE)
        },
    ),
    Operation::works(
        "POST",
        "/tool_router/session/{session_id}/mounts/{mount_id}/delete",
        Keys::ProjectOrUser,
        WRITE,
        handler!(mounts::delete),
        || {
            Docs::ok("Delete a file of a session")
                .about("Or all files below a path.")
                .body::<mounts::MountPath>()
                .response::<mounts::MountDeleted>()
                .without_key("Leave the header out; what is deleted stays so.")
        },
    ),
];
