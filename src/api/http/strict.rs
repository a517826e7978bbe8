//! Strict parsing of request bodies, with errors that give the location and the problem in a
//! developer's terms.
//!
//! serde's derived structs also accept lists (`["u"]` for `{"user_id": "u"}`), and its messages quote
//! the rejected value, which may be a secret, at any length. This reader does neither.

use std::fmt::{self, Display, Write};

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::text::{MAX_ECHO, truncate, truncate_to};

/// A problem and its location.
#[derive(Debug)]
pub struct StrictError {
    /// Innermost segment first: it grows while the error is returned.
    path: Vec<Segment>,
    problem: String,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

/// Reads a JSON value into a type.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, StrictError> {
    T::deserialize(Strict(value))
}

impl StrictError {
    fn new(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }

    fn at(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

/// `payload.toolkits.enable[0]: must be a string, not a number`.
impl Display for StrictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::from("payload");
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Key(key) => write!(path, ".{}", truncate(key))?,
                Segment::Index(index) => write!(path, "[{index}]")?,
            }
        }
        write!(f, "{path}: {}", self.problem)
    }
}

impl std::error::Error for StrictError {}

impl de::Error for StrictError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(truncate_to(&message.to_string(), 4 * MAX_ECHO))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {}, not {}", plain(expected), kind_of(&unexpected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {}", plain(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be one of {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown key \"{}\"; known keys: {}", truncate(field), expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is required").at(Segment::Key(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("is given twice").at(Segment::Key(field.to_owned()))
    }
}

/// serde's description of what it expected, without the names of Rust types.
fn plain(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "i64" | "i32" => "an integer".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "f64" | "a JSON number" => "a number".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn kind_of(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Deserializes one value.
struct Strict<'a>(&'a Value);

impl<'de> de::Deserializer<'de> for Strict<'de> {
    type Error = StrictError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, StrictError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(unsigned), _) => visitor.visit_u64(unsigned),
                (None, Some(negative)) => visitor.visit_i64(negative),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, StrictError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, StrictError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, StrictError> {
        match self.0 {
            Value::Object(map) => visitor.visit_map(Entries::new(map)),
            other => Err(StrictError::new(format!("must be an object, not {}", kind(other)))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, StrictError> {
        match self.0 {
            Value::String(text) => {
                let word: StrDeserializer<'_, StrictError> = text.as_str().into_deserializer();
                visitor.visit_enum(word)
            }
            other => Err(StrictError::new(format!("must be one of {}, not {}", variants.join(", "), kind(other)))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Value>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = StrictError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, StrictError> {
        let Some((index, value)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Strict(value)).map(Some).map_err(|error| error.at(Segment::Index(index)))
    }
}

struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    current: Option<(&'a str, &'a Value)>,
}

impl<'a> Entries<'a> {
    fn new(map: &'a Map<String, Value>) -> Self {
        Self { entries: map.iter(), current: None }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = StrictError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, StrictError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.current = Some((key, value));
        let word: StrDeserializer<'_, StrictError> = key.as_str().into_deserializer();
        seed.deserialize(word).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, StrictError> {
        let (key, value) = self.current.take().ok_or_else(|| StrictError::new("a value without its key"))?;
        seed.deserialize(Strict(value)).map_err(|error| error.at(Segment::Key(key.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are looked at")]
    struct Sample {
        name: String,
        count: Option<u64>,
        list: Option<Vec<String>>,
        inner: Option<Inner>,
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its errors are looked at")]
    struct Inner {
        flag: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[test]
    fn errors_say_where_and_what_and_quote_no_value() {
        for (body, expected) in [
            (json!(["n"]), "payload: must be an object, not a list"),
            (json!({}), "payload.name: is required"),
            (json!({"name": 5}), "payload.name: must be a string, not a number"),
            (json!({"name": "n", "count": "SECRET"}), "payload.count: must be a whole number, not a string"),
            (json!({"name": "n", "count": -1}), "payload.count: must be a whole number"),
            (json!({"name": "n", "list": ["a", {}]}), "payload.list[1]: must be a string, not an object"),
            (json!({"name": "n", "list": "a"}), "payload.list: must be a list, not a string"),
            (json!({"name": "n", "inner": [true]}), "payload.inner: must be an object, not a list"),
            (json!({"name": "n", "inner": {"flag": "x"}}), "payload.inner.flag: must be a boolean, not a string"),
            (json!({"name": "n", "word": "SECRET"}), "payload.word: must be one of one, two"),
            (json!({"name": "n", "word": 5}), "payload.word: must be one of one, two, not a number"),
            (
                json!({"name": "n", "nam": 5}),
                "payload: unknown key \"nam\"; known keys: name, count, list, inner, word",
            ),
        ] {
            assert_eq!(read::<Sample>(&body).unwrap_err().to_string(), expected, "{body}");
        }
        let long = json!({ "k".repeat(900_000): 1 });
        assert!(read::<Sample>(&long).unwrap_err().to_string().len() < 400);
        assert!(read::<Sample>(&json!({"name": "n", "count": null, "word": "two"})).is_ok());
    }
}
