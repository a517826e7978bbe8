//! Reads YAML 1.2 as JSON: scalars by the core schema, aliases within a limit, no tags but those of the core schema.
//! Every event is counted before anything is kept, so that a small text cannot become a large value.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use crate::read::{MAX_DEPTH, MAX_VALUES, ReadError};

/// Maximum number of values that aliases copy.
const MAX_COPIED: usize = 100_000;
/// The key whose mapping is merged into the one that it stands in.
const MERGE: &str = "<<";

/// The value of the first document of a text.
pub(crate) fn read(text: &str) -> Result<Value, ReadError> {
    let mut reader = Reader { open: Vec::new(), anchors: HashMap::new(), values: 0, copied: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| malformed(&error.to_string()))?;
        let at = |message: &str| malformed(&format!("{message} at line {}", span.start.line()));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref()).map_err(at)?;
                reader.add(value, anchor, Some(&text)).map_err(|error| error.or(at))?;
            }
            Event::Alias(anchor) => reader.alias(anchor).map_err(|error| error.or(at))?,
            Event::SequenceStart(anchor, tag) => {
                reader.open(Open::List(Vec::new()), anchor, tag.as_deref()).map_err(|error| error.or(at))?;
            }
            Event::MappingStart(anchor, tag) => {
                reader
                    .open(Open::Map(Map::new(), None, Vec::new()), anchor, tag.as_deref())
                    .map_err(|error| error.or(at))?;
            }
            Event::SequenceEnd | Event::MappingEnd => reader.close().map_err(|error| error.or(at))?,
            Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
    }
    reader.root.ok_or_else(|| malformed("it is empty"))
}

fn malformed(message: &str) -> ReadError {
    ReadError::Malformed { kind: "YAML", message: message.to_owned() }
}

/// What is wrong: a limit, or a message that needs its line.
enum Wrong {
    Limit(ReadError),
    Here(&'static str),
}

impl Wrong {
    fn or(self, at: impl Fn(&str) -> ReadError) -> ReadError {
        match self {
            Self::Limit(error) => error,
            Self::Here(message) => at(message),
        }
    }
}

enum Open {
    List(Vec<Value>),
    /// With the key that waits for its value, and mappings that are to be merged into it.
    Map(Map<String, Value>, Option<String>, Vec<Value>),
}

struct Reader {
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, (Value, usize)>,
    values: usize,
    copied: usize,
    root: Option<Value>,
}

impl Reader {
    fn open(&mut self, open: Open, anchor: usize, tag: Option<&Tag>) -> Result<(), Wrong> {
        if tag.is_some_and(|tag| !is_core(tag)) {
            return Err(Wrong::Here("a tag is not read"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Wrong::Limit(ReadError::TooDeep));
        }
        if matches!(self.open.last(), Some((Open::Map(_, None, _), _))) {
            return Err(Wrong::Here("the key of a mapping is no text"));
        }
        self.count(1)?;
        self.open.push((open, anchor));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        match self.open.pop() {
            Some((Open::List(items), anchor)) => self.add(Value::Array(items), anchor, None),
            Some((Open::Map(mut members, _, merged), anchor)) => {
                for other in merged {
                    merge(&mut members, other);
                }
                self.add(Value::Object(members), anchor, None)
            }
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), Wrong> {
        let (value, size) = self.anchors.get(&anchor).ok_or(Wrong::Here("an alias names no anchor before it"))?;
        self.copied += size;
        if self.copied > MAX_COPIED {
            return Err(Wrong::Here("aliases copy too many values"));
        }
        let (value, size) = (value.clone(), *size);
        self.count(size)?;
        let text = value.as_str().map(str::to_owned);
        self.add(value, 0, text.as_deref())
    }

    fn count(&mut self, values: usize) -> Result<(), Wrong> {
        self.values += values;
        if self.values > MAX_VALUES { Err(Wrong::Limit(ReadError::TooMany)) } else { Ok(()) }
    }

    /// Adds a value where the next one belongs. `text` is how a scalar is written, for keys.
    fn add(&mut self, value: Value, anchor: usize, text: Option<&str>) -> Result<(), Wrong> {
        self.count(usize::from(text.is_some()))?;
        if anchor != 0 {
            let size = size(&value);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map(members, key, merged), _)) => match key.take() {
                None => *key = Some(text.ok_or(Wrong::Here("the key of a mapping is no text"))?.to_owned()),
                Some(name) if name == MERGE && (value.is_object() || value.is_array()) => merged.push(value),
                Some(name) => {
                    if members.insert(name, value).is_some() {
                        return Err(Wrong::Here("a key stands twice in a mapping"));
                    }
                }
            },
        }
        Ok(())
    }
}

/// Adds the members of a mapping, or of a list of mappings, that are not there.
fn merge(members: &mut Map<String, Value>, value: Value) {
    match value {
        Value::Object(other) => {
            for (name, member) in other {
                members.entry(name).or_insert(member);
            }
        }
        Value::Array(others) => others.into_iter().for_each(|other| merge(members, other)),
        _ => {}
    }
}

/// Number of values in a value, itself included.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn is_core(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:"
        && ["str", "int", "float", "bool", "null", "map", "seq"].contains(&tag.suffix.as_str())
}

/// A scalar by the core schema of YAML 1.2.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, &'static str> {
    if tag.is_some_and(|tag| !is_core(tag)) {
        return Err("a tag is not read");
    }
    if style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str") {
        return Ok(text.into());
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    })
}

fn number(text: &str) -> Option<Number> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || b"+-.".contains(&first)) {
        return None;
    }
    let radix = |prefix: &str, radix| u64::from_str_radix(text.strip_prefix(prefix)?, radix).ok();
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number.into());
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let positive = text.strip_prefix('+').unwrap_or(text);
        let integer = positive.parse::<i64>().map(Number::from).or_else(|_| positive.parse::<u64>().map(Number::from));
        if let Ok(integer) = integer {
            return Some(integer);
        }
    }
    // A dot alone, a version such as 1.2.3 and a date are no numbers.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && digits.bytes().any(|byte| byte.is_ascii_digit());
    if is_number { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}
