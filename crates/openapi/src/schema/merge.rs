//! Joins what schemas say: so that all hold (`allOf`), or so that one of them is enough (`oneOf`, `anyOf`).

use std::collections::BTreeSet;

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
    for (name, property) in other.properties {
        let merged = match flat.properties.remove(name) {
            Some(known) if !is_same(&known, &property) => Node::Any(joined(known, property)),
            _ => property,
        };
        flat.properties.insert(name, merged);
    }
    flat.required.retain(|name| other.required.contains(name));
    flat.additional = match (flat.additional, other.additional) {
        (Some(Additional::Of(one)), Some(Additional::Of(other))) if is_same(&one, &other) => Some(Additional::Of(one)),
        (None, None) => None,
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
