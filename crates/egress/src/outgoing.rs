//! A request before it is checked and sent.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use url::Url;

use crate::error::EgressError;

/// A request to be sent. Its URL is parsed once, and what is checked is what is sent.
pub struct Outgoing {
    /// GET, HEAD, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// Without user information.
    pub url: Url,
    /// Hop-by-hop headers, `host`, `content-length`, `expect` and `referer` are removed, and `accept-encoding` is set to
    /// `identity`.
    pub headers: HeaderMap,
    /// Empty for none.
    pub body: Bytes,
}

/// Any part of it may be a credential.
impl fmt::Debug for Outgoing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Outgoing(redacted)")
    }
}

impl TryFrom<Request<Bytes>> for Outgoing {
    type Error = EgressError;

    /// The request's URI must be absolute.
    fn try_from(request: Request<Bytes>) -> Result<Self, EgressError> {
        let (parts, body) = request.into_parts();
        let Ok(url) = Url::parse(&parts.uri.to_string()) else {
            return Err(EgressError::InvalidRequest { reason: "the uri is not an absolute url" });
        };
        Ok(Self { method: parts.method, url, headers: parts.headers, body })
    }
}
