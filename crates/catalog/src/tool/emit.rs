//! The schemas that clients get, and where an argument goes.

use serde_json::{Map, Value, json};

use super::check::path_names;
use crate::model::{Argument, Location, Tool};

impl Tool {
    /// Where an argument goes.
    pub fn location(&self, name: &str, argument: &Argument) -> Location {
        argument.location.unwrap_or_else(|| {
            if path_names(&self.path).unwrap_or_default().contains(&name) {
                Location::Path
            } else if self.method.has_body() {
                Location::Body
            } else {
                Location::Query
            }
        })
    }

    /// The name of an argument at the provider.
    pub fn wire_name<'a>(&'a self, name: &'a str, argument: &'a Argument) -> &'a str {
        argument.wire_name.as_deref().unwrap_or(name)
    }

    /// The JSON Schema of one argument.
    pub(super) fn argument_schema(argument: &Argument) -> Map<String, Value> {
        let mut schema = argument.schema.clone();
        if !argument.required_members.is_empty() {
            schema.insert("required".to_owned(), json!(argument.required_members));
        }
        schema
    }

    /// The JSON Schema of the arguments: an object, with nothing else at its root. Keys are sorted, so that its bytes
    /// are always the same.
    pub fn input_schema(&self) -> Map<String, Value> {
        let mut properties: Map<String, Value> =
            self.input.iter().map(|(name, argument)| (name.clone(), Self::argument_schema(argument).into())).collect();
        for (name, schema) in &mut properties {
            name_files(name, schema);
        }
        let required: Vec<&String> =
            self.input.iter().filter(|(_, argument)| argument.required).map(|(name, _)| name).collect();
        let mut schema = Map::new();
        schema.insert("properties".to_owned(), properties.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        schema.insert("type".to_owned(), "object".into());
        schema
    }

    /// The JSON Schema of the result. Every property may be missing: it describes what the provider's documents say.
    pub fn output_schema(&self) -> Map<String, Value> {
        let mut properties: Map<String, Value> =
            self.output.iter().map(|(name, schema)| (name.clone(), schema.clone().into())).collect();
        if self.download {
            properties.insert("file".to_owned(), file_schema());
        }
        let mut schema = Map::new();
        schema.insert("properties".to_owned(), properties.into());
        schema.insert("type".to_owned(), "object".into());
        schema
    }
}

/// Gives arguments that are files a title, where they have none: an SDK that sends files by itself makes `title: null` of
/// a missing one, which is no JSON Schema.
fn name_files(name: &str, schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    if members.get("file_uploadable") == Some(&Value::Bool(true)) && !members.contains_key("title") {
        let mut letters = name.chars();
        let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        members.insert("title".to_owned(), title.replace('_', " ").into());
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        for (name, schema) in properties {
            name_files(name, schema);
        }
    }
    if let Some(items) = members.get_mut("items") {
        name_files(name, items);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(variants)) = members.get_mut(key) {
            for variant in variants {
                name_files(name, variant);
            }
        }
    }
}

/// The schema of a file in a result. SDKs that see the mark fetch what is under `s3url`.
fn file_schema() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    json!({
        "description": "The file.",
        "file_downloadable": true,
        "properties": {
            "expires_at": text("When the URL ends, ISO 8601."),
            "mimetype": text("Its media type."),
            "name": text("Its name."),
            "s3key": text("Names the file in an argument of another tool."),
            "s3url": text("Where it can be fetched, for a while."),
            "size": json!({ "description": "Bytes.", "type": "integer" }),
            "url": text("The same on a server that is not at a public address."),
        },
        "type": "object",
    })
}
