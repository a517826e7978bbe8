//! `warnings` of an answer: what was done, and what the caller should know of it all the same.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::auth_config::schemes::LinkWarning;

/// What is allowed and yet unwise.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub struct WarningAnswer {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl WarningAnswer {
    /// As the application words it.
    pub fn of_link(warning: &LinkWarning) -> Self {
        Self { code: warning.code, message: warning.message.clone() }
    }
}

/// What whoever makes something for a user should know of the user's id: ids are taken as they are, but
/// the SDKs join those that they list by with commas, and cannot ask for one that has some.
pub fn about_user(user_id: &str) -> Vec<WarningAnswer> {
    if !user_id.contains(',') {
        return Vec::new();
    }
    let encoded: String = form_urlencoded::byte_serialize(user_id.as_bytes()).collect();
    vec![WarningAnswer {
        code: "USER_ID_WITH_COMMA",
        message: format!(
            "This user_id has a comma in it. One `user_ids=` is read as a list joined by commas, as SDKs send it; to \
             list this user's accounts, send the id whole: `user_ids[]={encoded}`."
        ),
    }]
}
