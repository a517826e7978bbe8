//! JSON Schemas of the fields that accept more than one form and have a hand-written `Deserialize`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::blocks::PreloadTools;
use super::experimental::{Instant, InstantRules};
use super::{OneOrMany, Tag, Tags, TagsObject};

/// Adds the alias of `instant`, which schemars does not derive from serde's alias.
pub(super) fn with_premium_usage(schema: &mut Schema) {
    let Some(instant) = schema.pointer("/properties/instant").cloned() else { return };
    if let Some(serde_json::Value::Object(properties)) = schema.get_mut("properties") {
        let mut other = instant;
        other["description"] = "Another name of `instant`; give one of them.".into();
        properties.insert("premium_usage".to_owned(), other);
    }
}

impl JsonSchema for Tags {
    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::Tags").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<Vec<Tag>>();
        let object = TagsObject::json_schema(generator);
        json_schema!({
            "description": "A list of tags, which means `enable`, or an object.",
            "anyOf": [list, object],
        })
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "ConnectedAccountIds".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::OneOrMany").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
        if generator.contract().is_serialize() {
            return list;
        }
        json_schema!({
            "description": "Ids of connected accounts; older clients send a single one without the list.",
            "anyOf": [list, { "type": "string" }],
        })
    }
}

impl JsonSchema for PreloadTools {
    fn schema_name() -> Cow<'static, str> {
        "PreloadTools".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::PreloadTools").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Tool slugs, or the word `all`.",
            "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "const": "all" }],
        })
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::Instant").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<InstantRules>();
        json_schema!({
            "description": "`false`, or which calls may be billed.",
            "anyOf": [{ "const": false }, rules],
        })
    }
}
