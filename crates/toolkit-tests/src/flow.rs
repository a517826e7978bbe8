//! The state of one connection at the simulated provider: authorization request, codes and tokens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// The parameters of an authorization request that later checks need.
#[derive(Debug, Default)]
pub(super) struct AuthorizationRequest {
    pub(super) state: String,
    pub(super) challenge: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) nonce: Option<String>,
}

/// One connection at the provider.
#[derive(Default)]
pub(super) struct Flow {
    /// The redirect URI of the client.
    pub(super) redirect_uri: String,
    /// The identifier of a registered client, or the URL of its metadata document.
    pub(super) client_id: Option<String>,
    pub(super) authorization_request: AuthorizationRequest,
    /// The `request_uri` of a pushed authorization request (RFC 9126).
    pub(super) pushed_request_uri: Option<String>,
    /// The authorization code, the device code, or the verifier of OAuth 1.0a.
    pub(super) code: Option<String>,
    /// Codes and refresh tokens that were used and are no longer valid.
    pub(super) used_grants: Vec<String>,
    /// All tokens by name, the newest last.
    issued: BTreeMap<String, Vec<String>>,
    issued_count: usize,
}

impl Flow {
    /// The newest token with this name.
    pub(super) fn current(&self, name: &str) -> Option<String> {
        self.issued.get(name)?.last().cloned()
    }

    /// All issued tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &String> {
        self.issued.values().flatten()
    }

    /// Issues a token. Returns it with the name that is printed for it.
    pub(super) fn issue(&mut self, name: &str) -> (String, String) {
        self.issued_count += 1;
        let token = format!("zqt{:02}{}", self.issued_count, "0".repeat(24));
        (token.clone(), self.record(name, token))
    }

    /// Issues a JWT with this `exp` (seconds since 1970). Nothing verifies its signature.
    pub(super) fn issue_jwt(&mut self, name: &str, expires_at: i64) -> (String, String) {
        self.issued_count += 1;
        let encode = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let mut claims = json!({ "sub": "1001", "exp": expires_at, "jti": format!("zq{:02}", self.issued_count) });
        if let Some(nonce) = &self.authorization_request.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        let token = format!("{}.{}.c2lnbmF0dXJl", encode(&json!({ "alg": "RS256", "typ": "JWT" })), encode(&claims));
        (token.clone(), self.record(name, token))
    }

    fn record(&mut self, name: &str, token: String) -> String {
        let tokens = self.issued.entry(name.to_owned()).or_default();
        tokens.push(token);
        match tokens.len() {
            1 => name.to_owned(),
            number => format!("{name} {number}"),
        }
    }
}
