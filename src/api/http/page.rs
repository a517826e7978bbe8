//! Pagination (contract section 1.6): `limit` and `cursor` in, the page envelope out.
//!
//! A cursor is base64 of `<page>-<limit>-<position>`: the page's number and size, as the hosted API writes
//! them, and where the page before ended, so that rows that come or go meanwhile shift nothing. Without
//! the position, the rows of the pages before are counted off. To callers it is opaque.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::{PageQuery, PageStart, Position};

use super::query::{Query, wrong};
use crate::error::{Error, Result};

/// Longest id in a cursor.
const LONGEST_ID: usize = 80;

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: i64,
    /// Items on a page.
    pub limit: i64,
    /// Where the page before ended; none for the first page, and for cursors that do not say it.
    after: Option<Position>,
}

/// A page of items.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// This page's items.
    pub items: Vec<T>,
    /// Among the other pages.
    #[serde(flatten)]
    pub place: PagePlace,
}

/// Where a page stands among the others.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PagePlace {
    /// Of the next page; null on the last.
    pub next_cursor: Option<String>,
    /// At least 1; follows from `total_items`.
    pub total_pages: i64,
    /// From 1.
    pub current_page: i64,
    /// On all pages, now. With a filter, counting stops at 10,000: then there may be more.
    pub total_items: i64,
}

impl PageRequest {
    /// Reads `limit` and `cursor`; a limit over `most` is cut, as SDKs ask for 9999.
    pub fn from_query(query: &Query, default: i64, most: i64) -> Result<Self> {
        let limit = match query.text("limit") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| wrong("limit", &must_be_within(most)))?),
        };
        Self::new(limit, query.text("cursor"), default, most, wrong)
    }

    /// The same from a body; an empty cursor counts as absent, as in a query.
    pub fn from_body(limit: Option<f64>, cursor: Option<&str>, default: i64, most: i64) -> Result<Self> {
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        Self::new(limit, cursor, default, most, |key, what| {
            Error::validation(vec![format!("Error in payload.{key}: {what}")])
        })
    }

    fn new(
        limit: Option<f64>,
        cursor: Option<&str>,
        default: i64,
        most: i64,
        wrong: impl Fn(&str, &str) -> Error,
    ) -> Result<Self> {
        let given = match limit {
            None => None,
            // Numbers with a fraction are in the schema; 20.0 means 20.
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the limits just after")]
            Some(number) if number >= 1.0 => Some((number as i64).min(most)),
            Some(_) => return Err(wrong("limit", &must_be_within(most))),
        };
        let Some(cursor) = cursor else {
            return Ok(Self { page: 1, limit: given.unwrap_or(default), after: None });
        };
        let cursor = decode(cursor).ok_or_else(|| wrong("cursor", "must be a next_cursor of an earlier answer"))?;
        Ok(Self { limit: given.unwrap_or_else(|| cursor.limit.min(most)), ..cursor })
    }

    /// Items before this page, where they are counted off.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// The page of a stored list.
    pub fn of_store(&self) -> PageQuery {
        let start = self.after.clone().map_or_else(|| PageStart::Skip(self.offset()), PageStart::After);
        PageQuery { start, limit: self.limit }
    }

    /// Whether the cursor tells a time or number besides an id; none for one without a position.
    pub fn tells_order(&self) -> Option<bool> {
        self.after.as_ref().map(|position| position.at != 0)
    }

    /// The envelope of this page, after which the list goes on at `next`.
    pub fn envelope<T>(&self, items: Vec<T>, total_items: i64, next: Option<&Position>) -> Page<T> {
        Page { items, place: self.place(total_items, next) }
    }

    /// Where this page stands among the others.
    pub fn place(&self, total_items: i64, next: Option<&Position>) -> PagePlace {
        let next_cursor = next.map(|it| BASE64.encode(format!("{}-{}-{}.{}", self.page + 1, self.limit, it.at, it.id)));
        // A total that stopped early, or fell meanwhile, does not end a list that goes on.
        let next_page = if next.is_some() { self.page + 1 } else { 1 };
        let total_pages = ((total_items + self.limit - 1) / self.limit).max(next_page);
        PagePlace { next_cursor, total_pages, current_page: self.page, total_items }
    }

    /// The envelope of this page of a list that is in memory.
    pub fn envelope_of<T, U>(&self, all: &[T], item: impl FnMut(&T) -> U) -> Page<U> {
        let offset = usize::try_from(self.offset()).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let items = all.iter().skip(offset).take(limit).map(item).collect();
        Page { items, place: self.counted_place(i64::try_from(all.len()).unwrap_or(i64::MAX)) }
    }

    /// Where this page stands among the others of a list that is counted off.
    pub fn counted_place(&self, total_items: i64) -> PagePlace {
        let total_pages = ((total_items + self.limit - 1) / self.limit).max(1);
        let next_cursor = (self.page < total_pages).then(|| BASE64.encode(format!("{}-{}", self.page + 1, self.limit)));
        PagePlace { next_cursor, total_pages, current_page: self.page, total_items }
    }
}

