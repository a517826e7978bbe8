//! Completes a toolkit's OAuth section from the provider's metadata (RFC 8414, RFC 9728). Metadata is cached
//! for an hour, and values in the toolkit file take precedence. URLs that return a web page or another server's
//! metadata are skipped.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use switchboard_auth::{
    MAX_METADATA, Metadata, ResourceMetadata, challenged_metadata_url, complete, decompressed, metadata_urls,
    origin_metadata_url, parse_metadata, parse_resource_metadata, resource_metadata_url,
};
use switchboard_catalog::{OAuth2, PlainHttp};
use switchboard_egress::{Destination, Egress, Limits};
use switchboard_types::{AccountParams, Timestamp};
use tokio::sync::OwnedMutexGuard;
use url::Url;

use super::request::{USER_AGENT, egress_error};
use crate::app::base::account_locks::AccountLocks;
use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};

/// How long metadata is cached.
const CACHE_TTL: Duration = Duration::from_hours(1);
/// Maximum number of cached providers. Beyond it, expired entries are removed first, then the oldest one.
const CAPACITY: usize = 1_024;
/// Part of every metadata URL.
const WELL_KNOWN: &str = "/.well-known/";

/// Metadata and the time it was read, by the URL or resource that it was requested for.
#[derive(Debug, Default)]
pub struct MetadataCache {
    entries: Mutex<HashMap<String, (Timestamp, Arc<Metadata>)>>,
    /// One read per URL at a time; other callers use its result.
    account_locks: AccountLocks,
}

impl MetadataCache {
    fn get(&self, key: &str, now: Timestamp) -> Option<Arc<Metadata>> {
        let entries = self.entries();
        let (read_at, metadata) = entries.get(key)?;
        is_fresh(*read_at, now).then(|| Arc::clone(metadata))
    }

    fn put(&self, key: &str, now: Timestamp, metadata: &Arc<Metadata>) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY {
            entries.retain(|_, (read_at, _)| is_fresh(*read_at, now));
        }
        if entries.len() >= CAPACITY
            && let Some(oldest) = entries.iter().min_by_key(|(_, (read_at, _))| *read_at).map(|(key, _)| key.clone())
        {
            entries.remove(&oldest);
        }
        entries.insert(key.to_owned(), (now, Arc::clone(metadata)));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, Arc<Metadata>)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    (read_at..read_at + CACHE_TTL).contains(&now)
}

impl Providers {
    /// The complete OAuth section.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn complete_oauth<'o>(&self, oauth: &'o OAuth2, params: &AccountParams) -> Result<Cow<'o, OAuth2>> {
        Ok(self.complete_with_metadata(oauth, params).await?.0)
    }

    /// The complete OAuth section, and the metadata that it was completed from, if any.
    pub async fn complete_with_metadata<'o>(
        &self,
        oauth: &'o OAuth2,
        params: &AccountParams,
    ) -> Result<(Cow<'o, OAuth2>, Option<Arc<Metadata>>)> {
        let by_device = oauth.device_authorization_url.is_some();
        let known = (by_device || !oauth.authorization_url.is_empty()) && !oauth.token_url.is_empty();
        let metadata = if let Some(template) = &oauth.discovery_url {
            if known && oauth.issuer.is_some() {
                return Ok((Cow::Borrowed(oauth), None));
            }
            self.metadata_at(&self.expand(template, params)?).await?
        } else if let (Some(template), false) = (&oauth.resource, known) {
            self.metadata_of_resource(&self.expand(template, params)?).await?
        } else {
            return Ok((Cow::Borrowed(oauth), None));
        };
        let completed = complete(oauth, &metadata).map_err(|error| unusable(&error.to_string()))?;
        Ok((Cow::Owned(completed), Some(metadata)))
    }

    /// The metadata at a well-known URL, or of an issuer.
    pub async fn metadata_at(&self, url: &str) -> Result<Arc<Metadata>> {
        let _guard = match self.cached_or_lock(url).await {
            Ok(known) => return Ok(known),
            Err(guard) => guard,
        };
        let parsed = Url::parse(url).map_err(|_| unusable("its address is not a URL"))?;
        let metadata = self.metadata_reader().server(&parsed).await?;
        Ok(self.remember_metadata(url, metadata))
    }

    /// The metadata of the authorization server of a resource.
    async fn metadata_of_resource(&self, resource: &str) -> Result<Arc<Metadata>> {
        let _guard = match self.cached_or_lock(resource).await {
            Ok(known) => return Ok(known),
            Err(guard) => guard,
        };
        let (metadata, _) = self.metadata_reader().server_of(resource).await?;
        Ok(self.remember_metadata(resource, metadata))
    }

    /// The cached metadata, or else the lock for reading it.
    async fn cached_or_lock(&self, key: &str) -> std::result::Result<Arc<Metadata>, OwnedMutexGuard<()>> {
        if let Some(known) = self.discovered.get(key, self.core.now()) {
            return Ok(known);
        }
        let guard = self.discovered.account_locks.for_account(key).lock_owned().await;
        self.discovered.get(key, self.core.now()).ok_or(guard)
    }

    fn metadata_reader(&self) -> MetadataReader<'_> {
        MetadataReader { egress: &self.egress, allow_http: &self.core.settings.allow_http }
    }

    fn remember_metadata(&self, key: &str, metadata: Metadata) -> Arc<Metadata> {
        let metadata = Arc::new(metadata);
        self.discovered.put(key, self.core.now(), &metadata);
        metadata
    }
}

