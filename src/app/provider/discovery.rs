//! Completing a toolkit's OAuth section from its provider's metadata (RFC 8414, RFC 9728): what the
//! file leaves out. Read once, believed for an hour; the file's own words always stand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use switchboard_auth::{
    MAX_METADATA, Metadata, complete, metadata_urls, parse_metadata, parse_resource_metadata, resource_metadata_url,
};
use switchboard_catalog::OAuth2;
use switchboard_egress::{Destination, Limits};
use url::Url;

use crate::app::App;
use crate::app::params::AccountParams;
use crate::app::upstream::{USER_AGENT, egress_error};
use crate::error::{Code, Error, Result};
use crate::time::Millis;

/// How long one reading counts.
const BELIEVED_FOR: Millis = 60 * 60 * 1_000;
/// Providers remembered; past this many the cache starts over.
const CAPACITY: usize = 1_024;

/// Metadata by the URL or resource that it was asked for, and when.
#[derive(Debug, Default)]
pub struct Discovered(Mutex<HashMap<String, (Millis, Arc<Metadata>)>>);

impl Discovered {
    fn get(&self, key: &str, now: Millis) -> Option<Arc<Metadata>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, metadata) = entries.get(key)?;
        (*read_at..read_at.saturating_add(BELIEVED_FOR)).contains(&now).then(|| Arc::clone(metadata))
    }

    fn put(&self, key: &str, now: Millis, metadata: &Arc<Metadata>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key.to_owned(), (now, Arc::clone(metadata)));
    }
}

impl App {
    /// The OAuth section as requests need it.
    pub async fn completed<'o>(&self, oauth: &'o OAuth2, params: &AccountParams) -> Result<Cow<'o, OAuth2>> {
        let by_device = oauth.device_authorization_url.is_some();
        let known = (by_device || !oauth.authorization_url.is_empty()) && !oauth.token_url.is_empty();
        let metadata = if let Some(template) = &oauth.discovery_url {
            if known && oauth.issuer.is_some() {
                return Ok(Cow::Borrowed(oauth));
            }
            self.metadata_at(&self.expand(template, params)?).await?
        } else if let (Some(template), false) = (&oauth.resource, known) {
            self.metadata_of_resource(&self.expand(template, params)?).await?
        } else {
            return Ok(Cow::Borrowed(oauth));
        };
        let whole = complete(oauth, &metadata).map_err(|error| unusable(&error.to_string()))?;
        Ok(Cow::Owned(whole))
    }

    /// The metadata at a well-known URL.
    pub async fn metadata_at(&self, url: &str) -> Result<Arc<Metadata>> {
        if let Some(known) = self.discovered.get(url, self.now()) {
            return Ok(known);
        }
        let parsed = Url::parse(url).map_err(|_| unusable("its address is not a URL"))?;
        let body = self.document(&parsed).await?;
        let metadata = parse_metadata(&parsed, &body).map_err(|error| unusable(&error.to_string()))?;
        Ok(self.remember_metadata(url, metadata))
    }

    /// The metadata of the authorization server that a resource names.
    async fn metadata_of_resource(&self, resource: &str) -> Result<Arc<Metadata>> {
        if let Some(known) = self.discovered.get(resource, self.now()) {
            return Ok(known);
        }
        let url = Url::parse(resource).map_err(|_| unusable("the resource is not a URL"))?;
        let body = self.document(&resource_metadata_url(&url)).await?;
        let said = parse_resource_metadata(resource, &body).map_err(|error| unusable(&error.to_string()))?;
        let issuer = said.authorization_servers.first().ok_or_else(|| unusable("the resource names no server"))?;
        let issuer = Url::parse(issuer).map_err(|_| unusable("the resource names a server that is no URL"))?;
        let mut failure = unusable("the server has none");
        for candidate in metadata_urls(&issuer) {
            match self.document(&candidate).await {
                Ok(body) => {
                    let metadata = parse_metadata(&candidate, &body).map_err(|error| unusable(&error.to_string()))?;
                    return Ok(self.remember_metadata(resource, metadata));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn remember_metadata(&self, key: &str, metadata: Metadata) -> Arc<Metadata> {
        let metadata = Arc::new(metadata);
        self.discovered.put(key, self.now(), &metadata);
        metadata
    }

    /// One JSON document, without a credential and without following redirects.
    async fn document(&self, url: &Url) -> Result<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.as_str().parse().map_err(|_| unusable("its address is not a URL"))?;
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let destination = Destination::new([authority]).map_err(Error::internal)?;
        let limits = Limits { total: Duration::from_secs(10), max_body: MAX_METADATA, ..Limits::default() };
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let answer = self.egress.send(&destination, request, &limits).await.map_err(|error| egress_error(&error))?;
        if !answer.status().is_success() {
            return Err(unusable(&format!("it answered {}", answer.status().as_u16())));
        }
        Ok(answer.into_body())
    }
}

fn unusable(why: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("The provider's metadata cannot be used: {why}"))
        .fix("Check the issuer's address in the auth config or the toolkit file.")
}
