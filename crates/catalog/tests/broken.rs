//! Invalid toolkit files: each is rejected with file, line, key and what is allowed.

use switchboard_catalog::Catalog;

const ACME: &str = include_str!("acme.toml");

/// A change to the valid file, and the expected lines of the error; each begins with
/// `toolkits/acme/toolkit.toml:`.
type Case<'c> = (&'c str, &'c str, &'c [&'c str]);

fn assert_refused(cases: &[Case<'_>]) {
    for (valid, broken, expected) in cases {
        assert_eq!(ACME.matches(valid).count(), 1, "`{valid}` must be in the file exactly once");
        let text = ACME.replacen(valid, broken, 1);
        let Err(error) = Catalog::default().add("toolkits/acme/toolkit.toml", &text) else {
            panic!("`{broken}` must be refused");
        };
        let expected: Vec<String> = expected.iter().map(|line| format!("toolkits/acme/toolkit.toml:{line}")).collect();
        assert_eq!(error.to_string(), expected.join("\n"), "{broken}");
    }
}

#[test]
fn the_unbroken_file_is_accepted() {
    Catalog::default().add("toolkits/acme/toolkit.toml", ACME).expect("valid");
    Catalog::default().add("toolkit.toml", ACME).expect("valid without a folder, too");
}

#[test]
fn files_that_do_not_match_the_format() {
    assert_refused(&[
        (
            "name = \"Acme\"",
            "name = Acme",
            &["3: not valid TOML: string values must be quoted, expected literal string"],
        ),
        ("slug = \"acme\"\n", "slug = \"acme\"\nslug = \"acme\"\n", &["3: not valid TOML: duplicate key `slug`"]),
        ("name = \"Acme\"\n", "", &["1: missing key `name` at the top level"]),
        (
            "\nscope_parameter = ",
            "\nscope_param = ",
            &[
                "41: unknown key `scope_param` in [oauth2]; known keys: discovery_url, resource, authorization_url, token_url, refresh_url, revocation_url, revoke, revocation_reach, revocation_tokens, \
             introspection_url, device_authorization_url, pushed_authorization_request_url, \
             revocation_client_authentication, registration_url, registration_parameters, issuer, iss_required, pkce, client_authentication, \
             client_assertion, dpop, token_request_format, token_headers, scopes, always_scopes, optional_scopes, \
             available_scopes, scope_separator, scope_parameter, user_scope_parameter, \
             optional_scope_parameter, authorization_parameters, authorization_omit, token_parameters, \
             refresh_parameters, token_omit, parameter_names, query_encoding, callback, fields, base_url, \
             identity, steps, refresh, refresh_call, refresh_grace, refresh_token, refresh_token_lifetime, \
             refresh_token_idle, token_limit, expiry, expires_in, max_expires_in, refresh_margin, response, tokens, apply",
            ],
        ),
        (
            "header = \"X-Label\"",
            "heade = \"X-Label\"",
            &["58: unknown key `heade` in [api_key.apply[1]]; known keys: header, query, cookie, body, value"],
        ),
        (
            "[no_auth]",
            "no_auth = { x = 1 }",
            &["80: unknown key `no_auth` in [basic.verify]; known keys: method, url, headers, json, \
             ok_pointer, ok_value"],
        ),
        ("pkce = \"S256\"", "pkce = \"s256\"", &["34: oauth2.pkce: unknown value `s256`; allowed: `S256`, `off`"]),
        ("color = \"#00aa77\"", "color = 43639", &["8: color: invalid type: integer `43639`, expected a string"]),
        ("display_name = \"API key\"\n", "", &["62: missing key `display_name` in [api_key.fields[0]]"]),
        ("expires_in = 3600", "expires_in = -1", &["46: oauth2.expires_in: invalid value: integer `-1`, expected u64"]),
    ]);
}

#[test]
fn values_that_json_does_not_have() {
    assert_refused(&[
        ("error_value = false", "error_value = 1979-05-27", &["52: oauth2.response.error_value: a date is not JSON"]),
        ("ok_value = true", "ok_value = nan", &["60: api_key.verify.ok_value: `nan` is not JSON"]),
        (
            "json = { query = \"{ me }\" }",
            "json = { at = [07:32:00], most = [1, { number = -inf }] }",
            &[
                "78: basic.verify.json.at[0]: a date is not JSON",
                "78: basic.verify.json.most[1].number: `-inf` is not JSON",
            ],
        ),
    ]);
}

#[test]
fn values_that_would_break_a_message() {
    assert_refused(&[
        ("Acme-Version", "\"Acme\\nVersion\"", &[r"12: headers.Acme\nVersion: `Acme\nVersion` is not a header name"]),
        (
            "pkce = \"S256\"",
            "pkce = \"\\u001b[31m\"",
            &[r"34: oauth2.pkce: unknown value `\u{1b}[31m`; allowed: `S256`, `off`"],
        ),
        (
            "\"{{{site}\"",
            "\"{a\\rb}\"",
            &[r"58: api_key.apply[1].value: `{a\rb}` is not a variable: names are lower-case letters, digits and `_`"],
        ),
    ]);
}

#[test]
fn description_of_the_toolkit() {
    assert_refused(&[
        (
            "slug = \"acme\"",
            "slug = \"Acme\"",
            &[
                "2: slug: must be 1 to 64 of `a-z`, `0-9`, `_` and `-`",
                "2: slug: must equal the name of the folder, `acme`",
            ],
        ),
        (
            "\"crm\", \"email\"",
            "\"crm\", \"E-Mail\", \"crm\"",
            &["5: categories[1]: must consist of `a-z`, `0-9` and `-`", "5: categories[2]: is listed twice"],
        ),
        ("[\"crm\", \"email\"]", "[]", &["5: categories: at least one category is needed"]),
        ("app_url = \"https://acme.test\"", "app_url = \"javascript:alert(1)\"", &["6: app_url: must be an https URL"]),
        ("\"#00aa77\"", "\"#0a7\"", &["8: color: must be `#` and six hexadecimal digits"]),
        ("20260131_02", "20261301_02", &["9: version: must be a date and a counter, `YYYYMMDD_NN`"]),
        (
            "{ Acme-Version = \"7\" }",
            "{ \"Acme Version\" = \"7\", Host = \"x\" }",
            &[
                "12: headers.Acme Version: `Acme Version` is not a header name",
                "12: headers.Host: header `Host` is set by the service itself",
            ],
        ),
    ]);
    let without_schemes = ACME.split("\n[oauth2]").next().expect("a beginning");
    let error = Catalog::default().add("acme/toolkit.toml", without_schemes).expect_err("no scheme");
    assert_eq!(
        error.to_string(),
        "acme/toolkit.toml:1: oauth2: at least one scheme is needed, such as `oauth2`, `api_key` or `basic`",
    );
}

#[test]
fn destinations_of_credentials() {
    let wrong_host: &[&str] =
        &["11: hosts[2]: must be `host`, `*.host` or `host:port` in lower case, without scheme or path"];
    assert_refused(&[
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"http://{site}.acme.test/v1\"",
            &["10: base_url: must be an https URL (http only to a loopback address, or to a host of `allow_http`)"],
        ),
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"https://*.files.acme.test\"",
            &["10: base_url: must have a host of letters, digits, dots and hyphens, and no port 0"],
        ),
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"https://api.acme.test\"",
            &["10: base_url: host `api.acme.test` is not in `hosts`"],
        ),
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"https://{site}.acme.test/\"",
            &["10: base_url: must not end in `/`"],
        ),
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"https://{sight}.acme.test\"",
            &["10: base_url: unknown variable `{sight}`; known variables: `{site}`, `{label}`, `{team_id}`"],
        ),
        (
            "base_url = \"https://{site}.acme.test/v1\"",
            "base_url = \"https://{site}\"",
            &["10: base_url: a `dns_label` cannot be a whole host; append a domain"],
        ),
        (
            "headers = { Acme-Version",
            "paths = [\"/upload\", \"/upload\", \"batch\", \"/a/\", \"/\", \"/../x\", \"/%2e\", \"/{site}\", \"/x?y\"]\nheaders = { Acme-Version",
            &[
                "12: paths[1]: is listed twice",
                "12: paths[2]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[3]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[4]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[5]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[6]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[7]: must be a path such as `/upload/drive/v3`, without `/` at the end",
                "12: paths[8]: must be a path such as `/upload/drive/v3`, without `/` at the end",
            ],
        ),
        (
            "test/v1\"\nhosts = [",
            "test/{site}/v1\"\npaths = [\"/upload\"]\nhosts = [",
            &["11: paths: not allowed with a base URL whose path contains a variable"],
        ),
        ("\"127.0.0.1:9000\"", "\"https://acme.test\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"ACME.test\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"127.1\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"acme.test:0\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"{sandbox_host}.acme.test\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"*\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"acme.test/x\"", wrong_host),
        ("\"127.0.0.1:9000\"", "\"*.127.0.0.1\"", &["11: hosts[2]: must name at least two labels after `*.`"]),
        ("\"127.0.0.1:9000\"", "\"*.test\"", &["11: hosts[2]: must name at least two labels after `*.`"]),
        (
            "\"127.0.0.1:9000\"",
            "\"{site}.test\"",
            &["11: hosts[2]: a variable must be followed by a domain, such as `.example.com`"],
        ),
        (
            "authorization_url = \"https://{site}.acme.test/authorize\"",
            "authorization_url = \"https://{label}.acme.test\"",
            &["28: oauth2.authorization_url: `{label}` is free text and cannot be part of a URL; give \
              it another format, such as `dns_label`, `path_segment` or `origin`"],
        ),
        (
            "format = \"dns_label\"",
            "format = \"dns_label\"\nrequired = false",
            &[
                "10: base_url: `{site}` may be empty; make the field required or give it a default",
                "11: hosts[0]: `{site}` may be empty; make the field required or give it a default",
                "29: oauth2.authorization_url: `{site}` may be empty; make the field required or give it a default",
                "30: oauth2.token_url: `{site}` may be empty; make the field required or give it a default",
                "33: oauth2.issuer: `{site}` may be empty; make the field required or give it a default",
                "59: api_key.apply[1].value: `{site}` may be empty; make the field required or give it a default",
                "77: basic.verify.url: `{site}` may be empty; make the field required or give it a default",
            ],
        ),
        (
            "token_url = \"https://{site}.acme.test/token\"",
            "token_url = \"https://a:b@acme.test/token#x\"",
            &[
                "29: oauth2.token_url: must contain no user name or password",
                "29: oauth2.token_url: must have no fragment",
            ],
        ),
        (
            "token_url = \"https://{site}.acme.test/token\"",
            "token_url = \"https://ACME.test/a/../token\"",
            &["29: oauth2.token_url: must be written in its normal form, `https://acme.test/token`"],
        ),
        (
            "revocation_url = \"http://127.0.0.1:9000/revoke\"",
            "revocation_url = \"http://localhost/revoke\"",
            &[
                "31: oauth2.revocation_url: must be an https URL (http only to a loopback address, or to a host of `allow_http`)",
            ],
        ),
        (
            "request = { url = \"https://eu.files.acme.test/me\" }",
            "request = { url = \"https://files.acme.test/me\" }",
            &["83: identity.request.url: host `files.acme.test` is not in `hosts`"],
        ),
        (
            "verify = { url = \"/me\"",
            "verify = { url = \"//evil.test/me\"",
            &["60: api_key.verify.url: must begin with a single `/`, or be an https URL"],
        ),
        (
            "verify = { url = \"/me\"",
            "verify = { url = \"/me?key={generic_api_key}\"",
            &["60: api_key.verify.url: `{generic_api_key}` is free text and cannot be part of a URL; give \
              it another format, such as `dns_label`, `path_segment` or `origin`"],
        ),
    ]);
}

