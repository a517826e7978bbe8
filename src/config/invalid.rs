//! What is said of a setting that is not taken.

use anyhow::anyhow;

/// Names the setting, what it takes and what was given.
pub(super) fn invalid(setting: &str, given: &str, takes: &str) -> anyhow::Error {
    anyhow!("setting {setting}: takes {takes}, not {given:?}")
}
