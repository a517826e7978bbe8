//! Normalization of settings: blanks around values and after commas, `localhost` as an address.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use switchboard_catalog::PlainHttp;
use url::{Host, Url};

use super::invalid::invalid;
use super::layer::Layer;
use crate::app::UnknownParameters;

/// What a setting with an origin of this server takes.
pub(super) const ORIGIN: &str =
    "an origin such as https://connect.example.com (http:// on loopback only), without a path";

impl Layer {
    /// Trims values and removes empty list entries: Compose files and charts write `10.0.0.0/8,
    /// 10.1.2.3` and pass on empty values.
    pub(super) fn trimmed(mut self) -> Self {
        let texts = [
            &mut self.listen,
            &mut self.public_url,
            &mut self.files_public_url,
            &mut self.database_url,
            &mut self.metrics_listen,
            &mut self.log,
            &mut self.log_format,
            &mut self.unknown_query_parameters,
        ];
        for text in texts.into_iter().flatten() {
            trim(text);
        }
        for list in [&mut self.allowed_hosts, &mut self.allow_egress, &mut self.allow_http, &mut self.trusted_proxies]
            .into_iter()
            .flatten()
        {
            list.iter_mut().for_each(trim);
            list.retain(|item| !item.is_empty());
        }
        let paths = [
            &mut self.files_dir,
            &mut self.data_dir,
            &mut self.master_key_file,
            &mut self.audit_head_file,
            &mut self.extra_ca_file,
        ];
        for path in paths.into_iter().flatten() {
            trim_path(path);
        }
        if let Some(list) = &mut self.toolkits {
            list.iter_mut().for_each(trim_path);
            list.retain(|path| !path.as_os_str().is_empty());
        }
        self
    }
}

fn trim(text: &mut String) {
    if text.trim().len() != text.len() {
        *text = text.trim().to_owned();
    }
}

fn trim_path(path: &mut PathBuf) {
    // A path that is not UTF-8 does not come from a Compose file.
    if let Some(text) = path.to_str().filter(|text| text.trim().len() != text.len()) {
        *path = PathBuf::from(text.trim());
    }
}

/// An address and port to listen on. `localhost` is always 127.0.0.1.
pub(super) fn address(setting: &str, given: &str, example: &str) -> Result<SocketAddr> {
    let numeric = match given.split_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => format!("127.0.0.1:{port}"),
        _ => given.to_owned(),
    };
    let takes =
        format!("an address and port such as {example} or localhost:{}", example.rsplit(':').next().unwrap_or("8787"));
    numeric.parse().map_err(|_| invalid(setting, given, &takes))
}

/// How to treat unknown query parameters.
pub(super) fn unknown_parameters(given: &str) -> Result<UnknownParameters> {
    match given {
        "refuse" => Ok(UnknownParameters::Refuse),
        "warn" => Ok(UnknownParameters::Warn),
        _ => Err(invalid("unknown_query_parameters", given, "refuse or warn")),
    }
}

/// Hosts that may be called without TLS.
pub(super) fn plain_hosts(given: &[String]) -> Result<PlainHttp> {
    let takes = "hosts such as git.corp or 10.1.2.3:8080, without a scheme or a path";
    PlainHttp::parse(given).map_err(|host| invalid("allow_http", &host, takes))
}

/// An origin of this server, without a trailing slash.
pub(super) fn origin(setting: &str, given: &str) -> Result<String> {
    let url = Url::parse(given).map_err(|_| invalid(setting, given, ORIGIN))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_fit = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    if !is_origin || !is_fit {
        return Err(invalid(setting, given, ORIGIN));
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_an_address() {
        for (given, expected) in [
            ("localhost:8787", Some("127.0.0.1:8787")),
            ("LocalHost:0", Some("127.0.0.1:0")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::1]:1", Some("[::1]:1")),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:70000", None),
            ("localhost.evil.test:1", None),
            ("8787", None),
        ] {
            let read = address("listen", given, "127.0.0.1:8787");
            assert_eq!(read.ok().map(|found| found.to_string()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn blanks_and_empty_entries_are_removed() {
        let list = |items: &[&str]| Some(items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>());
        let layer = Layer {
            public_url: Some(" https://connect.example.com\n".to_owned()),
            allow_egress: list(&["10.0.0.0/8", " 10.1.2.3", "", " "]),
            toolkits: Some(vec![PathBuf::from("/a"), PathBuf::from(" /b "), PathBuf::new()]),
            master_key_file: Some(PathBuf::from("/run/key ")),
            ..Layer::default()
        };
        let trimmed = layer.trimmed();
        assert_eq!(trimmed.public_url.as_deref(), Some("https://connect.example.com"));
        assert_eq!(trimmed.allow_egress, list(&["10.0.0.0/8", "10.1.2.3"]));
        assert_eq!(trimmed.toolkits, Some(vec![PathBuf::from("/a"), PathBuf::from("/b")]));
        assert_eq!(trimmed.master_key_file, Some(PathBuf::from("/run/key")));
    }
}
