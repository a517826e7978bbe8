//! Requests to the token endpoint (RFC 6749 sections 4.1.3 and 6) and to the revocation endpoint
//! (RFC 7009 section 2.1). A secret is in the body or in a header, never in the URL.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};
use switchboard_catalog::{ClientAuthentication, OAuth2, Pkce, TokenRequestFormat};
use url::Url;

use crate::client::authenticate;
use crate::error::{BuildError, endpoint};
use crate::{ClientCredentials, Variables, form};

/// Parameters that belong to the request; a toolkit cannot set them.
const RESERVED: [&str; 7] =
    ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "client_id", "client_secret"];

/// Exchanges an authorization code for tokens. `redirect_uri` is the authorization request's;
/// `verifier` is the PKCE verifier, not sent to a provider that refuses PKCE.
///
/// # Errors
/// [`BuildError`]; [`BuildError::MissingPkce`] when the toolkit uses PKCE and there is no verifier.
pub fn code_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    code: &str,
    redirect_uri: &str,
    verifier: Option<&str>,
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let mut parameters = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
    if oauth.pkce == Pkce::S256 {
        parameters.push(("code_verifier", verifier.ok_or(BuildError::MissingPkce("code verifier"))?));
    }
    let url = endpoint("token URL", &oauth.token_url, variables)?;
    request(oauth, client, url, parameters, &oauth.token_parameters)
}

/// Exchanges a refresh token for a new access token. Without scopes the provider keeps the granted
/// ones (RFC 6749 section 6). Whether this toolkit refreshes at all is the caller's to know.
///
/// # Errors
/// [`BuildError`].
pub fn refresh_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    refresh_token: &str,
    scopes: &[String],
    variables: Variables<'_>,
) -> Result<Request<Bytes>, BuildError> {
    let scope = scopes.join(&oauth.scope_separator);
    let mut parameters = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    if !scope.is_empty() {
        parameters.push((&oauth.scope_parameter, &scope));
    }
    let template = oauth.refresh_url.as_ref().unwrap_or(&oauth.token_url);
    let url = endpoint("refresh URL", template, variables)?;
    request(oauth, client, url, parameters, &oauth.token_parameters)
}

/// Asks the provider to forget a token (RFC 7009). `hint` is `access_token`, `refresh_token` or
/// empty. `None` when the toolkit has no revocation endpoint. The body is encoded as token
/// requests of this toolkit are.
pub fn revocation_request(
    oauth: &OAuth2,
    client: &ClientCredentials<'_>,
    token: &str,
    hint: &str,
    variables: Variables<'_>,
) -> Option<Result<Request<Bytes>, BuildError>> {
    let template = oauth.revocation_url.as_ref()?;
    let mut parameters = vec![("token", token)];
    if !hint.is_empty() {
        parameters.push(("token_type_hint", hint));
    }
    let url = endpoint("revocation URL", template, variables);
    Some(url.and_then(|url| request(oauth, client, url, parameters, &BTreeMap::new())))
}

fn request<'a>(
    oauth: &OAuth2,
    client: &ClientCredentials<'a>,
    url: Url,
    mut parameters: Vec<(&'a str, &'a str)>,
    extra: &'a BTreeMap<String, String>,
) -> Result<Request<Bytes>, BuildError> {
    let authorization = authenticate(oauth.client_authentication, client, &mut parameters)?;
    for (name, value) in extra {
        let taken = RESERVED.contains(&name.as_str()) || parameters.iter().any(|(ours, _)| ours == name);
        if !taken {
            parameters.push((name, value));
        }
    }
    let (content_type, body) = match oauth.token_request_format {
        TokenRequestFormat::Form => ("application/x-www-form-urlencoded", form::encode_pairs(parameters).into_bytes()),
        TokenRequestFormat::Json => {
            let object: BTreeMap<&str, &str> = parameters.into_iter().collect();
            ("application/json", serde_json::to_vec(&object).map_err(|_| BuildError::Body)?)
        }
    };

    let mut headers = toolkit_headers(oauth)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value);
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = String::from(url)
        .try_into()
        .map_err(|_| BuildError::Endpoint { what: "token URL", reason: "cannot be sent in a request" })?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The toolkit's headers of token requests.
