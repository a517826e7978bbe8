//! The parts of a schema by their kind, and how alternatives are joined.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::flat::{Fail, Flat, Kind};
use super::super::merge;
use super::MAX_OPTIONS;

/// Adds the types of an option.
pub(super) fn add_parts<'d>(by_kind: &mut BTreeMap<Kind, Flat<'d>>, option: Flat<'d>) {
    let kinds: Vec<Kind> = option.kinds.iter().copied().collect();
    let mut option = option;
    // Some documents list numbers for texts.
    option.values =
        option.values.filter(|values| kinds.iter().any(|kind| values.iter().any(|value| is_of(*kind, value))));
    let Some((last, others)) = kinds.split_last() else { return };
    for kind in others {
        add_part(by_kind, *kind, option.clone());
    }
    add_part(by_kind, *last, option);
}

pub(super) fn is_of(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::String => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
    }
}

/// Adds one type of an option.
pub(super) fn add_part<'d>(by_kind: &mut BTreeMap<Kind, Flat<'d>>, kind: Kind, mut part: Flat<'d>) {
    part.kinds = [kind].into();
    if let Some(values) = &mut part.values {
        values.retain(|value| is_of(kind, value));
        if values.is_empty() {
            return;
        }
    }
    // Whole numbers are numbers, too.
    let slot = if matches!(kind, Kind::Integer | Kind::Number) { Kind::Integer } else { kind };
    let joined = match by_kind.remove(&slot) {
        Some(known) => merge::either(known, part),
        None => part,
    };
    by_kind.insert(slot, joined);
}

/// Each option with each branch; without branches that contradict it.
pub(super) fn combined<'d>(options: &[Flat<'d>], branches: Vec<Flat<'d>>) -> Result<Vec<Flat<'d>>, Fail> {
    // Nothing but null was left.
    if branches.is_empty() {
        return if options.iter().all(|option| option.kinds.is_empty()) {
            Err(Fail::Never)
        } else {
            Ok(options.to_vec())
        };
    }
    let branches = if options.len() * branches.len() > MAX_OPTIONS { joined(branches) } else { branches };
    let mut combined = Vec::with_capacity(options.len() * branches.len());
    for option in options {
        for branch in &branches {
            match merge::both(option.clone(), branch.clone()) {
                Ok(both) => combined.push(both),
                Err(Fail::Never) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if combined.is_empty() { Err(Fail::Never) } else { Ok(combined) }
}

/// One schema for each type that branches allow.
pub(super) fn joined(branches: Vec<Flat<'_>>) -> Vec<Flat<'_>> {
    let mut by_kind = BTreeMap::new();
    for branch in branches {
        if branch.kinds.is_empty() {
            return vec![Flat::default()];
        }
        add_parts(&mut by_kind, branch);
    }
    by_kind.into_values().collect()
}
