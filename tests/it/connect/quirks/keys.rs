//! Typed keys: where they go, how they are proven, how requests are signed; and the fields they come from.

use super::{Case, prove};

const P: Case = Case::PLAIN;
const KEY: &[(&str, &str)] = &[("generic_api_key", "K3Y")];

#[tokio::test(flavor = "multi_thread")]
async fn placements_and_probes() {
    prove(&[
        // A field's text beyond ASCII is sent as UTF-8, which the recorder reads byte by byte.
        Case {
            keys: &["Toolkit.headers"],
            tables: r#"
                [headers]
                "X-Office" = "{office}"
                [api_key]
                fields = [
                  { name = "office", display_name = "Office" },
                  { name = "generic_api_key", display_name = "Key", secret = true },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: &[("office", "Z\u{fc}rich"), ("generic_api_key", "k\u{e9}y")],
            expect: &[("/api/thing", "x-office: Z\u{c3}\u{bc}rich"), ("/api/thing", "x-key: k\u{c3}\u{a9}y")],
            ..P
        },
        Case {
            keys: &[
                "Toolkit.api_key",
                "KeyScheme.fields",
                "KeyScheme.apply",
                "KeyScheme.verify",
                "KeyScheme.base_url",
                "Placement.header",
                "Placement.query",
                "Placement.cookie",
                "Placement.body",
                "Placement.value",
                "Toolkit.headers",
                "Probe.ok_pointer",
                "Probe.ok_value",
            ],
            tables: r#"
                [headers]
                "X-Version" = "2026-11"
                [api_key]
                base_url = "$ORIGIN/keyed"
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [
                  { header = "X-Key", value = "k {generic_api_key}" },
                  { query = "key", value = "{generic_api_key}" },
                  { cookie = "c", value = "{generic_api_key}" },
                  { body = "api_key", value = "{generic_api_key}" },
                ]
                verify = { url = "/check", ok_pointer = "/ok", ok_value = true }"#,
            form: KEY,
            answers: &[("/keyed/check", "{\"ok\":true}"), ("/keyed/thing", "{}")],
            expect: &[
                ("/keyed/thing#1", "POST /keyed/thing?key=K3Y"),
                ("/keyed/thing#1", "x-key: k K3Y"),
                ("/keyed/thing#1", "cookie: c=K3Y"),
                ("/keyed/thing#1", "\"api_key\":\"K3Y\""),
                ("/keyed/thing#1", "\"a\":1"),
                ("/keyed/thing#1", "x-version: 2026-11"),
                ("/keyed/check", "x-key: k K3Y"),
            ],
            ..P
        },
        Case {
            keys: &["Probe.ok_pointer"],
            tables: r#"
                [api_key]
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]
                verify = { url = "/check", ok_pointer = "/ok", ok_value = true }"#,
            form: KEY,
            answers: &[("/api/check", "{\"ok\":false}")],
            expect: &[("page", "does not accept"), ("account", "!\"status\":\"ACTIVE\"")],
            ..P
        },
        Case {
            keys: &[
                "Toolkit.rate_limits",
                "RateLimit.status",
                "RateLimit.header",
                "RateLimit.header_value",
                "RateLimit.body_contains",
            ],
            tables: r#"
                [[rate_limits]]
                status = 403
                header = "X-Left"
                header_value = "0"
                body_contains = "slow down"
                [api_key]
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]
                verify = { url = "/check" }"#,
            form: KEY,
            answers: &[("/api/check", "403\nX-Left: 0\nplease slow down")],
            expect: &[("page", "!does not accept")],
            ..P
        },
        Case {
            keys: &["Toolkit.bearer_token"],
            tables: r#"
                [bearer_token]
                fields = [{ name = "token", display_name = "Token", secret = true }]
                apply = [{ header = "Authorization", value = "Token {token}" }]"#,
            form: &[("token", "T0K")],
            expect: &[("/api/thing", "authorization: Token T0K")],
            ..P
        },
        Case {
            keys: &[
                "Toolkit.basic",
                "BasicScheme.username",
                "BasicScheme.password",
                "BasicScheme.username_template",
                "BasicScheme.verify",
                "BasicScheme.base_url",
                "BasicScheme.fields",
            ],
            tables: r#"
                [basic]
                base_url = "$ORIGIN/basic/{area}"
                fields = [{ name = "area", display_name = "Area", format = "path_segment" }]
                username = { display_name = "E-mail" }
                password = { display_name = "Key" }
                username_template = "{username}/token"
                verify = { url = "/check" }"#,
            form: &[("username", "ada"), ("password", "pw"), ("area", "x1")],
            answers: &[("/basic/x1/check", "{}"), ("/basic/x1/thing", "{}")],
            // ada/token:pw
            expect: &[("/basic/x1/thing", "authorization: Basic YWRhL3Rva2VuOnB3"), ("/basic/x1/check", "GET")],
            ..P
        },
        Case {
            keys: &["BasicScheme.without_password"],
            tables: "\n[basic]\nusername = { display_name = \"Key\" }\nwithout_password = true",
            form: &[("username", "sk_1")],
            expect: &[("/api/thing", "authorization: Basic c2tfMTo=")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures() {
    let fields = r#"
                fields = [
                  { name = "key_id", display_name = "Key id" },
                  { name = "secret", display_name = "Secret", secret = true },
                ]"#;
    // One text each; leaked, because a case is made of literals.
    let table = |sign: &str| -> &'static str { format!("\n[api_key]{fields}\n{sign}").leak() };
    let form: &[(&str, &str)] = &[("key_id", "AKID"), ("secret", "S3CRET")];
    prove(&[
        Case {
            keys: &["KeyScheme.sign", "Sign.aws_sigv4"],
            tables: table(
                "sign = { method = \"aws_sigv4\", access_key_id = \"{key_id}\", secret_access_key = \"{secret}\", \
                 region = \"eu-west-1\", service = \"execute-api\" }",
            ),
            form,
            expect: &[
                ("/api/thing", "authorization: AWS4-HMAC-SHA256 Credential=AKID/"),
                ("/api/thing", "/eu-west-1/execute-api/aws4_request"),
                ("/api/thing", "!S3CRET"),
            ],
            ..P
        },
        Case {
            keys: &["Sign.wsse"],
            tables: table("sign = { method = \"wsse\", username = \"{key_id}\", secret = \"{secret}\" }"),
            form,
            expect: &[
                ("/api/thing", "x-wsse: UsernameToken Username=\"AKID\", PasswordDigest="),
                ("/api/thing", "!S3CRET"),
            ],
            ..P
        },
        Case {
            keys: &["Sign.hmac_sha256"],
            tables: table(
                "sign = { method = \"hmac_sha256\", key = \"{secret}\", message = \"{method}:{path}:{body}\", \
                 header = \"X-Signature\", value = \"{key_id}:{signature}\" }",
            ),
            form,
            // HMAC-SHA256("S3CRET", "POST:/api/thing:{\"a\":1}")
            expect: &[(
                "/api/thing",
                "x-signature: AKID:a9c6b9753a1a66e9d399073a4589fda8b96ca2e1e9425bd7227db086a492612a",
            )],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entered_fields() {
    prove(&[
        Case {
            keys: &["Toolkit.fields", "Field.strip_prefixes", "Field.strip_suffixes", "Field.pattern", "Field.example",
                "Field.description", "Field.display_name"],
            top: "",
            tables: r#"
                [[fields]]
                name = "shop"
                display_name = "Shop"
                description = "The first part of its address"
                example = "acme"
                format = "path_segment"
                pattern = "[a-z]+"
                strip_prefixes = ["https://"]
                strip_suffixes = [".shops.example.com"]
                [api_key]
                base_url = "$ORIGIN/{shop}"
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: &[("generic_api_key", "K"), ("shop", "https://acme.shops.example.com")],
            expect: &[("/acme/thing", "x-key: K")],
            ..P
        },
        Case {
            keys: &["Field.pattern"],
            tables: r#"
                [[fields]]
                name = "shop"
                display_name = "Shop"
                format = "path_segment"
                pattern = "[a-z]+"
                [api_key]
                base_url = "$ORIGIN/{shop}"
                fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }]"#,
            form: &[("generic_api_key", "K"), ("shop", "A1")],
            expect: &[("account", "!\"status\":\"ACTIVE\""), ("page", "Shop")],
            ..P
        },
        Case {
            keys: &["Field.options", "FieldOption.value", "FieldOption.label", "Field.visible_when", "Condition.field",
                "Condition.is", "Field.required", "Field.secret"],
            tables: r#"
                [[fields]]
                name = "plan"
                display_name = "Plan"
                format = "path_segment"
                options = [{ value = "cloud", label = "Cloud" }, { value = "own", label = "Self-managed" }]
                [api_key]
                base_url = "$ORIGIN/{plan}"
                fields = [
                  { name = "generic_api_key", display_name = "Key", secret = true },
                  { name = "license", display_name = "License", default = "none", visible_when = { field = "plan", is = "own" } },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }, { header = "X-License", value = "{license}" }]"#,
            form: &[("plan", "cloud"), ("generic_api_key", "K")],
            expect: &[("/cloud/thing", "x-key: K"), ("/cloud/thing", "x-license: none")],
            ..P
        },
        Case {
            keys: &["Field.by_developer"],
            tables: r#"
                [api_key]
                fields = [
                  { name = "generic_api_key", display_name = "Key", secret = true },
                  { name = "product", display_name = "Product", default = "ours", by_developer = true },
                ]
                apply = [{ header = "X-Key", value = "{generic_api_key}" }, { header = "X-Product", value = "{product}" }]"#,
            // A visitor writes the field into the form that does not ask for it.
            form: &[("generic_api_key", "K"), ("product", "theirs")],
            expect: &[("/api/thing", "x-product: ours"), ("/api/thing", "!theirs")],
            ..P
        },
    ])
    .await;
}
