//! An observer of all exchanges as sent over the wire, credentials included. For developers who try a toolkit
//! file on their own machine. A server has none, and no configuration may set one.

use bytes::Bytes;
use http::{Request, Response};

use crate::error::EgressError;

/// Observes requests and responses. It must hide secrets before it displays anything.
pub trait Observer: Send + Sync {
    /// Called with a request and its outcome. Connection headers of the request are not included.
    fn on_exchange(&self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>);
}

/// A copy of a request for the observer.
pub(crate) fn copy_of(request: &Request<Bytes>) -> Request<Bytes> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
