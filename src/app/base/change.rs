//! A change of one field in a `PATCH` body. It distinguishes an absent field from `null` (RFC 7396), which
//! `Option` cannot.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// A change of one field.
#[derive(Clone, Debug, Default)]
pub enum Change<T> {
    /// Absent: the field stays as it is.
    #[default]
    Keep,
    /// `null`: the field is removed or reset to its default.
    Remove,
    /// The new value.
    Set(T),
}

impl<T> Change<T> {
    /// Whether the field is present.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The new value. The outer `None` means absent, the inner one means `null`.
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
