//! Joins what schemas say: so that all hold (`allOf`), or so that one of them is enough (`oneOf`, `anyOf`).

use std::collections::{BTreeMap, BTreeSet};

use super::flat::{Additional, Fail, Flat, Kind, Node};

/// Both hold. The first one's words count more.
///
/// # Errors
/// No value fits both.
pub(super) fn both<'d>(one: Flat<'d>, other: Flat<'d>) -> Result<Flat<'d>, Fail> {
    let mut flat = one;
    flat.kinds = common_kinds(&flat.kinds, &other.kinds)?;
    flat.nullable |= other.nullable;
    flat.description = flat.description.or(other.description);
    flat.values = match (flat.values, other.values) {
        (Some(one), Some(other)) => {
            let common: Vec<_> = one.into_iter().filter(|value| other.contains(value)).collect();
            if common.is_empty() {
                return Err(Fail::Never);
            }
            Some(common)
        }
        (one, other) => one.or(other),
    };
    flat.format = flat.format.or(other.format);
    flat.pattern = flat.pattern.or(other.pattern);
    flat.minimum = pick(flat.minimum, other.minimum, f64::max);
    flat.maximum = pick(flat.maximum, other.maximum, f64::min);
    flat.min_length = pick(flat.min_length, other.min_length, u64::max);
    flat.max_length = pick(flat.max_length, other.max_length, u64::min);
    flat.min_items = pick(flat.min_items, other.min_items, u64::max);
    flat.max_items = pick(flat.max_items, other.max_items, u64::min);
    for (name, property) in other.properties {
        let merged = match flat.properties.remove(name) {
            Some(known) if !is_same(&known, &property) => Node::All(vec![known, property]),
            _ => property,
        };
        flat.properties.insert(name, merged);
    }
    flat.required.extend(other.required);
    flat.additional = flat.additional.or(other.additional);
    flat.items = match (flat.items, other.items) {
        (Some(one), Some(other)) if !is_same(&one, &other) => Some(Node::All(vec![one, other])),
        (one, other) => one.or(other),
    };
    flat.alternatives.extend(other.alternatives);
    flat.discriminator = flat.discriminator.or(other.discriminator);
    flat.default = flat.default.or(other.default);
    flat.example = flat.example.or(other.example);
    flat.read_only |= other.read_only;
    flat.write_only |= other.write_only;
    flat.deprecated |= other.deprecated;
    flat.has_more_rules |= other.has_more_rules;
    flat.is_cyclic |= other.is_cyclic;
    Ok(flat)
}

/// One of them is enough. The result takes more: every value that fits one of them.
pub(super) fn either<'d>(one: Flat<'d>, other: Flat<'d>) -> Flat<'d> {
    let mut flat = one;
    // Where one takes any members, the other's names restrict nothing.
    let is_free = |flat: &Flat<'_>| flat.kinds.contains(&Kind::Object) && flat.properties.is_empty();
    let is_map = |flat: &Flat<'_>| matches!(flat.additional, Some(Additional::Of(_)));
    let both_maps = is_free(&flat) && is_free(&other) && is_map(&flat) && is_map(&other);
    let is_open = (is_free(&flat) || is_free(&other)) && !both_maps;
    if flat.kinds.is_empty() || other.kinds.is_empty() {
        flat.kinds.clear();
    } else {
        flat.kinds.extend(other.kinds);
    }
    flat.nullable |= other.nullable;
    flat.description = flat.description.or(other.description);
    flat.values = match (flat.values, other.values) {
        (Some(mut one), Some(other)) => {
            for value in other {
                if !one.contains(&value) {
                    one.push(value);
                }
            }
            Some(one)
        }
        _ => None,
    };
    flat.format = flat.format.filter(|format| other.format == Some(format));
    flat.pattern = flat.pattern.filter(|pattern| other.pattern == Some(pattern));
    flat.minimum = flat.minimum.zip(other.minimum).map(|(one, other)| one.min(other));
    flat.maximum = flat.maximum.zip(other.maximum).map(|(one, other)| one.max(other));
    flat.min_length = flat.min_length.zip(other.min_length).map(|(one, other)| one.min(other));
    flat.max_length = flat.max_length.zip(other.max_length).map(|(one, other)| one.max(other));
    flat.min_items = flat.min_items.zip(other.min_items).map(|(one, other)| one.min(other));
    flat.max_items = flat.max_items.zip(other.max_items).map(|(one, other)| one.max(other));
    flat.properties = named_by_either(flat.properties, other.properties, (&flat.additional, &other.additional));
    flat.required.retain(|name| other.required.contains(name) && flat.properties.contains_key(name));
    if is_open {
        flat.properties.clear();
        flat.required.clear();
    }
    flat.additional = match (flat.additional, other.additional) {
        (Some(Additional::Of(one)), Some(Additional::Of(other))) if is_same(&one, &other) => Some(Additional::Of(one)),
        (None, None) if !is_open => None,
        _ => Some(Additional::Any),
    };
    flat.items = match (flat.items, other.items) {
        (Some(one), Some(other)) if is_same(&one, &other) => Some(one),
        (Some(one), Some(other)) => Some(Node::Any(joined(one, other))),
        _ => None,
    };
    flat.default = flat.default.or(other.default);
    flat.example = flat.example.or(other.example);
    flat.read_only &= other.read_only;
    flat.write_only &= other.write_only;
    flat.deprecated &= other.deprecated;
    flat.has_more_rules |= other.has_more_rules;
    flat.is_cyclic |= other.is_cyclic;
    flat
}