#[test]
fn an_origin_must_come_first() {
    let origin = ACME
        .replace("format = \"dns_label\"", "format = \"origin\"")
        .replace("example = \"acme-corp\"", "default = \"https://acme.test\"")
        .replace("https://{site}.acme.test", "{site}")
        .replace("{site}.acme.test", "{site}");
    Catalog::default().add("toolkit.toml", &origin).expect("an origin may be base and host");
    let cases = [
        ("{site}.evil.test/token", "must continue with `/` after the variable of its origin"),
        ("{site}:8443/token", "must continue with `/` after the variable of its origin"),
        ("https://{site}/token", "`{site}` is an origin and must come first"),
    ];
    for (token_url, message) in cases {
        let text = origin.replace("\"{site}/token\"", &format!("{token_url:?}"));
        let error = Catalog::default().add("toolkit.toml", &text).expect_err(token_url);
        assert_eq!(error.to_string(), format!("toolkit.toml:29: oauth2.token_url: {message}"));
    }
}

#[test]
fn entered_fields() {
    assert_refused(&[
        (
            "name = \"label\"",
            "name = \"Label\"",
            &["23: fields[1].name: must be a lower-case letter followed by `a-z`, `0-9` and `_`"],
        ),
        (
            "\"{{{site}\"",
            "\"{label}\"",
            &["58: api_key.apply[1].value: `{label}` may be empty; make the field required or give it a default"],
        ),
        (
            "name = \"token\"",
            "name = \"site\"",
            &[
                "68: bearer_token.fields[0].name: field `site` is declared twice",
                "69: bearer_token.apply[0].value: unknown variable `{token}`; known variables: `{site}`, \
             `{label}`",
                "69: bearer_token.apply: must add the credential to requests: no value uses it",
            ],
        ),
        (
            "name = \"token\"",
            "name = \"access_token\"",
            &[
                "68: bearer_token.fields[0].name: is a reserved name",
                "69: bearer_token.apply[0].value: unknown variable `{token}`; known variables: `{site}`, \
             `{label}`, `{access_token}`",
                "69: bearer_token.apply: must add the credential to requests: no value uses it",
            ],
        ),
        (
            "example = \"acme-corp\"",
            "example = \"https://acme\"",
            &["19: fields[0].example: must be a single name of 1 to 63 lower-case letters, digits and \
             hyphens, without dots"],
        ),
        (
            "required = false",
            "secret = true",
            &["25: fields[1].secret: must be false: a connection field is not secret, a scheme's field may be"],
        ),
        (
            "display_name = \"API key\"\nsecret = true",
            "display_name = \"API key\"",
            &[
                "56: api_key.apply: must add the credential to requests: no value uses it",
                "62: api_key.fields: at least one field must have `secret = true`",
            ],
        ),
    ]);
}

