//! Normalises the spelling of names in a policy and rejects duplicates.
//!
//! Toolkit and tool slugs are accepted in any case (`"GITHUB"` in the SDK documentation means `github`). Two
//! spellings of one key are rejected like a duplicate key: one of the two rules would be lost.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Instant, PreloadTools, SessionConfig};
use crate::error::{Error, Result};
use crate::text::truncate;

impl SessionConfig {
    /// Converts toolkit slugs to lower case and tool slugs to upper case, and drops duplicate pins.
    ///
    /// # Errors
    /// A validation error that names every key with two spellings.
    pub fn normalise(&mut self) -> Result<()> {
        if let Some(filter) = &mut self.toolkits {
            for list in [&mut filter.enable, &mut filter.disable, &mut filter.require_approval] {
                each(list, |slug| slug.make_ascii_lowercase());
            }
        }
        let mut duplicates = Vec::new();
        normalise_keys("auth_configs", &mut self.auth_configs, str::to_ascii_lowercase, &mut duplicates);
        normalise_keys("connected_accounts", &mut self.connected_accounts, str::to_ascii_lowercase, &mut duplicates);
        normalise_keys("tools", &mut self.tools, str::to_ascii_lowercase, &mut duplicates);
        if let Some(Instant::On(rules)) = &mut self.instant {
            normalise_keys("instant.tools", &mut rules.tools, str::to_ascii_lowercase, &mut duplicates);
        }
        if let Some(permissions) = self.experimental.as_mut().and_then(|experimental| experimental.permissions.as_mut())
        {
            normalise_keys(
                "experimental.permissions.overrides",
                &mut permissions.overrides,
                override_key,
                &mut duplicates,
            );
        }
        if !duplicates.is_empty() {
            return Err(Error::validation(duplicates).fix("Write each toolkit and each tool once, in one spelling."));
        }
        self.normalise_tools();
        for pins in self.connected_accounts.iter_mut().flatten().map(|(_, pins)| &mut pins.0) {
            let mut seen = Vec::with_capacity(pins.len().min(16));
            pins.retain(|id| {
                !seen.contains(id) && {
                    seen.push(id.clone());
                    true
                }
            });
        }
        Ok(())
    }

    fn normalise_tools(&mut self) {
        for rule in self.tools.iter_mut().flatten().map(|(_, rule)| rule) {
            for list in [&mut rule.enable, &mut rule.disable, &mut rule.require_approval] {
                each(list, |slug| slug.make_ascii_uppercase());
            }
        }
        if let Some(PreloadTools::These(tools)) = self.preload.as_mut().and_then(|preload| preload.tools.as_mut()) {
            for slug in tools {
                slug.make_ascii_uppercase();
            }
        }
    }
}

fn each(list: &mut Option<Vec<String>>, change: impl Fn(&mut String)) {
    list.iter_mut().flatten().for_each(change);
}

/// `<TOOL>:<account>`. The account id keeps its case.
fn override_key(key: &str) -> String {
    match key.split_once(':') {
        Some((tool, account)) => format!("{}:{account}", tool.to_ascii_uppercase()),
        None => key.to_owned(),
    }
}

/// Normalises the keys of a map, and collects those that occur twice.
fn normalise_keys<T>(
    field: &str,
    map: &mut Option<BTreeMap<String, T>>,
    normalise: impl Fn(&str) -> String,
    duplicates: &mut Vec<String>,
) {
    let Some(given) = map.take() else { return };
    let mut renamed = BTreeMap::new();
    for (key, value) in given {
        match renamed.entry(normalise(&key)) {
            Entry::Vacant(place) => {
                place.insert(value);
            }
            Entry::Occupied(place) => {
                duplicates
                    .push(format!("Error in payload.{field}: {} is given in two spellings", truncate(place.key())));
            }
        }
    }
    *map = Some(renamed);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normalised(config: serde_json::Value) -> Result<serde_json::Value> {
        let mut config: SessionConfig = serde_json::from_value(config).unwrap();
        config.normalise()?;
        Ok(serde_json::to_value(config).unwrap())
    }

    #[test]
    fn slugs_are_normalised() {
        let given = json!({
            "toolkits": { "enable": ["GitHub"] },
            "auth_configs": { "GITHUB": "ac_Aa" },
            "connected_accounts": { "GITHUB": ["ca_1", "ca_1"] },
            "tools": { "Github": { "enable": ["github_get_a_repository"] } },
            "preload": { "tools": ["github_get_a_repository"] },
            "experimental": {
                "permissions": { "default": "allow_all", "overrides": { "github_x:ca_Aa": "always_deny" } },
            },
        });
        let expected = json!({
            "toolkits": { "enable": ["github"] },
            "auth_configs": { "github": "ac_Aa" },
            "connected_accounts": { "github": ["ca_1"] },
            "tools": { "github": { "enable": ["GITHUB_GET_A_REPOSITORY"] } },
            "preload": { "tools": ["GITHUB_GET_A_REPOSITORY"] },
            "experimental": {
                "permissions": { "default": "allow_all", "overrides": { "GITHUB_X:ca_Aa": "always_deny" } },
            },
        });
        assert_eq!(normalised(given).unwrap(), expected);
        assert_eq!(normalised(expected.clone()).unwrap(), expected, "normalising twice changes nothing");
    }

    #[test]
    fn two_spellings_of_a_key_are_rejected() {
        for (config, field, key) in [
            (json!({ "auth_configs": { "UP": "ac_1", "up": "ac_2" } }), "auth_configs", "up"),
            (json!({ "connected_accounts": { "Up": ["ca_1"], "up": ["ca_2"] } }), "connected_accounts", "up"),
            (json!({ "tools": { "UP": { "disable": ["UP_X"] }, "up": { "enable": ["UP_Y"] } } }), "tools", "up"),
            (json!({ "instant": { "tools": { "UP": {}, "up": {} } } }), "instant.tools", "up"),
            (
                json!({ "experimental": { "permissions": {
                    "default": "allow_all", "overrides": { "UP_X:ca_1": "always_deny", "up_x:ca_1": "always_allow" },
                } } }),
                "experimental.permissions.overrides",
                "UP_X:ca_1",
            ),
        ] {
            let error = normalised(config).unwrap_err();
            let expected = format!("Error in payload.{field}: {key} is given in two spellings");
            assert_eq!(error.errors(), [expected]);
        }
    }
}
