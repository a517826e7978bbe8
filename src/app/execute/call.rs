//! What a front end gives to the pipeline: a call, and how it becomes a request.

use http::{HeaderMap, Method};
use switchboard_auth::UnsentRequest;
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use url::Url;

use super::ready::Ready;
use crate::app::call_log::Subject;
use crate::app::provider::Providers;
use crate::app::provider::request::egress_error;
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

    /// What the log of calls says of the call. `toolkit` is the slug in lower case.
    fn subject<'a>(&'a self, toolkit: &'a str) -> Subject<'a>;

    /// How many calls it counts for in the provider's limit.
    fn weight(&self) -> u32 {
        1
    }

    /// Refuses an account with which the call cannot be made. It is asked before anything is sent.
    ///
    /// # Errors
    /// Why not.
    fn check_account(&self, _: &AccountRow) -> Result<()> {
        Ok(())
    }

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
    pub(super) providers: &'a Providers,
    pub(super) ready: &'a Ready,
}

impl Target<'_> {
    /// The toolkit.
    pub fn toolkit(&self) -> &Toolkit {
        &self.ready.toolkit
    }

    /// How the account authenticates.
    pub fn scheme(&self) -> Scheme {
        self.ready.scheme
    }

    /// The URL of an endpoint of the toolkit.
    ///
    /// # Errors
    /// The endpoint may not be called.
    pub fn resolve(&self, endpoint: &str) -> Result<Url> {
        self.ready.destination.resolve(&self.ready.base_url, endpoint).map_err(|error| egress_error(&error))
    }

    /// The toolkit's own headers.
    pub fn headers(&self) -> HeaderMap {
        self.ready.headers.clone()
    }

    /// A text of the toolkit file with the values of the account.
    pub fn expand(&self, text: &str) -> Result<String> {
        self.providers.expand(text, &self.ready.params)
    }
}

crate::redacted_debug!(Call<'a>, Target<'a>);
