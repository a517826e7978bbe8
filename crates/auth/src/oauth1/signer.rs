//! The `Authorization` header of a signed request (RFC 5849 sections 3.1 and 3.5.1).

use std::fmt;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use switchboard_catalog::{OAuth1, SignatureMethod};
use url::Url;
use zeroize::Zeroizing;

use super::base_string::{Covered, encode};
use super::signature::sign;
use super::{Stamp, Token};
use crate::client::{secret, sensitive};
use crate::error::{BuildError, expand};
use crate::{ClientCredentials, Variables, document};

/// Signs the requests of a client and, with a token, of a user.
pub struct Signer<'a> {
    method: SignatureMethod,
    client: ClientCredentials<'a>,
    token: Option<Token<'a>>,
    realm: Option<String>,
}

impl fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("method", &self.method).field("client", &self.client).finish_non_exhaustive()
    }
}

impl<'a> Signer<'a> {
    /// A signer for a toolkit. With an RSA method the client's secret is its private key in PEM.
    ///
    /// # Errors
    /// [`BuildError::Template`] if the realm cannot be expanded, [`BuildError::Header`] if it cannot be
    /// quoted.
    pub fn new(
        oauth: &OAuth1,
        client: ClientCredentials<'a>,
        token: Option<Token<'a>>,
        variables: Variables<'_>,
    ) -> Result<Self, BuildError> {
        let realm = oauth.realm.as_ref().map(|template| expand("realm", template, variables)).transpose()?;
        if realm.as_ref().is_some_and(|realm| realm.contains(['"', '\\'])) {
            return Err(BuildError::Header {
                name: "authorization".to_owned(),
                reason: "would hold a quote in its realm",
            });
        }
        Ok(Self { method: oauth.signature_method, client, token, realm })
    }

    /// Signs a request and replaces any other `Authorization` header. The signature covers method, URL and,
    /// if the content type is a form, the body; none of these may change afterwards.
    ///
    /// # Errors
    /// As [`Signer::authorization`]; then nothing is changed.
    pub fn apply(
        &self,
        stamp: Stamp<'_>,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), BuildError> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = content_type.is_some_and(document::is_form).then_some(body);
        let authorization = self.authorization(stamp, method, url, form)?;
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }

    /// Value of the `Authorization` header, marked sensitive. `url` is the sent one, with its query; `form`
    /// is the body if it is form-encoded, otherwise `None`.
    ///
    /// # Errors
    /// [`BuildError::MissingClientSecret`]; [`BuildError::Credential`] for an unusable private key;
    /// [`BuildError::Unsignable`] for a malformed query or form, for one with a protocol parameter, and for
    /// `PLAINTEXT` over http; [`BuildError::Header`].
    pub fn authorization(
        &self,
        stamp: Stamp<'_>,
        method: &Method,
        url: &Url,
        form: Option<&[u8]>,
    ) -> Result<HeaderValue, BuildError> {
        self.authorization_with(stamp, &Covered { method, url, form }, &[])
    }

    /// As [`Signer::authorization`], with additional protocol parameters.
    pub(super) fn authorization_with(
        &self,
        stamp: Stamp<'_>,
        covered: &Covered<'_>,
        more: &[(&str, &str)],
    ) -> Result<HeaderValue, BuildError> {
        let client_secret = secret(&self.client)?;
        let timestamp = stamp.timestamp.to_string();
        let mut protocol = vec![("oauth_consumer_key", self.client.client_id)];
        protocol.extend(self.token.map(|token| ("oauth_token", token.token)));
        protocol.push(("oauth_signature_method", self.method.name()));
        protocol.push(("oauth_timestamp", &timestamp));
        protocol.push(("oauth_nonce", stamp.nonce));
        protocol.push(("oauth_version", "1.0"));
        protocol.extend(more);
        let token_secret = self.token.map_or("", |token| token.secret);
        let signature = sign(self.method, client_secret, token_secret, covered, &protocol)?;
        protocol.push(("oauth_signature", &signature));
        self.header(&protocol)
    }

    /// Section 3.5.1. The realm is a quoted string, everything else is percent-encoded.
    fn header(&self, protocol: &[(&str, &str)]) -> Result<HeaderValue, BuildError> {
        let mut pieces: Vec<Zeroizing<String>> = Vec::new();
        pieces.extend(self.realm.as_ref().map(|realm| Zeroizing::new(format!("realm=\"{realm}\""))));
        for (name, value) in protocol {
            let encoded = Zeroizing::new(encode(value.as_bytes()));
            pieces.push(Zeroizing::new(format!("{name}=\"{}\"", *encoded)));
        }
        let pieces: Vec<&str> = pieces.iter().map(|piece| piece.as_str()).collect();
        let joined = Zeroizing::new(pieces.join(", "));
        sensitive("authorization", &Zeroizing::new(format!("OAuth {}", *joined)))
    }
}
