//! Writes toolkits and tools as TOML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Keys of a toolkit in the order in which people read them; tables follow.
const TOOLKIT_KEYS: [&str; 13] = [
    "slug",
    "name",
    "description",
    "categories",
    "app_url",
    "auth_guide_url",
    "color",
    "version",
    "base_url",
    "hosts",
    "paths",
    "sources",
    "unverified",
];
/// Keys of a tool in the order in which people read them; `input` and `output` follow.
const TOOL_KEYS: [&str; 18] = [
    "slug",
    "title",
    "description",
    "use_cases",
    "effect",
    "deprecated",
    "method",
    "path",
    "body",
    "content_type",
    "wrap",
    "template",
    "query",
    "headers",
    "scopes",
    "download",
    "error_when",
    "paging",
];

/// The text of a `toolkit.toml`.
pub(crate) fn toolkit(keys: &Map<String, Value>, comment: &str) -> String {
    let mut text = format!("# {comment}\n");
    lines(&mut text, keys, &TOOLKIT_KEYS);
    for (name, table) in keys.iter().filter(|(name, _)| !TOOLKIT_KEYS.contains(&name.as_str())) {
        match table {
            Value::Array(tables) => {
                for table in tables {
                    let _ = writeln!(text, "\n[[{name}]]");
                    members(&mut text, table);
                }
            }
            table => {
                let _ = writeln!(text, "\n[{name}]");
                members(&mut text, table);
            }
        }
    }
    text
}

/// The text of a `tools.toml`.
pub(crate) fn tools(tools: &[Value], comment: &str) -> String {
    let mut text = format!("# {comment}\n");
    for tool in tools.iter().filter_map(Value::as_object) {
        text.push_str("\n[[tools]]\n");
        lines(&mut text, tool, &TOOL_KEYS);
        let others = tool.iter().filter(|(name, _)| !TOOL_KEYS.contains(&name.as_str()));
        let (tables, others): (Vec<_>, Vec<_>) =
            others.partition(|(name, _)| matches!(name.as_str(), "input" | "output"));
        for (name, value) in others {
            let _ = writeln!(text, "{} = {}", key(name), inline(value));
        }
        for (name, table) in
            tables.into_iter().filter(|(_, table)| table.as_object().is_some_and(|table| !table.is_empty()))
        {
            let _ = writeln!(text, "\n[tools.{name}]");
            members(&mut text, table);
        }
    }
    text
}

fn lines(text: &mut String, keys: &Map<String, Value>, order: &[&str]) {
    for name in order {
        if let Some(value) = keys.get(*name) {
            let _ = writeln!(text, "{name} = {}", inline(value));
        }
    }
}

fn members(text: &mut String, table: &Value) {
    for (name, value) in table.as_object().into_iter().flatten() {
        let _ = writeln!(text, "{} = {}", key(name), inline(value));
    }
}

fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A value on one line. TOML has no null; a definition has none.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| format!("{} = {}", key(name), inline(member)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
