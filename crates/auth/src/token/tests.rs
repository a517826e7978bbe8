//! Token requests as sent over the wire.

use super::*;
use crate::fixtures::{no_variables, oauth, strings};

const CLIENT: ClientCredentials<'_> =
    ClientCredentials { client_id: "id:1", client_secret: Some("s&c=ret"), assertion: None };
const GRANT: CodeGrant<'_> =
    CodeGrant { code: "c+de", redirect_uri: CALLBACK, verifier: Some("ver"), state: "st", resource: None };
const CALLBACK: &str = "https://sw.example/cb";

fn exchange(oauth: &OAuth2) -> Result<Request<Bytes>, BuildError> {
    let site = |name: &str| (name == "site").then(|| "acme".to_owned());
    code_request(oauth, &CLIENT, &GRANT, &site)
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
        X-Site = "{{literal}"
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
fn toolkit_parameters_never_replace_those_of_the_request() {
    let oauth = oauth(
        r#"
        [token_parameters]
        client_secret = "theirs"
        code = "theirs"
        grant_type = "password"
        refresh_token = "theirs"
        resource = "https://p.example/{{x}"
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
    let plain = refresh_request(&oauth(""), &CLIENT, "r/t", &[], None, &no_variables).unwrap();
    assert_eq!(plain.uri(), "https://p.example/token");
    assert_eq!(body(&plain), "grant_type=refresh_token&refresh_token=r%2Ft&client_id=id%3A1&client_secret=s%26c%3Dret");
    let odd = oauth(
        r#"
        refresh_url = "https://p.example/refresh"
        scope_separator = ","
        client_authentication = "client_secret_basic"
        token_parameters = { resource = "r", scope = "theirs" }
        "#,
    );
    let request = refresh_request(&odd, &CLIENT, "r/t", &strings(&["a", "b"]), None, &no_variables).unwrap();
    assert_eq!(request.uri(), "https://p.example/refresh");
    assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=r%2Ft&scope=a%2Cb&resource=r");
}

#[test]
fn names_omissions_and_a_query() {
    let oauth = oauth(
        r#"
        client_authentication = "client_secret_basic"
        token_request_format = "query"
        token_omit = ["redirect_uri"]
        parameter_names = { code = "auth_code" }
        token_parameters = { state = "{state}", at = "{redirect_uri}" }
        refresh_parameters = { expires_in = "60" }
        "#,
    );
    let request = exchange(&oauth).unwrap();
    assert_eq!(
        request.uri(),
        "https://p.example/token?grant_type=authorization_code&auth_code=c%2Bde&code_verifier=ver\
         &at=https%3A%2F%2Fsw.example%2Fcb&state=st"
    );
    assert_eq!((body(&request), header(&request, "content-type")), ("", None));
    let refresh = refresh_request(&oauth, &CLIENT, "r", &[], Some("https://r.example"), &no_variables).unwrap();
    assert_eq!(
        refresh.uri(),
        "https://p.example/token?grant_type=refresh_token&refresh_token=r&resource=https%3A%2F%2Fr.example\
         &expires_in=60"
    );
}

#[test]
fn pushing_and_introspecting() {
    let oauth = oauth(
        r#"
        pushed_authorization_request_url = "https://p.example/par"
        introspection_url = "https://p.example/introspect"
        "#,
    );
    let authorization = AuthorizationRequest {
        oauth: &oauth,
        client_id: "id:1",
        redirect_uri: CALLBACK,
        state: "st",
        scopes: &strings(&["a"]),
        user_scopes: &[],
        code_challenge: Some("chal"),
        resource: None,
        dpop_jkt: None,
        variables: &no_variables,
    };
    let request = pushed_request(&oauth, &CLIENT, &authorization).unwrap().unwrap();
    assert_eq!(
        body(&request),
        "response_type=code&redirect_uri=https%3A%2F%2Fsw.example%2Fcb&scope=a&state=st&code_challenge=chal\
         &code_challenge_method=S256&client_id=id%3A1&client_secret=s%26c%3Dret"
    );
    // The client id is a parameter even when the client authenticates in a header.
    let basic = OAuth2 { client_authentication: ClientAuthentication::ClientSecretBasic, ..oauth.clone() };
    let request = pushed_request(&basic, &CLIENT, &AuthorizationRequest { oauth: &basic, ..authorization });
    assert!(body(&request.unwrap().unwrap()).starts_with("response_type=code&client_id=id%3A1&redirect_uri="));
    let pushed = authorization.pushed_url("urn:x:1").unwrap();
    assert_eq!(pushed.as_str(), "https://p.example/authorize?client_id=id%3A1&request_uri=urn%3Ax%3A1");
    let request = introspection_request(&oauth, &CLIENT, "t", &no_variables).unwrap().unwrap();
    assert_eq!(body(&request), "token=t&token_type_hint=access_token&client_id=id%3A1&client_secret=s%26c%3Dret");
}

#[test]
fn revoking() {
    assert!(revocation_request(&oauth(""), &CLIENT, "tok", "", &no_variables).is_none());
    let form = oauth("revocation_url = \"https://p.example/revoke\"\ntoken_parameters = { x = \"y\" }");
    let request = revocation_request(&form, &CLIENT, "t&k", "refresh_token", &no_variables).unwrap().unwrap();
    assert_eq!(request.uri(), "https://p.example/revoke");
    assert_eq!(body(&request), "token=t%26k&token_type_hint=refresh_token&client_id=id%3A1&client_secret=s%26c%3Dret");
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
fn values_that_cannot_be_sent_are_an_error_without_the_value() {
    let without = CodeGrant { verifier: None, ..GRANT };
    let no_verifier = code_request(&oauth(""), &CLIENT, &without, &no_variables);
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
