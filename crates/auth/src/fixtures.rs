//! Toolkit data for tests, written as an author writes it.

use switchboard_catalog::OAuth2;

/// A provider with default behaviour, changed by some lines of TOML.
pub(crate) fn oauth(lines: &str) -> OAuth2 {
    let mut table: toml::Table = toml::from_str(lines).unwrap();
    for (name, path) in [("authorization_url", "authorize"), ("token_url", "token")] {
        table.entry(name).or_insert_with(|| format!("https://p.example/{path}").into());
    }
    table.try_into().unwrap()
}

/// No template variable has a value.
pub(crate) fn no_variables(_name: &str) -> Option<String> {
    None
}

/// Owned strings of a list.
pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Keys, a certificate and signed examples: `fixtures/make_jws.py` says where they come from.
pub(crate) fn jws() -> serde_json::Value {
    serde_json::from_str(include_str!("../fixtures/jws.json")).unwrap()
}
