//! Errors of building requests, and template expansion, with which every builder begins.

use switchboard_catalog::template::{self, TemplateError};
use thiserror::Error;
use url::Url;

use crate::Variables;

/// Why a request could not be built. Never contains a value of the request.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BuildError {
    /// A template of the toolkit could not be expanded.
    #[error("cannot expand the {part}")]
    Template {
        /// Which template.
        part: &'static str,
        /// The reason.
        source: TemplateError,
    },
    /// An expanded endpoint is not a valid URL.
    #[error("the {part} {reason}")]
    Endpoint {
        /// Which endpoint.
        part: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The client has no secret, and the toolkit's client authentication needs one.
    #[error("the client secret is missing")]
    MissingClientSecret,
    /// The client authenticates with an assertion, and there is none.
    #[error("the client assertion is missing")]
    MissingAssertion,
    /// The toolkit requires PKCE (RFC 7636), and there is no verifier or challenge.
    #[error("the {0} is missing, and this toolkit uses PKCE")]
    MissingPkce(&'static str),
    /// User-level scopes for a toolkit without them.
    #[error("this toolkit has no user-level scopes")]
    UserScopes,
    /// A header's name or value cannot be sent.
    #[error("header `{name}` {reason}")]
    Header {
        /// The header.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// A placement without exactly one of header and query parameter.
    #[error("a placement needs exactly one of `header` and `query`")]
    Placement,
    /// A value of the credential is missing or cannot be sent.
    #[error("credential value `{name}` {reason}")]
    Credential {
        /// Name of the value.
        name: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A private key, certificate or signing secret cannot be used.
    #[error("the {part} {reason}")]
    Key {
        /// Which one.
        part: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The time of signing cannot be represented in a signature.
    #[error("the time of signing is not between the years 1970 and 9999")]
    Time,
    /// A request that OAuth 1.0a cannot sign (RFC 5849).
    #[error("the {place} {reason}")]
    Unsignable {
        /// Which part of the request.
        place: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The body could not be encoded.
    #[error("the body cannot be encoded")]
    Body,
}

/// Expands one template.
pub(crate) fn expand(part: &'static str, template: &str, variables: Variables<'_>) -> Result<String, BuildError> {
    template::expand(template, variables).map_err(|source| BuildError::Template { part, source })
}

/// Expands an endpoint's template into a URL: http or https, without user information and without a fragment,
/// as RFC 6749 sections 3.1 and 3.2 require. The egress policy checks the host later.
pub(crate) fn endpoint(part: &'static str, template: &str, variables: Variables<'_>) -> Result<Url, BuildError> {
    let expanded = expand(part, template, variables)?;
    let refuse = |reason| Err(BuildError::Endpoint { part, reason });
    let Ok(url) = Url::parse(&expanded) else {
        return refuse("is not a URL");
    };
    if !matches!(url.scheme(), "https" | "http") {
        return refuse("is neither https nor http");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("holds a user name or password");
    }
    if url.fragment().is_some() {
        return refuse("holds a fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_http_url() {
        let site = |name: &str| (name == "site").then(|| "acme".to_owned());
        let cases = [
            ("https://{site}.example.com/token?a=b", Ok("https://acme.example.com/token?a=b")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080/")),
            ("{site}", Err("the token URL is not a URL")),
            ("ftp://example.com/", Err("the token URL is neither https nor http")),
            ("https://{site}@example.com/", Err("the token URL holds a user name or password")),
            ("https://:{site}@example.com/", Err("the token URL holds a user name or password")),
            ("https://example.com/#{site}", Err("the token URL holds a fragment")),
            ("https://{region}.example.com/", Err("cannot expand the token URL")),
        ];
        for (template, expected) in cases {
            let url = endpoint("token URL", template, &site);
            let text = url.as_ref().map(Url::as_str).map_err(ToString::to_string);
            assert_eq!(text, expected.map_err(str::to_owned), "{template}");
        }
        let error = endpoint("token URL", "https://{region}.example.com/", &site).unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "no value for `{region}`");
    }
}
