//! Lists of tools in the settings of an auth config, and which tools they let an account run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which tools an auth config is for. A list that is missing or empty does not limit anything.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ToolAccessConfig {
    /// Links ask for the scopes of these tools, unless the auth config names scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_for_connected_account_creation: Option<Vec<String>>,
    /// Accounts run these tools and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_available_for_execution: Option<Vec<String>>,
}

/// The tools that accounts of an auth config may run, if it limits them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AllowedTools(Vec<String>);

/// The settings of an auth config that limit what its accounts run.
#[derive(Deserialize)]
struct Limits {
    #[serde(default)]
    tool_access_config: Option<ToolAccessConfig>,
    #[serde(default)]
    restrict_to_following_tools: Option<Vec<String>>,
}

/// Names of these settings: without them in its text, an auth config has no limits.
const NAMES: [&str; 2] = ["\"tools_available_for_execution\"", "\"restrict_to_following_tools\""];

impl AllowedTools {
    /// What both lists allow. None if neither limits anything.
    pub fn new(access: Option<&ToolAccessConfig>, restriction: Option<&[String]>) -> Option<Self> {
        let given = access.and_then(|access| access.tools_available_for_execution.as_deref());
        let [one, other] = [given, restriction].map(|list| list.filter(|list| !list.is_empty()));
        match (one, other) {
            (Some(one), Some(other)) => Some(Self(one.iter().filter(|slug| has(other, slug)).cloned().collect())),
            (Some(list), None) | (None, Some(list)) => Some(Self(list.to_vec())),
            (None, None) => None,
        }
    }

    /// The same from the stored settings of an auth config.
    ///
    /// # Errors
    /// They limit what accounts run, and cannot be read.
    pub fn of_settings(text: &str) -> Result<Option<Self>, serde_json::Error> {
        if !NAMES.iter().any(|name| text.contains(name)) {
            return Ok(None);
        }
        let limits: Limits = serde_json::from_str(text)?;
        Ok(Self::new(limits.tool_access_config.as_ref(), limits.restrict_to_following_tools.as_deref()))
    }

    /// Size of the slugs in bytes, with that of their places in memory.
    pub fn size(&self) -> usize {
        self.0.iter().map(|slug| slug.len() + size_of::<String>()).sum()
    }

    /// Whether a tool may run. `slug` is in any case.
    pub fn admits(&self, slug: &str) -> bool {
        has(&self.0, slug)
    }
}

fn has(list: &[String], slug: &str) -> bool {
    list.iter().any(|item| item.eq_ignore_ascii_case(slug))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(settings: &str) -> Option<Vec<String>> {
        AllowedTools::of_settings(settings).unwrap().map(|allowed| allowed.0)
    }

    #[test]
    fn only_lists_with_tools_limit_and_both_count() {
        for open in [
            "{}",
            r#"{"restrict_to_following_tools":[]}"#,
            r#"{"restrict_to_following_tools":null,"tool_access_config":null}"#,
            r#"{"tool_access_config":{"tools_available_for_execution":[]}}"#,
            r#"{"tool_access_config":{"tools_for_connected_account_creation":["A"]}}"#,
        ] {
            assert_eq!(allowed(open), None, "{open}");
        }
        let list = |slugs: &[&str]| Some(slugs.iter().map(|slug| (*slug).to_owned()).collect::<Vec<_>>());
        assert_eq!(allowed(r#"{"restrict_to_following_tools":["A"],"scopes":["x"]}"#), list(&["A"]));
        assert_eq!(allowed(r#"{"tool_access_config":{"tools_available_for_execution":["B"]}}"#), list(&["B"]));
        let both = r#"{"restrict_to_following_tools":["A","B"],
            "tool_access_config":{"tools_available_for_execution":["b","C"]}}"#;
        assert_eq!(allowed(both), list(&["b"]));
        let none =
            r#"{"restrict_to_following_tools":["A"],"tool_access_config":{"tools_available_for_execution":["B"]}}"#;
        assert_eq!(allowed(none), list(&[]), "nothing that both lists allow");
        assert!(AllowedTools::of_settings(both).unwrap().unwrap().admits("B"));
        assert!(AllowedTools::of_settings(r#"{"restrict_to_following_tools":5}"#).is_err());
    }
}
