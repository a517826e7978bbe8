//! Writes schemas within the profile that every vendor of models accepts.

mod notes;
mod parts;
mod scalars;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(crate) use self::notes::{any_value, is_name};
use self::notes::{default_note, describe, size, values_note};
use self::parts::{add_parts, combined};
use super::flat::{Additional, Fail, Flat, Flattener, Kind, Node};
use crate::reference::Document;
use crate::text::{clean, clip, described};

/// Maximum depth of schemas; that of an argument is 1.
const MAX_DEPTH: usize = 6;
/// How deep `anyOf` may nest.
const MAX_ALTERNATIVES: usize = 2;
/// Maximum number of combinations of alternatives that are looked at.
const MAX_OPTIONS: usize = 12;
/// Maximum number of properties in the schemas of a tool.
pub(crate) const MAX_PROPERTIES: usize = 300;
/// Maximum length of the description of a property, in characters.
const MAX_DESCRIPTION: usize = 300;
/// Maximum number and length of the values of an `enum`, in all.
const MAX_ENUM: (usize, usize) = (200, 3_000);
/// Formats that every vendor accepts.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];
/// Formats that say nothing about a text.
const PLAIN_FORMATS: [&str; 8] = ["string", "text", "binary", "password", "int32", "int64", "float", "double"];
/// Whole numbers below this are exact in floating point (2^53).
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a schema is written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    /// Arguments. If it clears, null has a meaning of its own.
    Input {
        clears: bool,
    },
    Output,
}

/// Where a schema is written.
#[derive(Clone, Debug)]
pub(crate) struct At<'d> {
    depth: usize,
    /// Number of `anyOf` around it.
    alternatives: usize,
    /// References that lead to it.
    around: Vec<&'d str>,
}

impl<'d> At<'d> {
    /// An argument, or a property of a result.
    pub(crate) fn top(around: Vec<&'d str>) -> Self {
        Self { depth: 1, alternatives: 0, around }
    }

    fn deeper(&self, own: &[&'d str]) -> Self {
        let around = self.around.iter().chain(own).copied().collect();
        Self { depth: self.depth + 1, alternatives: self.alternatives, around }
    }

    fn alternative(&self, own: &[&'d str]) -> Self {
        Self { alternatives: self.alternatives + 1, ..self.deeper(own) }
    }

    fn can_have_alternatives(&self) -> bool {
        self.alternatives < MAX_ALTERNATIVES && self.depth < MAX_DEPTH
    }
}

/// Writes schemas, and counts what it writes.
#[derive(Debug)]
pub(crate) struct Emitter<'d> {
    flattener: Flattener<'d>,
    direction: Direction,
    /// Objects at this depth and below are not written out.
    max_depth: usize,
    left: usize,
    /// Something was not written out because of a limit.
    pub(crate) is_cut: bool,
}

/// What a schema allows, by type.
#[derive(Debug)]
pub(crate) struct Parts<'d> {
    /// Empty if every type is allowed.
    pub(crate) by_kind: BTreeMap<Kind, Flat<'d>>,
    pub(crate) base: Flat<'d>,
    pub(crate) nullable: bool,
    pub(crate) own: Vec<&'d str>,
}

/// An object of which nothing is said.
pub(crate) fn free_object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into()), ("additionalProperties".to_owned(), true.into())])
}

impl<'d> Emitter<'d> {
    pub(crate) fn new(document: &'d Document, direction: Direction, max_depth: usize) -> Self {
        let flattener = Flattener { document, work: 30_000 };
        // A result has room for fewer.
        let left = if direction == Direction::Output { MAX_PROPERTIES / 4 } else { MAX_PROPERTIES };
        Self { flattener, direction, max_depth: max_depth.min(MAX_DEPTH), left, is_cut: false }
    }

    /// The schema of a property with its description; none if it is not for this direction.
    pub(crate) fn property(
        &mut self,
        name: &str,
        node: &Node<'d>,
        is_required: bool,
        at: &At<'d>,
    ) -> Result<Option<Map<String, Value>>, Fail> {
        let parts = self.parts(node, &at.around)?;
        if self.is_hidden(&parts, is_required) {
            return Ok(None);
        }
        self.described(name, parts, at).map(Some)
    }

    /// The schema of a parameter with its description, whatever it says about being read or written.
    pub(crate) fn parameter(
        &mut self,
        name: &str,
        node: &Node<'d>,
        is_required: bool,
        at: &At<'d>,
    ) -> Result<Option<Map<String, Value>>, Fail> {
        let parts = self.parts(node, &at.around)?;
        if parts.base.deprecated && !is_required {
            return Ok(None);
        }
        self.described(name, parts, at).map(Some)
    }

    fn described(&mut self, name: &str, parts: Parts<'d>, at: &At<'d>) -> Result<Map<String, Value>, Fail> {
        self.left = self.left.saturating_sub(1);
        let mut schema = self.write(parts, at)?;
        schema.entry("description").or_insert_with(|| clip(&described(name), MAX_DESCRIPTION).into());
        Ok(schema)
    }

