//! Putting a credential on an API request: where and how is the toolkit's data.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use switchboard_catalog::Placement;
use switchboard_vault::{Secret, Secrets};
use url::Url;

use crate::client::{basic, sensitive};
use crate::error::{BuildError, expand};
use crate::{Variables, form};

/// Puts a credential where the placements say, replacing what a caller or the toolkit's general
/// headers put there. A template variable is looked up in the secrets, then in `variables`. Header
/// values are marked sensitive. Nothing is changed when one of the placements fails.
///
/// # Errors
/// [`BuildError::Template`] for a missing value, [`BuildError::Header`] for one that holds a
/// control character (CR, LF and NUL among them), [`BuildError::Placement`] for a placement that
/// validation of toolkit files would have refused.
pub fn apply(
    placements: &[Placement],
    secrets: &Secrets,
    variables: Variables<'_>,
    headers: &mut HeaderMap,
    url: &mut Url,
) -> Result<(), BuildError> {
    let lookup = |name: &str| secrets.get(name).map(str::to_owned).or_else(|| variables(name));
    let mut new_headers = Vec::new();
    let mut new_query: Vec<(&str, Secret)> = Vec::new();
    for placement in placements {
        let value = Secret::new(expand("credential's placement", &placement.value, &lookup)?);
        match (&placement.header, &placement.query) {
            (Some(name), None) => {
                let header = header_name(name)?;
                new_headers.push((header, sensitive(name, value.expose())?));
            }
            (None, Some(name)) => new_query.push((name, value)),
            _ => return Err(BuildError::Placement),
        }
    }
    for (name, value) in new_headers {
        headers.insert(name, value);
    }
    let pairs: Vec<(&str, &str)> = new_query.iter().map(|(name, value)| (*name, value.expose())).collect();
    form::set_query(url, &pairs);
    Ok(())
}

/// Puts the secrets `username` and `password` on a request as HTTP Basic authentication (RFC 7617
/// section 2, in UTF-8). An absent password is an empty one: providers that take a key as the user
/// name want it so. The header is `Authorization`.
///
/// # Errors
/// [`BuildError::Credential`] when the user name is missing or holds a colon, or either value holds
/// a control character.
pub fn apply_basic(secrets: &Secrets, headers: &mut HeaderMap) -> Result<(), BuildError> {
    let refuse = |name, reason| Err(BuildError::Credential { name, reason });
    let Some(username) = secrets.get("username") else {
        return refuse("username", "is missing");
    };
    let password = secrets.get("password").unwrap_or_default();
    if username.contains(':') {
        return refuse("username", "holds a colon");
    }
    for (name, value) in [("username", username), ("password", password)] {
        if value.chars().any(char::is_control) {
            return refuse(name, "holds a control character");
        }
    }
    headers.insert(AUTHORIZATION, basic(username, password)?);
    Ok(())
}

/// The headers that carry the credential, which callers may therefore not set. For HTTP Basic the
/// header is `Authorization`.
pub fn credential_headers(placements: &[Placement]) -> Vec<HeaderName> {
    let names = placements.iter().filter_map(|placement| placement.header.as_deref());
    // A name that does not parse cannot be applied either.
    names.filter_map(|name| header_name(name).ok()).collect()
}

fn header_name(name: &str) -> Result<HeaderName, BuildError> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| BuildError::Header { name: name.to_owned(), reason: "is not a header name" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::no_variables;
    use http::HeaderValue;

    fn header(name: &str, value: &str) -> Placement {
        Placement { header: Some(name.to_owned()), query: None, value: value.to_owned() }
    }

    fn query(name: &str, value: &str) -> Placement {
        Placement { header: None, query: Some(name.to_owned()), value: value.to_owned() }
    }

    fn secrets() -> Secrets {
        Secrets::from([("access_token", Secret::from("tok&1")), ("bad", Secret::from("canary\r\nx: y"))])
    }

    #[test]
    fn credentials_replace_what_was_there() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer theirs"));
        headers.append("authorization", HeaderValue::from_static("Bearer theirs too"));
        let mut url = Url::parse("https://api.example/v1?q=a%20b&key=theirs").unwrap();
        let placements = [
            header("Authorization", "Bearer {access_token}"),
            query("key", "{access_token}"),
            header("X-Site", "{site}"),
        ];
        let site = |name: &str| matches!(name, "site" | "access_token").then(|| "acme".to_owned());
        apply(&placements, &secrets(), &site, &mut headers, &mut url).unwrap();
        let values: Vec<_> = headers.get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer tok&1"]);
        assert_eq!(headers["x-site"], "acme");
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("tok"));
        assert_eq!(url.as_str(), "https://api.example/v1?q=a%20b&key=tok%261");
        assert_eq!(credential_headers(&placements), [AUTHORIZATION, HeaderName::from_static("x-site")]);
    }

    #[test]
    fn a_failing_placement_changes_nothing() {
        let cases = [
            (header("x-key", "{bad}"), "header `x-key` would hold a control character"),
            (header("x-key", "{absent}"), "cannot expand the credential's placement"),
            (header("x key", "{access_token}"), "header `x key` is not a header name"),
            (Placement { query: Some("k".to_owned()), ..header("x-key", "v") }, "a placement needs exactly one"),
            (Placement { header: None, query: None, value: "v".to_owned() }, "a placement needs exactly one"),
        ];
        for (placement, message) in cases {
            let mut headers = HeaderMap::new();
            let mut url = Url::parse("https://api.example/").unwrap();
            let placements = [header("a", "b"), query("c", "d"), placement];
            let error = apply(&placements, &secrets(), &no_variables, &mut headers, &mut url).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("canary"), "{error}");
            assert!(headers.is_empty());
            assert_eq!(url.as_str(), "https://api.example/");
        }
    }

    #[test]
    fn basic_authentication() {
        // The examples of RFC 7617 sections 2 and 2.1, and a key as the user name.
        let cases = [
            ("Aladdin", Some("open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", Some("123£"), "Basic dGVzdDoxMjPCow=="),
            ("key", None, "Basic a2V5Og=="),
            ("", Some("a:b"), "Basic OmE6Yg=="),
        ];
        for (username, password, expected) in cases {
            let mut secrets = Secrets::from([("username", Secret::from(username))]);
            if let Some(password) = password {
                secrets.insert("password", Secret::from(password));
            }
            let mut headers = HeaderMap::new();
            apply_basic(&secrets, &mut headers).unwrap();
            assert_eq!(headers["authorization"], expected);
            assert!(headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn what_basic_cannot_carry() {
        let cases = [
            (&[("password", "p")][..], "credential value `username` is missing"),
            (&[("username", "a:b")], "credential value `username` holds a colon"),
            (&[("username", "a\nb")], "credential value `username` holds a control character"),
            (&[("username", "a"), ("password", "\0")], "credential value `password` holds a control character"),
        ];
        for (values, message) in cases {
            let mut secrets = Secrets::new();
            for (name, value) in values {
                secrets.insert(name, Secret::from(*value));
            }
            let mut headers = HeaderMap::new();
            assert_eq!(apply_basic(&secrets, &mut headers).unwrap_err().to_string(), message);
            assert!(headers.is_empty());
        }
    }
}
