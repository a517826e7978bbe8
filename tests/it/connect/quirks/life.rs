//! How long a token lives, and who an account is.

use super::{Case, prove};

const P: Case = Case::PLAIN;

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_token() {
    prove(&[
        Case {
            keys: &["OAuth2.expiry", "OAuth2.expires_in", "Expiry.fixed"],
            tables: "[oauth2]\nexpiry = \"fixed\"\nexpires_in = 600",
            answers: &[("/token", r#"{"access_token":"AT1","refresh_token":"RT1","expires_in":99999999}"#)],
            expect: &[("/token#2", "refresh_token=RT1")],
            ..P
        },
        Case {
            keys: &["TokenErrors.invalid_grant"],
            tables: "[oauth2]\n[oauth2.response.errors]\ninvalid_grant = [\"status:400\"]",
            answers: &[("1 /token", super::TOKEN), ("/token", "400\n")],
            expect: &[("account", "EXPIRED"), ("account", "Permanent auth error")],
            ..P
        },
        Case {
            keys: &["Expiry.never"],
            tables: "[oauth2]\nexpiry = \"never\"",
            expect: &[("/token#2", "!refresh"), ("account", "\"access_token_expires_at\":null")],
            ..P
        },
        Case {
            keys: &["Expiry.stated", "OAuth2.expires_in"],
            tables: "[oauth2]\nexpires_in = 600",
            answers: &[("/token", r#"{"access_token":"AT1","refresh_token":"RT1"}"#)],
            expect: &[("/token#2", "refresh_token=RT1")],
            ..P
        },
        Case {
            keys: &["Expiry.jwt"],
            tables: "[oauth2]\nexpiry = \"jwt\"\nrefresh = \"none\"",
            // {"alg":"none"} . {"exp":1893456000}: the year 2030
            answers: &[(
                "/token",
                r#"{"access_token":"eyJhbGciOiJub25lIn0.eyJleHAiOjE4OTM0NTYwMDB9.","expires_in":600}"#,
            )],
            expect: &[("account", "\"access_token_expires_at\":\"2030-01-01T00:00:00")],
            ..P
        },
        Case {
            keys: &["Expiry.introspection", "OAuth2.introspection_url"],
            tables: "[oauth2]\nexpiry = \"introspection\"\nintrospection_url = \"$ORIGIN/about\"\nrefresh = \"none\"",
            answers: &[("/about", r#"{"active":true,"exp":1893456000}"#)],
            expect: &[("/about", "token=AT1"), ("account", "\"access_token_expires_at\":\"2030-01-01T00:00:00")],
            ..P
        },
        Case {
            keys: &["TokenResponse.expires_at"],
            tables: "[oauth2]\nrefresh = \"none\"\n[oauth2.response]\nexpires_at = \"/ends\"",
            answers: &[("/token", r#"{"access_token":"AT1","ends":"2030-01-01T00:00:00Z"}"#)],
            expect: &[("account", "\"access_token_expires_at\":\"2030-01-01T00:00:00")],
            ..P
        },
        Case {
            keys: &["OAuth2.max_expires_in"],
            tables: "[oauth2]\nmax_expires_in = 600",
            answers: &[("/token", r#"{"access_token":"AT1","refresh_token":"RT1","expires_in":99999999}"#)],
            expect: &[("/token#2", "refresh_token=RT1")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_margin"],
            tables: "[oauth2]\nrefresh_margin = 600",
            answers: &[("/token", r#"{"access_token":"AT1","refresh_token":"RT1","expires_in":1440}"#)],
            // Fifteen minutes later nine are left: more than the usual margin of a fifth, less than this one.
            expect: &[("/token#1", "the-code"), ("account", "refresh_due_at\":\"2")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_grace"],
            tables: "[oauth2]\nrefresh_grace = 30",
            // The provider's work is done and its answer is cut short: within the grace, the same token is sent again.
            answers: &[
                ("1 /token", super::TOKEN),
                ("1 /token", "content-length: 400\n{\"access"),
                ("/token", r#"{"access_token":"AT2","refresh_token":"RT2","expires_in":600}"#),
            ],
            expect: &[("/token#2", "refresh_token=RT1"), ("/token#3", "refresh_token=RT1"), ("account", "ACTIVE")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh", "Refresh.stable"],
            tables: "[oauth2]\nrefresh = \"stable\"",
            answers: &[("1 /token", super::TOKEN), ("/token", r#"{"access_token":"AT2","expires_in":600}"#)],
            expect: &[("/token#2", "refresh_token=RT1"), ("/api/thing#2", "Bearer AT2"), ("account", "ACTIVE")],
            ..P
        },
        Case {
            keys: &["Refresh.none"],
            tables: "[oauth2]\nrefresh = \"none\"",
            expect: &[("/token#2", "!refresh"), ("account", "EXPIRED")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_token", "RefreshToken.required"],
            tables: "[oauth2]\nrefresh_token = \"required\"",
            answers: &[("/token", r#"{"access_token":"AT1","expires_in":600}"#)],
            expect: &[("account", "INITIATED"), ("account", "refresh token")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_token_lifetime", "OAuth2.refresh_token_idle"],
            tables: "[oauth2]\nrefresh_token_lifetime = 86400\nrefresh_token_idle = 7200",
            expect: &[("account", "\"hard_expiry\":\"2"), ("account", "\"idle_expiry\":\"2")],
            ..P
        },
        // What the answer says of the refresh token: a rotating one is replaced in time, another is not.
        Case {
            keys: &["TokenResponse.refresh_token_expires_in"],
            tables: "[oauth2]\n[oauth2.response]\nrefresh_token_expires_in = \"/x_refresh_expires\"",
            answers: &[("/token", r#"{"access_token":"AT1","refresh_token":"RT1","x_refresh_expires":8640000}"#)],
            expect: &[("account", "\"hard_expiry\":null"), ("account", "\"idle_expiry\":\"2")],
            ..P
        },
        Case {
            keys: &["TokenResponse.refresh_token_expires_in"],
            tables: "[oauth2]\nrefresh = \"stable\"",
            answers: &[("1 /token", r#"{"access_token":"AT1","refresh_token":"RT1","refresh_token_expires_in":604799,"expires_in":600}"#),
                ("/token", r#"{"access_token":"AT2","expires_in":600}"#)],
            expect: &[("/api/thing#2", "Bearer AT2"), ("account", "\"hard_expiry\":\"2"), ("account", "\"idle_expiry\":null")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_it_is_and_where_its_data_is() {
    prove(&[
        Case {
            keys: &["Toolkit.identity", "Identity.id", "Identity.email", "Identity.name", "Identity.avatar",
                "Identity.tenant", "Identity.tenant_name", "Identity.request", "Probe.method", "Probe.json",
                "Probe.headers", "Probe.url"],
            tables: r#"[oauth2]
                [identity]
                request = { method = "POST", url = "/who", json = { query = "{ viewer }" }, headers = { "X-Version" = "3" } }
                id = "/v/id"
                email = "/v/mail"
                name = "/v/name"
                avatar = "/v/picture"
                tenant = "/v/org/id"
                tenant_name = "/v/org/name""#,
            answers: &[("/api/who", r#"{"v":{"id":17,"mail":"a@example.com","name":"Ada","picture":"https://pic.example.com/a.png","org":{"id":"O1","name":"Org One"}}}"#)],
            expect: &[("/api/who", "POST /api/who"), ("/api/who", r#"{"query":"{ viewer }"}"#),
                ("/api/who", "x-version: 3"), ("account", "\"id\":\"17\""), ("account", "a@example.com"),
                ("account", "Ada"), ("account", "pic.example.com"), ("account", "O1"), ("account", "Org One")],
            ..P
        },
        Case {
            keys: &["Identity.request"],
            tables: "[oauth2]\n[identity]\nid = \"/user/id\"",
            answers: &[("/token", r#"{"access_token":"AT1","expires_in":600,"user":{"id":"from-token"}}"#)],
            expect: &[("account", "from-token")],
            ..P
        },
        Case {
            keys: &["Toolkit.post_connect", "PostConnect.request", "PostConnect.items", "PostConnect.capture",
                "PostConnect.choose", "Choice.id", "Choice.label", "Choice.title"],
            tables: r#"[oauth2]
                base_url = "$ORIGIN/{site}"
                [[post_connect]]
                request = { url = "$ORIGIN/sites" }
                items = "/sites"
                capture = [{ name = "site", at = "/key", format = "path_segment", required = true }]
                choose = { title = "Which site?", id = "/key", label = "/name" }"#,
            answers: &[("/sites", r#"{"sites":[{"key":"s1","name":"Site 1"}]}"#)],
            expect: &[("/sites", "Bearer AT1"), ("/s1/thing", "POST /s1/thing")],
            ..P
        },
    ])
    .await;
}
