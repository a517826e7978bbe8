//! Objects of a bucket, through the S3 API: requests signed with Signature Version 4, sent through the egress client.
//!
//! The client is one of its own, so that an endpoint that is not public can be allowed for files alone. Objects above
//! one part are sent in parts (multipart upload), so that memory has one part of each.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result as Opened, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response};
use switchboard_auth::SigV4;
use switchboard_egress::{AllowRule, Body, Destination, Egress, EgressConfig, EgressError, Limits, Outgoing};
use switchboard_vault::Secret;
use url::Url;

use super::StoreError;
use crate::time::Clock;

/// Size of a part. Stores take no smaller ones but the last.
pub(super) const PART: usize = 5 * 1_024 * 1_024;
/// Timeout of a request that sends a part or nothing.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Timeout of a request whose answer is a file that a client reads.
const READ_TIMEOUT: Duration = Duration::from_mins(30);
/// Maximum size of an answer that is no file.
const MAX_ANSWER: usize = 64 * 1_024;
/// How often a request is sent that the store could not answer.
const ATTEMPTS: u32 = 3;
/// Pause before the second attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// A bucket.
#[derive(Debug)]
pub struct S3Settings {
    /// Origin of the store, such as `https://s3.eu-central-1.example.com`.
    pub endpoint: Url,
    /// Region, as it is signed.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// What the names of all objects begin with; empty for nothing.
    pub prefix: String,
    /// Identifies the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// The bucket is in the path, not in the host.
    pub path_style: bool,
    /// The endpoint may be an address that is not public, and without TLS.
    pub allow_private_endpoint: bool,
}

/// The bucket with a client for it.
pub(super) struct Bucket {
    settings: S3Settings,
    /// Of the bucket, with a slash at its end.
    base: Url,
    destination: Destination,
    egress: Egress,
    clock: Arc<dyn Clock>,
}

impl Bucket {
    pub(super) fn open(settings: S3Settings, extra_ca_pem: &[Vec<u8>], clock: Arc<dyn Clock>) -> Opened<Self> {
        let mut base = settings.endpoint.clone();
        let host = base.host_str().ok_or_else(|| anyhow!("setting s3.endpoint: has no host"))?.to_owned();
        if base.scheme() != "https" && !settings.allow_private_endpoint {
            bail!("setting s3.endpoint: takes https://, unless allow_private_endpoint is set");
        }
        let path = if settings.path_style {
            format!("/{}/{}", settings.bucket, settings.prefix)
        } else {
            base.set_host(Some(&format!("{}.{host}", settings.bucket))).context("setting s3.bucket")?;
            format!("/{}", settings.prefix)
        };
        base.set_path(&path);
        let used = base.host_str().unwrap_or_default().to_owned();
        let mut allow = Vec::new();
        if settings.allow_private_endpoint {
            let address = used.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let rule =
                address.map_or_else(|_| Ok(AllowRule::Host(used.clone())), |address| address.to_string().parse());
            allow.push(rule.map_err(|error| anyhow!("setting s3.endpoint: {error}"))?);
        }
        let egress =
            Egress::new(EgressConfig { allow, extra_ca_pem: extra_ca_pem.to_vec(), ..EgressConfig::default() })
                .context("setting s3.endpoint")?;
        let authority = base.port().map_or_else(|| used.clone(), |port| format!("{used}:{port}"));
        let destination = Destination::new([authority]).map_err(|error| anyhow!("setting s3.endpoint: {error}"))?;
        Ok(Self { settings, base, destination, egress, clock })
    }

    /// The URL of an object. Names are ours and need no encoding.
    fn url(&self, name: &str, query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{name}", url.path());
        url.set_path(&path);
        url.set_query(query);
        url
    }

    fn sign(&self, method: &Method, url: &Url, body: &[u8]) -> Result<HeaderMap, StoreError> {
        let signer = SigV4 {
            access_key_id: &self.settings.access_key_id,
            secret_access_key: &self.settings.secret_access_key,
            session_token: None,
            region: &self.settings.region,
            service: "s3",
        };
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        let signature = signer.headers(method, url, &headers, body, self.clock.now().as_secs())?;
        headers.extend(signature);
        Ok(headers)
    }

    /// Sends a request, again if the store cannot answer now. All of them may be repeated.
    async fn send(
        &self,
        method: &Method,
        url: &Url,
        body: &Bytes,
        limits: &Limits,
    ) -> Result<Response<Body>, StoreError> {
        let (mut attempt, mut pause) = (1, PAUSE);
        loop {
            let headers = self.sign(method, url, body)?;
            let request = Outgoing { method: method.clone(), url: url.clone(), headers, body: body.clone() };
            let outcome = self.egress.stream(&self.destination, request, limits, None).await;
            let is_temporary = match &outcome {
                Ok(response) => response.status().is_server_error(),
                Err(error) => matches!(
                    error,
                    EgressError::Connect | EgressError::Interrupted | EgressError::Dns | EgressError::Timeout { .. }
                ),
            };
            if !is_temporary || attempt >= ATTEMPTS {
                return checked(outcome?).await;
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
            pause *= 2;
        }
    }

    /// The same for an answer that is no file.
    async fn call(&self, method: &Method, url: &Url, body: &Bytes) -> Result<(HeaderMap, Bytes), StoreError> {
        let limits = Limits { total: TIMEOUT, max_body: MAX_ANSWER, ..Limits::default() };
        let (head, body) = self.send(method, url, body, &limits).await?.into_parts();
        Ok((head.headers, body.collect().await?.0))
    }

    pub(super) fn write(&self, name: &str) -> BucketWriter<'_> {
        BucketWriter {
            bucket: self,
            name: name.to_owned(),
            buffer: BytesMut::new(),
            upload_id: None,
            parts: Vec::new(),
        }
    }

