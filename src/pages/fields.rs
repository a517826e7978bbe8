//! JSON Schemas for readers: a nested list of fields with type, limits and description.

use serde::Serialize;
use serde_json::Value;

/// Deeper fields are only in the `OpenAPI` document.
const MAX_DEPTH: usize = 7;

/// One field of an object.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Field {
    name: String,
    kind: String,
    required: bool,
    limits: Vec<String>,
    description: String,
    fields: Vec<Field>,
}

/// Reads the schemas of one document.
#[derive(Debug)]
pub struct Fields<'a> {
    document: &'a Value,
}

impl<'a> Fields<'a> {
    /// From a document.
    pub fn of(document: &'a Value) -> Self {
        Self { document }
    }

    /// The fields of an object.
    pub fn of_schema(&self, schema: &Value) -> Vec<Field> {
        self.fields(schema, &mut Vec::new())
    }

    /// A type in words, with its limits.
    pub fn kind(&self, schema: &Value) -> String {
        let (kind, limits) = (self.type_of(schema), self.limits(schema));
        if limits.is_empty() { kind } else { format!("{kind} ({})", limits.join("; ")) }
    }

    fn fields(&self, schema: &Value, above: &mut Vec<String>) -> Vec<Field> {
        let depth = above.len();
        if let Some(name) = reference(schema) {
            // A recursive type is shown once.
            if above.iter().any(|seen| seen == name) {
                return Vec::new();
            }
            above.push(name.to_owned());
        } else {
            above.push(String::new());
        }
        let resolved = self.resolve(schema);
        let fields = if depth < MAX_DEPTH { self.inside(resolved, above) } else { Vec::new() };
        above.pop();
        fields
    }

    fn inside(&self, schema: &Value, above: &mut Vec<String>) -> Vec<Field> {
        if let Some(forms) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            return forms.iter().flat_map(|form| self.fields(form, above)).collect();
        }
        let mut fields = Vec::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            fields.push(self.field(name, property, required.contains(&name.as_str()), above));
        }
        // Required fields come first.
        fields.sort_by_key(|field| !field.required);
        if let Some(items) = schema.get("items") {
            fields.extend(self.fields(items, above));
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            let inner = self.fields(values, above);
            if !inner.is_empty() {
                fields.push(Field {
                    name: "<any key>".to_owned(),
                    kind: self.type_of(values),
                    fields: inner,
                    ..Field::default()
                });
            }
        }
        fields
    }

    fn field(&self, name: &str, property: &Value, required: bool, above: &mut Vec<String>) -> Field {
        let own = property["description"].as_str();
        let of_type = self.resolve(without_null(property))["description"].as_str();
        Field {
            name: name.to_owned(),
            kind: self.type_of(property),
            required,
            limits: self.limits(property),
            description: own.or(of_type).unwrap_or_default().to_owned(),
            fields: self.fields(property, above),
        }
    }

    fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let found = reference(schema).and_then(|name| self.document["components"]["schemas"].get(name));
        found.unwrap_or(schema)
    }

    fn type_of(&self, schema: &Value) -> String {
        let schema = self.resolve(without_null(schema));
        if let Some(value) = schema.get("const") {
            return value.to_string();
        }
        if let Some(words) = words(schema) {
            return words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        }
        if let Some(forms) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            let mut kinds: Vec<String> =
                forms.iter().filter(|form| !is_null(form)).map(|form| self.type_of(form)).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
            _ => return "any JSON".to_owned(),
        };
        let named = |kind: &&str| match *kind {
            "array" => format!("list of {}", self.type_of(&schema["items"])),
            "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
                Some(values) => format!("object of {}", self.type_of(values)),
                None => "object".to_owned(),
            },
            other => other.to_owned(),
        };
        kinds.iter().map(named).collect::<Vec<_>>().join(" or ")
    }

    fn limits(&self, schema: &Value) -> Vec<String> {
        let schema = self.resolve(without_null(schema));
        let number = |key: &str| schema.get(key).filter(|value| value.is_number()).map(ToString::to_string);
        let mut limits = Vec::new();
        let mut range = |min: &str, max: &str, unit: &str| match (number(min), number(max)) {
            (Some(min), Some(max)) => limits.push(format!("{min} to {max}{unit}")),
            (Some(min), None) if min == "1" && !unit.is_empty() => limits.push("not empty".to_owned()),
            (Some(min), None) if min != "0" => limits.push(format!("at least {min}{unit}")),
            (None, Some(max)) => limits.push(format!("at most {max}{unit}")),
            _ => {}
        };
        range("minLength", "maxLength", " characters");
        range("minItems", "maxItems", " items");
        range("minimum", "maximum", "");
        if let Some(more) = number("exclusiveMinimum") {
            limits.push(format!("more than {more}"));
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            limits.push(format!("matches {pattern}"));
        }
        if let Some(default) = schema.get("default").filter(|value| !value.is_null()) {
            limits.push(format!("default {default}"));
        }
        limits
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// The only form besides null, if there is just one.
fn without_null(schema: &Value) -> &Value {
    let Some(forms) = schema.get("anyOf").and_then(Value::as_array) else { return schema };
    let mut others = forms.iter().filter(|form| !is_null(form));
    match (others.next(), others.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// The values of an enum, in either of the forms that generators produce.
fn words(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter(|word| !word.is_null()).collect());
    }
    let forms = schema.get("oneOf").and_then(Value::as_array)?;
    let mut words = Vec::new();
    for form in forms {
        match (form.get("const"), form.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => words.push(word),
            (None, Some(some)) => words.extend(some),
            (None, None) => return None,
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_described_in_words() {
        let document = json!({ "components": { "schemas": {
            "Color": { "oneOf": [{ "const": "red", "type": "string" }, { "enum": ["blue"], "type": "string" }] },
            "Tree": { "type": "object", "required": ["leaf"], "properties": {
                "branch": { "anyOf": [{ "$ref": "#/components/schemas/Tree" }, { "type": "null" }] },
                "leaf": { "type": "string", "minLength": 1, "maxLength": 9, "description": "A leaf." },
                "colors": { "type": "array", "items": { "$ref": "#/components/schemas/Color" } },
            } },
        } } });
        let fields = Fields::of(&document).of_schema(&json!({ "$ref": "#/components/schemas/Tree" }));
        let shown: Vec<(&str, &str, bool)> =
            fields.iter().map(|field| (field.name.as_str(), field.kind.as_str(), field.required)).collect();
        assert_eq!(
            shown,
            [("leaf", "string", true), ("branch", "object", false), ("colors", "list of \"red\" | \"blue\"", false)]
        );
        assert_eq!(fields[0].limits, ["1 to 9 characters"]);
        assert!(fields[1].fields.is_empty(), "a type within itself is shown once");
    }
}
