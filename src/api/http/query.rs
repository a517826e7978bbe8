//! Query strings as the SDKs write them: lists joined by commas or repeated, booleans as words. Which
//! parameters an operation takes is checked before (`parameters.rs`).

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

    /// All values of a key whose values have neither commas nor blanks in them, such as slugs and our
    /// own ids: split at commas, however often and in whichever form it is given.
    pub fn list(&self, key: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(name, _)| is_list_key(name, key)).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A list that narrows by owner: given and empty is an error, not "all", since a caller whose
    /// list of ids turned out empty would otherwise see everybody's.
    pub fn narrowing_list(&self, key: &str) -> Result<Vec<String>> {
        self.narrowing(key, self.list(key))
    }

    /// The same of names that callers chose: each counts exactly as it stands, blanks included.
    pub fn narrowing_names(&self, key: &str) -> Result<Vec<String>> {
        let items = self.items(key).into_iter();
        self.narrowing(key, items.filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn narrowing(&self, key: &str, list: Vec<String>) -> Result<Vec<String>> {
        if list.is_empty() && self.0.iter().any(|(name, _)| is_list_key(name, key)) {
            return Err(wrong(key, "must name at least one, or be left out"));
        }
        Ok(list)
    }

    /// `key=a,b` once is a list joined by commas, as the SDKs write it (contract section 1.3). `key[]`,
    /// and a key that is given more than once, hold one value each, which may have commas in it.
    fn items(&self, key: &str) -> Vec<&str> {
        let given: Vec<&(String, String)> = self.0.iter().filter(|(name, _)| is_list_key(name, key)).collect();
        match given.as_slice() {
            [(name, value)] if name == key => value.split(',').collect(),
            several => several.iter().map(|(_, value)| value.as_str()).collect(),
        }
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

/// Whether a parameter belongs to a list: `key`, `key[]` or `key[0]`.
pub fn is_list_key(name: &str, key: &str) -> bool {
    let Some(rest) = name.strip_prefix(key) else { return false };
    let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A validation error about one query parameter.
pub fn wrong(key: &str, what: &str) -> Error {
    Error::validation(vec![format!("Error in query.{key}: {what}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    #[test]
    fn one_plain_value_is_split_and_several_are_taken_whole() {
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
            assert_eq!(query(text).narrowing_names("k").unwrap(), expected, "{text}");
        }
        for text in ["k=a,b", "k=a, b ,", "k[]=a,b", "k=a&k=b", "k[]=a&k[]=b", "k=a,&k[0]=,b"] {
            assert_eq!(query(text).list("k"), ["a", "b"], "{text}");
        }
        for text in ["k=", "k=,", "k[]=", "k=&k=", "k[0]="] {
            assert!(query(text).narrowing_names("k").is_err(), "{text}");
            assert!(query(text).narrowing_list("k").is_err(), "{text}");
        }
        assert!(query("other=x").narrowing_names("k").unwrap().is_empty());
    }
}
