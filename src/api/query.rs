//! Query strings as the SDKs write them: lists joined by commas or repeated, booleans as words.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{Error, Result};

/// The decoded pairs of a query string.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The last value of a key; an empty one counts as absent.
    pub fn text(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(name, _)| name == key)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a key, split at commas. `key[]` is taken too.
    pub fn list(&self, key: &str) -> Vec<String> {
        let named = |name: &str| name == key || name.strip_suffix("[]") == Some(key);
        self.0
            .iter()
            .filter(|(name, _)| named(name))
            .flat_map(|(_, value)| value.split(','))
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// A list that narrows by owner: given and empty is an error, not "all", since a caller whose
    /// list of ids turned out empty would otherwise see everybody's.
    pub fn narrowing_list(&self, key: &str) -> Result<Vec<String>> {
        let list = self.list(key);
        let is_given = self.0.iter().any(|(name, _)| name == key || name.strip_suffix("[]") == Some(key));
        if is_given && list.is_empty() {
            return Err(wrong(key, "must name at least one, or be left out"));
        }
        Ok(list)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.text(key) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(key, "must be true or false")),
        }
    }

    /// One of a few words, in any case.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(given) = self.text(key) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.map(|(_, value)| Some(*value)).ok_or_else(|| wrong(key, &format!("must be one of {}", known.join(", "))))
    }
}

/// A validation error about one query parameter.
pub fn wrong(key: &str, what: &str) -> Error {
    Error::validation(vec![format!("Error in query.{key}: {what}")])
}
