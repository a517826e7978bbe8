//! Signs an API request as its toolkit file describes. This is the last step, since a signature covers what
//! is sent.

use http::HeaderValue;
use http::header::HeaderName;
use switchboard_catalog::Sign;
use switchboard_vault::{Entropy, Secret, Secrets};

use crate::client::sensitive;
use crate::error::{BuildError, expand};
use crate::signatures::{SignatureEncoding, SignatureHash, hmac_signature};
use crate::{SigV4, UnsentRequest, Variables, WsseDigest, WsseNonce, WsseUser};

/// Signs a request. `now` is in seconds since 1970.
///
/// # Errors
/// [`BuildError`].
pub fn sign(
    sign: &Sign,
    secrets: &Secrets,
    variables: Variables<'_>,
    draft: &mut UnsentRequest,
    now: i64,
    entropy: &dyn Entropy,
) -> Result<(), BuildError> {
    let lookup = |name: &str| secrets.get(name).map(str::to_owned).or_else(|| variables(name));
    let text = |template: &str| expand("signature", template, &lookup);
    match sign {
        Sign::AwsSigv4 { access_key_id, secret_access_key, session_token, region, service } => {
            let secret_access_key = Secret::new(text(secret_access_key)?);
            // An empty field is not a token.
            let token = expand("signature", session_token, &|name| Some(lookup(name).unwrap_or_default()))?;
            let token = Some(Secret::new(token)).filter(|token| !token.is_empty());
            let signer = SigV4 {
                access_key_id: &text(access_key_id)?,
                secret_access_key: &secret_access_key,
                session_token: token.as_ref(),
                region: &text(region)?,
                service: &text(service)?,
            };
            let headers = signer.headers(&draft.method, &draft.url, &draft.headers, &draft.body, now)?;
            for (name, value) in &headers {
                draft.headers.insert(name, value.clone());
            }
        }
        Sign::Wsse { username, secret } => {
            let secret = Secret::new(text(secret)?);
            let user = WsseUser {
                username: &text(username)?,
                secret: &secret,
                hash: SignatureHash::Sha1,
                digest: WsseDigest::HexDigits,
                nonce: WsseNonce::Text,
            };
            draft.headers.insert(HeaderName::from_static("x-wsse"), user.header(now, entropy)?);
        }
        Sign::HmacSha256 { key, message, header, value } => {
            let key = Secret::new(text(key)?);
            let about = |name: &str| match name {
                "method" => Some(draft.method.to_string()),
                "path" => Some(draft.url.path().to_owned()),
                "query" => Some(draft.url.query().unwrap_or_default().to_owned()),
                "body" => String::from_utf8(draft.body.to_vec()).ok(),
                "timestamp" => Some(now.to_string()),
                other => lookup(other),
            };
            let signature = hmac_signature(SignatureHash::Sha256, SignatureEncoding::Hex, &key, message, &about)?;
            let signed = |name: &str| match name {
                "signature" => Some(signature.expose().to_owned()),
                "timestamp" => Some(now.to_string()),
                other => lookup(other),
            };
            let value: HeaderValue = sensitive(header, &expand("signature", value, &signed)?)?;
            let name = HeaderName::from_bytes(header.as_bytes())
                .map_err(|_| BuildError::Header { name: header.clone(), reason: "is not a header name" })?;
            draft.headers.insert(name, value);
        }
    }
    Ok(())
}

/// Headers that a signature sets, which callers must not set.
pub fn signature_headers(sign: &Sign) -> Vec<HeaderName> {
    match sign {
        Sign::AwsSigv4 { .. } => {
            ["authorization", "x-amz-date", "x-amz-security-token"].map(HeaderName::from_static).into()
        }
        Sign::Wsse { .. } => vec![HeaderName::from_static("x-wsse")],
        Sign::HmacSha256 { header, .. } => HeaderName::from_bytes(header.as_bytes()).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use switchboard_vault::SystemEntropy;
    use url::Url;

    use super::*;
    use crate::fixtures::no_variables;

    fn draft() -> UnsentRequest {
        UnsentRequest {
            method: Method::POST,
            url: Url::parse("https://api.example/v1/x?a=b").unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
        }
    }

    fn signed(lines: &str) -> HeaderMap {
        let declared: Sign = toml::from_str(lines).unwrap();
        let secrets = Secrets::from([("id", Secret::from("AKID")), ("secret", Secret::from("wJalrXUtn"))]);
        let mut draft = draft();
        sign(&declared, &secrets, &no_variables, &mut draft, 1_440_938_160, &SystemEntropy).unwrap();
        for name in signature_headers(&declared).iter().filter(|name| draft.headers.contains_key(*name)) {
            assert!(*name == "x-amz-date" || draft.headers[name].is_sensitive(), "{name}");
        }
        draft.headers
    }

    #[test]
    fn each_way_of_signing() {
        let headers = signed(
            "method = \"aws_sigv4\"\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n\
             session_token = \"{absent}\"\nregion = \"us-east-1\"\nservice = \"iam\"",
        );
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws4_request"));
        assert!(!headers.contains_key("x-amz-security-token"));
        let headers = signed("method = \"wsse\"\nusername = \"{id}\"\nsecret = \"{secret}\"");
        assert!(headers["x-wsse"].to_str().unwrap().starts_with("UsernameToken Username=\"AKID\""));
        let headers = signed(
            "method = \"hmac_sha256\"\nkey = \"{secret}\"\nmessage = \"{timestamp}.{method}.{path}.{query}.{body}\"\n\
             header = \"X-Sig\"\nvalue = \"t={timestamp},v1={signature}\"",
        );
        let expected = hmac_signature(
            SignatureHash::Sha256,
            SignatureEncoding::Hex,
            &Secret::from("wJalrXUtn"),
            "1440938160.POST./v1/x.a=b.{{}",
            &no_variables,
        )
        .unwrap();
        assert_eq!(headers["x-sig"], format!("t=1440938160,v1={}", expected.expose()));
    }
}
