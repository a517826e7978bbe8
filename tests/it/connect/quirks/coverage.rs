//! No key without a proof: every key of the format is proven by a case here, by a test that is named, or
//! says nothing to a provider.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::tools::root;

/// Proven by other tests, in the file that is named.
const ELSEWHERE: [(&str, &str); 45] = [
    ("LimitHeaders.limit", "src/app/provider_limits/headers.rs"),
    ("LimitHeaders.refill", "tests/it/api/provider_limits.rs"),
    ("LimitHeaders.remaining", "src/app/provider_limits/headers.rs"),
    ("LimitHeaders.reset", "src/app/provider_limits/headers.rs"),
    ("LimitHeaders.reset_unit", "src/app/provider_limits/headers.rs"),
    ("LimitHeaders.used", "tests/it/api/provider_limits.rs"),
    ("LimitHeaders.window", "src/app/provider_limits/headers.rs"),
    ("Toolkit.changelog", "tests/it/api/tool_versions.rs"),
    ("Toolkit.limit_headers", "tests/it/api/provider_limits.rs"),
    ("Toolkit.withdrawn", "tests/it/api/tool_versions.rs"),
    ("VersionNote.text", "tests/it/api/tool_versions.rs"),
    ("VersionNote.version", "tests/it/api/tool_versions.rs"),
    ("Withdrawn.reason", "tests/it/api/tool_versions.rs"),
    ("Withdrawn.replacement", "crates/catalog/tests/broken.rs"),
    ("Withdrawn.tools", "tests/it/api/tool_versions.rs"),
    ("Withdrawn.version", "tests/it/api/tool_versions.rs"),
    ("Toolkit.paths", "tests/it/api/proxy_endpoints.rs"),
    ("Identity.scopes", "tests/it/connect/least_scopes.rs"),
    ("OAuth2.available_scopes", "tests/it/connect/least_scopes.rs"),
    ("OAuth2.token_limit", "tests/it/connect/reach.rs"),
    ("ExtraToken.alone", "tests/it/connect/further.rs"),
    ("ExtraToken.expires_in", "tests/it/connect/further.rs"),
    ("ExtraToken.owner", "tests/it/connect/further.rs"),
    ("ExtraToken.paths", "tests/it/connect/further.rs"),
    ("ExtraToken.refresh_token", "tests/it/connect/further.rs"),
    ("ExtraToken.revocation_reach", "tests/it/connect/further.rs"),
    ("Assertion.certificate", "crates/auth/src/assertion.rs"),
    ("Choice.detail", "tests/it/connect/choices.rs"),
    ("OAuth2.revocation_reach", "tests/it/connect/reach.rs"),
    ("OAuth2.revocation_tokens", "tests/it/connect/reach.rs"),
    ("OAuth2.device_authorization_url", "tests/it/connect/device.rs"),
    ("OAuth2.dpop", "tests/it/connect/possession.rs"),
    ("OAuth2.discovery_url", "tests/it/connect/schemes.rs"),
    ("OAuth2.pushed_authorization_request_url", "tests/it/connect/schemes.rs"),
    ("Toolkit.base_url", "tests/it/connect/schemes.rs"),
    ("Toolkit.cimd_oauth", "tests/it/connect/schemes.rs"),
    ("Toolkit.hosts", "tests/it/connect/schemes.rs"),
    ("Toolkit.no_auth", "tests/it/api/proxy.rs"),
    ("Toolkit.oauth2", "tests/it/connect/schemes.rs"),
    ("Toolkit.paths", "tests/it/api/proxy_endpoints.rs"),
    ("Toolkit.ranges", "tests/it/api/proxy_credentials.rs"),
    ("FieldText.secret", "tests/it/api/proxy_credentials.rs"),
    ("FieldText.display_name", "tests/it/connect/quirks/keys.rs"),
    ("FieldText.description", "toolkits/sandbox/toolkit.toml"),
    ("Field.name", "tests/it/connect/quirks/keys.rs"),
];

/// For people and clients; nothing that goes to a provider depends on them. The reset of a rate limit is for
/// tools, which are not there yet.
const SAY_NOTHING: [&str; 16] = [
    "RateLimit.reset_header",
    "RateLimit.reset_unit",
    "Sunset.date",
    "Sunset.message",
    "Sunset.source",
    "Toolkit.app_url",
    "Toolkit.auth_guide_url",
    "Toolkit.categories",
    "Toolkit.color",
    "Toolkit.description",
    "Toolkit.name",
    "Toolkit.slug",
    "Toolkit.sources",
    "Toolkit.sunset",
    "Toolkit.unverified",
    "Toolkit.version",
];

#[test]
fn every_key_is_proven() {
    let sources = [
        include_str!("account.rs"),
        include_str!("oauth2.rs"),
        include_str!("life.rs"),
        include_str!("keys.rs"),
        include_str!("schemes.rs"),
    ];
    let proven = |key: &str| sources.iter().any(|text| text.contains(&format!("\"{key}\"")));
    let mut all = BTreeSet::new();
    let schema = switchboard_catalog::json_schema();
    collect(&mut all, "Toolkit", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        collect(&mut all, name, definition);
    }
    let named = |key: &str| ELSEWHERE.iter().any(|(it, _)| *it == key) || SAY_NOTHING.contains(&key);
    let unproven: Vec<&String> = all.iter().filter(|key| !proven(key) && !named(key)).collect();
    assert!(unproven.is_empty(), "{unproven:#?}");
    let stale: Vec<&str> =
        ELSEWHERE.iter().map(|(key, _)| *key).chain(SAY_NOTHING).filter(|key| !all.contains(*key)).collect();
    assert!(stale.is_empty(), "no such key: {stale:?}");
    for (key, file) in ELSEWHERE {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(key.split_once('.').unwrap().1), "{file} says nothing of {key}");
    }
}

fn collect(all: &mut BTreeSet<String>, name: &str, definition: &Value) {
    for key in definition["properties"].as_object().into_iter().flat_map(|it| it.keys()) {
        all.insert(format!("{name}.{key}"));
    }
}
