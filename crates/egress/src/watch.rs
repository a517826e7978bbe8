//! Somebody who is shown each exchange as it went over the wire, credentials included. For a developer who
//! tries a toolkit file on his own machine; a server has nobody, and no configuration may set one.

use bytes::Bytes;
use http::{Request, Response};

use crate::error::EgressError;

/// Is shown requests and answers. It has to hide what is secret before it shows anything on.
pub trait Watch: Send + Sync {
    /// A request, and what came of it. Headers that the connection needs are not among those of the request.
    fn seen(&self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>);
}

/// A request that can be shown after it was sent.
pub(crate) fn copy_of(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
