//! JSON Schema (draft 2020-12) of the toolkit file for editors, and the table of all keys for people. Both
//! are generated from the types in `model/`, so that they are always current. Copies are
//! `docs/toolkit.schema.json` and `docs/toolkit-keys.md`, and for tools `docs/tools.schema.json` and
//! `docs/tool-keys.md`. Rules about several keys (hosts, template variables) are only in the validation.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::model::{ToolFile, Toolkit};

/// The schema of a toolkit file as a JSON document.
pub fn json_schema() -> Value {
    schema_of::<Toolkit>("Switchboard toolkit")
}

/// The schema of a file with tools.
pub fn tools_json_schema() -> Value {
    schema_of::<ToolFile>("Switchboard tools")
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>().to_value();
    schema["title"] = json!(title);
    schema
}

/// All tables of a toolkit file and their keys, as Markdown.
pub fn key_reference() -> String {
    let heading = "# Every key of a toolkit file\n\nMade from the types that read the file. The guide is \
                   [toolkit-format.md](toolkit-format.md).\n";
    reference(heading, "The toolkit", &json_schema())
}

/// All tables of a file with tools and their keys, as Markdown.
pub fn tools_key_reference() -> String {
    let heading = "# Every key of a file with tools\n\nMade from the types that read the file. The guide is \
                   [tool-format.md](tool-format.md).\n";
    reference(heading, "The file", &tools_json_schema())
}

fn reference(heading: &str, root: &str, schema: &Value) -> String {
    let mut page = heading.to_owned();
    table(&mut page, root, schema);
    let definitions = schema["$defs"].as_object();
    for (name, definition) in definitions.into_iter().flatten() {
        if definition["properties"].is_object() {
            table(&mut page, &format!("`{name}`"), definition);
        } else if definition["oneOf"].is_array() {
            choices(&mut page, name, definition);
        } else if definition["type"] == "object" {
            let _ = write!(page, "\n## `{name}`\n\n{} An empty table.\n", text_of(definition));
        }
    }
    page
}

fn table(page: &mut String, heading: &str, schema: &Value) {
    let _ = write!(page, "\n## {heading}\n\n{}\n\n| Key | Type | Meaning |\n|---|---|---|\n", text_of(schema));
    rows(page, schema);
}

fn rows(page: &mut String, schema: &Value) {
    let required = |key: &str| schema["required"].as_array().is_some_and(|keys| keys.iter().any(|name| name == key));
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        if property["const"].is_string() {
            continue; // the tag of a form, which stands above its table
        }
        let needed = if required(key) { ", required" } else { "" };
        let _ = writeln!(page, "| `{key}` | {}{needed} | {} |", type_of(property), text_of(property));
    }
}

/// The values of an enumeration, or the variants of a tagged table.
fn choices(page: &mut String, name: &str, definition: &Value) {
    let _ = write!(page, "\n## `{name}`\n\n{}\n", text_of(definition));
    for choice in definition["oneOf"].as_array().into_iter().flatten() {
        if choice["properties"].is_object() {
            let tag = &choice["properties"]["method"]["const"];
            let _ =
                write!(page, "\n`method = {tag}`: {}\n\n| Key | Type | Meaning |\n|---|---|---|\n", text_of(choice));
            rows(page, choice);
        } else {
            let values = choice["enum"].as_array().cloned().unwrap_or_else(|| vec![choice["const"].clone()]);
            for value in values {
                let _ = write!(page, "\n- `{value}`: {}", text_of(choice));
            }
        }
    }
    page.push('\n');
}

fn text_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn type_of(schema: &Value) -> String {
    let name = |reference: &str| {
        let name = reference.rsplit('/').next().unwrap_or_default();
        format!("[{name}](#{})", name.to_lowercase())
    };
    if let Some(reference) = schema["$ref"].as_str() {
        return name(reference);
    }
    if let Some(reference) = schema["anyOf"][0]["$ref"].as_str() {
        return name(reference);
    }
    if let Some(reference) = schema["allOf"][0]["$ref"].as_str() {
        return name(reference);
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or_default(),
        _ => "any value",
    };
    match kind {
        "array" => format!("list of {}", type_of(&schema["items"])),
        "object" => "table of texts".to_owned(),
        other => other.to_owned(),
    }
}