#[test]
fn oauth2_settings() {
    assert_refused(&[
        ("issuer = \"https://{site}.acme.test\"\n", "", &["32: oauth2.iss_required: needs `issuer` to compare with"]),
        (
            "\"S256\"\nclient_authentication = \"client_secret_basic\"",
            "\"off\"\nclient_authentication = \"none\"",
            &["34: oauth2.pkce: must be `S256` where `client_authentication = \"none\"`"],
        ),
        (
            "refresh = \"stable\"",
            "refresh = \"none\"",
            &["30: oauth2.refresh_url: not allowed with `refresh = \"none\"`"],
        ),
        ("expires_in = 3600", "expires_in = 0", &["46: oauth2.expires_in: must be a number of seconds above 0"]),
        (
            "\"notes:read\", \"notes:write\"]\navail",
            "\"notes:read,notes:write\", \"\"]\navail",
            &[
                "38: oauth2.scopes[0]: must be one scope: visible ASCII without the separator",
                "38: oauth2.scopes[1]: must be one scope: visible ASCII without the separator",
            ],
        ),
        (
            "scope_separator = \",\"",
            "scope_separator = \";\"",
            &["40: oauth2.scope_separator: must be a space, a comma or `+`"],
        ),
        (
            "{ expiring = \"1\" }",
            "{ expiring = \"{soon}\", b = \"é\" }",
            &["44: oauth2.token_parameters.expiring: unknown variable `{soon}`; known variables: \
                `{state}`, `{redirect_uri}`, `{site}`, `{label}`"],
        ),
        (
            "{ prompt = \"consent\" }",
            "{ state = \"x\", scopes = \"y\" }",
            &[
                "43: oauth2.authorization_parameters.scopes: parameter `scopes` is set by the service itself",
                "43: oauth2.authorization_parameters.state: parameter `state` is set by the service itself",
            ],
        ),
        (
            "{ expiring = \"1\" }",
            "{ grant_type = \"password\" }",
            &["44: oauth2.token_parameters.grant_type: parameter `grant_type` is set by the service itself"],
        ),
        (
            "access_token = \"/data/token\"",
            "access_token = \"data.token\"",
            &["50: oauth2.response.access_token: must be a JSON pointer such as `/user/id`, \
                `header:Name` or `cookie:Name`"],
        ),
        ("error_value = false\n", "", &["51: oauth2.response.error_pointer: needs `error_value`"]),
        (
            "at = \"/team/id\"",
            "at = \"/refresh_token\"",
            &[
                "53: oauth2.response.capture[0].at: a captured value must not be secret; this is the location of a token",
            ],
        ),
    ]);
}

