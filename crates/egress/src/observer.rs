//! An observer of all exchanges as sent over the wire, credentials included. For developers who try a toolkit
//! file on their own machine. A server has none, and no configuration may set one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};

use crate::error::EgressError;
use crate::outgoing::Outgoing;

/// Observes requests and responses. It must hide secrets before it displays anything.
pub trait Observer: Send + Sync {
    /// Called with a request and its outcome, as soon as the response is read to its end or has failed.
    /// Connection headers of the request are not included.
    fn on_exchange(&self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>);
}

/// An exchange that an observer will see.
pub(crate) struct Recording {
    observer: Arc<dyn Observer>,
    request: Request<Bytes>,
    /// The response without its body, as soon as it is there.
    response: Response<Bytes>,
    body: BytesMut,
    is_shown: bool,
}

impl Recording {
    /// Begins with a copy of the request.
    pub(crate) fn new(observer: Arc<dyn Observer>, request: &Outgoing) -> Self {
        let mut copy = Request::new(request.body.clone());
        *copy.method_mut() = request.method.clone();
        *copy.uri_mut() = request.url.as_str().parse().unwrap_or_default();
        *copy.headers_mut() = request.headers.clone();
        Self { observer, request: copy, response: Response::default(), body: BytesMut::new(), is_shown: false }
    }

    /// Records the head of the response.
    pub(crate) fn on_head<T>(&mut self, response: &Response<T>) {
        *self.response.status_mut() = response.status();
        *self.response.headers_mut() = response.headers().clone();
    }

    /// Records a chunk, the end or a failure of the body. `is_end`: there are no further chunks.
    pub(crate) fn on_chunk(&mut self, outcome: &Result<Option<Bytes>, EgressError>, is_end: bool) {
        match outcome {
            Ok(chunk) => {
                self.body.extend_from_slice(chunk.as_deref().unwrap_or_default());
                if is_end || chunk.is_none() {
                    let mut response = std::mem::take(&mut self.response);
                    *response.body_mut() = self.body.split().freeze();
                    self.show(&Ok(response));
                }
            }
            Err(error) => self.show(&Err(error.clone())),
        }
    }

    /// Shows the exchange, once.
    pub(crate) fn show(&mut self, outcome: &Result<Response<Bytes>, EgressError>) {
        if !std::mem::replace(&mut self.is_shown, true) {
            self.observer.on_exchange(&self.request, outcome);
        }
    }
}
