//! OAuth 1.0a (RFC 5849): three requests, each signed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Capture, Field, Identity};

/// OAuth 1.0a (RFC 5849). Developers supply a consumer key and secret.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth1 {
    /// Temporary credential request URI (section 2.1); a template.
    pub request_token_url: String,
    /// Resource owner authorization URI (section 2.2); a template.
    pub authorization_url: String,
    /// Token request URI (section 2.3); a template.
    pub access_token_url: String,
    /// Signature method.
    #[serde(default)]
    pub signature_method: SignatureMethod,
    /// `realm` of the `Authorization` header.
    pub realm: Option<String>,
    /// Additional parameters of the first request.
    #[serde(default)]
    pub request_parameters: BTreeMap<String, String>,
    /// Additional parameters of the authorization URL: `{ expiration = "never" }`.
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Connection fields of this scheme only.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Values to store from the token response.
    #[serde(default)]
    pub capture: Vec<Capture>,
    /// Lifetime of a token in seconds (default: unlimited).
    pub expires_in: Option<u64>,
    /// The request that revokes a token, signed like all others.
    pub revoke: Option<Call>,
    /// Base URL of relative endpoints with this scheme, if not the toolkit's `base_url`.
    pub base_url: Option<String>,
    /// Identity of accounts of this scheme, instead of the toolkit's `identity`.
    pub identity: Option<Identity>,
}

/// Signature methods (RFC 5849 section 3.4).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SignatureMethod {
    /// HMAC-SHA1 (section 3.4.2).
    #[default]
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// HMAC with SHA-256, which many providers accept.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    /// RSA PKCS #1 with SHA-256; the consumer secret is then a PEM private key.
    #[serde(rename = "RSA-SHA256")]
    RsaSha256,
    /// PLAINTEXT (section 3.4.4), over https only.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

impl SignatureMethod {
    /// Value of `oauth_signature_method`.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::RsaSha256 => "RSA-SHA256",
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINTS: &str = r#"
        request_token_url = "https://p.example/request"
        authorization_url = "https://p.example/authorize"
        access_token_url = "https://p.example/access"
    "#;

    fn read(lines: &str) -> Result<OAuth1, toml::de::Error> {
        toml::from_str(&format!("{ENDPOINTS}{lines}"))
    }

    #[test]
    fn endpoints_are_enough() {
        let oauth = read("").unwrap();
        assert_eq!(oauth.signature_method, SignatureMethod::HmacSha1);
        assert_eq!(oauth.realm, None);
        assert!(oauth.request_parameters.is_empty() && oauth.authorization_parameters.is_empty());
        assert!(toml::from_str::<OAuth1>("request_token_url = \"https://p.example/\"").is_err());
    }

    #[test]
    fn signature_methods_are_read_by_the_name_that_is_sent() {
        for method in [
            SignatureMethod::HmacSha1,
            SignatureMethod::HmacSha256,
            SignatureMethod::RsaSha256,
            SignatureMethod::Plaintext,
        ] {
            let name = method.name();
            assert_eq!(read(&format!("signature_method = \"{name}\"")).unwrap().signature_method, method);
        }
        let error = read("signature_method = \"RSA-SHA1\"").unwrap_err().to_string();
        assert!(error.contains("unknown variant `RSA-SHA1`, expected one of `HMAC-SHA1`"), "{error}");
    }

    #[test]
    fn a_typing_error_is_an_error() {
        let error = read("relm = \"x\"").unwrap_err().to_string();
        assert!(error.contains("unknown field `relm`"), "{error}");
    }
}
