//! Lists of objects as tables: CSV of RFC 4180 with a header, lines ended by one line feed.

use serde_json::{Map, Value};

/// The same with a text in place of each list of objects. A list whose objects have little in common stays: its table
/// would be mostly empty.
pub(super) fn with_tables(data: Map<String, Value>) -> Map<String, Value> {
    data.into_iter().map(|(name, value)| (name, printed(value))).collect()
}

fn printed(value: Value) -> Value {
    match value {
        Value::Object(members) => with_tables(members).into(),
        Value::Array(items) => match table(&items) {
            Some(table) => table.into(),
            None => items.into_iter().map(printed).collect(),
        },
        value => value,
    }
}

/// A table with a column for each name, in the order in which they come.
fn table(items: &[Value]) -> Option<String> {
    let rows = items.iter().map(Value::as_object).collect::<Option<Vec<_>>>()?;
    let cells: usize = rows.iter().map(|row| row.len()).sum();
    // Looked up in a set, so that the work grows with the number of cells.
    let mut known = std::collections::HashSet::new();
    let names = rows.iter().flat_map(|row| row.keys());
    let columns: Vec<&String> = names.filter(|name| known.insert(name.as_str())).collect();
    if columns.is_empty() || cells.saturating_mul(2) < columns.len().saturating_mul(rows.len()) {
        return None;
    }
    let mut table = String::new();
    line(&mut table, columns.iter().map(|name| (*name).clone()));
    for row in rows {
        line(&mut table, columns.iter().map(|name| cell(row.get(*name))));
    }
    Some(table)
}

/// A text as it is, nothing for null, anything else as JSON.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn line(table: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            table.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            table.push('"');
            table.push_str(&cell.replace('"', "\"\""));
            table.push('"');
        } else {
            table.push_str(&cell);
        }
    }
    table.push('\n');
}
