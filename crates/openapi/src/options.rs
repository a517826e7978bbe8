//! How a document is imported.

use std::str::FromStr;

use url::Url;

/// How a document is imported.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Slug of the toolkit: 1 to 24 of `a-z`, `0-9` and `_`, beginning with a letter.
    pub slug: String,
    /// Name of the toolkit for people. Default: the document's title.
    pub name: Option<String>,
    /// Only operations with one of these tags, paths or operation ids; all if empty. `*` stands for any characters.
    pub include: Vec<String>,
    /// No operations with one of these tags, paths or operation ids.
    pub exclude: Vec<String>,
    /// Maximum number of operations, in the order of their paths.
    pub limit: Option<usize>,
    /// Words that names of tools begin with, after the toolkit's slug.
    pub prefix: Option<String>,
    /// Base URL in place of the document's servers.
    pub base_url: Option<String>,
    /// Credential in place of the document's security schemes.
    pub auth: Option<Auth>,
    /// Where the document comes from, for servers that are relative to it.
    pub source_url: Option<Url>,
    /// Where the document comes from, for the lock file. Without a query and without credentials.
    pub source: String,
    /// Today, `YYYYMMDD`.
    pub date: String,
}

/// The credential of a toolkit, as it is given on a command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Auth {
    /// `none`.
    None,
    /// `bearer`: a token in the header `Authorization`.
    Bearer,
    /// `basic`: user name and password.
    Basic,
    /// `header:NAME`: a key in a header.
    Header(String),
    /// `query:NAME`: a key in the query.
    Query(String),
}

impl FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| if name.is_empty() { None } else { Some(name.to_owned()) };
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "bearer" => Ok(Self::Bearer),
            None if text == "basic" => Ok(Self::Basic),
            Some(("header", name)) if named(name).is_some() => Ok(Self::Header(name.to_owned())),
            Some(("query", name)) if named(name).is_some() => Ok(Self::Query(name.to_owned())),
            _ => Err(format!("{text:?} is none of none, bearer, basic, header:NAME and query:NAME")),
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any characters. Case does not matter.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}
