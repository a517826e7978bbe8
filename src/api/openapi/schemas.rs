//! JSON Schemas of bodies and responses, from their Rust types, under unique names.
//!
//! A type may differ between reading and writing: a field with a default is optional in a request but
//! always present in a response. So both schemas are generated. If they are equal they become one
//! component; otherwise the request's is named `…Input`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::text::capital;

/// Path of the responses' components, and finally of all of them.
const COMPONENTS: &str = "#/components/schemas/";
/// Path of the requests' components until they have their final names.
const REQUESTS: &str = "#/requests/";
/// Rust names that mean nothing outside of their module; such a component is named after its operation.
const GENERIC_NAMES: [&str; 7] = ["Answer", "Body", "Call", "Change", "Create", "Request", "Response"];

/// Collects the schemas of a document.
pub struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    request_names: BTreeMap<String, String>,
    response_names: BTreeMap<String, String>,
}

impl Schemas {
    /// Without schemas.
    pub fn new() -> Self {
        let settings = |path: &str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.to_owned().into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings("/requests").for_deserialize().into_generator(),
            answers: settings("/components/schemas").for_serialize().into_generator(),
            request_names: BTreeMap::new(),
            response_names: BTreeMap::new(),
        }
    }

    /// The schema of a request's body.
    pub fn request(&mut self, operation: &str, of: fn(&mut SchemaGenerator) -> Schema) -> Value {
        let schema = of(&mut self.requests).to_value();
        if let Some(name) = generic_name(&schema, REQUESTS) {
            self.request_names.entry(name).or_insert_with(|| format!("{}Request", pascal_case(operation)));
        }
        schema
    }

    /// The schema of a response's body.
    pub fn response(&mut self, operation: &str, of: fn(&mut SchemaGenerator) -> Schema) -> Value {
        let schema = of(&mut self.answers).to_value();
        if let Some(name) = generic_name(&schema, COMPONENTS) {
            self.response_names.entry(name).or_insert_with(|| format!("{}Response", pascal_case(operation)));
        }
        schema
    }

    /// Adds the components to a document and rewrites the references to them.
    pub fn put_into(mut self, document: &mut Value) {
        let mut answers = self.answers.take_definitions(true);
        let mut requests = self.requests.take_definitions(true);
        for schema in answers.values_mut() {
            clean(schema);
            without_null(schema);
        }
        requests.values_mut().for_each(clean);
        let shared = shared_names(&requests, &answers);
        let final_request = |name: &str| match self.request_names.get(name) {
            _ if shared.contains(name) => final_name(name, &self.response_names),
            Some(given) => given.clone(),
            None if answers.contains_key(name) => input_name(name, &requests, &answers),
            None => name.to_owned(),
        };
        let final_response = |name: &str| final_name(name, &self.response_names);
        let rename = |reference: &str| {
            reference
                .strip_prefix(REQUESTS)
                .map(final_request)
                .or_else(|| reference.strip_prefix(COMPONENTS).map(final_response))
        };
        let mut components = Map::new();
        for (name, schema) in &answers {
            components.insert(final_response(name), schema.clone());
        }
        for (name, schema) in requests.iter().filter(|(name, _)| !shared.contains(*name)) {
            components.insert(final_request(name), schema.clone());
        }
        document["components"]["schemas"] = Value::Object(components);
        rewrite(document, &rename);
    }
}

/// `…Input`, made unique.
fn input_name(name: &str, requests: &Map<String, Value>, answers: &Map<String, Value>) -> String {
    let mut input = format!("{name}Input");
    while requests.contains_key(&input) || answers.contains_key(&input) {
        input.push('_');
    }
    input
}

fn final_name(name: &str, given: &BTreeMap<String, String>) -> String {
    given.get(name).cloned().unwrap_or_else(|| name.to_owned())
}

/// The name of a referenced component that needs a better one.
fn generic_name(schema: &Value, at: &str) -> Option<String> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix(at)?;
    GENERIC_NAMES.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit())).then(|| name.to_owned())
}

