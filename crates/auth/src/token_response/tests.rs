//! Tables of token endpoint responses and their expected interpretation.

use proptest::prelude::*;
use switchboard_catalog::OAuth2;

use super::*;
use crate::TokenErrorKind::{
    InvalidClient, InvalidGrant, InvalidRequest, Transient, Unclassified, Unreadable, UnsupportedTokenType, Unusable,
};
use crate::fixtures::{oauth, strings};

const FORM: &str = "application/x-www-form-urlencoded";

fn parse(oauth: &OAuth2, status: u16, content_type: Option<&str>, body: &[u8]) -> Result<TokenSet, TokenError> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(http::header::CONTENT_TYPE, content_type.parse().unwrap());
    }
    parse_token_response(oauth.into(), &ProviderResponse { status, headers: &headers, body, now: 1_000 })
}

fn json(body: &str) -> Result<TokenSet, TokenError> {
    parse(&oauth(""), 200, Some("application/json"), body.as_bytes())
}

fn refusal(oauth: &OAuth2, status: u16, body: &str) -> TokenError {
    parse(oauth, status, Some("application/json"), body.as_bytes()).map(|_| ()).expect_err(&format!("{status} {body}"))
}

#[test]
fn a_standard_answer() {
    let tokens = json(
        r#"{"access_token":"a-1","refresh_token":"r-1","token_type":"Bearer","expires_in":3600,
            "scope":"read write","id_token":"e30.e30.x","other":{"deep":[1]}}"#,
    )
    .unwrap();
    assert_eq!(tokens.access_token.expose(), "a-1");
    assert_eq!(tokens.refresh_token.as_ref().map(Secret::expose), Some("r-1"));
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(tokens.expires_in, Some(3600));
    assert_eq!(tokens.scope, Some(strings(&["read", "write"])));
    assert_eq!(tokens.id_token.as_ref().map(Secret::expose), Some("e30.e30.x"));
    let printed = format!("{tokens:?}");
    assert!(!printed.contains("a-1") && !printed.contains("r-1") && !printed.contains("e30"), "{printed}");
}

