//! Configuration of the provider: its issuer, its clients and their redirect URIs.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use http::Uri;

/// Configuration of the provider.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Origin of the provider, such as `http://127.0.0.1:4000`, without path or trailing slash. It is exactly
    /// the `issuer` of RFC 8414 and the `iss` of RFC 9207.
    pub issuer: String,
    /// The registered OAuth clients.
    pub clients: Vec<Client>,
    /// Lifetime of access tokens in seconds; a short one exercises refreshing. `dev` uses 60.
    pub access_token_ttl_seconds: u64,
    /// File for grants, logins and notes, to survive restarts; `None` keeps them in memory only. Only one
    /// process at a time may use a file.
    pub state_file: Option<PathBuf>,
}

/// A registered OAuth client.
#[derive(Clone)]
pub struct Client {
    /// The client id, also displayed on the consent page.
    pub client_id: String,
    /// The secret of a confidential client; `None` for a public client.
    pub client_secret: Option<String>,
    /// Allowed redirect URIs. One that ends in `/` also allows a single further path segment of unreserved
    /// characters (RFC 3986 §2.3).
    pub redirect_uri_prefixes: Vec<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.client_secret.as_ref().map(|_| "REDACTED");
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("client_secret", &secret)
            .field("redirect_uri_prefixes", &self.redirect_uri_prefixes)
            .finish()
    }
}

/// The provider's clock, so that tests can move the time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

impl SandboxConfig {
    /// Rejects a configuration that would fail later, during a user's request.
    pub(crate) fn check(&self) -> io::Result<()> {
        check_issuer(&self.issuer)?;
        if self.access_token_ttl_seconds == 0 {
            return Err(invalid("access_token_ttl_seconds must be at least 1"));
        }
        let mut seen = BTreeSet::new();
        for client in &self.clients {
            client.check()?;
            if !seen.insert(&client.client_id) {
                let message = format!("client {} is registered twice", client.client_id);
                return Err(invalid(message));
            }
        }
        Ok(())
    }

    pub(crate) fn client(&self, client_id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.client_id == client_id)
    }
}

impl Client {
    fn check(&self) -> io::Result<()> {
        if self.client_id.is_empty() {
            return Err(invalid("a client has an empty client_id"));
        }
        if self.client_secret.as_deref() == Some("") {
            let message = format!("client {} has an empty client_secret", self.client_id);
            return Err(invalid(message));
        }
        for prefix in &self.redirect_uri_prefixes {
            // No fragment (RFC 6749 §3.1.2); visible ASCII, because it is sent in a header.
            let is_web = prefix.starts_with("http://") || prefix.starts_with("https://");
            let is_plain = prefix.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
            if !is_web || !is_plain {
                let message = format!(
                    "redirect URI {prefix} of client {} is not an http(s) URI without fragment",
                    self.client_id
                );
                return Err(invalid(message));
            }
        }
        Ok(())
    }

    /// Whether an authorization response may be sent to this URI.
    pub(crate) fn allows_redirect_uri(&self, redirect_uri: &str) -> bool {
        self.redirect_uri_prefixes.iter().any(|prefix| {
            if prefix == redirect_uri {
                return true;
            }
            prefix.ends_with('/') && redirect_uri.strip_prefix(prefix.as_str()).is_some_and(is_plain_segment)
        })
    }
}

fn check_issuer(issuer: &str) -> io::Result<()> {
    let refused = || invalid(format!("issuer {issuer} is not an http(s) origin"));
    let uri: Uri = issuer.parse().map_err(|_| refused())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    // `Uri` adds the path `/` to an origin, so check the text itself for a slash.
    let is_origin = uri.path() == "/" && uri.query().is_none() && !issuer.ends_with('/');
    let has_fragment = issuer.contains('#');
    if !is_web || !is_origin || has_fragment {
        return Err(refused());
    }
    Ok(())
}

/// A path segment that all URL parsers read the same way: unreserved characters only, and not a dot segment.
fn is_plain_segment(segment: &str) -> bool {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_unreserved)
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(prefixes: &[&str]) -> Client {
        Client {
            client_id: "app".into(),
            client_secret: Some("s3cret".into()),
            redirect_uri_prefixes: prefixes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn redirect_uris_match_exactly_or_add_one_plain_segment() {
        let client = client(&["http://127.0.0.1:3000/callback/", "https://app.test/done"]);
        for allowed in
            ["http://127.0.0.1:3000/callback/", "http://127.0.0.1:3000/callback/ac_1-2.3~4", "https://app.test/done"]
        {
            assert!(client.allows_redirect_uri(allowed), "{allowed}");
        }
        for refused in [
            "http://127.0.0.1:3000/callback",
            "http://127.0.0.1:3000/callback/a/b",
            "http://127.0.0.1:3000/callback/a/",
            "http://127.0.0.1:3000/callback/..",
            "http://127.0.0.1:3000/callback/.",
            "http://127.0.0.1:3000/callback/%2e%2e",
            "http://127.0.0.1:3000/callback/a?b=c",
            "http://127.0.0.1:3000/callback/a#b",
            "http://127.0.0.1:3000/callback/a\\b",
            "http://127.0.0.1:3000/callback/a\r\nb",
            "https://app.test/done/more",
            "https://app.test/done?x=1",
            "https://app.test/donex",
            "HTTPS://app.test/done",
            "",
        ] {
            assert!(!client.allows_redirect_uri(refused), "{refused}");
        }
    }

    #[test]
    fn invalid_configurations_are_rejected_by_name() {
        let good = SandboxConfig {
            issuer: "http://127.0.0.1:4000".into(),
            clients: vec![client(&["http://127.0.0.1:3000/"])],
            access_token_ttl_seconds: 60,
            state_file: None,
        };
        assert!(good.check().is_ok());

        for issuer in ["", "127.0.0.1:4000", "http://a.test/", "http://a.test/x", "ftp://a.test"] {
            let config = SandboxConfig { issuer: issuer.into(), ..good.clone() };
            let error = config.check().expect_err(issuer).to_string();
            assert_eq!(error, format!("issuer {issuer} is not an http(s) origin"));
        }

        let mut twice = good.clone();
        twice.clients.push(client(&[]));
        let error = twice.check().expect_err("same id").to_string();
        assert_eq!(error, "client app is registered twice");

        let mut script = good.clone();
        script.clients = vec![client(&["javascript:alert(1)"])];
        let error = script.check().expect_err("script").to_string();
        assert!(error.starts_with("redirect URI javascript:alert(1) of client app"));

        let no_time = SandboxConfig { access_token_ttl_seconds: 0, ..good };
        assert!(no_time.check().is_err());
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let text = format!("{:?}", client(&[]));
        assert!(text.contains("REDACTED") && !text.contains("s3cret"), "{text}");
    }
}
