//! What the runner needs of the server under test. The product's command line implements it, so that this crate
//! does not depend on the product.

use std::fmt;
use std::future::Future;

use anyhow::Result;
use serde_json::Value;

/// The time as the server sees it. The runner puts it forward, so that tokens expire.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;

    /// Puts the clock forward to a moment in milliseconds since 1970 UTC; a moment that is past changes nothing.
    fn advance_to(&self, at: i64);
}

/// A server with one project, all of whose outgoing connections end at the simulated provider.
pub trait Server: Sync {
    /// The origin that its links and redirect URIs begin with.
    fn public_url(&self) -> &str;

    /// An operation of the API, with the project's key. `path` is relative to the API's prefix.
    ///
    /// # Errors
    /// The server's message, for any status that is no success.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> impl Future<Output = Result<Value>> + Send;

    /// A page, opened by a browser with these cookies; with a form, it is posted.
    fn browse(
        &self,
        path: &str,
        cookies: &str,
        form: Option<&[(String, String)]>,
    ) -> impl Future<Output = Result<Page>> + Send;
}

/// What a browser gets.
pub struct Page {
    /// Status of the answer.
    pub status: u16,
    /// Where it is sent.
    pub location: Option<String>,
    /// The cookies that were set, as a browser sends them back.
    pub cookies: String,
    /// Body of the answer.
    pub body: Vec<u8>,
}

impl Page {
    /// The body as JSON; null if it is something else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Cookies are secrets.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("status", &self.status).finish_non_exhaustive()
    }
}
