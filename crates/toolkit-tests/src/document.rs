//! JSON documents with a value at each pointer of a toolkit file.

use serde_json::{Map, Value};

/// A document that is built from JSON pointers (RFC 6901). Existing values are not replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(Value);

impl Document {
    /// Inserts a value at a pointer, unless there is one. A numeric part creates a list.
    ///
    /// # Errors
    /// Two pointers of the file that contradict each other.
    pub(super) fn insert(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        let conflict = || format!("no answer can have a value at `{pointer}` beside the other values of the file");
        let mut target = &mut self.0;
        for part in pointer.split('/').skip(1) {
            let key = part.replace("~1", "/").replace("~0", "~");
            let index = key.parse::<usize>().ok().filter(|index| *index < 100);
            if target.is_null() {
                *target = if index.is_some() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
            }
            target = match (target, index) {
                (Value::Array(items), Some(index)) => {
                    if items.len() <= index {
                        items.resize(index + 1, Value::Null);
                    }
                    items.get_mut(index).ok_or_else(conflict)?
                }
                (Value::Object(members), _) => members.entry(key).or_insert(Value::Null),
                _ => return Err(conflict()),
            };
        }
        if target.is_null() {
            *target = value;
        }
        Ok(())
    }

    /// The document; an empty object if nothing was inserted.
    pub(super) fn into_value(self) -> Value {
        if self.0.is_null() { Value::Object(Map::new()) } else { self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_find_inserted_values() {
        let mut document = Document::default();
        for (pointer, value) in [("/a/b", 1), ("/a/c/1/d~1e", 2), ("/a/b", 3)] {
            document.insert(pointer, json!(value)).unwrap();
        }
        assert_eq!(document.clone().into_value(), json!({ "a": { "b": 1, "c": [null, { "d/e": 2 }] } }));
        assert!(document.insert("/a/b/c", json!(1)).is_err(), "a number has no members");
        assert_eq!(Document::default().into_value(), json!({}));
    }

    #[test]
    fn a_document_can_be_a_list() {
        let mut document = Document::default();
        document.insert("", json!([{ "id": 1 }])).unwrap();
        document.insert("/0/id", json!(2)).unwrap();
        assert_eq!(document.into_value(), json!([{ "id": 1 }]));
    }
}
