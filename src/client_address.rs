//! The address of a client (R82): the connection's peer, or what a trusted proxy says.
//!
//! It is used only for rate limits and address rules: no URL, host or scheme is ever taken from a
//! forwarded header.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

use crate::app::base::networks::Network;

/// The peer of a request's connection; `server.rs` adds it to each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Marks a request on a connection over the limit, which may only use the health checks; `server.rs`
/// adds it to each of its requests.
#[derive(Clone, Copy, Debug)]
pub struct OnlyHealth;

/// Maximum size of a request's head in bytes (R84): the buffer of a connection, and the sum of its
/// headers.
pub const MAX_HEAD: usize = 64 * 1_024;

/// Proxies whose forwarded headers are trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Parses addresses and networks such as `10.0.0.5` and `fd00::/8`.
    pub fn parse(given: &[String]) -> Result<Self, String> {
        let read = |text: &String| text.parse().map_err(|reason: String| format!("{text:?} {reason}"));
        given.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The client of a request: the first address, starting from the nearest hop, that is not a trusted
    /// proxy. A hop that cannot be parsed ends the search at the hop before it. If both headers exist
    /// and disagree, the nearest hop is used: a proxy that writes one of them passes the other one
    /// through from the client.
    pub fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> IpAddr {
        let nearest = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
        if self.0.is_empty() || !self.trusts(nearest) {
            return nearest;
        }
        match (forwarded_for(headers), forwarded(headers)) {
            (None, None) => nearest,
            (Some(hops), None) | (None, Some(hops)) => self.outermost(nearest, &hops),
            (Some(hops), Some(others)) => {
                let client = self.outermost(nearest, &hops);
                if client == self.outermost(nearest, &others) { client } else { nearest }
            }
        }
    }

    /// Whether a connection comes from a trusted proxy.
    pub fn trusts_peer(&self, peer: Peer) -> bool {
        self.trusts(peer.0.ip().to_canonical())
    }

    fn outermost(&self, nearest: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut client = nearest;
        for hop in hops.iter().rev() {
            let Some(address) = hop else { break };
            client = *address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// The unit of counting: an IPv4 address, or the /64 of an IPv6 address.
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Hops of `X-Forwarded-For`, the nearest last; none without the header.
fn forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = None;
    for value in headers.get_all("x-forwarded-for") {
        let hops: &mut Vec<_> = hops.get_or_insert_default();
        match value.to_str() {
            Ok(text) => hops.extend(text.split(',').map(|hop| address(hop.trim()))),
            Err(_) => hops.push(None),
        }
    }
    hops
}

/// Hops of `Forwarded` (RFC 7239 section 4), the nearest last; none without the header.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = None;
    for value in headers.get_all(FORWARDED) {
        let hops: &mut Vec<_> = hops.get_or_insert_default();
        match value.to_str().ok().and_then(|text| split(text, ',')) {
            Some(elements) => hops.extend(elements.into_iter().map(node)),
            None => hops.push(None),
        }
    }
    hops
}

/// The `for` of one element of `Forwarded`.
fn node(element: &str) -> Option<IpAddr> {
    let mut found = split(element, ';')?.into_iter().filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let (value, None) = (found.next()?, found.next()) else { return None };
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    address(unquoted.unwrap_or(value))
}

/// Splits outside of quoted strings; none if a quoted string is not closed.
fn split(text: &str, at: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == at && !quoted => {
                parts.push(&text[start..index]);
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// The client behind a proxy at 10.0.0.1, with `10.0.0.0/8` and `fd00::/8` trusted.
    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()]).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        trusted.client(Some(Peer(peer.parse().unwrap())), &headers).to_string()
    }

    #[test]
    fn forwarded_headers_of_a_trusted_peer_only_are_used() {
        let lines = [("x-forwarded-for", "8.8.8.8")];
        assert_eq!(client("192.0.2.7:1", &lines), "192.0.2.7");
        assert_eq!(client("10.0.0.1:1", &lines), "8.8.8.8");
        assert_eq!(client("[::ffff:10.0.0.1]:1", &lines), "8.8.8.8");
        assert_eq!(client("[fd00::1]:1", &lines), "8.8.8.8");
        assert_eq!(client("10.0.0.1:1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_nearest_hop_that_is_not_a_proxy_is_the_client() {
        for (lines, expected) in [
            (&[("x-forwarded-for", "1.1.1.1, 8.8.8.8, 10.0.0.9")][..], "8.8.8.8"),
            (&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "8.8.8.8")], "8.8.8.8"),
            (&[("x-forwarded-for", "10.0.0.8, 10.0.0.9")], "10.0.0.8"),
            (&[("x-forwarded-for", "8.8.8.8:4711")], "8.8.8.8"),
            (&[("x-forwarded-for", "::ffff:8.8.8.8")], "8.8.8.8"),
            (&[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            (&[("forwarded", "for=1.1.1.1, For=8.8.8.8;proto=https")], "8.8.8.8"),
            (&[("forwarded", "for=\"[2001:db8::1]:4711\", for=10.0.0.9;by=10.0.0.1")], "2001:db8::1"),
            (&[("forwarded", "for=8.8.8.8;host=\"a, for=6.6.6.6\"")], "8.8.8.8"),
            (&[("forwarded", "for=8.8.8.8"), ("x-forwarded-for", "8.8.8.8")], "8.8.8.8"),
        ] {
            assert_eq!(client("10.0.0.1:1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn unreadable_or_contradicting_headers_are_ignored() {
        for lines in [
            &[("x-forwarded-for", "8.8.8.8, unknown")][..],
            &[("x-forwarded-for", "8.8.8.8,")],
            &[("x-forwarded-for", "")],
            &[("forwarded", "for=8.8.8.8, for=unknown")],
            &[("forwarded", "for=8.8.8.8;for=1.1.1.1")],
            &[("forwarded", "for=\"8.8.8.8")],
            &[("forwarded", "proto=https")],
            &[("forwarded", "for=_hidden")],
            &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "8.8.8.8")],
            &[("x_forwarded_for", "8.8.8.8"), ("x-real-ip", "8.8.8.8")],
        ] {
            assert_eq!(client("10.0.0.1:1", lines), "10.0.0.1", "{lines:?}");
        }
        assert_eq!(client("10.0.0.1:1", &[("x-forwarded-for", "8.8.8.8, nonsense, 10.0.0.9")]), "10.0.0.9");
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_64() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("8.8.8.8"), "8.8.8.8");
        assert_eq!(counted("::ffff:8.8.8.8"), "8.8.8.8");
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        let refused = |text: &str| TrustedProxies::parse(&[text.to_owned()]).unwrap_err();
        assert!(refused("proxy.corp").starts_with("\"proxy.corp\" must be an IP address"));
        assert!(refused("10.0.0.0/99").contains("prefix length"));
        assert!(refused("::ffff:10.0.0.0/104").contains("from 0 to 32"), "it is an IPv4 address");
    }
}
