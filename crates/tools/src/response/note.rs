//! What is missing in a result, for the model that reads it.

use serde_json::{Map, Value, json};

/// The member of a result that says what is missing.
pub const NOTE: &str = "_response";

/// Places that are named; more are counted.
const MAX_PLACES: usize = 20;
/// Longest place that is named, in bytes.
const MAX_PLACE: usize = 200;

/// What is missing in a result.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    /// Paths that select nothing.
    pub(super) unmatched: Vec<String>,
    /// The first places at which something is missing.
    missing: Vec<Value>,
    /// How many there are.
    places: usize,
}

impl Note {
    /// Notes that a value has more than is shown. `unit` is what is counted.
    pub(super) fn missing(&mut self, place: &Location, shown: usize, total: usize, unit: &str) {
        self.places += 1;
        if self.missing.len() < MAX_PLACES && place.0.len() <= MAX_PLACE {
            self.missing.push(json!({ "path": place.0, "shown": shown, "total": total, "of": unit }));
        }
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.places > 0
    }

    /// The note as a member of the result, in at most about `room` bytes; none if nothing is missing.
    pub(super) fn print(&self, mut room: usize) -> Option<Value> {
        let mut printed = Map::new();
        if self.is_truncated() {
            printed.insert("truncated".to_owned(), true.into());
            let named = fitting(&self.missing, &mut room);
            let others = self.places - named.len();
            printed.insert("missing".to_owned(), named.into());
            if others > 0 {
                printed.insert("further_places".to_owned(), others.into());
            }
        }
        if !self.unmatched.is_empty() {
            let all: Vec<Value> = self.unmatched.iter().map(|path| path.as_str().into()).collect();
            let named = fitting(&all, &mut room);
            let others = all.len() - named.len();
            printed.insert("unmatched_fields".to_owned(), named.into());
            if others > 0 {
                printed.insert("further_unmatched_fields".to_owned(), others.into());
            }
        }
        (!printed.is_empty()).then_some(Value::Object(printed))
    }
}

/// The first values that there is room for.
fn fitting(values: &[Value], room: &mut usize) -> Vec<Value> {
    let fits = |value: &&Value| match room.checked_sub(value.to_string().len() + 1) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    };
    values.iter().take_while(fits).cloned().collect()
}

/// The place of a value as a JSONPath.
#[derive(Clone, Debug)]
pub(super) struct Location(String);

impl Default for Location {
    fn default() -> Self {
        Self("$".to_owned())
    }
}

impl Location {
    /// Does something at the place of a member.
    pub(super) fn at_member<T>(&mut self, name: &str, visit: impl FnOnce(&mut Self) -> T) -> T {
        let is_plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // The double quotes of JSON are also those of JSONPath.
        let segment = if is_plain { format!(".{name}") } else { format!("[{}]", Value::from(name)) };
        self.within(&segment, visit)
    }

    /// Does something at the place of an item.
    pub(super) fn at_item<T>(&mut self, index: usize, visit: impl FnOnce(&mut Self) -> T) -> T {
        self.within(&format!("[{index}]"), visit)
    }

    fn within<T>(&mut self, segment: &str, visit: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.0.push_str(segment);
        let visited = visit(self);
        self.0.truncate(length);
        visited
    }
}
