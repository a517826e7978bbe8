//! Checks a value against the subset of JSON Schema that tools may use (`crates/catalog/src/tool/profile.rs`). A general
//! validator for it is a fifth of the whole program, because it also has everything that the subset leaves out.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate, NaiveTime};
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::Mistake;

/// Maximum number of mistakes that are reported.
pub(crate) const MAX_MISTAKES: usize = 8;
/// Maximum number of names in a message.
const MAX_NAMES: usize = 8;
/// Maximum length of a caller's name in a message, in characters.
const MAX_SHOWN: usize = 64;

/// The compiled patterns of a schema, by their text.
pub(crate) type Patterns = BTreeMap<String, Regex>;

/// Compiles the patterns of a schema and all schemas in it.
///
/// # Errors
/// A pattern that is none; a check of the toolkit file finds it.
pub(crate) fn compile(schema: &Value, patterns: &mut Patterns) -> Result<(), String> {
    match schema {
        Value::Object(members) => {
            if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
                let compiled = Regex::new(pattern).map_err(|error| format!("{pattern}: {error}"))?;
                patterns.insert(pattern.to_owned(), compiled);
            }
            members.values().try_for_each(|member| compile(member, patterns))
        }
        Value::Array(items) => items.iter().try_for_each(|item| compile(item, patterns)),
        _ => Ok(()),
    }
}

/// A caller's name in a message.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN).filter(|letter| !letter.is_control()).collect()
}

/// Checks values and collects what is wrong with them. It quotes no value.
pub(crate) struct Checker<'a> {
    pub(crate) patterns: &'a Patterns,
    pub(crate) mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    fn report(&mut self, at: &str, message: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(Mistake::new(shown(at), message));
        }
    }

    /// Checks a value. `at` is its place, such as `labels[0].name`.
    pub(crate) fn check(&mut self, at: &str, schema: &Map<String, Value>, value: &Value) {
        if self.mistakes.len() >= MAX_MISTAKES {
            return;
        }
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            let fits = options.iter().filter_map(Value::as_object).any(|option| self.fits(option, value));
            if !fits {
                self.report(at, "fits none of the forms that it may have");
            }
            return;
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if !is_of(kind, value) {
            self.report(at, format!("must be of type {kind}, not {}", kind_of(value)));
            return;
        }
        match value {
            Value::String(text) => self.text(at, schema, text),
            Value::Number(number) => self.number(at, schema, number.as_f64().unwrap_or_default()),
            Value::Array(items) => self.list(at, schema, items),
            Value::Object(members) => self.object(at, schema, members),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn fits(&self, schema: &Map<String, Value>, value: &Value) -> bool {
        let mut checker = Checker { patterns: self.patterns, mistakes: Vec::new() };
        checker.check("", schema, value);
        checker.mistakes.is_empty()
    }

    fn text(&mut self, at: &str, schema: &Map<String, Value>, text: &str) {
        if let Some(options) = schema.get("enum").and_then(Value::as_array)
            && !options.iter().any(|option| option == text)
        {
            let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
            self.report(at, format!("must be one of {}", options.join(", ")));
        }
        let length = text.chars().count() as u64;
        self.bounds(at, schema, ("minLength", "maxLength"), length, "characters");
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !self.patterns.get(pattern).is_some_and(|compiled| compiled.is_match(text))
        {
            self.report(at, format!("must match the pattern {pattern}"));
        }
        if let Some(format) = schema.get("format").and_then(Value::as_str)
            && !has_format(format, text)
        {
            self.report(at, format!("must have the format {format}"));
        }
    }

    fn number(&mut self, at: &str, schema: &Map<String, Value>, number: f64) {
        if let Some(limit) = schema.get("minimum").filter(|limit| limit.as_f64().is_some_and(|limit| number < limit)) {
            self.report(at, format!("must be at least {limit}"));
        }
        if let Some(limit) = schema.get("maximum").filter(|limit| limit.as_f64().is_some_and(|limit| number > limit)) {
            self.report(at, format!("must be at most {limit}"));
        }
    }

    fn bounds(&mut self, at: &str, schema: &Map<String, Value>, keys: (&str, &str), count: u64, of: &str) {
        if let Some(limit) = schema.get(keys.0).and_then(Value::as_u64).filter(|limit| count < *limit) {
            self.report(at, format!("must have at least {limit} {of}"));
        }
        if let Some(limit) = schema.get(keys.1).and_then(Value::as_u64).filter(|limit| count > *limit) {
            self.report(at, format!("must have at most {limit} {of}"));
        }
    }

    fn list(&mut self, at: &str, schema: &Map<String, Value>, items: &[Value]) {
        self.bounds(at, schema, ("minItems", "maxItems"), items.len() as u64, "items");
        let Some(schema) = schema.get("items").and_then(Value::as_object) else { return };
        for (index, item) in items.iter().enumerate() {
            self.check(&format!("{at}[{index}]"), schema, item);
        }
    }

    /// The members of an object. It takes no others than those that it names, unless it says so.
    pub(crate) fn object(&mut self, at: &str, schema: &Map<String, Value>, members: &Map<String, Value>) {
        let within = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.report(&within(name), "is required");
            }
        }
        let mut unknown = Vec::new();
        for (name, value) in members {
            match (properties.and_then(|properties| properties.get(name)), schema.get("additionalProperties")) {
                (Some(Value::Object(schema)), _) | (None, Some(Value::Object(schema))) => {
                    self.check(&within(name), schema, value);
                }
                (_, Some(Value::Bool(true))) => {}
                _ => unknown.push(shown(name)),
            }
        }
        if !unknown.is_empty() {
            unknown.truncate(MAX_NAMES);
            self.report(at, format!("has members that it cannot have: {}", unknown.join(", ")));
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a text has one of the formats that a tool may use.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "date" => text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        "time" => is_time(text),
        "duration" => is_duration(text),
        "email" => text
            .rsplit_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !text.contains(char::is_whitespace) && is_hostname(host)),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "uuid" => is_uuid(text),
        // No other format passes the check of the toolkit file.
        _ => true,
    }
}

