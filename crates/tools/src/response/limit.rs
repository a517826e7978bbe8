//! Makes a result fit: lists lose items from their end, then texts their end, then objects members. Each loss is noted.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::Shaped;
use super::note::{Location, NOTE, Note};

/// How large a result may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Items of each list.
    pub(super) items: Option<usize>,
    /// Bytes of the result as JSON, with its note.
    pub(super) bytes: Option<usize>,
}

/// How much of each value is shown.
#[derive(Clone, Copy, Debug)]
struct Limits {
    items: usize,
    characters: usize,
    members: usize,
}

/// The part of the bytes that one text, or the note, may take.
const SHARE: usize = 4;

impl Budget {
    /// A result within the budget, as `print` writes it. `note` is what is missing already.
    pub(super) fn apply(
        self,
        data: &Map<String, Value>,
        note: &Note,
        print: impl Fn(Map<String, Value>) -> Map<String, Value>,
    ) -> Shaped {
        let items = self.items.unwrap_or(usize::MAX);
        let all = Limits { items, characters: usize::MAX, members: usize::MAX };
        let max_bytes = self.bytes.unwrap_or(usize::MAX);
        let attempt = |limits: Limits| shown(data, limits, note.clone(), max_bytes / SHARE, &print);
        let fits = |limits: Limits| size(&attempt(limits).data, max_bytes).is_some();
        if self.bytes.is_none() || fits(all) {
            return attempt(all);
        }
        let with_texts = |characters: usize| Limits { characters, ..all };
        for limits in [all, with_texts(max_bytes / SHARE)] {
            if let Some(items) = largest(items, |items| fits(Limits { items, ..limits })) {
                return attempt(Limits { items, ..limits });
            }
        }
        let one_item = Limits { items: 1, ..all };
        if let Some(characters) = largest(max_bytes / SHARE, |characters| fits(Limits { characters, ..one_item })) {
            return attempt(Limits { characters, ..one_item });
        }
        let names = Limits { items: 1, characters: 1, members: usize::MAX };
        let members = largest(max_bytes, |members| fits(Limits { members, ..names })).unwrap_or(0);
        attempt(Limits { members, ..names })
    }
}

/// The largest number from 1 to `max` that fits; none if 1 does not. A number fits if a larger one does.
fn largest(max: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let mut good = fits(1).then_some(1_usize)?;
    // Doubling first: the attempts stay near the size that fits, however large the result is.
    let mut bad = loop {
        let next = good.saturating_mul(2).min(max);
        if next == good {
            return Some(good);
        }
        if !fits(next) {
            break next;
        }
        good = next;
    };
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

/// A result with its note.
fn shown(
    data: &Map<String, Value>,
    limits: Limits,
    mut note: Note,
    room: usize,
    print: impl Fn(Map<String, Value>) -> Map<String, Value>,
) -> Shaped {
    let limited = members(data, limits, &mut Location::default(), &mut note);
    let mut data = print(limited);
    if let Some(printed) = note.print(room) {
        data.insert(NOTE.to_owned(), printed);
    }
    Shaped { data, is_truncated: note.is_truncated() }
}

fn members(all: &Map<String, Value>, limits: Limits, place: &mut Location, note: &mut Note) -> Map<String, Value> {
    if all.len() > limits.members {
        note.missing(place, limits.members, all.len(), "members");
    }
    let shown = all.iter().take(limits.members);
    shown
        .map(|(name, value)| (name.clone(), place.at_member(name, |place| limited(value, limits, place, note))))
        .collect()
}

fn limited(value: &Value, limits: Limits, place: &mut Location, note: &mut Note) -> Value {
    match value {
        Value::Object(all) => members(all, limits, place, note).into(),
        Value::Array(all) => {
            if all.len() > limits.items {
                note.missing(place, limits.items, all.len(), "items");
            }
            let shown = all.iter().take(limits.items).enumerate();
            shown.map(|(index, item)| place.at_item(index, |place| limited(item, limits, place, note))).collect()
        }
        Value::String(text) => match text.char_indices().nth(limits.characters) {
            Some((end, _)) => {
                note.missing(place, limits.characters, text.chars().count(), "characters");
                format!("{}…", text.get(..end).unwrap_or_default()).into()
            }
            None => value.clone(),
        },
        value => value.clone(),
    }
}

/// The size of a result in bytes of JSON; none if it is more than `max`.
fn size(data: &Map<String, Value>, max: usize) -> Option<usize> {
    let mut counter = Counter { left: max };
    serde_json::to_writer(&mut counter, data).ok()?;
    Some(max - counter.left)
}

/// Counts bytes up to a limit.
struct Counter {
    left: usize,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
