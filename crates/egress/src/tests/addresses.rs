//! Spellings of forbidden addresses, and the operator's rules.

use ipnet::IpNet;
use url::Url;

use super::{answers, get};
use crate::allow::{AllowRule, Guard};
use crate::{ConfigError, Destination, Egress, EgressConfig, EgressError, Limits};

/// Hosts of URLs, as an attacker would write them.
const SPELLINGS: &[&str] = &[
    // 127.0.0.1
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.01",
    "00000177.0.0.1",
    "%31%32%37.0.0.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "localhost",
    "LocalHost",
    "localhost.",
    "a.b.localhost",
    "ｌｏｃａｌｈｏｓｔ",
    "loc%61lhost",
    // this host, every host
    "0",
    "0.0.0.0",
    "0x0",
    "[::]",
    "255.255.255.255",
    // metadata services and neighbours
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.257",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
];

#[tokio::test]
async fn every_spelling_is_denied() {
    assert!(SPELLINGS.len() >= 40);
    let (lookup, asked) = answers(&[]);
    let egress = Egress::with_lookup(EgressConfig::default(), &lookup).unwrap();
    let guard = Guard::new(&[], false).unwrap();
    for spelling in SPELLINGS {
        for scheme in ["https", "http"] {
            let url = Url::parse(&format!("{scheme}://{spelling}/")).unwrap();
            assert_eq!(guard.check_url(&url), Err(EgressError::AddressDenied), "{spelling}");
            // Also when the destination includes it, both normalised and, if the request type can represent
            // it, as spelled. No destination matches a trailing dot.
            let Ok(to) = Destination::new([url.host_str().unwrap()]) else {
                assert_eq!(*spelling, "localhost.");
                continue;
            };
            let spelled = format!("{scheme}://{spelling}/");
            for text in [url.as_str(), &spelled] {
                let Ok(request) = http::Request::get(text).body(bytes::Bytes::new()) else { continue };
                let error = egress.send(&to, request, &Limits::default()).await.unwrap_err();
                assert_eq!(error, EgressError::AddressDenied, "{text}");
            }
        }
    }
    assert!(asked.lock().unwrap().is_empty(), "an address was looked up as a name");
}

#[test]
fn rules_in_every_form() {
    let network = |network: &str, prefix| AllowRule::Network(IpNet::new(network.parse().unwrap(), prefix).unwrap());
    assert_eq!("10.0.0.0/8".parse(), Ok(network("10.0.0.0", 8)));
    assert_eq!("fd00::/8".parse(), Ok(network("fd00::", 8)));
    assert_eq!("10.1.2.3".parse(), Ok(network("10.1.2.3", 32)));
    assert_eq!("::1".parse(), Ok(network("::1", 128)));
    assert_eq!("0.0.0.0/0".parse(), Ok(network("0.0.0.0", 0)));
    assert_eq!("::/0".parse(), Ok(network("::", 0)));
    assert_eq!("Internal.corp".parse(), Ok(AllowRule::Host("internal.corp".to_owned())));
    assert_eq!("mock".parse(), Ok(AllowRule::Host("mock".to_owned())));
}

#[test]
fn ambiguous_rules_are_refused() {
    let bad = [
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "10.1.0.0/8",
        "fd00::/129",
        "fd00::1/8",
        "10.0",
        "0x7f.1",
        "*.corp",
        "*",
        "a..b",
        "a.",
        ".a",
        "a:80",
        "[::1]",
        "http://a",
        "a/b",
        "a b",
        "a@b",
        "a%62",
    ];
    for rule in bad {
        let error = rule.parse::<AllowRule>().unwrap_err();
        assert!(matches!(&error, ConfigError::Rule { rule: named, .. } if named == rule), "{rule}");
    }
    // The same for a rule that was not parsed from text.
    let no_first_address = AllowRule::Network("10.1.2.3/8".parse().unwrap());
    for rule in [no_first_address, AllowRule::Host("*.corp".to_owned())] {
        let config = EgressConfig { allow: vec![rule], ..EgressConfig::default() };
        assert!(matches!(Egress::new(config), Err(ConfigError::Rule { .. })));
    }
}

#[tokio::test]
async fn only_web_schemes_pass() {
    let guard = Guard::new(&[], true).unwrap();
    for url in ["ftp://127.0.0.1/", "ws://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "data:,x"] {
        let refused = guard.check_url(&Url::parse(url).unwrap());
        assert_eq!(refused, Err(EgressError::EndpointNotAllowed { reason: "the scheme is not https" }), "{url}");
    }
}

/// Errors must not reveal what is inside the network.
#[tokio::test]
async fn errors_name_no_address_and_no_url() {
    let (lookup, _) = answers(&[&["10.9.8.7"], &["10.9.8.7"]]);
    let egress = Egress::with_lookup(EgressConfig::default(), &lookup).unwrap();
    let to = Destination::new(["secret-host.example.test", "10.9.8.7"]).unwrap();
    for url in ["https://secret-host.example.test/?token=s3cret", "https://10.9.8.7/?token=s3cret", "http://10.9.8.7/"]
    {
        let error = egress.send(&to, get(url), &Limits::default()).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!["secret", "s3cret", "10.9", "://"].iter().any(|part| text.contains(part)), "{text}");
    }
}