    /// Whether there was no room for all properties.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    fn is_hidden(&self, parts: &Parts<'d>, is_required: bool) -> bool {
        let holds =
            |of: fn(&Flat<'d>) -> bool| of(&parts.base) || !parts.by_kind.is_empty() && parts.by_kind.values().all(of);
        match self.direction {
            Direction::Input { .. } => holds(|flat| flat.read_only) || holds(|flat| flat.deprecated) && !is_required,
            Direction::Output => holds(|flat| flat.write_only),
        }
    }

    /// What a schema allows, by type, with its alternatives.
    pub(crate) fn parts(&mut self, node: &Node<'d>, around: &[&'d str]) -> Result<Parts<'d>, Fail> {
        let mut own = Vec::new();
        let flat = self.flattener.flatten(node, around, &mut own, 0)?;
        let mut nullable = flat.nullable;
        let base = flat.words();
        if flat.is_null {
            return Err(Fail::Never);
        }
        let mut by_kind: BTreeMap<Kind, Flat<'d>> = BTreeMap::new();
        let options = self.options(flat, around, &mut own, &mut nullable, 0)?;
        for option in options {
            nullable |= option.nullable;
            if option.kinds.is_empty() {
                return Ok(Parts { by_kind: BTreeMap::new(), base, nullable, own });
            }
            add_parts(&mut by_kind, option);
        }
        if by_kind.is_empty() {
            return Err(Fail::Never);
        }
        Ok(Parts { by_kind, base, nullable, own })
    }

    /// The schemas without alternatives of which one has to fit.
    fn options(
        &mut self,
        mut flat: Flat<'d>,
        around: &[&'d str],
        own: &mut Vec<&'d str>,
        nullable: &mut bool,
        level: usize,
    ) -> Result<Vec<Flat<'d>>, Fail> {
        if level > 16 {
            return Err(Fail::Refused("alternatives of a schema nest more than 16 deep".to_owned()));
        }
        let lists = std::mem::take(&mut flat.alternatives);
        let mut options = vec![flat];
        for list in lists {
            let mut branches = Vec::new();
            for node in &list {
                match self.flattener.flatten(node, around, own, level) {
                    Ok(branch) if branch.is_null => *nullable = true,
                    // It restricts what is said elsewhere.
                    Ok(branch) if branch.is_only_rules() => {
                        branches.push(Flat { has_more_rules: true, ..Flat::default() });
                    }
                    Ok(branch) => match self.options(branch, around, own, nullable, level + 1) {
                        Ok(found) => branches.extend(found),
                        Err(Fail::Never) => {}
                        Err(other) => return Err(other),
                    },
                    Err(Fail::Never) => {}
                    Err(other) => return Err(other),
                }
            }
            options = combined(&options, branches)?;
        }
        Ok(options)
    }

    /// Writes what was found.
    pub(crate) fn write(&mut self, parts: Parts<'d>, at: &At<'d>) -> Result<Map<String, Value>, Fail> {
        let Parts { by_kind, base, nullable, own } = parts;
        let takes_null = nullable && self.direction != (Direction::Input { clears: false });
        let mut kinds: Vec<(Kind, Flat<'d>)> = by_kind.into_iter().collect();
        if kinds.is_empty() {
            let mut schema = any_value(at.depth, at.alternatives).ok_or(Fail::TooDeep)?;
            describe(&mut schema, &base, &[]);
            return Ok(schema);
        }
        let needs_alternatives = kinds.len() + usize::from(takes_null) > 1;
        if !needs_alternatives || !at.can_have_alternatives() {
            // The richest one, where there is no room for all.
            let only = kinds.len() == 1;
            let Some((kind, mut flat)) = kinds.pop() else { return Err(Fail::Never) };
            if !only && self.direction != Direction::Output {
                return Err(Fail::TooDeep);
            }
            flat.description = base.description.or(flat.description);
            return self.kind(kind, &flat, &own, at);
        }
        let mut options: Vec<Value> = Vec::with_capacity(kinds.len() + 1);
        let mut notes = Vec::new();
        let inner = at.alternative(&own);
        let is_one = kinds.len() == 1;
        for (kind, flat) in kinds {
            let mut option = self.kind(kind, &flat, &[], &inner)?;
            let description = option.remove("description");
            match description {
                Some(Value::String(text)) if is_one => notes.push(text),
                Some(text) if flat.description.is_some() && flat.description != base.description => {
                    option.insert("description".to_owned(), text);
                }
                _ => {}
            }
            options.push(option.into());
        }
        if takes_null {
            options.push(json!({ "type": "null" }));
        }
        let mut schema = Map::from_iter([("anyOf".to_owned(), options.into())]);
        match notes.pop() {
            Some(text) => drop(schema.insert("description".to_owned(), text.into())),
            None => describe(&mut schema, &base, &[]),
        }
        Ok(schema)
    }

    fn kind(&mut self, kind: Kind, flat: &Flat<'d>, own: &[&'d str], at: &At<'d>) -> Result<Map<String, Value>, Fail> {
        if at.depth > MAX_DEPTH {
            return Err(Fail::TooDeep);
        }
        let mut notes = Vec::new();
        let mut schema = match kind {
            Kind::String => self.text(flat, &mut notes),
            Kind::Integer | Kind::Number => self.number(kind, flat, &mut notes),
            Kind::Boolean => {
                values_note(flat, &mut notes);
                Map::from_iter([("type".to_owned(), "boolean".into())])
            }
            Kind::Array => self.list(flat, own, at)?,
            Kind::Object => self.object(flat, own, at, &mut notes)?,
        };
        if flat.has_more_rules {
            notes.push("Further rules apply.".to_owned());
        }
        if matches!(self.direction, Direction::Input { .. }) {
            default_note(flat, &mut notes);
        }
        describe(&mut schema, flat, &notes);
        Ok(schema)
    }

    fn list(&mut self, flat: &Flat<'d>, own: &[&'d str], at: &At<'d>) -> Result<Map<String, Value>, Fail> {
        let inner = at.deeper(own);
        let any_item = || any_value(inner.depth, inner.alternatives);
        let items = match &flat.items {
            Some(node) if !flat.is_cyclic => {
                let parts = self.parts(node, &inner.around)?;
                let nullable = Parts { nullable: false, ..parts };
                self.write(nullable, &inner)?
            }
            _ => {
                let is_advice = self.direction == Direction::Output && inner.depth <= MAX_DEPTH;
                any_item().or_else(|| is_advice.then(free_object)).ok_or(Fail::TooDeep)?
            }
        };
        let mut schema = Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), items.into())]);
        if self.direction != Direction::Output {
            size(&mut schema, ("minItems", flat.min_items), ("maxItems", flat.max_items));
        }
        Ok(schema)
    }

    fn object(
        &mut self,
        flat: &Flat<'d>,
        own: &[&'d str],
        at: &At<'d>,
        notes: &mut Vec<String>,
    ) -> Result<Map<String, Value>, Fail> {
        let is_empty = flat.properties.is_empty();
        if flat.is_cyclic || at.depth >= self.max_depth && !is_empty || at.depth >= MAX_DEPTH {
            self.is_cut |= !flat.is_cyclic && !is_empty;
            return Ok(free_object());
        }
        let inner = At { alternatives: 0, ..at.deeper(own) };
        let mut properties = Map::new();
        let mut left_out = Vec::new();
        for (name, node) in &flat.properties {
            if !is_name(name) || self.left == 0 {
                self.is_cut |= self.left == 0;
                left_out.push(*name);
                continue;
            }
            let is_required = flat.required.contains(name);
            match self.property(name, node, is_required, &inner) {
                Ok(Some(property)) => drop(properties.insert((*name).to_owned(), property.into())),
                Ok(None) => {}
                Err(Fail::TooDeep) => left_out.push(*name),
                Err(Fail::Never) if !is_required => {}
                Err(error) => return Err(error),
            }
        }
        let mut schema = Map::from_iter([("type".to_owned(), "object".into())]);
        let additional = self.additional(flat, own, at, is_empty || !left_out.is_empty())?;
        let required: Vec<&&str> = flat.required.iter().filter(|name| properties.contains_key(**name)).collect();
        if !required.is_empty() && self.direction != Direction::Output {
            schema.insert("required".to_owned(), json!(required));
        }
        if !properties.is_empty() || additional.is_none() {
            schema.insert("properties".to_owned(), properties.into());
        }
        if let Some(additional) = additional {
            schema.insert("additionalProperties".to_owned(), additional);
        }
        if !left_out.is_empty() {
            let names: Vec<String> = left_out.iter().take(12).map(|name| format!("`{}`", clean(name))).collect();
            notes.push(format!("Also takes {}.", names.join(", ")));
        }
        Ok(schema)
    }

    /// `additionalProperties`, if others than the named properties are allowed.
    fn additional(
        &mut self,
        flat: &Flat<'d>,
        own: &[&'d str],
        at: &At<'d>,
        is_open: bool,
    ) -> Result<Option<Value>, Fail> {
        match &flat.additional {
            Some(Additional::Of(node)) if !is_open || flat.properties.is_empty() => {
                let inner = at.deeper(own);
                let written = self
                    .parts(node, &inner.around)
                    .and_then(|parts| self.write(Parts { nullable: false, ..parts }, &inner));
                match written {
                    Ok(schema) => Ok(Some(schema.into())),
                    Err(Fail::TooDeep | Fail::Never) => Ok(Some(true.into())),
                    Err(error) => Err(error),
                }
            }
            Some(_) => Ok(Some(true.into())),
            None => Ok(is_open.then_some(Value::Bool(true))),
        }
    }
}
