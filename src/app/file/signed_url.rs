//! URLs that let their holder send or fetch the bytes of one file, for a time, without a key.
//!
//! The signature is an HMAC-SHA256 of method, project, file and end. The key is derived from the master key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use switchboard_store::files::FileRow;
use switchboard_types::{FileId, Timestamp};
use switchboard_vault::MAC_LENGTH;
use url::Url;

use super::Files;
use crate::error::{Code, Error, Result};

/// What the signatures are for, among other uses of the master key.
const PURPOSE: &str = "url of a file";
/// The path of files.
pub const PATH: &str = "/files/";

/// What a URL lets its holder do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileMethod {
    /// Fetch the bytes.
    Get,
    /// Send the bytes.
    Put,
}

impl FileMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

/// A URL and its end.
#[derive(Clone)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// It is refused from then on.
    pub expires_at: Timestamp,
}

/// The query of such a URL.
#[derive(Clone, Default)]
pub struct UrlSignature {
    /// End in seconds since 1970.
    pub expires: String,
    /// Id of the master key, and the code.
    pub signature: String,
}

crate::redacted_debug!(SignedUrl, UrlSignature);

impl UrlSignature {
    /// The signature of a query. What is missing is empty.
    pub fn of_query(query: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "expires" => found.expires = value.into_owned(),
                "signature" => found.signature = value.into_owned(),
                _ => {}
            }
        }
        found
    }
}

impl Files {
    /// A URL for one method, valid from now on.
    pub(super) fn sign(&self, file: &FileRow, method: FileMethod) -> SignedUrl {
        // Whole seconds, as they are signed.
        let end = (self.core.now() + self.core.settings.files.url_lifetime).as_secs();
        let mac = self.ring.authenticate(PURPOSE, message(file, method, end).as_bytes());
        let code = URL_SAFE_NO_PAD.encode(mac.code);
        let origin = &self.core.settings.files.public_url;
        SignedUrl {
            url: format!("{origin}{PATH}{}?expires={end}&signature={}.{code}", file.id, mac.key_id),
            expires_at: Timestamp::from_millis(end.saturating_mul(1_000)),
        }
    }

    /// A URL at which a stored file can be fetched.
    pub fn download_url(&self, file: &FileRow) -> SignedUrl {
        self.sign(file, FileMethod::Get)
    }

    /// The file of a URL whose signature is valid for a method now.
    ///
    /// # Errors
    /// One error for an unknown file and for a wrong signature, so that nothing is learnt about files.
    pub(super) async fn verified(&self, id: &str, method: FileMethod, given: &UrlSignature) -> Result<FileRow> {
        let wrong = || refused("has no valid signature for this file and method");
        let file = self.core.store.file_of_url(&FileId::from(id)).await?.ok_or_else(wrong)?;
        let end: i64 = given.expires.parse().map_err(|_| wrong())?;
        let (key, code) = given.signature.split_once('.').ok_or_else(wrong)?;
        let code = URL_SAFE_NO_PAD.decode(code).ok().filter(|code| code.len() == MAC_LENGTH).ok_or_else(wrong)?;
        self.ring.verify(PURPOSE, message(&file, method, end).as_bytes(), key, &code).map_err(|_| wrong())?;
        if self.core.now().as_secs() >= end {
            return Err(refused("has expired"));
        }
        Ok(file)
    }

    /// The id and the signature of a URL of ours; none if it leads elsewhere.
    pub(super) fn own_url(&self, url: &Url) -> Option<(String, UrlSignature)> {
        if url.origin().ascii_serialization() != self.core.settings.files.public_url {
            return None;
        }
        let id = url.path().strip_prefix(PATH)?.to_owned();
        Some((id, UrlSignature::of_query(url.query().unwrap_or_default())))
    }
}

fn message(file: &FileRow, method: FileMethod, end: i64) -> String {
    format!("{}\n{}\n{}\n{end}", method.as_str(), file.project_id, file.id)
}

fn refused(reason: &str) -> Error {
    Error::of(Code::FileUrlRefused, &[("reason", &reason)])
}