/// Reads metadata, without a credential and without following redirects.
#[derive(Debug)]
pub struct MetadataReader<'a> {
    /// Sends the requests.
    pub egress: &'a Egress,
    /// Hosts that may be contacted, and named, without TLS.
    pub allow_http: &'a PlainHttp,
}

impl MetadataReader<'_> {
    /// The metadata at a well-known URL, or of an issuer.
    pub async fn server(&self, url: &Url) -> Result<Metadata> {
        if url.path().contains(WELL_KNOWN) {
            self.metadata_in(std::slice::from_ref(url)).await
        } else {
            self.metadata_in(&metadata_urls(url)).await
        }
    }

    /// The metadata of the authorization server of a resource, and the resource's own metadata. A resource
    /// without metadata predates RFC 9728: its origin is the authorization server.
    pub async fn server_of(&self, resource: &str) -> Result<(Metadata, Option<ResourceMetadata>)> {
        let url = Url::parse(resource).map_err(|_| unusable("the resource is not a URL"))?;
        match self.resource(resource, &url).await {
            Ok(resource_metadata) => {
                let issuer = resource_metadata.authorization_servers.first();
                let issuer = issuer.ok_or_else(|| unusable("the resource names no server"))?;
                let issuer = Url::parse(issuer).map_err(|_| unusable("the resource names a server that is no URL"))?;
                let metadata = self.metadata_in(&metadata_urls(&issuer)).await?;
                Ok((
                    Metadata { resource: Some(resource_metadata.resource.clone()), ..metadata },
                    Some(resource_metadata),
                ))
            }
            Err(error) => {
                let mut origin = url.clone();
                origin.set_path("/");
                origin.set_query(None);
                let metadata = self.metadata_in(&metadata_urls(&origin)).await.map_err(|_| error)?;
                Ok((metadata, None))
            }
        }
    }

    /// The metadata of a resource: from its own URL, the URL in its challenge, or its origin's URL.
    async fn resource(&self, resource: &str, url: &Url) -> Result<ResourceMetadata> {
        let read = |body: &[u8]| parse_resource_metadata(resource, body).map_err(|error| unusable(&error.to_string()));
        let own = resource_metadata_url(url);
        // Stop at the first connection failure instead of trying the same host again.
        let error = match document(self.fetch(&own).await?).and_then(|body| read(&body)) {
            Ok(resource_metadata) => return Ok(resource_metadata),
            Err(error) => error,
        };
        let challenged = match self.fetch(url).await {
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                challenged_metadata_url(answer.headers(), self.allow_http)
            }
            _ => None,
        };
        for url in challenged.into_iter().chain([origin_metadata_url(url)]).filter(|url| *url != own) {
            if let Ok(resource_metadata) = self.fetch(&url).await.and_then(document).and_then(|body| read(&body)) {
                return Ok(resource_metadata);
            }
        }
        Err(error)
    }

    /// The metadata at the first of these URLs that has it.
    async fn metadata_in(&self, urls: &[Url]) -> Result<Metadata> {
        let mut last_error = unusable("the server has none");
        for url in urls {
            let read =
                |body: Bytes| parse_metadata(url, &body, self.allow_http).map_err(|error| unusable(&error.to_string()));
            match document(self.fetch(url).await?).and_then(read) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    async fn fetch(&self, url: &Url) -> Result<Response<Bytes>> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.as_str().parse().map_err(|_| unusable("its address is not a URL"))?;
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let destination = Destination::new([authority]).map_err(Error::internal)?;
        let limits =
            Limits { total: Duration::from_secs(10), max_body: MAX_METADATA, any_coding: true, ..Limits::default() };
        self.egress.send(&destination, request, &limits).await.map_err(|error| egress_error(&error))
    }
}

/// The document in a response, decompressed and without its byte order mark.
fn document(answer: Response<Bytes>) -> Result<Bytes> {
    if !answer.status().is_success() {
        return Err(unusable(&format!("it answered {}", answer.status().as_u16())));
    }
    let (parts, body) = answer.into_parts();
    let body = match decompressed(&parts.headers, &body, MAX_METADATA).map_err(|error| unusable(&error.to_string()))? {
        Cow::Owned(bytes) => bytes.into(),
        Cow::Borrowed(_) => body,
    };
    Ok(if body.starts_with(b"\xef\xbb\xbf") { body.slice(3..) } else { body })
}

fn unusable(reason: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("The provider's metadata cannot be used: {reason}"))
        .fix("Check the issuer's address in the auth config or the toolkit file.")
}