fn must_be_within(most: i64) -> String {
    format!("must be a number from 1 to {most}")
}

fn decode(cursor: &str) -> Option<PageRequest> {
    let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
    let mut parts = text.splitn(3, '-');
    let (page, limit) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let after = match parts.next() {
        None => None,
        Some(position) => Some(position_of(position)?),
    };
    (page >= 1 && limit >= 1 && page <= 1_000_000_000).then_some(PageRequest { page, limit, after })
}

fn position_of(text: &str) -> Option<Position> {
    let (at, id) = text.split_once('.')?;
    let is_id = id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let at = at.parse().ok().filter(|at| *at >= 0)?;
    (is_id && (at > 0 || !id.is_empty())).then(|| Position { at, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(limit: i64) -> PageRequest {
        PageRequest { page: 1, limit, after: None }
    }

    #[test]
    fn cursors_begin_as_the_hosted_api_writes_them_and_say_where_the_page_ended() {
        let ended = Position { at: 0, id: "ca_e2Y6Js-k57dt".to_owned() };
        let place = first(20).place(45, Some(&ended));
        let cursor = place.next_cursor.unwrap();
        assert_eq!(BASE64.decode(&cursor).unwrap(), b"2-20-0.ca_e2Y6Js-k57dt");
        assert_eq!((place.total_pages, place.current_page, place.total_items), (3, 1, 45));
        assert_eq!(decode(&cursor), Some(PageRequest { page: 2, limit: 20, after: Some(ended) }));
        assert_eq!(first(20).place(45, None).next_cursor, None);
        assert_eq!(first(20).place(0, None).total_pages, 1);
    }

    #[test]
    fn cursors_that_count_are_taken_too() {
        assert_eq!(first(20).counted_place(45).next_cursor.as_deref(), Some("Mi0yMA=="));
        let second = decode("Mi0yMA==").unwrap();
        assert_eq!((second.of_store().start, second.limit), (PageStart::Skip(20), 20));
    }

    #[test]
    fn a_list_that_goes_on_has_a_next_page_whatever_was_counted() {
        let ended = Position { at: 7, id: String::new() };
        let place = PageRequest { page: 600, limit: 20, after: None }.place(10_000, Some(&ended));
        assert_eq!((place.total_pages, place.current_page), (601, 600));
    }

    #[test]
    fn other_cursors_are_refused() {
        for cursor in ["", "x", "MC0yMA==", "Mi0w", "LTEtMjA=", "Mi0yMC0z", "////"] {
            assert_eq!(decode(cursor), None, "{cursor}");
        }
        for position in ["2-20-", "2-20-.", "2-20-0.", "2-20--1.ca_x", "2-20-0.ca_'x", "2-20-0.ca_x.y", "2-20-x.ca_x"] {
            assert_eq!(decode(&BASE64.encode(position)), None, "{position}");
        }
    }
}
