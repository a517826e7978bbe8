//! What a change says of one field. `PATCH` bodies tell a field that is left out from one that is
//! `null` (RFC 7396), which `Option` cannot.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// What a change says of one field.
#[derive(Clone, Debug, Default)]
pub enum Change<T> {
    /// It is left out: the field stays as it is.
    #[default]
    Keep,
    /// It is `null`: the field goes, or is as at the start.
    Remove,
    /// The new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether anything is said.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The new value, which may be none; none where nothing is said.
    pub fn given(&self) -> Option<Option<&T>> {
        match self {
            Self::Keep => None,
            Self::Remove => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

impl<T: Clone> Change<T> {
    /// Changes a field that may be absent.
    pub fn apply(&self, field: &mut Option<T>) {
        if let Some(value) = self.given() {
            *field = value.cloned();
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}