/// `09:30:00Z`, `09:30:00.5+02:00` (RFC 3339).
fn is_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(&format!("2000-01-01T{text}")).is_ok()
        || NaiveTime::parse_from_str(text, "%H:%M:%S%.f").is_ok()
}

/// `P1DT2H` (ISO 8601).
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    let has_units = |part: &str, units: &str| {
        let mut left = units;
        let mut digits = 0;
        for letter in part.chars() {
            if letter.is_ascii_digit() {
                digits += 1;
                continue;
            }
            match left.split_once(letter) {
                Some((_, after)) if digits > 0 => (left, digits) = (after, 0),
                _ => return false,
            }
        }
        digits == 0
    };
    !(date.is_empty() && time.is_none_or(str::is_empty))
        && has_units(date, "YMWD")
        && time.is_none_or(|time| !time.is_empty() && has_units(time, "HMS"))
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_what_its_standard_says() {
        for (format, valid, invalid) in [
            ("date-time", &["2026-12-31T09:30:00Z", "2026-12-31T09:30:00.5+02:00"][..], &["2026-12-31", "x"][..]),
            ("date", &["2026-12-31"], &["2026-13-01", "26-1-1", "2026-12-31T"]),
            ("time", &["09:30:00Z", "09:30:00+02:00", "09:30:00"], &["25:00:00", "9"]),
            ("duration", &["P1D", "PT1H30M", "P1Y2M3DT4H5M6S", "P2W"], &["P", "PT", "1D", "P1H", "PT1", "P1DT"]),
            ("email", &["ada@example.com", "a+b@x.example"], &["ada", "@x", "a b@x.example", "a@-x"]),
            ("hostname", &["example.com", "localhost"], &["", "a..b", "-a", "a_b"]),
            ("ipv4", &["192.0.2.1"], &["192.0.2.256", "::1"]),
            ("ipv6", &["::1", "2001:db8::1"], &["192.0.2.1"]),
            ("uuid", &["01890a5d-ac96-774b-bcce-b302099a8057"], &["01890a5dac96774bbcceb302099a8057", "x"]),
        ] {
            for text in valid {
                assert!(has_format(format, text), "{format} {text}");
            }
            for text in invalid {
                assert!(!has_format(format, text), "{format} {text}");
            }
        }
    }
}
