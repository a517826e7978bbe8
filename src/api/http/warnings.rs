//! `warnings` of a response: the request succeeded, but the caller should know something.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::auth_config::schemes::LinkWarning;

/// Something that is allowed but not advisable.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub struct WarningResponse {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl WarningResponse {
    /// A warning from the application.
    pub fn of_link(warning: &LinkWarning) -> Self {
        Self { code: warning.code, message: warning.message.clone() }
    }
}

/// Warnings about a user id. Ids are accepted as they are, but SDKs separate the ids of a list filter
/// with commas, so they cannot query an id that contains one.
pub fn about_user(user_id: &str) -> Vec<WarningResponse> {
    if !user_id.contains(',') {
        return Vec::new();
    }
    let encoded: String = form_urlencoded::byte_serialize(user_id.as_bytes()).collect();
    vec![WarningResponse {
        code: "USER_ID_WITH_COMMA",
        message: format!(
            "This user_id has a comma in it. One `user_ids=` is read as a list joined by commas, as SDKs send it; to \
             list this user's accounts, send the id whole: `user_ids[]={encoded}`."
        ),
    }]
}
