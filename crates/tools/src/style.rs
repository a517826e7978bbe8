//! How values are written outside of a JSON body (the styles of `OpenAPI` 3.1).

use serde_json::{Map, Value};
use switchboard_catalog::Style;

/// A value as text: without quotes, lists and objects as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The pairs that a value becomes in a query or a form.
pub(crate) fn pairs(name: &str, value: &Value, style: Option<Style>) -> Vec<(String, String)> {
    match (value, style) {
        (value, Some(Style::Json)) => vec![(name.to_owned(), value.to_string())],
        (Value::Array(items), _) => list(name, items, style),
        (Value::Object(members), Some(Style::Commas)) => vec![(name.to_owned(), flat(members, ","))],
        (Value::Object(members), Some(Style::Members)) => {
            members.iter().flat_map(|(name, value)| pairs(name, value, Some(Style::Repeated))).collect()
        }
        (Value::Object(members), _) => object(name, members),
        (value, _) => vec![(name.to_owned(), text(value))],
    }
}

fn list(name: &str, items: &[Value], style: Option<Style>) -> Vec<(String, String)> {
    match style {
        Some(Style::Repeated) => items.iter().map(|item| (name.to_owned(), text(item))).collect(),
        // Members of an object in a list, as PHP and Rails read them: `items[0][price]=a`.
        Some(Style::Brackets) if items.iter().any(Value::is_object) => {
            let numbered = items.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item));
            numbered.flat_map(|(name, item)| pairs(&name, item, style)).collect()
        }
        Some(Style::Brackets) => items.iter().map(|item| (format!("{name}[]"), text(item))).collect(),
        style => vec![(name.to_owned(), joined(items, style))],
    }
}

fn object(name: &str, members: &Map<String, Value>) -> Vec<(String, String)> {
    let of_member =
        |(member, value): (&String, &Value)| pairs(&format!("{name}[{member}]"), value, Some(Style::Brackets));
    members.iter().flat_map(of_member).collect()
}

/// A value as one text, in a path or a header.
pub(crate) fn single(value: &Value, style: Option<Style>) -> String {
    match (value, style) {
        (value, Some(Style::Json)) => value.to_string(),
        (Value::Array(items), _) => joined(items, style),
        (Value::Object(members), Some(Style::Assignments)) => flat(members, "="),
        (Value::Object(members), Some(Style::Commas)) => flat(members, ","),
        (value, _) => text(value),
    }
}

/// An object as one text: `width,1,height,2` or `width=1,height=2`.
fn flat(members: &Map<String, Value>, between: &str) -> String {
    members.iter().map(|(name, value)| format!("{name}{between}{}", text(value))).collect::<Vec<_>>().join(",")
}

fn joined(items: &[Value], style: Option<Style>) -> String {
    let separator = match style {
        Some(Style::Spaces) => " ",
        Some(Style::Pipes) => "|",
        _ => ",",
    };
    items.iter().map(text).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(value: &Value, style: Style) -> String {
        let pairs = pairs("a", value, Some(style));
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn each_style_is_written_as_the_standard_says() {
        let list = json!(["x", 2, true]);
        assert_eq!(query(&list, Style::Repeated), "a=x&a=2&a=true");
        assert_eq!(query(&list, Style::Commas), "a=x,2,true");
        assert_eq!(query(&list, Style::Spaces), "a=x 2 true");
        assert_eq!(query(&list, Style::Pipes), "a=x|2|true");
        assert_eq!(query(&list, Style::Brackets), "a[]=x&a[]=2&a[]=true");
        let object = json!({ "x": "y", "list": [1, 2], "in": { "ner": false } });
        assert_eq!(query(&object, Style::DeepObject), "a[in][ner]=false&a[list][]=1&a[list][]=2&a[x]=y");
        assert_eq!(query(&json!([{ "x": 1 }, { "x": 2 }]), Style::Brackets), "a[0][x]=1&a[1][x]=2");
        assert_eq!(query(&json!([]), Style::Repeated), "");
        let size = json!({ "height": 2, "of": ["x", "y"], "width": 1 });
        assert_eq!(query(&size, Style::Members), "height=2&of=x&of=y&width=1");
        assert_eq!(query(&json!({ "height": 2, "width": 1 }), Style::Commas), "a=height,2,width,1");
        assert_eq!(query(&json!({ "width": 1 }), Style::Json), r#"a={"width":1}"#);
        assert_eq!(query(&json!("x"), Style::Json), r#"a="x""#);
        let one = |value: Value, style| single(&value, Some(style));
        assert_eq!(one(json!({ "height": 2, "width": 1 }), Style::Assignments), "height=2,width=1");
        assert_eq!(one(json!({ "height": 2, "width": 1 }), Style::Commas), "height,2,width,1");
        assert_eq!(one(json!([1, 2]), Style::Json), "[1,2]");
    }
}
