//! Texts and numbers.

use serde_json::{Map, Value, json};

use super::super::flat::{Flat, Kind};
use super::notes::{is_portable, number, size, values_note};
use super::{Direction, Emitter, FORMATS, MAX_ENUM, MAX_EXACT, PLAIN_FORMATS};
use crate::text::clean;

impl<'d> Emitter<'d> {
    pub(super) fn text(&self, flat: &Flat<'d>, notes: &mut Vec<String>) -> Map<String, Value> {
        let mut schema = Map::from_iter([("type".to_owned(), "string".into())]);
        if self.direction == Direction::Output {
            values_note(flat, notes);
            return schema;
        }
        if let Some(values) = &flat.values {
            let texts: Option<Vec<&str>> =
                values.iter().map(|value| value.as_str().filter(|text| !text.is_empty())).collect();
            let (count, length) = MAX_ENUM;
            match texts {
                Some(texts) if texts.len() <= count && texts.iter().map(|text| text.len()).sum::<usize>() <= length => {
                    schema.insert("enum".to_owned(), json!(texts));
                }
                _ => values_note(flat, notes),
            }
            return schema;
        }
        match flat.format {
            Some(format) if FORMATS.contains(&format) => drop(schema.insert("format".to_owned(), format.into())),
            Some("byte") => notes.push("Base64.".to_owned()),
            Some(format) if !PLAIN_FORMATS.contains(&format) && format.len() <= 40 => {
                notes.push(format!("Format: {}.", clean(format)));
            }
            _ => {}
        }
        if let Some(pattern) = flat.pattern.filter(|pattern| is_portable(pattern)) {
            schema.insert("pattern".to_owned(), pattern.into());
        }
        size(&mut schema, ("minLength", flat.min_length), ("maxLength", flat.max_length));
        schema
    }

    pub(super) fn number(&self, kind: Kind, flat: &Flat<'d>, notes: &mut Vec<String>) -> Map<String, Value> {
        let is_whole = kind == Kind::Integer && !flat.kinds.contains(&Kind::Number);
        let kind = if is_whole { Kind::Integer } else { Kind::Number };
        let mut schema = Map::from_iter([("type".to_owned(), kind.name().into())]);
        values_note(flat, notes);
        let (least, greatest) = (flat.minimum, flat.maximum);
        let is_range = least.zip(greatest).is_none_or(|(least, greatest)| least <= greatest);
        if self.direction == Direction::Output || !is_range {
            return schema;
        }
        for (key, bound) in [("minimum", least), ("maximum", greatest)] {
            if let Some(bound) = bound.filter(|bound| bound.is_finite() && bound.abs() < MAX_EXACT) {
                schema.insert(key.to_owned(), number(bound));
            }
        }
        schema
    }
}
