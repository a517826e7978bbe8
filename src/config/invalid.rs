//! The error for an invalid setting.

use anyhow::anyhow;

/// Names the setting, the accepted values and the given one.
pub(super) fn invalid(setting: &str, given: &str, takes: &str) -> anyhow::Error {
    anyhow!("setting {setting}: takes {takes}, not {given:?}")
}