/// A device flow has no callback, so that nothing can be taken from it.
#[test]
fn keys_that_conflict_with_the_device_flow() {
    let device = "device_authorization_url = \"https://auth.acme.example/device\"\n";
    let authorization = ACME.lines().find(|line| line.starts_with("authorization_url")).unwrap();
    let both = format!("{device}{authorization}");
    let pushed = format!("{device}pushed_authorization_request_url = \"https://auth.acme.example/par\"");
    let absent = "not allowed with `device_authorization_url`: that flow has no callback";
    let line = ACME.lines().position(|line| line.starts_with("authorization_url")).unwrap() + 1;
    assert_refused(&[
        (authorization, &both, &[&format!("{}: oauth2.authorization_url: {absent}", line + 1)]),
        (authorization, &pushed, &[&format!("{}: oauth2.pushed_authorization_request_url: {absent}", line + 1)]),
    ]);
}

#[test]
fn how_requests_are_made() {
    assert_refused(&[
        (
            "{ header = \"Authorization\", value = \"Token {access_token}\" }",
            "{ query = \"access_token\", value = \"{access_token}\" }",
            &["47: oauth2.apply[0].query: only `api_key` may use `query`; a token belongs in a header"],
        ),
        (
            "{ query = \"key\", value",
            "{ header = \"X-Key\", query = \"key\", value",
            &["57: api_key.apply[0]: needs exactly one of `header`, `query`, `cookie` and `body`"],
        ),
        (
            "{ query = \"key\", value",
            "{ value",
            &["57: api_key.apply[0]: needs exactly one of `header`, `query`, `cookie` and `body`"],
        ),
        (
            "header = \"X-Label\"",
            "header = \"X Label\"",
            &["58: api_key.apply[1].header: `X Label` is not a header name"],
        ),
        (
            "\"Token {access_token}\"",
            "\"Token {access_token\"",
            &[
                "47: oauth2.apply[0].value: `{` at character 7 is not closed (a literal brace is written `{{`)",
                "47: oauth2.apply: must add the credential to requests: no value uses it",
            ],
        ),
        (
            "\"Token {access_token}\"",
            "\"Token {token}\\r\\n\"",
            &[
                "47: oauth2.apply[0].value: must be visible ASCII without surrounding spaces",
                "47: oauth2.apply[0].value: unknown variable `{token}`; known variables: `{access_token}`, \
             `{site}`, `{label}`, `{team_id}`",
                "47: oauth2.apply: must add the credential to requests: no value uses it",
            ],
        ),
        (
            "method = \"POST\"",
            "method = \"DELETE\"",
            &["75: basic.verify.method: must be `GET` or `POST`", "78: basic.verify.json: needs `method = \"POST\"`"],
        ),
        ("ok_pointer = \"/ok\", ", "", &["60: api_key.verify.ok_value: needs `ok_pointer`"]),
        ("id = \"/id\"", "id = \"id\"", &["84: identity.id: must be a JSON pointer such as `/user/id`"]),
    ]);
}

