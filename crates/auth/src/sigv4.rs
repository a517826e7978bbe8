//! AWS Signature Version 4 in its header form ("Signature Version 4 signing process", AWS IAM User Guide),
//! for AWS and other services that adopted it.
//!
//! Implemented here because the `aws-sigv4` crate would add fourteen crates (a whole SDK runtime) for two
//! hundred lines. The published test suite is among the tests.

mod canonical;

use std::fmt;

use data_encoding::HEXLOWER;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ring::{digest, hmac};
use switchboard_vault::Secret;
use url::Url;
use zeroize::Zeroizing;

use crate::client::sensitive;
use crate::error::BuildError;
use crate::utc;
use canonical::SignedHeaders;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Services whose paths are encoded once and not normalised, as object names require ("Create a signed
/// request", step 1).
const ENCODED_ONCE: [&str; 3] = ["s3", "s3-object-lambda", "s3-outposts"];

/// Services that require the hash of the body in a header: those, and serverless search.
const WITH_BODY_HASH: [&str; 4] = ["s3", "s3-object-lambda", "s3-outposts", "aoss"];

/// The signing key, with its region and service.
#[derive(Clone, Copy)]
pub struct SigV4<'a> {
    /// Identifies the secret access key; not secret.
    pub access_key_id: &'a str,
    /// The key itself.
    pub secret_access_key: &'a Secret,
    /// Belongs to temporary keys; sent with the request.
    pub session_token: Option<&'a Secret>,
    /// As in the credential scope, such as `eu-central-1`.
    pub region: &'a str,
    /// The service's signing name, such as `s3`; not always the first label of its host.
    pub service: &'a str,
}

impl fmt::Debug for SigV4<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SigV4");
        shown.field("access_key_id", &self.access_key_id);
        shown.field("region", &self.region).field("service", &self.service).finish_non_exhaustive()
    }
}

impl SigV4<'_> {
    /// The headers that sign a request; each replaces one of the same name: `Authorization`, `X-Amz-Date`,
    /// `X-Amz-Security-Token` with a session token, and `X-Amz-Content-Sha256` if the service requires it or
    /// the request had one.
    ///
    /// The signature covers the method, the URL without its fragment, the body, and the headers `Host` (as in
    /// the URL), `Content-Type` and all that begin with `X-Amz-`. These must be sent unchanged. Path and
    /// query may be in any valid spelling. `timestamp` is in seconds since 1970; most services accept a
    /// difference of five minutes.
    ///
    /// # Errors
    /// [`BuildError::Credential`] for a value that is missing or invalid in a header, [`BuildError::Header`]
    /// for a signed header outside printable ASCII, [`BuildError::Endpoint`] for a URL without a host,
    /// [`BuildError::Time`].
    pub fn headers(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
        timestamp: i64,
    ) -> Result<HeaderMap, BuildError> {
        let is_signed = |name: &HeaderName| name == "content-type" || name.as_str().starts_with("x-amz-");
        self.sign(method, url, headers, &is_signed, body, timestamp)
    }

    fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        is_signed: &dyn Fn(&HeaderName) -> bool,
        body: &[u8],
        timestamp: i64,
    ) -> Result<HeaderMap, BuildError> {
        self.check()?;
        let time = utc::basic(timestamp)?;
        let body_hash = sha256(body);
        let sends_hash = WITH_BODY_HASH.contains(&self.service) || headers.contains_key(CONTENT_SHA256);
        let mut added = HeaderMap::new();
        added.insert(DATE, plain(&DATE, &time)?);
        if sends_hash {
            added.insert(CONTENT_SHA256, plain(&CONTENT_SHA256, &body_hash)?);
        }
        if let Some(token) = self.session_token {
            added.insert(SECURITY_TOKEN, sensitive(SECURITY_TOKEN.as_str(), token.expose())?);
        }

        let signed = SignedHeaders::collect(url, headers, &added, is_signed)?;
        let path = canonical::path(url.path(), ENCODED_ONCE.contains(&self.service));
        let query = canonical::query(url.query().unwrap_or_default());
        let (lines, names) = (&*signed.lines, &signed.names);
        let request = Zeroizing::new(format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}"));

        let date = &time[..8];
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256(request.as_bytes()));
        let signature = HEXLOWER.encode(hmac::sign(&self.key(date), text.as_bytes()).as_ref());
        let id = self.access_key_id;
        let value = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
        added.insert(AUTHORIZATION, sensitive(AUTHORIZATION.as_str(), &value)?);
        Ok(added)
    }

    /// Values between separators must not contain them.
    fn check(&self) -> Result<(), BuildError> {
        let parts = [("access_key_id", self.access_key_id), ("region", self.region), ("service", self.service)];
        for (name, value) in parts {
            let refuse = |reason| Err(BuildError::Credential { name, reason });
            if value.is_empty() {
                return refuse("is missing");
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b',') {
                return refuse("holds a character that cannot be part of it");
            }
        }
        if self.secret_access_key.is_empty() {
            return Err(BuildError::Credential { name: "secret_access_key", reason: "is missing" });
        }
        match self.session_token {
            Some(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) || token.is_empty() => {
                Err(BuildError::Credential { name: "session_token", reason: "is empty or not printable ASCII" })
            }
            _ => Ok(()),
        }
    }

    /// The key of one day, region and service ("Create a signed request", step 4).
    fn key(&self, date: &str) -> hmac::Key {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let secret = Zeroizing::new(format!("AWS4{}", self.secret_access_key.expose()));
        let steps = [date, self.region, self.service, "aws4_request"];
        steps
            .into_iter()
            .fold(key(secret.as_bytes()), |so_far, step| key(hmac::sign(&so_far, step.as_bytes()).as_ref()))
    }
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn plain(name: &HeaderName, value: &str) -> Result<HeaderValue, BuildError> {
    HeaderValue::from_str(value)
        .map_err(|_| BuildError::Header { name: name.to_string(), reason: "would hold a control character" })
}

#[cfg(test)]
mod tests;
