//! Addresses and CIDR ranges (RFC 4632, RFC 4291 section 2.3): from where a key may be used, and which proxies
//! are trusted.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use switchboard_egress::{NetworkError, parse_network};

use crate::error::{Error, Result};

/// Maximum number of entries in a list.
const MAX_ENTRIES: usize = 100;

/// A single address or a CIDR range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether the range contains an address. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        parse_network(text, |address| address.to_canonical()).map(Self).map_err(|error| match error {
            NetworkError::Address => "must be an IP address or a CIDR range such as 203.0.113.0/24".to_owned(),
            NetworkError::Prefix { max } | NetworkError::TooLong { max } => {
                format!("must have a prefix length from 0 to {max}")
            }
            NetworkError::HostBits(network) => format!("has bits after its prefix; write {}", Self(network)),
        })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Parses the list given with a new key. `field` is its name in the request.
pub fn parse_list(field: &str, texts: &[String]) -> Result<Vec<Network>> {
    if texts.is_empty() || texts.len() > MAX_ENTRIES {
        return Err(Error::field(field, format!("must have 1 to {MAX_ENTRIES} entries, or be left out for no limit")));
    }
    let (mut networks, mut errors) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(reason) => errors.push(format!("Error in payload.{field}[{index}]: {reason}")),
        }
    }
    if errors.is_empty() { Ok(networks) } else { Err(Error::validation(errors)) }
}

/// Whether a key may be used from an address. If there is a list, an unknown address is not on it.
pub fn admits(allowed: Option<&[Network]>, client: Option<IpAddr>) -> bool {
    let Some(allowed) = allowed else { return true };
    client.is_some_and(|client| allowed.iter().any(|network| network.contains(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn networks_contain_only_their_own_addresses() {
        let allowed = list(&["203.0.113.7", "10.0.0.0/8", "2001:db8::/32", "::1", "198.51.100.128/25"]);
        for (address, admitted) in [
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:11.1.2.3", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", true),
            ("127.0.0.1", false),
            ("198.51.100.129", true),
            ("198.51.100.127", false),
        ] {
            assert_eq!(admits(Some(&allowed), Some(address.parse().unwrap())), admitted, "{address}");
        }
        assert!(!admits(Some(&allowed), None), "an unknown address is on no list");
        assert!(admits(None, None), "no list, no limit");
    }

    #[test]
    fn the_whole_internet_is_two_ranges() {
        assert!(admits(Some(&list(&["0.0.0.0/0"])), Some("203.0.113.7".parse().unwrap())));
        assert!(!admits(Some(&list(&["0.0.0.0/0"])), Some("2001:db8::1".parse().unwrap())));
        assert!(admits(Some(&list(&["::/0"])), Some("2001:db8::1".parse().unwrap())));
    }

    #[test]
    fn invalid_ranges_are_refused_with_a_correction() {
        for text in [
            "",
            "example.com",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "1.2.3.4 ",
            "10.0.0.0/8/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("10.1.2.3/8".parse::<Network>().unwrap_err(), "has bits after its prefix; write 10.0.0.0/8");
        for text in ["10.0.0.0/8", "203.0.113.7", "2001:db8::/32"] {
            let network: Network = text.parse().unwrap();
            assert_eq!(serde_json::to_value(network).unwrap(), text);
        }
    }
}
