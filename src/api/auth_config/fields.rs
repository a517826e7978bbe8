//! Shared parts of the bodies of `/auth_configs`: credentials, scopes, shared fields, and what this
//! server rejects.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};
use switchboard_vault::{Secret, Secrets};

use crate::api::account::state_view::REDACTED;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Credentials of an auth config by name: `client_id`, `client_secret`, `oauth_redirect_uri`, `scopes`
/// and `user_scopes`, if its scheme uses them.
pub type Credentials = BTreeMap<String, Value>;

/// Scopes: a string, separated by spaces or commas, or a list.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the two forms; they are read by hand, for better messages")]
pub enum Scopes {
    /// Separated by spaces or commas.
    Text(String),
    /// One per item.
    List(Vec<String>),
}

/// Rejects fields that this server does not support.
pub fn reject_unsupported(proxy_config: Option<&Value>, sealed_credentials: Option<&Value>, at: &str) -> Result<()> {
    let refused = |name: &str, why: &str| {
        Err(Error::new(Code::AuthConfigBadRequest, format!("{at}{name} is not taken: {why}"))
            .fix(format!("Leave {name} out.")))
    };
    if proxy_config.is_some_and(|value| !value.is_null()) {
        return refused("proxy_config", "this server has no egress proxy per auth config");
    }
    if sealed_credentials.is_some_and(|value| !value.is_null()) {
        return refused("sealed_credentials", "this server cannot open credentials that another server sealed");
    }
    Ok(())
}

/// Scopes from either form; `null` and empty ones are none.
pub fn scopes_of(value: Value, at: &str) -> Result<Vec<String>> {
    let wrong = || Error::field(at, "must be a string or a list of strings");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => {
            Ok(text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(ToOwned::to_owned).collect())
        }
        list => serde_json::from_value(list).map_err(|_| wrong()),
    }
}

/// Takes scopes out of credentials.
pub fn take_scopes(credentials: &mut Credentials, name: &str, at: &str) -> Result<Option<Vec<String>>> {
    credentials.remove(name).map(|value| scopes_of(value, &format!("{at}.{name}"))).transpose()
}

/// Takes a string out of credentials; `null` is the empty one.
pub fn take_text(credentials: &mut Credentials, name: &str, at: &str) -> Result<Option<String>> {
    match credentials.remove(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::field(&format!("{at}.{name}"), "must be a string")),
    }
}

/// The strings among values by name, `null` as none.
pub fn texts(values: impl IntoIterator<Item = (String, Value)>, at: &str) -> Result<BTreeMap<String, Option<Secret>>> {
    let mut texts = BTreeMap::new();
    for (name, value) in values {
        let text = match value {
            Value::Null => None,
            // A masked value that is sent back would replace the secret.
            Value::String(text) if text == REDACTED => {
                let problem = "is what answers show instead of a secret; give the secret itself, or leave it out";
                return Err(Error::field(&format!("{at}.{}", truncate(&name)), problem));
            }
            Value::String(text) => Some(Secret::new(text)),
            _ => return Err(Error::field(&format!("{at}.{}", truncate(&name)), "must be a string")),
        };
        texts.insert(name, text);
    }
    Ok(texts)
}

/// Shared fields under either of their names; none when neither is given.
pub fn shared_of(
    fields: Option<Map<String, Value>>,
    older: Option<Map<String, Value>>,
    at: &str,
) -> Result<Option<Secrets>> {
    let (given, name) = match (fields, older) {
        (Some(given), _) => (given, "shared_connection_fields"),
        (None, Some(given)) => (given, "shared_credentials"),
        (None, None) => return Ok(None),
    };
    let mut shared = Secrets::new();
    for (name, text) in texts(given, &format!("{at}{name}"))? {
        if let Some(text) = text {
            shared.insert(&name, text);
        }
    }
    Ok(Some(shared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth_config;
    use crate::api::auth_config::{changes, view};

    #[test]
    fn the_schemas_show_what_is_taken_and_always_there() {
        let body = schemars::schema_for!(changes::PatchBody).to_value();
        assert_eq!(body["required"], serde_json::json!(["type"]), "{body:#}");
        let create = schemars::schema_for!(auth_config::Body).to_value();
        let config = &create["$defs"]["NewAuthConfig"];
        assert!(config.get("required").is_none(), "{config:#}");
        for schema in [&body, config] {
            assert!(schema["properties"].get("shared_connection_fields").is_some(), "{schema:#}");
            for hidden in ["proxy_config", "sealed_credentials"] {
                assert!(schema["properties"].get(hidden).is_none(), "{hidden}: {schema:#}");
            }
        }
        let answer = schemars::schema_for!(view::AuthConfig).to_value();
        let required = answer["required"].as_array().unwrap();
        let properties = answer["properties"].as_object().unwrap();
        // Schemes without a browser have none.
        let missing: Vec<&String> =
            properties.keys().filter(|name| !required.contains(&(*name).as_str().into())).collect();
        assert_eq!(missing, ["redirect_uri"], "{answer:#}");
    }

    #[test]
    fn scopes_are_a_text_or_a_list() {
        let of = |value| scopes_of(value, "scopes").ok();
        assert_eq!(of("a, b c".into()), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!(of(serde_json::json!(["a b"])), Some(vec!["a b".to_owned()]));
        assert_eq!((of(Value::Null), of("".into())), (Some(Vec::new()), Some(Vec::new())));
        assert_eq!((of(5.into()), of(serde_json::json!([5]))), (None, None));
    }
}
