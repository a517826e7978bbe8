//! What a host is, beyond what the URL parser lets through. A host in a toolkit file and one that a
//! person enters both become a rule of where credentials may go, so both are held to this.

use url::Url;

/// Whether a URL names its host without `*` and other symbols or empty labels, and no port that
/// nothing can listen on. An entered `https://*.example.com` would admit every host below.
pub(crate) fn is_plain(url: &Url) -> bool {
    url.host_str().is_some_and(is_plain_host) && url.port() != Some(0)
}

fn is_plain_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let empty_label = host.starts_with('.') || host.ends_with('.') || host.contains("..");
    host.bytes().all(allowed) && !empty_label
}
