//! Query strings as SDKs write them: lists separated by commas or repeated, booleans as words.
//! `parameters.rs` has already checked which parameters an operation accepts.

use std::collections::BTreeMap;
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

    /// The query without a key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self(self.0.iter().filter(|(name, _)| name != key).cloned().collect())
    }

    /// All values of a key whose values contain neither commas nor blanks, such as slugs and our own
    /// ids: split at commas, in any of the accepted forms.
    pub fn list(&self, key: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(name, _)| is_list_key(name, key)).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A list that filters by owner. Present but empty is an error and does not mean "all": a caller
    /// whose list of ids happens to be empty would otherwise get the objects of all users.
    pub fn filter_list(&self, key: &str) -> Result<Vec<String>> {
        self.required_filter(key, self.list(key))
    }

    /// The same for names that callers chose: each is compared exactly, including blanks.
    pub fn filter_names(&self, key: &str) -> Result<Vec<String>> {
        let items = self.items(key).into_iter();
        self.required_filter(key, items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn required_filter(&self, key: &str, list: Vec<String>) -> Result<Vec<String>> {
        if list.is_empty() && self.0.iter().any(|(name, _)| is_list_key(name, key)) {
            return Err(wrong(key, "must name at least one, or be left out"));
        }
        Ok(list)
    }

    /// `key=a,b` once is a comma-separated list, as SDKs write it (contract section 1.3). `key[]`, or a
    /// repeated key, has one value each, which may contain commas.
    fn items(&self, key: &str) -> Vec<&str> {
        let given: Vec<&(String, String)> = self.0.iter().filter(|(name, _)| is_list_key(name, key)).collect();
        match given.as_slice() {
            [(name, value)] if name == key => value.split(',').collect(),
            several => several.iter().map(|(_, value)| value.as_str()).collect(),
        }
    }

    /// The values of `key[name]`, by name.
    pub fn map(&self, key: &str) -> BTreeMap<&str, &str> {
        let entries = self.0.iter().filter_map(|(name, value)| Some((map_key(name, key)?, value.as_str())));
        entries.filter(|(_, value)| !value.is_empty()).collect()
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

    /// One of several words, in any case.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(given) = self.text(key) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.map(|(_, value)| Some(*value)).ok_or_else(|| wrong(key, &format!("must be one of {}", known.join(", "))))
    }
}

/// Whether a parameter belongs to a list: `key`, `key[]` or `key[0]`.
pub fn is_list_key(name: &str, key: &str) -> bool {
    let Some(rest) = name.strip_prefix(key) else { return false };
    let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The name in `key[name]`.
pub fn map_key<'n>(name: &'n str, key: &str) -> Option<&'n str> {
    let inner = name.strip_prefix(key)?.strip_prefix('[')?.strip_suffix(']')?;
    Some(inner).filter(|inner| !inner.is_empty())
}

/// A validation error about one query parameter.
pub fn wrong(key: &str, problem: &str) -> Error {
    Error::validation(vec![format!("Error in query.{key}: {problem}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    #[test]
    fn one_plain_value_is_split_and_several_are_not() {
        for (text, expected) in [
            ("k=a,b", &["a", "b"][..]),
            ("k=a%2Cb", &["a", "b"]),
            ("k=a,,b,", &["a", "b"]),
            ("k[]=a,b", &["a,b"]),
            ("k%5B%5D=a,b", &["a,b"]),
            ("k[0]=a,b&k[1]=c", &["a,b", "c"]),
            ("k=a,b&k=c", &["a,b", "c"]),
            ("k=a,b&k[]=c", &["a,b", "c"]),
            ("k=Lovelace,+Ada", &["Lovelace", " Ada"]),
            ("k[]=+ada+&k[]=ada%2Bwork", &[" ada ", "ada+work"]),
            ("kk=a&k[x]=b&k[=c&K=d", &[]),
        ] {
            assert_eq!(query(text).filter_names("k").unwrap(), expected, "{text}");
        }
        for text in ["k=a,b", "k=a, b ,", "k[]=a,b", "k=a&k=b", "k[]=a&k[]=b", "k=a,&k[0]=,b"] {
            assert_eq!(query(text).list("k"), ["a", "b"], "{text}");
        }
        for text in ["k=", "k=,", "k[]=", "k=&k=", "k[0]="] {
            assert!(query(text).filter_names("k").is_err(), "{text}");
            assert!(query(text).filter_list("k").is_err(), "{text}");
        }
        assert!(query("other=x").filter_names("k").unwrap().is_empty());
    }
}
