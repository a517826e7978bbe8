//! Resolves a caller's `endpoint` to a URL that is guaranteed to stay within the destination.
//!
//! Endpoints come from agents, and so from anyone whose text the agent has read. `Url::join` is unsafe here:
//! it leaves the base for `//evil.test`, `/\evil.test` and `../..`. Therefore a relative endpoint is only
//! appended to the base path. Anything that parsers may read differently (such as a proxy of the provider
//! that decodes once more) is refused.

use url::Url;

use crate::error::EgressError;
use crate::policy::Destination;

/// Maximum length of an endpoint, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// How often a path is decoded in search of hidden dot segments. A path that is encoded more often is
/// refused.
const MAX_DECODINGS: usize = 4;

impl Destination {
    /// Resolves `endpoint` to a URL.
    ///
    /// A relative endpoint is appended to the base path: `https://a/v3` and `/users` (or `users`) give
    /// `https://a/v3/users`. An absolute one must match this destination and have the base's scheme. On the
    /// base's own host and port it must also be at or below the base path, or one of the destination's
    /// further paths ([`Destination::with_paths`]). The base's query is dropped.
    ///
    /// # Errors
    ///
    /// [`EgressError::EndpointNotAllowed`] for anything else: dot segments (also when encoded once or more),
    /// backslashes, control characters, `//host`, user information, fragments, other schemes, hosts or ports.
    pub fn resolve(&self, base: &Url, endpoint: &str) -> Result<Url, EgressError> {
        check_text(endpoint)?;
        let (before_query, query) = match endpoint.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (endpoint, None),
        };
        if before_query.contains('\\') {
            return refuse("backslash");
        }
        let url = if let Some((authority, path)) = split_absolute(before_query)? {
            check_path(path)?;
            self.absolute(base, endpoint, authority)?
        } else {
            check_path(before_query)?;
            relative(base, before_query, query)?
        };
        if self.admits(&url) { Ok(url) } else { refuse("the host is not one of this destination's") }
    }

    fn absolute(&self, base: &Url, endpoint: &str, authority: &str) -> Result<Url, EgressError> {
        if authority.contains('@') {
            return refuse("user information");
        }
        let Ok(url) = Url::parse(endpoint) else {
            return refuse("not a url");
        };
        if url.scheme() != base.scheme() {
            return refuse("the scheme differs from the base's");
        }
        // The base path does not apply to other hosts.
        let is_other_host = !has_same_origin(&url, base);
        let paths = || std::iter::once(base.path()).chain(self.paths().iter().map(String::as_str));
        if is_other_host || paths().any(|prefix| is_at_or_below(url.path(), prefix)) {
            Ok(url)
        } else {
            refuse("on the base url's host, only its path and what is below it may be asked for")
        }
    }
}

/// Whether two URLs have the same scheme, host and port (RFC 6454 section 5).
pub(crate) fn has_same_origin(one: &Url, other: &Url) -> bool {
    let parts = |url| (Url::host(url), Url::port_or_known_default(url));
    one.scheme() == other.scheme() && parts(one) == parts(other)
}

/// Whether the path equals the prefix or is below it, by whole segments.
pub fn is_at_or_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn refuse<T>(reason: &'static str) -> Result<T, EgressError> {
    Err(EgressError::EndpointNotAllowed { reason })
}

/// Characters that are refused anywhere. URL parsers silently drop tabs, line ends and surrounding blanks,
/// which would change what the other checks saw.
fn check_text(endpoint: &str) -> Result<(), EgressError> {
    if endpoint.is_empty() {
        return refuse("empty");
    }
    if endpoint.len() > MAX_LENGTH {
        return refuse("too long");
    }
    if endpoint.chars().any(char::is_control) {
        return refuse("control character");
    }
    if endpoint.trim() != endpoint {
        return refuse("blank at the beginning or end");
    }
    if endpoint.contains('#') {
        return refuse("a fragment is never sent; write %23 for a # of the path or query");
    }
    Ok(())
}

/// Authority and path of an absolute endpoint; `None` for a relative one.
fn split_absolute(text: &str) -> Result<Option<(&str, &str)>, EgressError> {
    if text.starts_with("//") {
        return refuse("host without a scheme");
    }
    // RFC 3986 §4.2: a colon in the first segment would start with a scheme.
    let first_segment = text.split('/').next().unwrap_or_default();
    let Some((scheme, _)) = first_segment.split_once(':') else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return refuse("a colon in the first segment of a relative endpoint, or another scheme");
    }
    let Some(rest) = text[scheme.len()..].strip_prefix("://") else {
        return refuse("two slashes expected after the scheme");
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() {
        return refuse("no host after the scheme");
    }
    Ok(Some((authority, path)))
}

fn relative(base: &Url, path: &str, query: Option<&str>) -> Result<Url, EgressError> {
    if base.cannot_be_a_base() {
        return refuse("the base has no path");
    }
    let mut url = base.clone();
    url.set_fragment(None);
    url.set_query(query);
    if path.is_empty() {
        return Ok(url);
    }
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/{}", path.strip_prefix('/').unwrap_or(path)));
    // Cannot fail after the checks above; defence in depth if a parser disagrees.
    let is_below = url.path().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if !has_same_origin(&url, base) || !is_below {
        return refuse("leaves the base's path");
    }
    Ok(url)
}

/// Refuses a path in which any parser might see a dot segment: as written, or after percent-decoding once or
/// more, with `\` read as `/` and `;parameters` removed, as some servers do. Other encoded characters
/// (`group%2Fproject`) are kept.
fn check_path(path: &str) -> Result<(), EgressError> {
    if !path.contains('%') {
        return check_segments(path.as_bytes());
    }
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..=MAX_DECODINGS {
        check_segments(&bytes)?;
        let decoded = percent_decode(&bytes);
        if decoded == bytes {
            return Ok(());
        }
        bytes = decoded;
    }
    refuse("percent-encoded too many times")
}

fn check_segments(path: &[u8]) -> Result<(), EgressError> {
    if path.iter().any(u8::is_ascii_control) {
        return refuse("control character");
    }
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        if name == b"." || name == b".." {
            return refuse("dot segment");
        }
    }
    Ok(())
}

/// Decodes every `%XX` once and keeps everything else.
fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let escape = if first == b'%' { after.get(..2).and_then(hex_pair) } else { None };
        decoded.push(escape.unwrap_or(first));
        rest = if escape.is_some() { &after[2..] } else { after };
    }
    decoded
}

/// The byte of two hexadecimal digits.
fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
    u8::try_from(value).ok()
}
