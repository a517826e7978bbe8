//! Random schemas: what is made of them stays within the profile, and takes what they take.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{options, request, rules, schema, try_import, with_body};

/// A schema of an `OpenAPI` document.
fn any_schema() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(json!({ "type": "string" })),
        Just(json!({ "type": "string", "enum": ["a", "b", "c"] })),
        Just(json!({ "type": "string", "minLength": 1, "maxLength": 3 })),
        Just(json!({ "type": "string", "pattern": "^[a-z]+$" })),
        Just(json!({ "type": "string", "format": "date" })),
        Just(json!({ "const": "a" })),
        Just(json!({ "type": "string", "nullable": true, "default": "x" })),
    ];
    let other = prop_oneof![
        Just(json!({ "type": "integer", "minimum": 1, "maximum": 9 })),
        Just(json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": true })),
        Just(json!({ "type": "number", "exclusiveMaximum": 5 })),
        Just(json!({ "enum": [1, 2, 3] })),
        Just(json!({ "type": "boolean" })),
        Just(json!({ "type": ["string", "integer"] })),
        Just(json!({})),
        Just(json!(true)),
        Just(json!({ "type": "array" })),
        Just(json!({ "type": "object" })),
        Just(json!({ "$ref": "#/components/schemas/Tree" })),
        Just(json!({ "$ref": "#/components/schemas/Name" })),
    ];
    prop_oneof![text, other].prop_recursive(4, 40, 4, |inner| {
        let properties = prop::collection::btree_map("[a-c]", inner.clone(), 0..4);
        let object = (properties, prop::collection::vec("[a-d]", 0..2), prop::option::of(inner.clone())).prop_map(
            |(properties, required, additional)| {
                let mut schema = json!({ "type": "object", "properties": properties, "required": required });
                if let Some(additional) = additional {
                    schema["additionalProperties"] = additional;
                }
                schema
            },
        );
        let several = |key: &'static str| {
            prop::collection::vec(inner.clone(), 1..4).prop_map(move |schemas| json!({ key: schemas }))
        };
        prop_oneof![
            3 => object,
            1 => inner.clone().prop_map(|items| json!({ "type": "array", "items": items, "maxItems": 3 })),
            1 => several("oneOf"),
            1 => several("anyOf"),
            1 => several("allOf"),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, other)| json!({
                "allOf": [one], "anyOf": [other, { "type": "object", "required": ["a"] }], "not": { "type": "null" },
            })),
        ]
    })
}

/// A value, mostly of the forms that the schemas have.
fn any_instance() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        4 => prop_oneof![Just("a"), Just("b"), Just("abc"), Just("2026-12-31"), Just("")].prop_map(Value::from),
        4 => (0..11_i64).prop_map(Value::from),
        1 => Just(json!(1.5)),
        1 => any::<bool>().prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}

fn schemas() -> Value {
    json!({
        "Name": { "type": "string", "description": "A name." },
        "Tree": { "type": "object", "properties": { "a": { "$ref": "#/components/schemas/Name" }, "b": { "$ref": "#/components/schemas/Tree" } } },
    })
}

/// The schema as the validator reads it: `nullable` and boolean `exclusiveMinimum` are those of 3.0, and an object has no
/// members that it does not name, as in tools.
fn judge(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut judged = Map::new();
    for (key, member) in members {
        let member = match (key.as_str(), member) {
            ("$ref", Value::String(name)) => json!(name.replace("#/components/schemas/", "#/$defs/")),
            ("properties" | "$defs", Value::Object(inner)) => {
                inner.iter().map(|(name, inner)| (name.clone(), judge(inner))).collect()
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => inner.iter().map(judge).collect(),
            ("items" | "additionalProperties" | "not", inner) => judge(inner),
            (_, other) => other.clone(),
        };
        judged.insert(key.clone(), member);
    }
    if judged.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty()) {
        judged.entry("additionalProperties").or_insert(json!(false));
    }
    if judged.remove("exclusiveMinimum") == Some(json!(true)) {
        let minimum = judged.remove("minimum").unwrap_or_default();
        judged.insert("exclusiveMinimum".to_owned(), minimum);
    }
    if judged.remove("nullable").is_some() {
        let kind = judged["type"].clone();
        judged.insert("type".to_owned(), json!([kind, "null"]));
    }
    judged.into()
}

/// Whether a list stands directly in a list: what may be anything is not written out so deep.
fn has_list_in_list(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| item.is_array() || has_list_in_list(item)),
        Value::Object(members) => members.values().any(has_list_in_list),
        _ => false,
    }
}

/// Names of members that a schema of a tool does not take, at any depth: what a document allows without naming it.
fn has_unnamed(schema: &Value, value: &Value) -> bool {
    let options = schema["anyOf"].as_array().map_or_else(|| vec![schema], |options| options.iter().collect());
    let fits = |option: &&Value| match value {
        Value::Object(members) if option["type"] == "object" => members.iter().all(|(name, member)| {
            let inner = option["properties"].get(name).or_else(|| option.get("additionalProperties"));
            inner.is_some_and(|inner| inner == true || !has_unnamed(inner, member))
        }),
        Value::Array(items) if option["type"] == "array" => {
            items.iter().all(|item| !has_unnamed(&option["items"], item))
        }
        Value::Object(_) | Value::Array(_) => false,
        _ => true,
    };
    !options.iter().any(fits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_schemas_stay_within_the_profile_and_take_what_they_took(
        schema in any_schema(),
        instances in prop::collection::vec(any_instance(), 24),
    ) {
        let body = json!({ "type": "object", "properties": { "value": schema } });
        let Ok(imported) = try_import(with_body(&body, schemas()), &options()) else { return Ok(()) };
        let tool = imported.tool();
        let written = self::schema(tool);
        prop_assert_eq!(rules::broken(&written), Vec::<String>::new());
        prop_assert!(jsonschema::draft202012::meta::is_valid(&written));
        let Some(value_schema) = written["properties"].get("value") else { return Ok(()) };
        let mut judged = judge(&schema);
        if let Value::Object(judged) = &mut judged {
            let defs: Map<String, Value> = schemas().as_object().unwrap().iter().map(|(name, schema)| (name.clone(), judge(schema))).collect();
            judged.insert("$defs".to_owned(), defs.into());
        }
        let before = jsonschema::draft202012::options().should_validate_formats(true).build(&judged).unwrap();
        let after = jsonschema::draft202012::options().should_validate_formats(true).build(value_schema).unwrap();
        for instance in instances.iter().filter(|instance| before.is_valid(instance)) {
            if has_list_in_list(instance) {
                continue;
            }
            prop_assert!(after.is_valid(instance), "{} is refused by {}", instance, value_schema);
            if !has_unnamed(value_schema, instance) {
                let sent = request(tool, &json!({ "value": instance }));
                prop_assert!(sent.is_ok(), "{} {} {:?}", instance, value_schema, sent.err());
                let sent: Value = serde_json::from_slice(&sent.unwrap().body.unwrap().bytes).unwrap();
                prop_assert_eq!(&sent["value"], instance);
            }
        }
    }

    #[test]
    fn any_value_as_a_document_is_read_without_a_panic(value in any_instance(), text in ".{0,80}") {
        let _ = try_import(value.clone(), &options());
        let _ = try_import(json!({ "openapi": "3.0.0", "paths": { "/a": { "get": value, "post": { "parameters": [value], "requestBody": value } } } }), &options());
        let _ = switchboard_openapi::read(text.as_bytes());
    }
}