#[test]
fn supported_deviations() {
    let forgiven = [
        r#""token_type":"bearer""#,
        r#""token_type":"BEARER""#,
        r#""token_type":"""#,
        r#""token_type":null"#,
        r#""error":null"#,
        r#""error":"""#,
        r#""error":false"#,
        r#""error":0"#,
        r#""error":[]"#,
        r#""refresh_token":"""#,
        r#""refresh_token":null"#,
        r#""scope":7"#,
        r#""id_token":7"#,
        r#""id_token":"""#,
        r#""expires_in":{}"#,
    ];
    for field in forgiven {
        let tokens = json(&format!(r#"{{"access_token":"a-1",{field}}}"#)).expect(field);
        assert_eq!((tokens.access_token.expose(), tokens.token_type.as_str()), ("a-1", "Bearer"), "{field}");
        assert_eq!((tokens.refresh_token, tokens.id_token, tokens.scope), (None, None, None), "{field}");
        assert_eq!(tokens.expires_in, None, "{field}");
    }
    let created = parse(&oauth(""), 201, None, b"\xef\xbb\xbf{\"access_token\":\"a-1\"}");
    assert_eq!(created.unwrap().access_token.expose(), "a-1");
}

#[test]
fn lifetimes() {
    let ten_years = Some(315_360_000);
    let cases = [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("\" 3600 \"", Some(3600)),
        ("3600.9", Some(3600)),
        ("\"3600.9\"", Some(3600)),
        ("3.6e3", Some(3600)),
        ("1", Some(1)),
        ("0", None),
        ("0.5", None),
        ("\"0\"", None),
        ("-1", None),
        ("\"-3600\"", None),
        ("1000000000000", ten_years),
        ("1e12", ten_years),
        ("99999999999999999999999", ten_years),
        ("\"99999999999999999999999\"", ten_years),
        ("\"soon\"", None),
        ("\"NaN\"", None),
        ("\"\"", None),
        ("null", None),
        ("true", None),
        ("[3600]", None),
    ];
    let with_default = oauth("expires_in = 7200");
    for (value, expected) in cases {
        let body = format!(r#"{{"access_token":"a","expires_in":{value}}}"#);
        assert_eq!(json(&body).unwrap().expires_in, expected, "{value}");
        let tokens = parse(&with_default, 200, None, body.as_bytes()).unwrap();
        assert_eq!(tokens.expires_in, expected.or(Some(7200)), "{value}");
    }
    assert_eq!(json(r#"{"access_token":"a"}"#).unwrap().expires_in, None);
}

#[test]
fn granted_scopes() {
    let cases = [
        ("", r#""a b""#, &["a", "b"][..]),
        ("", r#""a,b, c""#, &["a", "b", "c"]),
        ("", r#""""#, &[]),
        ("", r#"["a b",7,"c"]"#, &["a b", "c"]),
        ("scope_separator = \"|\"", r#""a|b c""#, &["a", "b", "c"]),
        ("scope_separator = \",\"", r#""https://x/y:z""#, &["https://x/y:z"]),
    ];
    for (lines, scope, expected) in cases {
        let body = format!(r#"{{"access_token":"a","scope":{scope}}}"#);
        let tokens = parse(&oauth(lines), 200, None, body.as_bytes()).unwrap();
        assert_eq!(tokens.scope, Some(strings(expected)), "{scope}");
    }
}

#[test]
fn values_in_other_places() {
    let oauth = oauth(
        r#"
        [response]
        access_token = "/data/0/token"
        refresh_token = "/data/0/re~1fresh"
        expires_in = "/data/0/ttl"
        token_type = "/absent"
        scope = "/absent"
        error_pointer = "/ok"
        error_value = false
        capture = [
            { name = "absent", at = "/team/absent" },
            { name = "broken", at = "/team/broken" },
            { name = "count", at = "/team/count" },
            { name = "object", at = "/team" },
            { name = "team_id", at = "/team/id" },
            { name = "other", at = "/team/id", allowed = ["T2"] },
            { name = "limit", at = "header:x-limit" },
        ]
        "#,
    );
    let body = r#"{"ok":true,"token_type":"bot","data":[{"token":"a","re/fresh":"r","ttl":9}],
        "team":{"id":"T1","count":3,"broken":"a\nb"}}"#;
    let tokens = parse(&oauth, 200, None, body.as_bytes()).unwrap();
    assert_eq!(tokens.access_token.expose(), "a");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
    assert_eq!((tokens.expires_in, tokens.scope), (Some(9), None));
    let captured: Vec<_> = tokens.captured.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(captured, [("count", "3"), ("team_id", "T1")]);

    for (body, kind, code) in [
        (r#"{"ok":false,"error":"invalid_grant"}"#, InvalidGrant, Some("invalid_grant")),
        (r#"{"ok":false,"error":"bad_code"}"#, Unclassified, Some("bad_code")),
        (r#"{"ok":false,"data":[{"token":"a"}]}"#, Unclassified, None),
    ] {
        let error = refusal(&oauth, 200, body);
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{body}");
    }
}

#[test]
fn tokens_times_and_errors_of_other_shapes() {
    let odd = oauth(
        r#"
        [response]
        access_token = "cookie:SID"
        expires_at = "/until"
        time_unit = "milliseconds"
        ok_pointer = "/result"
        ok_value = "0000"
        errors = { code = "/why/type", description = "/why/text", invalid_grant = ["dead"], transient = ["busy"] }
        capture = [{ name = "limit", at = "header:x-limit", required = true }]
        "#,
    );
    let mut headers = HeaderMap::new();
    headers.append("set-cookie", "a=b; Path=/".parse().unwrap());
    headers.append("set-cookie", "SID=s-1; Secure".parse().unwrap());
    headers.insert("x-limit", "7".parse().unwrap());
    let read = |body: &str, headers: &HeaderMap| {
        parse_token_response(
            (&odd).into(),
            &ProviderResponse { status: 200, headers, body: body.as_bytes(), now: 1_000 },
        )
    };
    let tokens = read(r#"{"result":"0000","until":1060500}"#, &headers).unwrap();
    assert_eq!((tokens.access_token.expose(), tokens.expires_in), ("s-1", Some(60)));
    assert_eq!(tokens.captured.get("limit").map(String::as_str), Some("7"));
    let text = read(r#"{"result":"0000","until":"1970-01-01T00:18:20Z"}"#, &headers).unwrap();
    assert_eq!(text.expires_in, Some(100));
    for (body, kind) in [
        (r#"{"result":"1","why":{"type":"dead","text":"gone"}}"#, InvalidGrant),
        (r#"{"result":"1","why":{"type":"busy"}}"#, Transient),
        (r#"{"result":"1"}"#, Unclassified),
        (r#"{"why":{"type":"other"}}"#, Unclassified),
    ] {
        assert_eq!(read(body, &headers).unwrap_err().kind, kind, "{body}");
    }
    headers.remove("x-limit");
    let missing = read(r#"{"result":"0000"}"#, &headers).unwrap_err();
    assert_eq!(missing.description.as_deref(), Some("the answer holds no usable `limit`"));
}

#[test]
fn sources_of_the_expiry() {
    // {"exp":1060}
    let jwt = "e30.eyJleHAiOjEwNjB9.x";
    let body = format!(r#"{{"access_token":"{jwt}","expires_in":9}}"#);
    for (lines, expected) in [
        ("expiry = \"jwt\"", Some(60)),
        ("expiry = \"never\"", None),
        ("expiry = \"fixed\"\nexpires_in = 30", Some(30)),
        ("max_expires_in = 5", Some(5)),
        ("", Some(9)),
    ] {
        assert_eq!(parse(&oauth(lines), 200, None, body.as_bytes()).unwrap().expires_in, expected, "{lines}");
    }
}

#[test]
fn further_tokens_and_what_is_left() {
    let lines = "tokens = [{ name = \"user\", access_token = \"/authed_user/access_token\" }]";
    let body = br#"{"access_token":"a","authed_user":{"id":"U1","access_token":"u-1"}}"#;
    let tokens = parse(&oauth(lines), 200, None, body).unwrap();
    assert_eq!(tokens.extra["user"].expose(), "u-1");
    assert_eq!(tokens.rest.0["authed_user"]["id"], "U1");
    let left = tokens.rest.0.to_string();
    assert!(!left.contains("u-1") && !format!("{tokens:?}").contains("U1"), "{left}");
}

#[test]
fn a_form_is_parsed_with_any_content_type() {
    let body = b"access_token=a%2B1&scope=repo%2Cuser&token_type=bearer&expires_in=28800";
    let tokens = parse(&oauth(""), 200, Some(FORM), body).unwrap();
    assert_eq!(tokens.access_token.expose(), "a+1");
    assert_eq!((tokens.scope, tokens.expires_in), (Some(strings(&["repo", "user"])), Some(28800)));
    for label in [None, Some("text/plain"), Some("text/html; charset=utf-8"), Some("application/json")] {
        assert_eq!(parse(&oauth(""), 200, label, body).unwrap().access_token.expose(), "a+1", "{label:?}");
    }
    let refused = b"error=bad_verification_code&error_description=The+code+has+expired.";
    let error = parse(&oauth(""), 200, Some(FORM), refused).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the provider refused the token request (bad_verification_code): The code has expired."
    );
}

#[test]
fn answers_without_usable_tokens() {
    let large = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(1 << 20));
    let deep = format!(r#"{{"access_token":"a","x":{}"#, "[".repeat(20_000));
    let cases = [
        ("", Unreadable, "the answer is empty"),
        ("<html>Sign in</html>", Unreadable, "the answer is not JSON"),
        ("[]", Unreadable, "the answer is not a JSON object"),
        ("\"a\"", Unreadable, "the answer is not a JSON object"),
        ("{}", Unusable, "the answer holds no access token"),
        (r#"{"access_token":""}"#, Unusable, "the answer holds no access token"),
        (r#"{"access_token":null}"#, Unusable, "the answer holds no access token"),
        (r#"{"access_token":7}"#, Unusable, "the access token is not a string"),
        (r#"{"access_token":["a"]}"#, Unusable, "the access token is not a string"),
        (r#"{"access_token":"a\r\nx: y"}"#, Unusable, "the access token holds a character outside printable ASCII"),
        (r#"{"access_token":"a","refresh_token":7}"#, Unusable, "the refresh token is not a string"),
        (r#"{"access_token":"a","access_token":"b"}"#, Unreadable, "the answer repeats a JSON key"),
        (r#"{"access_token":"a""#, Unreadable, "the answer is not JSON"),
        (&large, Unreadable, "the answer is larger than 1 MiB"),
        (&deep, Unreadable, "the answer is not JSON"),
        (r#"{"access_token":"a","token_type":"mac"}"#, UnsupportedTokenType, "token type mac"),
        (r#"{"access_token":"a","token_type":"Bearer "}"#, UnsupportedTokenType, "token type Bearer"),
        (r#"{"access_token":"a","token_type":"DPoP"}"#, UnsupportedTokenType, "token type DPoP"),
        (r#"{"access_token":"a","token_type":["bearer"]}"#, UnsupportedTokenType, "token type is not a string"),
    ];
    for (body, kind, description) in cases {
        let error = refusal(&oauth(""), 200, body);
        let shown = &body[..body.len().min(60)];
        assert_eq!((error.kind, error.description.as_deref()), (kind, Some(description)), "{shown}");
    }
}

/// Some providers report errors with status 200 in their own format: that is a response, not an outage.
#[test]
fn a_200_that_reports_a_failure_is_an_error_with_its_message() {
    for (body, kind, description) in [
        (r#"{"success":false,"message":"refresh token expired"}"#, Unclassified, "refresh token expired"),
        (r#"{"ok":false}"#, Unclassified, "the answer holds no access token"),
        (r#"{"status":"FAILED","reason":"app removed"}"#, Unclassified, "app removed"),
        (r#"{"errcode":40030,"errmsg":"invalid refresh_token"}"#, Unclassified, "invalid refresh_token"),
        (r#"{"error_description":"gone"}"#, Unclassified, "gone"),
        // There may be a token in another location.
        (r#"{"success":true,"message":"fine","data":{"token":"x"}}"#, Unusable, "fine"),
        (r#"{"status":"ok"}"#, Unusable, "the answer holds no access token"),
    ] {
        let error = refusal(&oauth(""), 200, body);
        assert_eq!((error.kind, error.description.as_deref()), (kind, Some(description)), "{body}");
    }
}

#[test]
fn a_status_may_stand_for_a_code() {
    let odd = oauth("response.errors = { invalid_grant = [\"status:400\"], transient = [\"status:403\"] }");
    assert_eq!(refusal(&odd, 400, "").kind, InvalidGrant);
    assert_eq!(refusal(&odd, 400, "<html>").kind, InvalidGrant);
    assert_eq!(refusal(&odd, 400, "{}").kind, InvalidGrant);
    assert_eq!(refusal(&odd, 403, "").kind, Transient);
    assert_eq!(refusal(&odd, 401, "").kind, Unclassified);
    assert_eq!(refusal(&odd, 400, r#"{"error":"invalid_scope"}"#).kind, InvalidRequest, "a code says more");
}

#[test]
fn refusals() {
    let cases = [
        (400, r#"{"error":"invalid_grant","error_description":"expired"}"#, InvalidGrant, Some("invalid_grant")),
        (401, r#"{"error":"invalid_grant"}"#, InvalidGrant, Some("invalid_grant")),
        (200, r#"{"error":"invalid_grant","access_token":"a"}"#, InvalidGrant, Some("invalid_grant")),
        (400, r#"{"error":{"code":"invalid_grant","message":"x"}}"#, InvalidGrant, Some("invalid_grant")),
        (401, r#"{"error":"invalid_client"}"#, InvalidClient, Some("invalid_client")),
        (400, r#"{"error":"invalid_client"}"#, InvalidClient, Some("invalid_client")),
        (400, r#"{"error":"unauthorized_client"}"#, InvalidRequest, Some("unauthorized_client")),
        (403, r#"{"error":"invalid_code"}"#, Unclassified, Some("invalid_code")),
        (400, r#"{"error":"Invalid_Grant"}"#, Unclassified, Some("Invalid_Grant")),
        (200, r#"{"error":"bad_verification_code"}"#, Unclassified, Some("bad_verification_code")),
        (400, r#"{"error":"temporarily_unavailable"}"#, Transient, Some("temporarily_unavailable")),
        (400, r#"{"error":"server_error"}"#, Transient, Some("server_error")),
        (500, r#"{"error":"invalid_grant"}"#, Transient, Some("invalid_grant")),
        (429, r#"{"error":"invalid_client"}"#, Transient, Some("invalid_client")),
        (408, "", Transient, None),
        (503, "<html>", Transient, None),
        (302, "", Transient, None),
        (302, r#"{"access_token":"a"}"#, Transient, None),
        (400, "", Unclassified, None),
        (400, "Bad Request", Unclassified, None),
        (401, "[]", Unclassified, None),
        (403, "{}", Unclassified, None),
        (404, r#"{"message":"not here"}"#, Unclassified, None),
        (400, r#"{"error":{"code":401,"message":"bad key"}}"#, Unclassified, None),
        (400, r#"{"error":"The code is wrong"}"#, Unclassified, None),
        (400, r#"{"error":"a","error":"invalid_grant"}"#, Unclassified, None),
        (200, r#"{"error":true}"#, Unclassified, None),
        (400, r#"{"error":["invalid_grant"]}"#, Unclassified, None),
        (400, r#"{"access_token":"a"}"#, Unclassified, None),
    ];
    for (status, body, kind, code) in cases {
        let error = refusal(&oauth(""), status, body);
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "{status} {body}");
    }
}

#[test]
fn descriptions_are_kept_without_request_values() {
    let cases = [
        (r#"{"error":"invalid_grant","error_description":"Code\r\n expired\u202e"}"#, "Code expired"),
        (r#"{"error":"The code is wrong"}"#, "The code is wrong"),
        (r#"{"error":{"type":"oauth","message":"Nope"}}"#, "Nope"),
        (r#"{"message":"not here"}"#, "not here"),
        (r#"{"error":"x","error_description":"code SplxlOBeZQQYbYS6WxSbIA used"}"#, "code […] used"),
    ];
    for (body, description) in cases {
        assert_eq!(refusal(&oauth(""), 400, body).description.as_deref(), Some(description), "{body}");
    }
    let error = refusal(&oauth(""), 400, r#"{"error":"no_s3cr","error_description":"code s3cr unknown"}"#);
    let clean = error.without(&["", "s3cr"]);
    assert_eq!((clean.code, clean.description.as_deref()), (None, Some("code […] unknown")));
    let error = refusal(&oauth(""), 400, &format!(r#"{{"error":"x","error_description":"{}"}}"#, "a b ".repeat(50)));
    let clean = error.without(&["a"]).description.unwrap();
    assert!(clean.chars().count() <= 200 && clean.starts_with("[…] b […] b"), "{clean}");
}

/// Text shaped like a valid or invalid response.
fn answers() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("\"bearer\"".to_owned()),
        Just("\"invalid_grant\"".to_owned()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<i128>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| Value::String(text).to_string()),
    ];
    let value = scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            inner.prop_map(|value| format!("{{\"code\":{value}}}")),
        ]
    });
    let name = prop_oneof![
        Just("access_token"),
        Just("refresh_token"),
        Just("token_type"),
        Just("expires_in"),
        Just("scope"),
        Just("error"),
        Just("error_description"),
        Just("id_token"),
    ];
    proptest::collection::vec((name, value), 0..6).prop_map(|fields| {
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn every_response_gives_tokens_or_a_clean_error(status in 100_u16..600, form in any::<bool>(), body in answers()) {
        let content_type = form.then_some(FORM);
        match parse(&oauth(""), status, content_type, body.as_bytes()) {
            Ok(tokens) => {
                prop_assert!((200..300).contains(&status));
                prop_assert!(!tokens.access_token.is_empty());
                prop_assert!(tokens.refresh_token.is_none_or(|token| !token.is_empty()));
                prop_assert!(tokens.expires_in.is_none_or(|seconds| (1..=MAX_EXPIRES_IN).contains(&seconds)));
            }
            Err(error) => {
                let printed = error.to_string();
                prop_assert!(!printed.chars().any(char::is_control), "{}", printed);
                prop_assert!(error.description.is_none_or(|text| text.chars().count() <= 200));
                prop_assert!(error.code.is_none_or(|code| (1..=64).contains(&code.len())));
            }
        }
    }
}
