//! What is known of a client: from `_meta` of a stateless request, or from the session id of one with a handshake.

use serde_json::{Map, Value};

use crate::{Failure, Revision};

/// Key of the revision in `_meta`.
pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Key of the capabilities in `_meta`.
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Key of the level of log messages in `_meta`.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// How long a session id can be used, in seconds. Clients begin anew after it.
pub(crate) const MAX_AGE: u64 = 24 * 60 * 60;
/// Bytes of a session id's content.
const TOKEN: usize = 11;
const FORMAT: u8 = 1;

/// What is known of a client.
#[expect(clippy::struct_excessive_bools, reason = "a client declares each capability or does not")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The revision of its request.
    pub revision: Revision,
    /// It can ask its user to fill in a form.
    pub form: bool,
    /// It can ask its user to open a URL.
    pub url: bool,
    /// It can ask its model.
    pub sampling: bool,
    /// It can list its roots.
    pub roots: bool,
    /// The least level of log messages that a stateless request wants; none if it wants none.
    pub log_level: Option<String>,
}

impl Client {
    /// A client that has told nothing.
    pub(crate) fn unknown(revision: Revision) -> Self {
        Self { revision, form: false, url: false, sampling: false, roots: false, log_level: None }
    }

    /// A client with these capabilities. `elicitation: {}` means forms only.
    pub(crate) fn new(revision: Revision, capabilities: &Value) -> Self {
        let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
        let mode = |name: &str| elicitation.is_some_and(|modes| modes.get(name).is_some_and(Value::is_object));
        let is_object = |name: &str| capabilities.get(name).is_some_and(Value::is_object);
        Self {
            form: mode("form") || elicitation.is_some_and(|modes| !modes.contains_key("url")),
            // URLs are of 2025-11-25 and later.
            url: mode("url") && revision >= Revision::V20251125,
            sampling: is_object("sampling"),
            roots: is_object("roots"),
            ..Self::unknown(revision)
        }
    }

    /// The client of a stateless request.
    pub(crate) fn of_meta(meta: &Map<String, Value>, revision: Revision) -> Result<Self, Failure> {
        let capabilities = meta.get(CAPABILITIES).filter(|capabilities| capabilities.is_object());
        let capabilities = capabilities.ok_or_else(|| Failure::lacks_meta(CAPABILITIES))?;
        let log_level = meta.get(LOG_LEVEL).and_then(Value::as_str).map(str::to_owned);
        Ok(Self { log_level, ..Self::new(revision, capabilities) })
    }

    /// The content of its session id: all that is needed to know it again.
    pub(crate) fn to_token(&self, now: u64) -> [u8; TOKEN] {
        let flags = [self.form, self.url, self.sampling, self.roots];
        let flags = flags.iter().enumerate().fold(0_u8, |flags, (bit, is_set)| flags | u8::from(*is_set) << bit);
        let revision = Revision::ALL.iter().position(|revision| *revision == self.revision).unwrap_or_default();
        let mut token = [0; TOKEN];
        token[0] = FORMAT;
        token[1] = u8::try_from(revision).unwrap_or_default();
        token[2] = flags;
        token[3..].copy_from_slice(&now.to_be_bytes());
        token
    }

    /// The client of a session id; none if it is none of ours or is too old.
    pub(crate) fn of_token(token: &[u8], now: u64) -> Option<Self> {
        let token: &[u8; TOKEN] = token.try_into().ok()?;
        let [FORMAT, revision, flags, issued @ ..] = token else { return None };
        let age = now.checked_sub(u64::from_be_bytes(*issued))?;
        if age > MAX_AGE {
            return None;
        }
        let is_set = |bit: u8| flags >> bit & 1 == 1;
        Some(Self {
            revision: *Revision::ALL.get(usize::from(*revision))?,
            form: is_set(0),
            url: is_set(1),
            sampling: is_set(2),
            roots: is_set(3),
            log_level: None,
        })
    }

    /// Whether it declares what a request of ours needs; otherwise the name of the capability.
    pub(crate) fn can(&self, method: &str, params: &Value) -> Result<(), &'static str> {
        let (has, capability) = match method {
            "elicitation/create" if params.get("mode").and_then(Value::as_str) == Some("url") => {
                (self.url, "elicitation")
            }
            "elicitation/create" => (self.form, "elicitation"),
            "sampling/createMessage" => (self.sampling, "sampling"),
            "roots/list" => (self.roots, "roots"),
            _ => (true, ""),
        };
        if has { Ok(()) } else { Err(capability) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_id_has_all_that_is_known_of_a_client() {
        for capabilities in [
            json!({}),
            json!({ "elicitation": {} }),
            json!({ "elicitation": { "url": {} } }),
            json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": { "listChanged": true } }),
        ] {
            for revision in Revision::ALL {
                let client = Client::new(revision, &capabilities);
                let token = client.to_token(1_000);
                assert_eq!(Client::of_token(&token, 1_000 + MAX_AGE), Some(client));
                assert_eq!(Client::of_token(&token, 1_001 + MAX_AGE), None, "too old");
                assert_eq!(Client::of_token(&token, 999), None, "of the future");
                assert_eq!(Client::of_token(&token[1..], 1_000), None);
            }
        }
    }

    #[test]
    fn elicitation_without_a_mode_means_forms() {
        let client = |elicitation: Value| {
            let client = Client::new(Revision::V20251125, &json!({ "elicitation": elicitation }));
            (client.form, client.url)
        };
        assert_eq!(client(json!({})), (true, false));
        assert_eq!(client(json!({ "form": {} })), (true, false));
        assert_eq!(client(json!({ "url": {} })), (false, true));
        assert_eq!(client(json!({ "form": {}, "url": {} })), (true, true));
        assert!(!Client::new(Revision::V20250618, &json!({ "elicitation": { "url": {} } })).url);
    }
}
