//! Host rules beyond those of the URL parser. A host in a toolkit file or an entered one determines where
//! credentials may be sent, so that both must follow them.

use url::Url;

/// Whether the URL's host has no `*`, other symbols or empty labels, and no port 0. An entered
/// `https://*.example.com` would otherwise match every host below.
pub(crate) fn is_plain(url: &Url) -> bool {
    url.host_str().is_some_and(is_plain_host) && url.port() != Some(0)
}

fn is_plain_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let empty_label = host.starts_with('.') || host.ends_with('.') || host.contains("..");
    host.bytes().all(allowed) && !empty_label
}
