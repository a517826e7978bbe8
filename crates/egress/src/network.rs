//! Networks as people write them: an address, or a CIDR range (RFC 4632, RFC 4291 section 2.3).

use std::net::IpAddr;

use ipnet::IpNet;

/// Why a text is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkError {
    /// What it begins with is no address.
    Address,
    /// What follows the slash is no number from 0 to 255.
    Prefix {
        /// The longest prefix of an address of this family.
        max: u8,
    },
    /// The prefix is longer than the address.
    TooLong {
        /// The longest prefix of an address of this family.
        max: u8,
    },
    /// The address has bits set after the prefix; this is the network without them. `10.0.0.7/8` is more often a
    /// slip than a wish for sixteen million addresses.
    HostBits(IpNet),
}

/// Reads an address, which is a network of one, or a range. `read` may change the address before its prefix is
/// looked at, such as an IPv4 address that is written as IPv6.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse_network(text: &str, read: impl FnOnce(IpAddr) -> IpAddr) -> Result<IpNet, NetworkError> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address = read(address.parse().map_err(|_| NetworkError::Address)?);
    let host = IpNet::from(address);
    let Some(prefix) = prefix else { return Ok(host) };
    let max = host.max_prefix_len();
    // `parse` would take "+8".
    let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse::<u8>().ok().filter(|_| is_number).ok_or(NetworkError::Prefix { max })?;
    let network = IpNet::new(address, prefix).map_err(|_| NetworkError::TooLong { max })?;
    if network.trunc() == network { Ok(network) } else { Err(NetworkError::HostBits(network.trunc())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_or_a_range() {
        let parse = |text: &str| parse_network(text, |address| address);
        for text in ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::ffff:10.0.0.0/104"] {
            assert_eq!(parse(text), Ok(text.parse().unwrap()), "{text}");
        }
        assert_eq!(parse("10.1.2.3"), Ok("10.1.2.3/32".parse().unwrap()));
        assert_eq!(parse_network("::ffff:10.1.2.3", |address| address.to_canonical()), parse("10.1.2.3"));
        for (text, error) in [
            ("", NetworkError::Address),
            ("10.0.0/8", NetworkError::Address),
            ("1.2.3.4 ", NetworkError::Address),
            ("10.0.0.0/", NetworkError::Prefix { max: 32 }),
            ("10.0.0.0/+8", NetworkError::Prefix { max: 32 }),
            ("10.0.0.0/8/8", NetworkError::Prefix { max: 32 }),
            ("::/256", NetworkError::Prefix { max: 128 }),
            ("10.0.0.0/33", NetworkError::TooLong { max: 32 }),
            ("10.1.2.3/8", NetworkError::HostBits("10.0.0.0/8".parse().unwrap())),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
