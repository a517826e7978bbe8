//! Files, and a result that became one.

use serde_json::json;

use super::{Step, World, at, body_of, text};

/// Files of tools and of a session.
pub async fn of_tools_and_sessions(world: &mut World, session: &str) {
    let content = b"%PDF-1.7";
    let body = json!({
        "toolkit_slug": "sandbox", "tool_slug": "SANDBOX_CREATE_NOTE", "filename": "report.pdf",
        "mimetype": "application/pdf", "md5": crate::api::files::md5(content),
    });
    let made = world.call("post_files_upload_request", body_of(body)).await;
    crate::api::files::put(&text(&made["new_presigned_url"]), content).await;
    world.call("get_files_list", Step::default()).await;
    let mount = [("session_id", session), ("mount_id", "files")];
    let operation = |name| format!("post_tool_router_session_session_id_mounts_mount_id_{name}");
    let body = json!({ "mount_relative_path": "output/report.pdf", "mimetype": "application/pdf" });
    let made = world.call(&operation("upload_url"), Step { body: Some(body), ..at(&mount) }).await;
    crate::api::files::put(&text(&made["upload_url"]), content).await;
    world.call("get_tool_router_session_session_id_mounts_mount_id_items", at(&mount)).await;
    for name in ["download_url", "delete"] {
        let body = json!({ "mount_relative_path": "output/report.pdf" });
        world.call(&operation(name), Step { body: Some(body), ..at(&mount) }).await;
    }
}

/// A result that is large enough to become a file of the session.
pub async fn large_result(world: &mut World, session: &str) {
    let api = world.server.api.clone();
    let execute = format!("/tool_router/session/{session}/execute");
    for _ in 0..11 {
        let arguments = json!({ "text": "A long note. ".repeat(300) });
        api.post(&execute, &json!({ "tool_slug": "SANDBOX_CREATE_NOTE", "arguments": arguments })).await.expect(200);
    }
    let call = json!({ "tool_slug": "SANDBOX_LIST_NOTES", "arguments": {}, "enable_auto_workbench_offload": true });
    let listed = api.post(&execute, &call).await.expect(200);
    let body = json!({ "log_id": listed["log_id"], "path": "$.notes[*].id", "limit": 2 });
    let in_session = [("session_id", session)];
    let step = Step { body: Some(body), ..at(&in_session) };
    world.call("post_tool_router_session_session_id_read_result", step).await;
}
