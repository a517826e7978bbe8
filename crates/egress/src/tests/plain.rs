//! Hosts that may be called without TLS.

use std::net::IpAddr;

use url::Url;

use crate::EgressError;
use crate::allow::{Guard, Refusal};

fn guard(rules: &[&str], plain: &[&str]) -> Guard {
    let rules: Vec<_> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let plain: Vec<String> = plain.iter().map(ToString::to_string).collect();
    Guard::new(&rules, false).unwrap().allowing_plain(&plain).unwrap()
}

fn check(guard: &Guard, url: &str) -> Result<(), EgressError> {
    guard.check_url(&Url::parse(url).unwrap())
}

const NO_TLS: Result<(), EgressError> = Err(EgressError::EndpointNotAllowed { reason: "https is required" });

#[test]
fn only_the_named_host_and_port_may_be_plain() {
    let guard = guard(&[], &["http://gitlab.example:8080", "http://93.184.216.34"]);
    assert_eq!(check(&guard, "http://gitlab.example:8080/api"), Ok(()));
    assert_eq!(check(&guard, "http://93.184.216.34/"), Ok(()));
    for other in [
        "http://gitlab.example/",
        "http://gitlab.example:8081/",
        "http://a.gitlab.example:8080/",
        "http://other.example:8080/",
        "http://93.184.216.34:8080/",
        "http://93.184.216.35/",
    ] {
        assert_eq!(check(&guard, other), NO_TLS, "{other}");
    }
    assert_eq!(check(&guard, "https://other.example/"), Ok(()));
}

/// Private and loopback addresses need a permission of their own, also if a name resolves to them.
#[test]
fn plain_hosts_do_not_allow_private_addresses() {
    let plain = ["http://10.1.2.3:8080", "http://127.0.0.1:8080", "http://gitlab.corp:8080"];
    let alone = guard(&[], &plain);
    for url in ["http://10.1.2.3:8080/", "http://127.0.0.1:8080/"] {
        assert_eq!(check(&alone, url), Err(EgressError::AddressDenied), "{url}");
    }
    let answer = |guard: &Guard, name: &str, address: &str| {
        guard.check_resolved(name, [address.parse::<IpAddr>().unwrap()], true)
    };
    assert_eq!(answer(&alone, "gitlab.corp", "10.1.2.3"), Err(Refusal::Address));
    assert_eq!(answer(&alone, "gitlab.corp", "93.184.216.34"), Ok(()));
    assert_eq!(answer(&alone, "other.corp", "93.184.216.34"), Err(Refusal::PlainHttp));
    let both = guard(&["10.0.0.0/8"], &plain);
    assert_eq!(check(&both, "http://10.1.2.3:8080/"), Ok(()));
    assert_eq!(answer(&both, "gitlab.corp", "10.1.2.3"), Ok(()));
}

#[test]
fn invalid_origins_are_refused() {
    for text in ["", "gitlab.corp", "https://gitlab.corp", "http://gitlab.corp/a"] {
        assert!(Guard::new(&[], false).unwrap().allowing_plain(&[text.to_owned()]).is_err(), "{text}");
    }
}
