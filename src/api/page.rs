//! Pagination (contract section 1.6): `limit` and `cursor` in, the page envelope out.
//!
//! A cursor is base64 of `<page>-<limit>`, as the hosted API writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Serialize;

use super::query::{Query, wrong};
use crate::error::{Error, Result};

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: i64,
    /// Items on a page.
    pub limit: i64,
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
    /// At least 1.
    pub total_pages: i64,
    /// From 1.
    pub current_page: i64,
    /// On all pages.
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
        let Some(cursor) = cursor else { return Ok(Self { page: 1, limit: given.unwrap_or(default) }) };
        let (page, cursor_limit) =
            decode(cursor).ok_or_else(|| wrong("cursor", "must be a next_cursor of an earlier answer"))?;
        Ok(Self { page, limit: given.unwrap_or_else(|| cursor_limit.min(most)) })
    }

    /// Items before this page.
    pub fn offset(self) -> i64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    /// The envelope of this page.
    pub fn envelope<T>(self, items: Vec<T>, total_items: i64) -> Page<T> {
        Page { items, place: self.place(total_items) }
    }

    /// Where this page stands among the others.
    pub fn place(self, total_items: i64) -> PagePlace {
        let total_pages = ((total_items + self.limit - 1) / self.limit).max(1);
        let next_cursor = (self.page < total_pages).then(|| BASE64.encode(format!("{}-{}", self.page + 1, self.limit)));
        PagePlace { next_cursor, total_pages, current_page: self.page, total_items }
    }

    /// The items of this page of a list that is in memory.
    pub fn cut<T>(self, all: &[T]) -> impl Iterator<Item = &T> {
        let offset = usize::try_from(self.offset()).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        all.iter().skip(offset).take(limit)
    }
}

fn must_be_within(most: i64) -> String {
    format!("must be a number from 1 to {most}")
}

fn decode(cursor: &str) -> Option<(i64, i64)> {
    let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
    let (page, limit) = text.split_once('-')?;
    let (page, limit) = (page.parse().ok()?, limit.parse().ok()?);
    (page >= 1 && limit >= 1 && page <= 1_000_000_000).then_some((page, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_what_the_hosted_api_writes() {
        let place = PageRequest { page: 1, limit: 20 }.place(45);
        assert_eq!(place.next_cursor.as_deref(), Some("Mi0yMA=="));
        assert_eq!((place.total_pages, place.current_page, place.total_items), (3, 1, 45));
        assert_eq!(decode("Mi0yMA=="), Some((2, 20)));
        assert_eq!(PageRequest { page: 3, limit: 20 }.place(45).next_cursor, None);
        assert_eq!(PageRequest { page: 1, limit: 20 }.place(0).total_pages, 1);
    }

    #[test]
    fn other_cursors_are_refused() {
        for cursor in ["", "x", "MC0yMA==", "Mi0w", "LTEtMjA=", "Mi0yMC0z", "////"] {
            assert_eq!(decode(cursor), None, "{cursor}");
        }
    }
}