fn toolkit_headers(oauth: &OAuth2) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &oauth.token_headers {
        let refuse = |reason| Err(BuildError::Header { name: name.clone(), reason });
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return refuse("is not a header name");
        };
        // A second client authentication makes strict servers refuse the request (section 2.3).
        if header == AUTHORIZATION && oauth.client_authentication != ClientAuthentication::None {
            return refuse("would be a second client authentication");
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            return refuse("would hold a control character");
        };
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{no_variables, oauth, strings};

    const CLIENT: ClientCredentials<'_> = ClientCredentials { client_id: "id:1", client_secret: Some("s&c=ret") };
    const CALLBACK: &str = "https://sw.example/cb";

    fn exchange(oauth: &OAuth2) -> Result<Request<Bytes>, BuildError> {
        let site = |name: &str| (name == "site").then(|| "acme".to_owned());
        code_request(oauth, &CLIENT, "c+de", CALLBACK, Some("ver"), &site)
    }

    fn body(request: &Request<Bytes>) -> &str {
        std::str::from_utf8(request.body()).unwrap()
    }

    fn header<'r>(request: &'r Request<Bytes>, name: &str) -> Option<&'r str> {
        request.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_form_with_the_secret_in_the_body() {
        let request = exchange(&oauth("")).unwrap();
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::POST, "https://p.example/token"));
        assert_eq!(
            body(&request),
            "grant_type=authorization_code&code=c%2Bde&redirect_uri=https%3A%2F%2Fsw.example%2Fcb\
             &code_verifier=ver&client_id=id%3A1&client_secret=s%26c%3Dret"
        );
        assert_eq!(header(&request, "accept"), Some("application/json"));
        assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(header(&request, "authorization"), None);
    }

    #[test]
    fn json_with_basic_authentication_and_toolkit_headers() {
        let oauth = oauth(
            r#"
            token_url = "https://{site}.p.example/token?v=2"
            client_authentication = "client_secret_basic"
            token_request_format = "json"
            pkce = "off"
            [token_headers]
            Accept = "application/vnd.p+json"
            X-Site = "{literal}"
            "#,
        );
        let request = exchange(&oauth).unwrap();
        assert_eq!(request.uri(), "https://acme.p.example/token?v=2");
        assert_eq!(
            body(&request),
            r#"{"code":"c+de","grant_type":"authorization_code","redirect_uri":"https://sw.example/cb"}"#
        );
        assert_eq!(header(&request, "content-type"), Some("application/json"));
        assert_eq!(header(&request, "accept"), Some("application/vnd.p+json"));
        assert_eq!(header(&request, "x-site"), Some("{literal}"));
        // base64 of `id%3A1:s%26c%3Dret`
        assert_eq!(header(&request, "authorization"), Some("Basic aWQlM0ExOnMlMjZjJTNEcmV0"));
        assert!(!format!("{:?}", request.headers()).contains("aWQlM0"));
    }

    #[test]
    fn a_public_client_sends_its_identifier_only() {
        let request = exchange(&oauth("client_authentication = \"none\"")).unwrap();
        assert_eq!(
            body(&request),
            "grant_type=authorization_code&code=c%2Bde&redirect_uri=https%3A%2F%2Fsw.example%2Fcb\
             &code_verifier=ver&client_id=id%3A1"
        );
        assert_eq!(header(&request, "authorization"), None);
    }

    #[test]
    fn toolkit_parameters_are_added_and_never_replace_the_requests() {
        let oauth = oauth(
            r#"
            [token_parameters]
            client_secret = "theirs"
            code = "theirs"
            grant_type = "password"
            refresh_token = "theirs"
            resource = "https://p.example/{x}"
            "#,
        );
        assert_eq!(
            body(&exchange(&oauth).unwrap()),
            "grant_type=authorization_code&code=c%2Bde&redirect_uri=https%3A%2F%2Fsw.example%2Fcb\
             &code_verifier=ver&client_id=id%3A1&client_secret=s%26c%3Dret&resource=https%3A%2F%2Fp.example%2F%7Bx%7D"
        );
    }

    #[test]
    fn refreshing() {
        let plain = refresh_request(&oauth(""), &CLIENT, "r/t", &[], &no_variables).unwrap();
        assert_eq!(plain.uri(), "https://p.example/token");
        assert_eq!(
            body(&plain),
            "grant_type=refresh_token&refresh_token=r%2Ft&client_id=id%3A1&client_secret=s%26c%3Dret"
        );
        let odd = oauth(
            r#"
            refresh_url = "https://p.example/refresh"
            scope_separator = ","
            client_authentication = "client_secret_basic"
            token_parameters = { resource = "r", scope = "theirs" }
            "#,
        );
        let request = refresh_request(&odd, &CLIENT, "r/t", &strings(&["a", "b"]), &no_variables).unwrap();
        assert_eq!(request.uri(), "https://p.example/refresh");
        assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=r%2Ft&scope=a%2Cb&resource=r");
    }

    #[test]
    fn revoking() {
        assert!(revocation_request(&oauth(""), &CLIENT, "tok", "", &no_variables).is_none());
        let form = oauth("revocation_url = \"https://p.example/revoke\"\ntoken_parameters = { x = \"y\" }");
        let request = revocation_request(&form, &CLIENT, "t&k", "refresh_token", &no_variables).unwrap().unwrap();
        assert_eq!(request.uri(), "https://p.example/revoke");
        assert_eq!(
            body(&request),
            "token=t%26k&token_type_hint=refresh_token&client_id=id%3A1&client_secret=s%26c%3Dret"
        );
        let json = oauth(
            r#"
            revocation_url = "https://p.example/revoke"
            token_request_format = "json"
            client_authentication = "client_secret_basic"
            "#,
        );
        let request = revocation_request(&json, &CLIENT, "t&k", "", &no_variables).unwrap().unwrap();
        assert_eq!(body(&request), r#"{"token":"t&k"}"#);
        assert_eq!(header(&request, "authorization"), Some("Basic aWQlM0ExOnMlMjZjJTNEcmV0"));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_without_its_value() {
        let no_verifier = code_request(&oauth(""), &CLIENT, "c", CALLBACK, None, &no_variables);
        assert_eq!(no_verifier.unwrap_err(), BuildError::MissingPkce("code verifier"));
        let cases = [
            ("token_headers = { Authorization = \"x\" }", "would be a second client authentication"),
            ("token_headers = { \"a b\" = \"x\" }", "header `a b` is not a header name"),
            ("token_headers = { a = \"canary\\r\\nb\" }", "header `a` would hold a control character"),
            ("token_url = \"https://p.example/#canary\"", "the token URL holds a fragment"),
            ("token_url = \"https://{region}.p.example/\"", "cannot expand the token URL"),
        ];
        for (lines, message) in cases {
            let error = exchange(&oauth(lines)).unwrap_err().to_string();
            assert!(error.ends_with(message), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
