//! The operator's exceptions, and the check of addresses and names.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::address::is_public;
use crate::endpoint::has_same_origin;
use crate::error::{ConfigError, EgressError};
use crate::network::{NetworkError, parse_network};

/// An operator's exception to "public addresses over https only".
///
/// Written as `10.0.0.0/8`, `fd00::/8`, `10.1.2.3` or `internal.corp`. Matching hosts may be reached although
/// they are not public, and over plain http.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowRule {
    /// Every address of a network, written with its first address. IPv4 rules do not cover IPv4-mapped IPv6 addresses.
    Network(IpNet),
    /// One exact host name, whatever it resolves to. The operator vouches for its DNS.
    Host(String),
}

impl FromStr for AllowRule {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| Err(ConfigError::rule(text, reason));
        match parse_network(text, |address| address) {
            Ok(network) => return Ok(Self::Network(network)),
            // Perhaps a name.
            Err(NetworkError::Address) if !text.contains('/') => {}
            Err(error) => return Err(ConfigError::rule(text, network_reason(&error))),
        }
        let known = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !text.chars().all(known) {
            return refuse("not an address, a network or a host name");
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) if !name.split('.').any(str::is_empty) => Ok(Self::Host(name)),
            Ok(Host::Domain(_)) => refuse("the host name has an empty label"),
            Ok(_) => refuse("write the address in full, with four decimal numbers"),
            Err(_) => refuse("not an address, a network or a host name"),
        }
    }
}

fn network_reason(error: &NetworkError) -> &'static str {
    match error {
        NetworkError::Address => "not an address before the slash",
        NetworkError::Prefix { .. } => "not a prefix length after the slash",
        NetworkError::TooLong { .. } => "the prefix length is longer than the address",
        NetworkError::HostBits(_) => "the address has bits set after the prefix",
    }
}

/// Decides which names and addresses may be connected to.
#[derive(Debug)]
pub(crate) struct Guard {
    networks: Vec<IpNet>,
    hosts: HashSet<String>,
    loopback: bool,
    /// Origins that may be called without TLS.
    plain: Vec<Url>,
    /// Host names of these origins; a look-up knows only the name.
    plain_names: HashSet<String>,
}

/// Why a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The address is neither public nor allowed.
    Address,
    /// The address is public but was not allowed for plain http.
    PlainHttp,
}

impl From<Refusal> for EgressError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Address => Self::AddressDenied,
            Refusal::PlainHttp => Self::EndpointNotAllowed { reason: "https is required" },
        }
    }
}

impl Guard {
    pub(crate) fn new(rules: &[AllowRule], loopback: bool) -> Result<Self, ConfigError> {
        let (plain, plain_names) = (Vec::new(), HashSet::new());
        let mut guard = Self { networks: Vec::new(), hosts: HashSet::new(), loopback, plain, plain_names };
        for rule in rules {
            // A rule may be built without `from_str`: normalise it.
            let checked = match rule {
                AllowRule::Network(network) => network.to_string().parse()?,
                AllowRule::Host(name) => name.parse()?,
            };
            match checked {
                AllowRule::Network(network) => guard.networks.push(network),
                AllowRule::Host(name) => {
                    guard.hosts.insert(name);
                }
            }
        }
        Ok(guard)
    }

    /// The same, and allows plain http to these origins.
    pub(crate) fn allowing_plain(mut self, origins: &[String]) -> Result<Self, ConfigError> {
        for text in origins {
            let refuse = || ConfigError::rule(text, "not the origin of a host without TLS");
            let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.path() == "/");
            let url = url.ok_or_else(refuse)?;
            if let Some(Host::Domain(name)) = url.host() {
                self.plain_names.insert(name.to_owned());
            }
            self.plain.push(url);
        }
        Ok(self)
    }

    /// Whether a URL uses plain http to an origin for which the operator did not allow it.
    pub(crate) fn is_forbidden_plain_http(&self, url: &Url) -> bool {
        url.scheme() != "https" && !self.plain.iter().any(|allowed| has_same_origin(allowed, url))
    }

    /// Checks a URL before its name is looked up.
    pub(crate) fn check_url(&self, url: &Url) -> Result<(), EgressError> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(EgressError::EndpointNotAllowed { reason: "the scheme is not https" });
        }
        let plain = self.is_forbidden_plain_http(url);
        match url.host() {
            Some(Host::Ipv4(v4)) => Ok(self.check_address(IpAddr::V4(v4), plain)?),
            Some(Host::Ipv6(v6)) => Ok(self.check_address(IpAddr::V6(v6), plain)?),
            Some(Host::Domain(name)) => Ok(self.check_name(name, plain)?),
            None => Err(EgressError::InvalidRequest { reason: "the url has no host" }),
        }
    }

    /// Refuses an address that may not be connected to.
    pub(crate) fn check_address(&self, address: IpAddr, plain: bool) -> Result<(), Refusal> {
        if self.allows(address) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(Refusal::Address);
        }
        if plain { Err(Refusal::PlainHttp) } else { Ok(()) }
    }

    /// Refuses the whole result of a look-up when one of its addresses is not allowed: a mixed result is a
    /// sign of a DNS rebinding attack.
    pub(crate) fn check_resolved(
        &self,
        name: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
        plain: bool,
    ) -> Result<(), Refusal> {
        if self.hosts.contains(name) {
            return Ok(());
        }
        // The port was checked with the URL.
        let plain = plain && !self.plain_names.contains(name);
        addresses.into_iter().try_for_each(|address| self.check_address(address, plain))
    }

    /// Refuses a name that cannot be allowed, whatever it resolves to.
    fn check_name(&self, name: &str, plain: bool) -> Result<(), Refusal> {
        if self.hosts.contains(name) {
            return Ok(());
        }
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let allows_loopback = loopback.into_iter().any(|address| self.allows(address));
        if is_localhost(name) && !allows_loopback {
            return Err(Refusal::Address);
        }
        // Without an exception for addresses, every result would be refused: skip the look-up.
        let no_exception = !self.loopback && self.networks.is_empty();
        if plain && no_exception { Err(Refusal::PlainHttp) } else { Ok(()) }
    }

    /// Whether the operator explicitly allows this address.
    fn allows(&self, address: IpAddr) -> bool {
        let by_flag = self.loopback && address.is_loopback();
        by_flag || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Whether a name always means this machine (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
