//! JSON documents in which the pointers of a toolkit file find what they look for.

use serde_json::{Map, Value};

/// A document that grows by pointers (RFC 6901). What was put first stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(Value);

impl Document {
    /// Puts a value where a pointer points to, unless there is one. A numeric part makes a list.
    ///
    /// # Errors
    /// Two pointers of the file that no one answer can serve.
    pub(super) fn put(&mut self, pointer: &str, value: Value) -> Result<(), String> {
        let conflict = || format!("no answer can have a value at `{pointer}` beside the other values of the file");
        let mut place = &mut self.0;
        for part in pointer.split('/').skip(1) {
            let key = part.replace("~1", "/").replace("~0", "~");
            let number = key.parse::<usize>().ok().filter(|number| *number < 100);
            if place.is_null() {
                *place = if number.is_some() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
            }
            place = match (place, number) {
                (Value::Array(items), Some(number)) => {
                    if items.len() <= number {
                        items.resize(number + 1, Value::Null);
                    }
                    items.get_mut(number).ok_or_else(conflict)?
                }
                (Value::Object(members), _) => members.entry(key).or_insert(Value::Null),
                _ => return Err(conflict()),
            };
        }
        if place.is_null() {
            *place = value;
        }
        Ok(())
    }

    /// The value, an empty object where nothing was put.
    pub(super) fn into_value(self) -> Value {
        if self.0.is_null() { Value::Object(Map::new()) } else { self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_find_what_was_put() {
        let mut document = Document::default();
        for (pointer, value) in [("/a/b", 1), ("/a/c/1/d~1e", 2), ("/a/b", 3)] {
            document.put(pointer, json!(value)).unwrap();
        }
        assert_eq!(document.clone().into_value(), json!({ "a": { "b": 1, "c": [null, { "d/e": 2 }] } }));
        assert!(document.put("/a/b/c", json!(1)).is_err(), "a number has no members");
        assert_eq!(Document::default().into_value(), json!({}));
    }

    #[test]
    fn the_whole_answer_may_be_a_list() {
        let mut document = Document::default();
        document.put("", json!([{ "id": 1 }])).unwrap();
        document.put("/0/id", json!(2)).unwrap();
        assert_eq!(document.into_value(), json!([{ "id": 1 }]));
    }
}
