//! The interface to the server under test. The command line implements it, so that this crate does not depend on
//! the product.

use std::fmt;
use std::future::Future;

use anyhow::Result;
use serde_json::Value;

/// The clock of the server. The runner advances it, so that tokens expire.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;

    /// Advances the clock to a time in milliseconds since 1970 UTC. A time in the past changes nothing.
    fn advance_to(&self, at: i64);
}

/// A server with one project. All of its outgoing connections go to the simulated provider.
pub trait Server: Sync {
    /// The origin of its links and redirect URIs.
    fn public_url(&self) -> &str;

    /// Calls an API operation with the project's key. `path` is relative to the API's prefix.
    ///
    /// # Errors
    /// The server's message, if the status is not a success.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> impl Future<Output = Result<Value>> + Send;

    /// Opens a page in a browser with these cookies, or posts a form to it.
    fn browse(
        &self,
        path: &str,
        cookies: &str,
        form: Option<&[(String, String)]>,
    ) -> impl Future<Output = Result<BrowserResponse>> + Send;
}

/// A response to a browser.
pub struct BrowserResponse {
    /// The status code.
    pub status: u16,
    /// The `Location` header of a redirect.
    pub location: Option<String>,
    /// The cookies that were set, in the format of a `Cookie` header.
    pub cookies: String,
    /// The body.
    pub body: Vec<u8>,
}

impl BrowserResponse {
    /// The body as JSON; null if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Without cookies, which are secrets.
impl fmt::Debug for BrowserResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("status", &self.status).finish_non_exhaustive()
    }
}
