//! `{authScheme, val}`: a connection's state in requests (contract section 4.3). `state_view.rs` has
//! its form in responses.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use switchboard_vault::{Secret, Secrets};

use crate::app::link::direct::KnownFields;
use crate::error::{Error, Result};
use crate::text::truncate;

/// A connection's state in a request. Values are a credential or connection fields, by name; names that
/// the toolkit does not have are ignored.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StateInput")]
pub struct StateBody {
    /// Scheme, such as `OAUTH2` or `API_KEY`: the auth config's own.
    #[serde(rename = "authScheme")]
    pub auth_scheme: String,
    /// Values by name.
    pub val: Map<String, Value>,
}

impl StateBody {
    /// The values as strings; a `null` value counts as omitted.
    pub fn into_known(self) -> Result<KnownFields> {
        let mut values = Secrets::new();
        for (name, value) in self.val {
            if let Some(text) = text_of(&name, value)? {
                values.insert(&name, text);
            }
        }
        Ok(KnownFields { scheme: self.auth_scheme, values })
    }
}

/// A value as a string: numbers and booleans as written, lists separated by spaces. Objects, such as
/// additional token data of a provider, are ignored.
pub fn text_of(name: &str, value: Value) -> Result<Option<Secret>> {
    let wrong = || Error::field(&format!("val.{}", truncate(name)), "must be a list of strings");
    match value {
        Value::Null | Value::Object(_) => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        Value::Bool(flag) => Ok(Some(flag.to_string().into())),
        Value::Number(number) => Ok(Some(number.to_string().into())),
        Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Ok(Some(items.ok_or_else(wrong)?.join(" ").into()))
        }
    }
}

crate::redacted_debug!(StateBody);
