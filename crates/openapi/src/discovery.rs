//! Google's discovery documents as `OpenAPI` documents.

use serde_json::{Map, Value, json};

/// Whether a document is one.
pub(crate) fn is_discovery(root: &Value) -> bool {
    root.get("kind").is_some_and(|kind| kind == "discovery#restDescription") || root.get("discoveryVersion").is_some()
}

/// The same operations as `OpenAPI`.
pub(crate) fn to_openapi(root: &Value) -> Value {
    let base = format!("{}{}", text(root, "rootUrl"), text(root, "servicePath"));
    let mut paths = Map::new();
    resources(root, &mut paths);
    let schemas: Map<String, Value> =
        members(root, "schemas").map(|(name, value)| (name.clone(), schema(value))).collect();
    let scopes: Map<String, Value> = root
        .pointer("/auth/oauth2/scopes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(scope, value)| (scope.clone(), text(value, "description").into()))
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": text(root, "title"), "version": text(root, "version"), "description": text(root, "description") },
        "externalDocs": { "url": text(root, "documentationLink") },
        "servers": [{ "url": base.trim_end_matches('/') }],
        "paths": paths,
        "components": { "schemas": schemas },
    });
    if !scopes.is_empty() {
        document["components"]["securitySchemes"] = json!({ "oauth2": { "type": "oauth2", "flows": { "authorizationCode": {
            "authorizationUrl": "https://accounts.google.com/o/oauth2/v2/auth",
            "tokenUrl": "https://oauth2.googleapis.com/token",
            "scopes": scopes,
        } } } });
    }
    document
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn members<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// Adds the methods of resources within resources. The reader limits how deep they are.
fn resources(parent: &Value, paths: &mut Map<String, Value>) {
    for (_, found) in members(parent, "methods") {
        let path = if text(found, "flatPath").is_empty() { text(found, "path") } else { text(found, "flatPath") };
        let path = format!("/{}", path.trim_start_matches('/').replace("{+", "{"));
        let item = paths.entry(path.clone()).or_insert_with(|| json!({}));
        item[text(found, "httpMethod").to_ascii_lowercase()] = operation(found, &path);
    }
    for (_, resource) in members(parent, "resources") {
        resources(resource, paths);
    }
}

fn operation(found: &Value, path: &str) -> Value {
    let mut parameters = Vec::new();
    for (name, value) in members(found, "parameters") {
        let place = text(value, "location");
        // A flat path has other names for the parts of a resource's name.
        if place == "path" && !path.contains(&format!("{{{name}}}")) {
            continue;
        }
        let mut parameter =
            json!({ "name": name, "in": place, "schema": schema(value), "description": text(value, "description") });
        parameter["required"] = (place == "path" || value.get("required") == Some(&Value::Bool(true))).into();
        parameters.push(parameter);
    }
    let scopes: Vec<Value> = found
        .get("scopes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|scope| json!({ "oauth2": [scope] }))
        .collect();
    let mut operation = json!({
        "operationId": text(found, "id"),
        "description": text(found, "description"),
        "parameters": parameters,
        "responses": { "200": response(found) },
    });
    if !scopes.is_empty() {
        operation["security"] = scopes.into();
    }
    if let Some(reference) = found.pointer("/request/$ref").and_then(Value::as_str) {
        let content =
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{reference}") } } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if found.get("deprecated") == Some(&Value::Bool(true)) {
        operation["deprecated"] = true.into();
    }
    operation
}

fn response(found: &Value) -> Value {
    match found.pointer("/response/$ref").and_then(Value::as_str) {
        Some(reference) => {
            json!({ "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{reference}") } } } })
        }
        None => json!({}),
    }
}

/// A schema or a parameter: references by name, `repeated`, types of their own.
fn schema(value: &Value) -> Value {
    let Some(found) = value.as_object() else { return json!({}) };
    let mut schema = Map::new();
    for (key, member) in found {
        match (key.as_str(), member) {
            ("$ref", Value::String(name)) => {
                schema.insert("$ref".to_owned(), format!("#/components/schemas/{name}").into());
            }
            ("type", Value::String(name)) if name == "any" => {}
            ("properties", Value::Object(properties)) => {
                let properties: Map<String, Value> =
                    properties.iter().map(|(name, property)| (name.clone(), self::schema(property))).collect();
                schema.insert("properties".to_owned(), properties.into());
            }
            ("items" | "additionalProperties", member) => {
                schema.insert(key.clone(), self::schema(member));
            }
            ("minimum" | "maximum", Value::String(number)) => {
                if let Ok(number) = number.parse::<f64>() {
                    schema.insert(key.clone(), json!(number));
                }
            }
            ("format", Value::String(format)) if format.starts_with("google-") => {}
            ("pattern", _) if found.get("location").is_some() => {}
            (
                "description" | "type" | "enum" | "default" | "format" | "pattern" | "readOnly" | "deprecated",
                member,
            ) => {
                schema.insert(key.clone(), member.clone());
            }
            _ => {}
        }
    }
    // 64-bit numbers are texts in JSON, whose limits are no limits of texts.
    if found.get("repeated") == Some(&Value::Bool(true)) {
        return json!({ "type": "array", "items": schema });
    }
    Value::Object(schema)
}
