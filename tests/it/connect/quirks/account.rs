//! What is said for one scheme and not for another, which of several things count, and what follows from a
//! choice: who an account is, where its data is, and where calls go.

use super::{Case, prove};

const P: Case = Case::PLAIN;
const KEY: &[(&str, &str)] = &[("generic_api_key", "K3Y")];

#[tokio::test(flavor = "multi_thread")]
async fn identity_and_data_by_scheme() {
    prove(&[
        // The toolkit's identity and choice are of another scheme: their requests are not sent.
        Case {
            keys: &["Identity.schemes", "PostConnect.schemes"],
            tables: r#"
                [oauth2]
                [identity]
                schemes = ["OAUTH2"]
                request = { url = "/me" }
                id = "/id"
                [[post_connect]]
                schemes = ["OAUTH2"]
                request = { url = "/where" }
                capture = [{ name = "dc", at = "/dc", format = "dns_label", required = true }]
                [api_key]
                fields = [
                  { name = "generic_api_key", display_name = "Key", secret = true },
                  { name = "dc", display_name = "Data centre", format = "dns_label" },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }, { header = "X-Dc", value = "{dc}" }]"#,
            scheme: "API_KEY",
            form: &[("generic_api_key", "K3Y"), ("dc", "us19")],
            answers: &[("/api/me", "{\"id\":1}"), ("/api/where", "{\"dc\":\"eu1\"}")],
            expect: &[
                ("/api/thing", "x-dc: us19"),
                ("/api/me", "!GET"),
                ("/api/where", "!GET"),
                ("account", "\"status\":\"ACTIVE\""),
                ("account", "!\"identity\":{"),
            ],
            ..P
        },
        // A scheme says by itself who its accounts are.
        Case {
            keys: &["KeyScheme.identity", "OAuth2.identity"],
            tables: r#"
                [oauth2]
                identity = { id = "/user" }
                [identity]
                request = { url = "/me" }
                id = "/id"
                [api_key]
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]
                identity = { request = { url = "/key" }, id = "/owner" }"#,
            scheme: "API_KEY",
            form: KEY,
            answers: &[("/api/me", "{\"id\":1}"), ("/api/key", "{\"owner\":\"o-7\"}")],
            expect: &[("account", "\"id\":\"o-7\""), ("/api/key", "x-key: K3Y"), ("/api/me", "!GET")],
            ..P
        },
        Case {
            keys: &["OAuth2.identity"],
            tables: r#"
                [oauth2]
                [oauth2.identity]
                id = "/user"
                [identity]
                request = { url = "/me" }
                id = "/id""#,
            answers: &[
                ("/token", r#"{"access_token":"AT1","token_type":"Bearer","expires_in":600,"user":"u-9"}"#),
                ("/api/me", "{\"id\":1}"),
            ],
            expect: &[("account", "\"id\":\"u-9\""), ("/api/me", "!GET")],
            ..P
        },
        Case {
            keys: &["BasicScheme.identity"],
            tables: r#"
                [identity]
                request = { url = "/me" }
                id = "/id"
                [basic]
                identity = { request = { url = "/myself" }, id = "/accountId" }"#,
            form: &[("username", "ada"), ("password", "secret words")],
            answers: &[("/api/me", "{\"id\":1}"), ("/api/myself", "{\"accountId\":\"a-1\"}")],
            expect: &[("account", "\"id\":\"a-1\""), ("/api/me", "!GET")],
            ..P
        },
        Case {
            keys: &["TokenScheme.identity", "TokenScheme.verify"],
            tables: r#"
                [s2s_oauth2]
                expires_in = 600
                fields = [{ name = "client_secret", display_name = "Secret", secret = true }]
                identity = { request = { url = "/org" }, id = "/org" }
                verify = { url = "/check" }
                [[s2s_oauth2.steps]]
                url = "$ORIGIN/machine-token"
                parameters = { secret = "{client_secret}" }"#,
            form: &[("client_secret", "s3cr3t")],
            answers: &[
                ("/machine-token", r#"{"access_token":"M1"}"#),
                ("/api/check", "{}"),
                ("/api/org", "{\"org\":\"o-1\"}"),
            ],
            expect: &[("account", "\"id\":\"o-1\""), ("/api/check", "authorization: Bearer M1")],
            ..P
        },
        // A token that the provider refuses is not saved.
        Case {
            keys: &["TokenScheme.verify"],
            tables: r#"
                [s2s_oauth2]
                expires_in = 600
                fields = [{ name = "client_secret", display_name = "Secret", secret = true }]
                verify = { url = "/check" }
                [[s2s_oauth2.steps]]
                url = "$ORIGIN/machine-token"
                parameters = { secret = "{client_secret}" }"#,
            form: &[("client_secret", "s3cr3t")],
            answers: &[("/machine-token", r#"{"access_token":"M1"}"#), ("/api/check", "403\n{}")],
            expect: &[("page", "does not accept"), ("account", "!\"status\":\"ACTIVE\"")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn things_that_count() {
    let step = r#"
        [api_key]
        base_url = "$ORIGIN/{account}"
        fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
        apply = [{ header = "X-Key", value = "{generic_api_key}" }]
        [[post_connect]]
        request = { url = "$ORIGIN/accounts" }
        items = "/accounts"
        filter = [{ at = "/product", is = ["bc3", "bc4"] }, { at = "/scopes", is = ["*jira*"] }]
        choose = { title = "Which account?", id = "/id", label = "/name" }
        capture = [{ name = "account", at = "/id", format = "path_segment", required = true }]"#;
    prove(&[
        // Of four things one counts; it is listed twice, and the user is not asked.
        Case {
            keys: &["PostConnect.filter", "Filter.at", "Filter.is"],
            tables: step,
            form: KEY,
            answers: &[
                (
                    "/accounts",
                    r#"{"accounts":[{"id":"hey","name":"HEY","product":"haystack","scopes":["read:jira-work"]},{"id":"mine","name":"Mine","product":"bc3","scopes":["read:me","read:jira-work"]},{"id":"mine","name":"Mine","product":"bc4","scopes":["write:jira-work"]},{"id":"wiki","name":"Wiki","product":"bc3","scopes":["read:confluence"]},{"id":"none","name":"None"}]}"#,
                ),
                ("/mine/thing", "{}"),
            ],
            expect: &[("/mine/thing", "x-key: K3Y"), ("account", "\"status\":\"ACTIVE\"")],
            ..P
        },
        Case {
            keys: &["PostConnect.filter"],
            tables: step,
            form: KEY,
            answers: &[("/accounts", r#"{"accounts":[{"id":"hey","name":"HEY","product":"haystack"}]}"#)],
            expect: &[("page", "reaches nothing that could be used"), ("account", "!\"status\":\"ACTIVE\"")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_from_fields() {
    prove(&[
        Case {
            keys: &["FieldOption.sets"],
            tables: r#"
                [[fields]]
                name = "region"
                display_name = "Region"
                format = "path_segment"
                default = "us"
                options = [
                  { value = "us", label = "US", sets = { shard = "shard-us", login = "login-us" } },
                  { value = "eu", label = "EU", sets = { shard = "shard-eu", login = "login-eu" } },
                ]
                [api_key]
                base_url = "$ORIGIN/{shard}"
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }, { header = "X-Login", value = "{login}" }]"#,
            form: &[("region", "eu"), ("generic_api_key", "K3Y")],
            answers: &[("/shard-eu/thing", "{}")],
            expect: &[("/shard-eu/thing", "x-login: login-eu")],
            ..P
        },
        // The user who connects cannot set such a variable.
        Case {
            keys: &["FieldOption.sets"],
            tables: r#"
                [[fields]]
                name = "region"
                display_name = "Region"
                default = "us"
                options = [{ value = "us", label = "US", sets = { shard = "shard-us" } }]
                [api_key]
                base_url = "$ORIGIN/{shard}"
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: &[("shard", "theirs"), ("generic_api_key", "K3Y")],
            answers: &[("/shard-us/thing", "{}")],
            expect: &[("/shard-us/thing", "x-key: K3Y"), ("/theirs/thing", "!POST")],
            ..P
        },
        // A part of a path that is left out where nothing was entered …
        Case {
            keys: &["Template.optional_segment"],
            tables: r#"
                [api_key]
                base_url = "$ORIGIN/v2/{channel?}/app"
                fields = [
                  { name = "generic_api_key", display_name = "Key", secret = true },
                  { name = "channel", display_name = "Channel", format = "path_segment", required = false },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: KEY,
            answers: &[("/v2/app/thing", "{}")],
            expect: &[("/v2/app/thing", "x-key: K3Y")],
            ..P
        },
        // … and there where it was.
        Case {
            keys: &["Template.optional_segment"],
            tables: r#"
                [api_key]
                base_url = "$ORIGIN/v2/{channel?}/app"
                fields = [
                  { name = "generic_api_key", display_name = "Key", secret = true },
                  { name = "channel", display_name = "Channel", format = "path_segment", required = false },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: &[("generic_api_key", "K3Y"), ("channel", "chn1")],
            answers: &[("/v2/chn1/app/thing", "{}")],
            expect: &[("/v2/chn1/app/thing", "x-key: K3Y")],
            ..P
        },
    ])
    .await;
}

/// A token that is signed here is verified, signed again before it expires, and never requested.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_signed_here() {
    let key: &'static str = include_str!("service_account.pem");
    let form: &'static [(&str, &str)] = vec![("account", "ORG-ACC"), ("private_key", key)].leak();
    prove(&[Case {
        keys: &["TokenScheme.assertion"],
        tables: r#"
            [service_account]
            fields = [
              { name = "account", display_name = "Account" },
              { name = "private_key", display_name = "Key", secret = true, format = "document" },
            ]
            verify = { url = "/check" }
            [service_account.assertion]
            algorithm = "RS256"
            key = "{private_key}"
            lifetime = 600
            claims = { iss = "{account}.SHA256:{key_fingerprint}", sub = "{account}" }"#,
        form,
        answers: &[("/api/check", "{}")],
        expect: &[
            ("/api/check", "authorization: Bearer eyJ"),
            // `"iss":"ORG-ACC.SHA256:J+D+lQ/LM4Op…` in base64url, from a multiple of three bytes on.
            ("/api/check", "T1JHLUFDQy5TSEEyNTY6"),
            ("/api/thing#1", "authorization: Bearer eyJ"),
            ("/api/thing#2", "authorization: Bearer eyJ"),
            ("account", "\"status\":\"ACTIVE\""),
        ],
        ..P
    }])
    .await;
}
