//! Accepted metadata, and its locations.

use super::*;
use crate::fixtures::oauth;
use proptest::prelude::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn plain() -> PlainHttp {
    PlainHttp::parse(&["plain.example:8080".to_owned()]).unwrap()
}

/// Endpoints without TLS are accepted only at the hosts that the operator names.
#[test]
fn endpoints_without_tls_need_the_operators_word() {
    let from = url("http://plain.example:8080/.well-known/openid-configuration");
    let body = |endpoint: &str| {
        format!("{{\"issuer\":\"http://plain.example:8080\",\"token_endpoint\":\"{endpoint}\"}}").into_bytes()
    };
    let read = |endpoint: &str, plain: &PlainHttp| parse_metadata(&from, &body(endpoint), plain).is_ok();
    assert!(read("http://plain.example:8080/token", &plain()));
    assert!(!read("http://plain.example:8080/token", &PlainHttp::default()));
    for other in ["http://plain.example/token", "http://other.example:8080/token"] {
        assert!(!read(other, &plain()), "{other}");
    }
}

#[test]
fn the_issuer_must_be_the_requested_one() {
    let body = |issuer: &str| format!(r#"{{"issuer":"{issuer}"}}"#).into_bytes();
    for (from, issuer, expected) in [
        ("https://a.example/.well-known/openid-configuration", "https://a.example", true),
        ("https://a.example/.well-known/openid-configuration", "https://a.example/", true),
        ("https://a.example/t/.well-known/openid-configuration", "https://a.example/t", true),
        ("https://a.example/.well-known/oauth-authorization-server/t", "https://a.example/t", true),
        ("https://a.example/.well-known/openid-configuration", "https://b.example", false),
        ("https://a.example/.well-known/openid-configuration", "https://a.example/t", false),
        ("https://a.example/metadata", "https://a.example", false),
    ] {
        assert_eq!(parse_metadata(&url(from), &body(issuer), &plain()).is_ok(), expected, "{from} {issuer}");
    }
}

#[test]
fn endpoints_are_https() {
    let from = url("https://a.example/.well-known/openid-configuration");
    for endpoint in ["http://a.example/t", "ftp://a.example", "https://u@a.example", "/t", "https://a.example/#x"] {
        let body = format!(r#"{{"issuer":"https://a.example","token_endpoint":"{endpoint}"}}"#);
        let refused = parse_metadata(&from, body.as_bytes(), &plain()).unwrap_err();
        assert_eq!(refused, MetadataError::Endpoint("token endpoint"), "{endpoint}");
    }
}

#[test]
fn a_file_is_completed_and_its_values_take_precedence() {
    let from = url("https://a.example/.well-known/openid-configuration");
    let metadata = parse_metadata(
        &from,
        br#"{"issuer":"https://a.example","authorization_endpoint":"https://a.example/authorize",
            "token_endpoint":"https://a.example/{token}","revocation_endpoint":"https://a.example/revoke",
            "token_endpoint_auth_methods_supported":["client_secret_basic"],
            "authorization_response_iss_parameter_supported":true,"code_challenge_methods_supported":["S256"]}"#,
        &plain(),
    )
    .unwrap();
    let declared = oauth("authorization_url = \"https://said.example/\"\ntoken_url = \"\"");
    let completed = complete(&declared, &metadata).unwrap();
    assert_eq!(completed.authorization_url, "https://said.example/");
    assert_eq!(completed.token_url, "https://a.example/{{token}");
    assert_eq!(completed.revocation_url.as_deref(), Some("https://a.example/revoke"));
    assert_eq!((completed.issuer.as_deref(), completed.iss_required), (Some("https://a.example"), true));
    assert_eq!(completed.client_authentication, ClientAuthentication::ClientSecretBasic);
    let plain = Metadata { code_challenge_methods_supported: Some(vec!["plain".to_owned()]), ..metadata };
    assert_eq!(complete(&declared, &plain).unwrap_err(), MetadataError::Pkce);
    let empty = complete(&oauth("token_url = \"\""), &Metadata::default()).unwrap_err();
    assert_eq!(empty, MetadataError::Endpoint("token endpoint"));
}

#[test]
fn metadata_locations() {
    let urls = metadata_urls(&url("https://a.example/t/")).map(String::from);
    assert_eq!(
        urls,
        [
            "https://a.example/.well-known/oauth-authorization-server/t",
            "https://a.example/t/.well-known/openid-configuration",
            "https://a.example/.well-known/openid-configuration/t",
        ]
    );
    let resource = resource_metadata_url(&url("https://mcp.example/mcp?x=1"));
    assert_eq!(resource.as_str(), "https://mcp.example/.well-known/oauth-protected-resource/mcp");
    let body = br#"{"resource":"https://mcp.example/mcp","authorization_servers":["https://a.example"]}"#;
    assert!(parse_resource_metadata("https://mcp.example/mcp", body).is_ok());
    assert!(parse_resource_metadata("https://other.example/mcp", body).is_err());
    for (named, accepted) in [
        ("https://mcp.example", true),
        ("https://mcp.example/", true),
        ("https://mcp.example/mcp/", true),
        ("https://mcp.example/mcp/deeper", false),
        ("https://mcp.example/mc", false),
        ("http://mcp.example/mcp", false),
        ("https://mcp.example:8443/mcp", false),
        ("https://mcp.example/mcp?x", false),
        ("mcp", false),
    ] {
        let body = format!(r#"{{"resource":"{named}"}}"#);
        let read = parse_resource_metadata("https://mcp.example/mcp", body.as_bytes());
        assert_eq!(read.is_ok(), accepted, "{named}");
    }
}

#[test]
fn the_challenge_names_the_metadata_url() {
    let place = "https://mcp.example/.well-known/oauth-protected-resource";
    for (challenge, found) in [
        (format!("Bearer resource_metadata=\"{place}\""), true),
        (format!("Bearer error=\"invalid_token\", resource_metadata={place}, scope=\"a\""), true),
        ("Bearer realm=\"x\"".to_owned(), false),
        ("Bearer resource_metadata=\"http://mcp.example/x\"".to_owned(), false),
        ("Bearer resource_metadata=\"/x\"".to_owned(), false),
    ] {
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge.parse().unwrap())]);
        assert_eq!(
            challenged_metadata_url(&headers, &plain()).map(String::from).as_deref() == Some(place),
            found,
            "{challenge}"
        );
    }
    let origin = origin_metadata_url(&url("https://mcp.example/mcp?x=1"));
    assert_eq!(origin.as_str(), place);
}

proptest! {
    #[test]
    fn no_document_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_metadata(&url("https://a.example/.well-known/openid-configuration"), &body, &plain());
    }
}
