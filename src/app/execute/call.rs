//! What a front end gives to the pipeline: a call, and how it becomes a request.

use http::Method;
use switchboard_auth::UnsentRequest;
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::Destination;

use crate::app::model::params::AccountParams;
use crate::app::provider::Providers;
use crate::app::session::policy::CallKind;
use crate::error::Result;

/// A call to a provider.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Toolkit slug in any case.
    pub toolkit: &'a str,
    /// Which of several accounts, by id, word id or alias.
    pub account: Option<&'a str>,
    /// Which of the account's tokens, if it has several.
    pub token: Option<&'a str>,
    /// What is to be sent.
    pub front_end: &'a dyn FrontEnd,
}

/// What differs between the kinds of calls.
pub trait FrontEnd: Sync {
    /// What the session's policy is asked about the call. `toolkit` is the slug in lower case.
    fn kind<'a>(&'a self, toolkit: &'a str) -> CallKind<'a>;

    /// The method of the request. After a 401, only an idempotent one is sent again.
    fn method(&self) -> &Method;

    /// Builds the request, without a credential. It is called again if the request is repeated.
    ///
    /// # Errors
    /// What the caller asks for is not allowed, or cannot be sent.
    fn request(&self, target: &Target<'_>) -> Result<UnsentRequest>;
}

/// Where a request is to be sent, and for which account.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Expands the templates of the toolkit file.
    pub providers: &'a Providers,
    /// The toolkit.
    pub toolkit: &'a Toolkit,
    /// How the account authenticates.
    pub scheme: Scheme,
    /// Parameters of the account.
    pub params: &'a AccountParams,
    /// The hosts that may be called, and the paths on the base URL's host.
    pub destination: &'a Destination,
}

crate::redacted_debug!(Call<'a>, Target<'a>);
