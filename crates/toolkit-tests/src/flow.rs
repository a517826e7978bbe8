//! State of one connection at the simulated provider: the authorization request, codes and tokens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// What an authorization request asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) state: String,
    pub(super) challenge: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) nonce: Option<String>,
}

/// One connection at the provider.
#[derive(Default)]
pub(super) struct Flow {
    /// Where the browser is to come back to.
    pub(super) redirect_uri: String,
    /// The client that registered, or the URL that describes it.
    pub(super) client_id: Option<String>,
    pub(super) asked: Asked,
    /// Reference of a pushed request that waits for its browser.
    pub(super) pushed: Option<String>,
    /// The code, or the verifier of OAuth 1.0a.
    pub(super) code: Option<String>,
    /// Codes and refresh tokens that may not be used again.
    pub(super) spent: Vec<String>,
    /// Every token of a name, the newest last.
    issued: BTreeMap<String, Vec<String>>,
    made: usize,
}

impl Flow {
    /// The newest token of a name.
    pub(super) fn current(&self, name: &str) -> Option<String> {
        self.issued.get(name)?.last().cloned()
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &String> {
        self.issued.values().flatten()
    }

    /// A new token, and what is printed for it.
    pub(super) fn issue(&mut self, name: &str) -> (String, String) {
        self.made += 1;
        let token = format!("zqt{:02}{}", self.made, "0".repeat(24));
        (token.clone(), self.keep(name, token))
    }

    /// A JWT that expires at a time in seconds since 1970 (`exp`). Its signature is not checked.
    pub(super) fn issue_jwt(&mut self, name: &str, expires_at: i64) -> (String, String) {
        self.made += 1;
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut claims = json!({ "sub": "1001", "exp": expires_at, "jti": format!("zq{:02}", self.made) });
        if let Some(nonce) = &self.asked.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        let token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
        (token.clone(), self.keep(name, token))
    }

    fn keep(&mut self, name: &str, token: String) -> String {
        let all = self.issued.entry(name.to_owned()).or_default();
        all.push(token);
        match all.len() {
            1 => name.to_owned(),
            number => format!("{name} {number}"),
        }
    }
}
