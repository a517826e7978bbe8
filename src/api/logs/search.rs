//! The filters of the log of calls.

use schemars::JsonSchema;
use serde::Deserialize;
use switchboard_store::tool_calls::{CallField, CallFilter, CallTest};
use switchboard_types::{CallState, CompactString, Timestamp};

use crate::app::App;
use crate::error::{Error, Result};

/// Maximum number of conditions.
const MAX_CONDITIONS: usize = 20;

/// A condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolLogFilter")]
pub(super) struct Condition {
    /// What is compared.
    field: Field,
    /// How.
    #[serde(alias = "operation")]
    operator: Operator,
    /// With what. For `status`: `success` or `failed`.
    value: String,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ToolLogField")]
pub(super) enum Field {
    ToolSlug,
    ToolkitSlug,
    ConnectedAccountId,
    AuthConfigId,
    Status,
    UserId,
    SessionId,
    /// This server has no sandboxes: no call has one.
    SandboxId,
    RequestId,
    LogId,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolLogOperator")]
pub(super) enum Operator {
    #[serde(rename = "==")]
    Is,
    #[serde(rename = "!=")]
    IsNot,
    #[serde(rename = "contains")]
    Contains,
    #[serde(rename = "not_contains")]
    ContainsNot,
}

impl Field {
    /// Every field, with its name in the API and for people.
    pub(super) const ALL: [(&'static str, &'static str); 9] = [
        ("tool_slug", "Tool"),
        ("toolkit_slug", "Toolkit"),
        ("connected_account_id", "Connected account"),
        ("auth_config_id", "Auth config"),
        ("status", "Status"),
        ("user_id", "User"),
        ("session_id", "Session"),
        ("request_id", "Request"),
        ("log_id", "Log"),
    ];
}

impl Operator {
    fn test(self) -> CallTest {
        match self {
            Self::Is => CallTest::Is,
            Self::IsNot => CallTest::IsNot,
            Self::Contains => CallTest::Contains,
            Self::ContainsNot => CallTest::ContainsNot,
        }
    }

    /// The opposite of `==` and of `contains`.
    fn is_negative(self) -> bool {
        matches!(self, Self::IsNot | Self::ContainsNot)
    }
}

/// The filter of a request; times in milliseconds since 1970 UTC. `path` is the conditions' name in the body.
pub(super) fn filter(
    app: &App,
    conditions: Vec<Condition>,
    (from, until): (Option<f64>, Option<f64>),
    path: &str,
) -> Result<CallFilter> {
    if conditions.len() > MAX_CONDITIONS {
        return Err(Error::field(path, format!("must have at most {MAX_CONDITIONS} entries")));
    }
    let mut filter = CallFilter::default();
    for (index, Condition { field, operator, value }) in conditions.into_iter().enumerate() {
        let test = operator.test();
        let (column, value) = match field {
            Field::ToolSlug => (CallField::Tool, value.to_ascii_uppercase()),
            Field::ToolkitSlug => (CallField::Toolkit, value.to_ascii_lowercase()),
            Field::ConnectedAccountId => (CallField::Account, value),
            Field::AuthConfigId => (CallField::AuthConfig, value),
            Field::UserId => (CallField::User, value),
            Field::SessionId => (CallField::Session, value),
            Field::RequestId => (CallField::Request, value),
            Field::LogId => (CallField::Id, value),
            Field::SandboxId if operator.is_negative() => continue,
            // No call has this id.
            Field::SandboxId => (CallField::Id, "-".to_owned()),
            Field::Status => {
                let is_success = match value.to_ascii_lowercase().as_str() {
                    "success" => true,
                    "failed" => false,
                    _ => return Err(Error::field(&format!("{path}[{index}].value"), "must be success or failed")),
                };
                let test = if is_success == operator.is_negative() { CallTest::IsNot } else { CallTest::Is };
                filter.conditions.push((CallField::State, test, CallState::Completed.as_str().to_owned()));
                continue;
            }
        };
        filter.conditions.push((column, test, value));
    }
    (filter.from, filter.until) = (first_id(app, from), first_id(app, until));
    Ok(filter)
}

/// The least id of calls from a time on, in milliseconds since 1970 UTC.
pub(super) fn first_id(app: &App, at: Option<f64>) -> Option<CompactString> {
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the last moment")]
    at.map(|at| app.call_log.first_id_at(Timestamp::from_millis((at.max(0.0) as i64).min(MAX_TIME))))
}

/// The last moment that ids can express, in milliseconds since 1970 UTC; some thousand years from now.
const MAX_TIME: i64 = 100_000_000_000_000;
