//! Pagination (contract section 1.6): `limit` and `cursor` in, the page envelope out.
//!
//! A cursor is base64 of `<page>-<limit>-<position>`: the page's number and size, as the hosted API
//! writes them, and the position at which the previous page ended, so that inserted or deleted rows do
//! not shift pages. Without a position, the rows of the previous pages are skipped by offset. Callers
//! must treat it as opaque.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::{PageQuery, PageStart, Position};

use super::query::{Query, wrong};
use crate::error::{Error, Result};

/// Maximum length of an id in a cursor.
const MAX_ID_LENGTH: usize = 80;

/// A requested page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Number of the page, from 1.
    pub page: i64,
    /// Items per page.
    pub limit: i64,
    /// Where the previous page ended; none for the first page and for cursors without a position.
    after: Option<Position>,
}

/// A page of items.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// This page's items.
    pub items: Vec<T>,
    /// Position of the page in the list.
    #[serde(flatten)]
    pub info: PageInfo,
}

/// Position of a page in its list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PageInfo {
    /// Cursor of the next page; null on the last.
    pub next_cursor: Option<String>,
    /// At least 1; computed from `total_items`.
    pub total_pages: i64,
    /// Number of this page, from 1.
    pub current_page: i64,
    /// Items on all pages, now. With a filter, counting stops at 10,000; there may be more then.
    pub total_items: i64,
}

impl PageRequest {
    /// Reads `limit` and `cursor`. A larger limit is reduced to `max`, because SDKs send 9999.
    pub fn from_query(query: &Query, default: i64, max: i64) -> Result<Self> {
        let limit = match query.text("limit") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| wrong("limit", &must_be_within(max)))?),
        };
        Self::new(limit, query.text("cursor"), default, max, wrong)
    }

    /// The same from a body; an empty cursor counts as absent, as in a query.
    pub fn from_body(limit: Option<f64>, cursor: Option<&str>, default: i64, max: i64) -> Result<Self> {
        let cursor = cursor.filter(|cursor| !cursor.is_empty());
        Self::new(limit, cursor, default, max, |key, problem| {
            Error::validation(vec![format!("Error in payload.{key}: {problem}")])
        })
    }

    fn new(
        limit: Option<f64>,
        cursor: Option<&str>,
        default: i64,
        max: i64,
        wrong: impl Fn(&str, &str) -> Error,
    ) -> Result<Self> {
        let given = match limit {
            None => None,
            // The schema allows fractions; 20.0 means 20.
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the limits just after")]
            Some(number) if number >= 1.0 => Some((number as i64).min(max)),
            Some(_) => return Err(wrong("limit", &must_be_within(max))),
        };
        let Some(cursor) = cursor else {
            return Ok(Self { page: 1, limit: given.unwrap_or(default), after: None });
        };
        let cursor = decode(cursor).ok_or_else(|| wrong("cursor", "must be a next_cursor of an earlier answer"))?;
        Ok(Self { limit: given.unwrap_or_else(|| cursor.limit.min(max)), ..cursor })
    }

    /// Items before this page, for lists with an offset.
    pub fn offset(&self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// The page as a query of the store.
    pub fn store_query(&self) -> PageQuery {
        let start = self.after.clone().map_or_else(|| PageStart::Skip(self.offset()), PageStart::After);
        PageQuery { start, limit: self.limit }
    }

    /// Whether the cursor contains a time or number besides an id; none for one without a position.
    pub fn is_time_ordered(&self) -> Option<bool> {
        self.after.as_ref().map(|position| position.at != 0)
    }

    /// The envelope of this page; `next` is where the list continues.
    pub fn envelope<T>(&self, items: Vec<T>, total_items: i64, next: Option<&Position>) -> Page<T> {
        Page { items, info: self.page_info(total_items, next) }
    }

    /// Position of this page in the list.
    pub fn page_info(&self, total_items: i64, next: Option<&Position>) -> PageInfo {
        let next_cursor =
            next.map(|next| BASE64.encode(format!("{}-{}-{}.{}", self.page + 1, self.limit, next.at, next.id)));
        // A total whose counting stopped early, or that has shrunk, does not end a list that continues.
        let next_page = if next.is_some() { self.page + 1 } else { 1 };
        let total_pages = ((total_items + self.limit - 1) / self.limit).max(next_page);
        PageInfo { next_cursor, total_pages, current_page: self.page, total_items }
    }

    /// The envelope of this page of a list in memory.
    pub fn envelope_of_slice<'t, T, U>(&self, all: &'t [T], item: impl FnMut(&'t T) -> U) -> Page<U> {
        let offset = usize::try_from(self.offset()).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let items = all.iter().skip(offset).take(limit).map(item).collect();
        Page { items, info: self.counted_page_info(i64::try_from(all.len()).unwrap_or(i64::MAX)) }
    }

    /// Position of this page in a list with an offset.
    pub fn counted_page_info(&self, total_items: i64) -> PageInfo {
        let total_pages = ((total_items + self.limit - 1) / self.limit).max(1);
        let next_cursor = (self.page < total_pages).then(|| BASE64.encode(format!("{}-{}", self.page + 1, self.limit)));
        PageInfo { next_cursor, total_pages, current_page: self.page, total_items }
    }
}

fn must_be_within(max: i64) -> String {
    format!("must be a number from 1 to {max}")
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
    let is_id =
        id.len() <= MAX_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
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
    fn cursors_start_like_those_of_the_hosted_api_and_contain_the_position() {
        let ended = Position { at: 0, id: "ca_e2Y6Js-k57dt".to_owned() };
        let info = first(20).page_info(45, Some(&ended));
        let cursor = info.next_cursor.unwrap();
        assert_eq!(BASE64.decode(&cursor).unwrap(), b"2-20-0.ca_e2Y6Js-k57dt");
        assert_eq!((info.total_pages, info.current_page, info.total_items), (3, 1, 45));
        assert_eq!(decode(&cursor), Some(PageRequest { page: 2, limit: 20, after: Some(ended) }));
        assert_eq!(first(20).page_info(45, None).next_cursor, None);
        assert_eq!(first(20).page_info(0, None).total_pages, 1);
    }

    #[test]
    fn cursors_with_an_offset_are_accepted() {
        assert_eq!(first(20).counted_page_info(45).next_cursor.as_deref(), Some("Mi0yMA=="));
        let second = decode("Mi0yMA==").unwrap();
        assert_eq!((second.store_query().start, second.limit), (PageStart::Skip(20), 20));
    }

    #[test]
    fn a_list_that_continues_has_a_next_page_whatever_the_total() {
        let ended = Position { at: 7, id: String::new() };
        let info = PageRequest { page: 600, limit: 20, after: None }.page_info(10_000, Some(&ended));
        assert_eq!((info.total_pages, info.current_page), (601, 600));
    }

    #[test]
    fn other_cursors_are_rejected() {
        for cursor in ["", "x", "MC0yMA==", "Mi0w", "LTEtMjA=", "Mi0yMC0z", "////"] {
            assert_eq!(decode(cursor), None, "{cursor}");
        }
        for position in ["2-20-", "2-20-.", "2-20-0.", "2-20--1.ca_x", "2-20-0.ca_'x", "2-20-0.ca_x.y", "2-20-x.ca_x"] {
            assert_eq!(decode(&BASE64.encode(position)), None, "{position}");
        }
    }
}