fn pascal_case(operation: &str) -> String {
    operation.split('_').map(capital).collect()
}

/// Names whose schemas are equal in requests and responses, including everything they refer to.
fn shared_names(requests: &Map<String, Value>, answers: &Map<String, Value>) -> BTreeSet<String> {
    let as_response = |schema: &Value| {
        let mut schema = schema.clone();
        rewrite(&mut schema, &|reference| reference.strip_prefix(REQUESTS).map(str::to_owned));
        schema
    };
    let mut shared_names: BTreeSet<String> = requests
        .iter()
        .filter(|(name, schema)| answers.get(*name) == Some(&as_response(schema)))
        .map(|(name, _)| name.clone())
        .collect();
    loop {
        let is_shared = |name: &String| {
            let mut all = true;
            walk(&requests[name], &mut |key, value| {
                let target = value.as_str().filter(|_| key == "$ref").and_then(|text| text.strip_prefix(REQUESTS));
                all &= target.is_none_or(|target| shared_names.contains(target));
            });
            all
        };
        let remaining: BTreeSet<String> = shared_names.iter().filter(|name| is_shared(name)).cloned().collect();
        if remaining.len() == shared_names.len() {
            return remaining;
        }
        shared_names = remaining;
    }
}

/// Visits every key of every object.
fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            visit(key, value);
            walk(value, visit);
        }),
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

/// Rewrites references to their final names.
fn rewrite(value: &mut Value, rename: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "$ref" => {
                        if let Some(name) = rename(text) {
                            *text = format!("{COMPONENTS}{name}");
                        }
                    }
                    other => rewrite(other, rename),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, rename)),
        _ => {}
    }
}

/// Removes noise: defaults that are null, line breaks of source comments.
fn clean(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraphs: Vec<String> = text
                    .split("\n\n")
                    .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
                    .collect();
                *text = paragraphs.join("\n\n");
            }
            map.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

/// A response omits absent values, so an optional field is never null.
fn without_null(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(without_null);
    }
    let Value::Object(map) = schema else { return };
    let required: Vec<String> = map
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            if !required.contains(name) {
                drop_null(property);
            }
        }
    }
    map.values_mut().for_each(without_null);
}

fn drop_null(property: &mut Value) {
    let Value::Object(map) = property else { return };
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(forms)) = map.get_mut("anyOf") else { return };
    forms.retain(|form| form.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = forms.as_slice() {
        let only = only.clone();
        map.remove("anyOf");
        // The field's description takes precedence over its type's.
        for (key, value) in only {
            map.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Both {
        same: Same,
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<String>,
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Same {
        text: String,
    }

    #[derive(Deserialize, Serialize, JsonSchema)]
    struct Body {
        both: Both,
    }

    #[test]
    fn requests_and_responses_share_only_equal_schemas() {
        let mut schemas = Schemas::new();
        let request = schemas.request("post_thing", SchemaGenerator::subschema_for::<Body>);
        let answer = schemas.response("get_thing", SchemaGenerator::subschema_for::<Both>);
        let mut document = json!({ "request": request, "answer": answer, "components": {} });
        schemas.put_into(&mut document);
        assert_eq!(document["request"]["$ref"], "#/components/schemas/PostThingRequest");
        assert_eq!(document["answer"]["$ref"], "#/components/schemas/Both");
        let components = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(components.keys().collect::<Vec<_>>(), ["Both", "BothInput", "PostThingRequest", "Same"]);
        assert_eq!(components["Both"]["properties"]["maybe"]["type"], "string", "never null in an answer");
        assert_eq!(components["BothInput"]["properties"]["maybe"]["type"], json!(["string", "null"]));
        assert_eq!(components["BothInput"]["properties"]["same"]["$ref"], "#/components/schemas/Same");
        assert_eq!(components["PostThingRequest"]["properties"]["both"]["$ref"], "#/components/schemas/BothInput");
    }
}