#[test]
fn versions_that_are_commented_on_or_withdrawn() {
    let text = |more: &str| format!("{ACME}\n{more}");
    let lines = ACME.lines().count() + 2;
    let withdrawn = "[[withdrawn]]\nversion = \"20200101_00\"\nreason = \"It deleted too much.\"\n";
    let note = "[[changelog]]\nversion = \"20200101_00\"\ntext = \"The first tools.\"\n";
    let add = |text: &str| Catalog::default().add("toolkits/acme/toolkit.toml", text);
    add(&text(&format!("{withdrawn}tools = [\"ACME_X\"]\nreplacement = \"20200102_00\"\n{note}"))).expect("valid");
    let own = ACME.lines().find_map(|line| line.strip_prefix("version = ")).expect("a version");
    for (more, line, problem) in [
        (
            withdrawn.replace("20200101_00", "1.0"),
            1,
            "withdrawn[0].version: must be a date and a counter, `YYYYMMDD_NN`",
        ),
        (withdrawn.replace("\"20200101_00\"", own), 1, "withdrawn[0].version: must not be the file's own version"),
        (withdrawn.replace("It deleted too much.", ""), 2, "withdrawn[0].reason: must be one line of text"),
        (
            format!("{withdrawn}replacement = \"20200101_00\""),
            3,
            "withdrawn[0].replacement: must not be the version that is withdrawn",
        ),
        (
            format!("{withdrawn}tools = [\"acme_x\"]"),
            3,
            "withdrawn[0].tools[0]: must be the slug of a tool, in upper case",
        ),
        (note.replace("_00", ""), 1, "changelog[0].version: must be a date and a counter, `YYYYMMDD_NN`"),
    ] {
        let error = add(&text(&more)).expect_err("a mistake").to_string();
        assert!(error.starts_with(&format!("toolkits/acme/toolkit.toml:{}: {problem}", lines + line)), "{error}");
    }
}