/// The properties that either names. What only one names may be what the other takes without naming it.
fn named_by_either<'d>(
    one: BTreeMap<&'d str, Node<'d>>,
    mut other: BTreeMap<&'d str, Node<'d>>,
    (more, other_more): (&Option<Additional<'d>>, &Option<Additional<'d>>),
) -> BTreeMap<&'d str, Node<'d>> {
    let alone = |property: Node<'d>, more: &Option<Additional<'d>>| match more {
        None => Some(property),
        Some(Additional::Of(node)) => Some(Node::Any(joined(property, node.clone()))),
        Some(Additional::Any) => None,
    };
    let mut named = BTreeMap::new();
    for (name, property) in one {
        let property = match other.remove(name) {
            Some(same) if is_same(&same, &property) => Some(property),
            Some(another) => Some(Node::Any(joined(property, another))),
            None => alone(property, other_more),
        };
        named.extend(property.map(|property| (name, property)));
    }
    for (name, property) in other {
        named.extend(alone(property, more).map(|property| (name, property)));
    }
    named
}

fn pick<T>(one: Option<T>, other: Option<T>, choose: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

/// The types that both allow. `integer` is within `number`.
fn common_kinds(one: &BTreeSet<Kind>, other: &BTreeSet<Kind>) -> Result<BTreeSet<Kind>, Fail> {
    if one.is_empty() || other.is_empty() {
        return Ok(one.union(other).copied().collect());
    }
    let allows = |kinds: &BTreeSet<Kind>, kind: Kind| {
        kinds.contains(&kind) || kind == Kind::Integer && kinds.contains(&Kind::Number)
    };
    let common: BTreeSet<Kind> =
        one.union(other).copied().filter(|kind| allows(one, *kind) && allows(other, *kind)).collect();
    if common.is_empty() { Err(Fail::Never) } else { Ok(common) }
}

/// The alternatives of two schemas, each once.
fn joined<'d>(one: Node<'d>, other: Node<'d>) -> Vec<Node<'d>> {
    let mut nodes = match one {
        Node::Any(nodes) => nodes,
        one => vec![one],
    };
    let more = match other {
        Node::Any(nodes) => nodes,
        other => vec![other],
    };
    for node in more {
        if !nodes.iter().any(|known| is_same(known, &node)) {
            nodes.push(node);
        }
    }
    nodes
}

/// Whether two schemas are the same text of the document.
fn is_same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (one, other) {
        (Node::One(one), Node::One(other)) => std::ptr::eq(*one, *other) || one == other,
        (Node::All(one), Node::All(other)) | (Node::Any(one), Node::Any(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        _ => false,
    }
}