    pub(super) async fn read(&self, name: &str) -> Result<BucketReader, StoreError> {
        let limits = Limits { total: READ_TIMEOUT, max_body: usize::MAX, ..Limits::default() };
        let response = self.send(&Method::GET, &self.url(name, None), &Bytes::new(), &limits).await?;
        Ok(BucketReader(response.into_body()))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.call(&Method::DELETE, &self.url(name, None), &Bytes::new()).await {
            Ok(_) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A successful response; otherwise what the store says.
async fn checked(response: Response<Body>) -> Result<Response<Body>, StoreError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let mut text = Vec::new();
    let mut body = response.into_body();
    while let Ok(Some(chunk)) = body.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_ANSWER {
            break;
        }
    }
    let code = element(&String::from_utf8_lossy(&text), "Code");
    match code.as_deref() {
        Some("NoSuchKey" | "NoSuchUpload") => Err(StoreError::NotFound),
        _ => Err(StoreError::Refused { status: status.as_u16(), code }),
    }
}

/// The text of the first element with a name. What is read this way are codes and ids, which have no markup in them.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let is_plain = text.len() <= 1_024 && !text.contains(['<', '\n']);
    is_plain.then(|| text.replace("&quot;", "\"").replace("&amp;", "&"))
}

/// An object that is being sent.
pub(super) struct BucketWriter<'b> {
    bucket: &'b Bucket,
    name: String,
    /// Bytes that are not sent yet.
    buffer: BytesMut,
    /// Of the multipart upload, once there is more than a part.
    upload_id: Option<String>,
    /// `ETag` of each part.
    parts: Vec<String>,
}

impl BucketWriter<'_> {
    pub(super) async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.buffer.extend_from_slice(&bytes);
        while self.buffer.len() > PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    async fn send_part(&mut self, part: Bytes) -> Result<(), StoreError> {
        let id = if let Some(id) = &self.upload_id {
            id.clone()
        } else {
            let url = self.bucket.url(&self.name, Some("uploads="));
            let (_, answer) = self.bucket.call(&Method::POST, &url, &Bytes::new()).await?;
            let id = element(&String::from_utf8_lossy(&answer), "UploadId").ok_or_else(unreadable)?;
            self.upload_id.insert(id).clone()
        };
        let number = self.parts.len() + 1;
        let mut url = self.bucket.url(&self.name, None);
        url.query_pairs_mut().append_pair("partNumber", &number.to_string()).append_pair("uploadId", &id);
        let (headers, _) = self.bucket.call(&Method::PUT, &url, &part).await?;
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).ok_or_else(unreadable)?;
        self.parts.push(tag.to_owned());
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        let rest = self.buffer.split().freeze();
        if self.upload_id.is_none() {
            self.bucket.call(&Method::PUT, &self.bucket.url(&self.name, None), &rest).await?;
            return Ok(());
        }
        self.send_part(rest).await?;
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for (index, tag) in self.parts.iter().enumerate() {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            let number = (index + 1).to_string();
            body.extend(["<Part><PartNumber>", &number, "</PartNumber><ETag>", &tag, "</ETag></Part>"]);
        }
        body.push_str("</CompleteMultipartUpload>");
        let url = self.url_of_upload();
        let completed = self.bucket.call(&Method::POST, &url, &body.into()).await;
        // A repeated request may find that the first one had its effect: the file is uploaded again then.
        let (_, answer) = completed.map_err(|error| match error {
            StoreError::NotFound => unreadable(),
            error => error,
        })?;
        // The status is sent before the parts are joined.
        let answer = String::from_utf8_lossy(&answer);
        if answer.contains("<Error>") {
            return Err(StoreError::Refused { status: 200, code: element(&answer, "Code") });
        }
        Ok(())
    }

    fn url_of_upload(&self) -> Url {
        let mut url = self.bucket.url(&self.name, None);
        url.query_pairs_mut().append_pair("uploadId", self.upload_id.as_deref().unwrap_or_default());
        url
    }

    /// Deletes the parts that were sent.
    pub(super) async fn abort(self) {
        if self.upload_id.is_some()
            && let Err(error) = self.bucket.call(&Method::DELETE, &self.url_of_upload(), &Bytes::new()).await
        {
            tracing::warn!(error = %error, "the parts of an unfinished file could not be deleted");
        }
    }
}

fn unreadable() -> StoreError {
    StoreError::Unreachable(EgressError::InvalidResponse)
}

/// An object that is being received.
pub struct BucketReader(Body);

impl BucketReader {
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.chunk().await?)
    }
}

crate::redacted_debug!(Bucket, BucketWriter<'a>, BucketReader);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_without_their_markup() {
        let xml = "<Error><Code>NoSuchKey</Code><Message>a\nb</Message><Tag>&quot;1&quot;</Tag></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(xml, "Tag").as_deref(), Some("\"1\""));
        assert_eq!((element(xml, "Message"), element(xml, "UploadId")), (None, None));
    }
}
