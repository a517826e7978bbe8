//! What an authorization request, a token request and their answers may deviate in.

use super::{Case, prove};

const P: Case = Case::PLAIN;

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_provider_and_back() {
    prove(&[
        Case {
            keys: &[
                "OAuth2.scopes", "OAuth2.always_scopes", "OAuth2.optional_scopes", "OAuth2.optional_scope_parameter",
                "OAuth2.user_scope_parameter", "OAuth2.scope_separator", "OAuth2.scope_parameter",
                "OAuth2.authorization_parameters", "OAuth2.authorization_omit", "OAuth2.parameter_names",
                "OAuth2.pkce",
            ],
            tables: r#"[oauth2]
                scopes = ["a", "b"]
                always_scopes = ["z"]
                optional_scopes = ["o", "p"]
                optional_scope_parameter = "optional_scope"
                user_scope_parameter = "user_scope"
                scope_separator = ","
                scope_parameter = "permissions"
                authorization_parameters = { access_type = "offline" }
                authorization_omit = ["response_type"]
                parameter_names = { client_id = "client_key" }
                pkce = "off""#,
            credentials: r#"{ "user_scopes": ["u"] }"#,
            expect: &[
                ("authorize", "permissions=a%2Cb%2Cz"), ("authorize", "optional_scope=o%2Cp"),
                ("authorize", "user_scope=u"), ("authorize", "access_type=offline"),
                ("authorize", "client_key=the-client"), ("authorize", "!client_id"),
                ("authorize", "!response_type"), ("authorize", "!code_challenge"), ("/token#1", "!code_verifier"),
                ("/token#1", "client_key=the-client"),
            ],
            ..P
        },
        Case {
            keys: &["OAuth2.query_encoding", "OAuth2.authorization_url", "OAuth2.pkce"],
            tables: "[oauth2]\nscopes = [\"a\", \"b\"]\nquery_encoding = \"percent\"",
            expect: &[("authorize", "scope=a%20b"), ("authorize", "code_challenge_method=S256")],
            ..P
        },
        Case {
            keys: &["QueryEncoding.plus"],
            tables: "[oauth2]\nscopes = [\"a\", \"b\"]",
            expect: &[("authorize", "scope=a+b")],
            ..P
        },
        Case {
            keys: &["OAuth2.callback", "Callback.code", "Callback.capture", "Capture.name", "Capture.at",
                "Capture.required", "Capture.format"],
            top: "",
            tables: r#"[oauth2]
                base_url = "$ORIGIN/{realm}"
                [oauth2.callback]
                code = "auth_code"
                capture = [{ name = "realm", at = "realmId", format = "path_segment", required = true }]"#,
            callback: "auth_code=the-code&realmId=12345",
            expect: &[("/token#1", "code=the-code"), ("/12345/thing", "POST"), ("account", "12345")],
            ..P
        },
        Case {
            keys: &["Callback.denied"],
            tables: r#"[oauth2]
                [oauth2.callback]
                denied = ["user_cancelled_login"]"#,
            callback: "error=user_cancelled_login&error_description=The+user+went+away",
            expect: &[("/token", "!code"), ("page", "You didn’t allow access"), ("account", "user_cancelled_login")],
            ..P
        },
        Case {
            keys: &["Capture.required"],
            tables: r#"[oauth2]
                [oauth2.callback]
                capture = [{ name = "realm", at = "realmId", format = "path_segment", required = true }]"#,
            expect: &[("/token", "!code"), ("account", "INITIATED")],
            ..P
        },
        Case {
            keys: &["Capture.allowed"],
            tables: r#"[oauth2]
                [oauth2.callback]
                capture = [{ name = "region", at = "location", format = "dns_label", required = true, allowed = ["us", "eu"] }]"#,
            callback: "code=the-code&location=evil",
            expect: &[("/token", "!code"), ("account", "INITIATED")],
            ..P
        },
        Case {
            keys: &["Callback.hmac"],
            tables: "[oauth2]\n[oauth2.callback]\nhmac = \"hmac\"",
            callback: "code=the-code&hmac=00ff",
            expect: &[("/token", "!code"), ("account", "!ACTIVE")],
            ..P
        },
        Case {
            keys: &["OAuth2.issuer", "OAuth2.iss_required"],
            tables: "[oauth2]\nissuer = \"$ORIGIN\"\niss_required = true",
            expect: &[("/token", "!code"), ("account", "!ACTIVE")],
            ..P
        },
        Case {
            keys: &["OAuth2.fields", "OAuth2.base_url", "Field.default", "Field.format"],
            tables: r#"[oauth2]
                base_url = "$ORIGIN/{version}"
                fields = [{ name = "version", display_name = "Version", default = "v7", format = "path_segment" }]"#,
            expect: &[("/v7/thing", "POST /v7/thing")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_requests() {
    prove(&[
        Case {
            keys: &["OAuth2.token_headers", "OAuth2.token_parameters", "OAuth2.token_omit", "OAuth2.token_url",
                "OAuth2.refresh_parameters", "OAuth2.refresh_url"],
            tables: r#"[oauth2]
                token_headers = { "x-app" = "seven" }
                token_parameters = { audience = "all", echoed = "{state}" }
                token_omit = ["redirect_uri"]
                refresh_parameters = { again = "yes" }
                refresh_url = "$ORIGIN/renew""#,
            answers: &[("/renew", super::TOKEN)],
            expect: &[
                ("/token#1", "x-app: seven"), ("/token#1", "audience=all"), ("/token#1", "echoed="),
                ("/token#1", "!redirect_uri"), ("/renew", "again=yes"), ("/renew", "!audience"),
                ("/renew", "refresh_token=RT1"), ("/token#2", "!POST"),
            ],
            ..P
        },
        Case {
            keys: &["ClientAuthentication.client_secret_post"],
            tables: "[oauth2]\n",
            expect: &[("/token#1", "client_secret=the+client+secret"), ("/token#1", "!authorization:")],
            ..P
        },
        Case {
            keys: &["OAuth2.client_authentication", "ClientAuthentication.client_secret_basic"],
            tables: "[oauth2]\nclient_authentication = \"client_secret_basic\"",
            // the-client:the+client+secret
            expect: &[("/token#1", "authorization: Basic dGhlLWNsaWVudDp0aGUrY2xpZW50K3NlY3JldA=="),
                ("/token#1", "!client_secret")],
            ..P
        },
        Case {
            keys: &["ClientAuthentication.client_secret_basic_unencoded"],
            tables: "[oauth2]\nclient_authentication = \"client_secret_basic_unencoded\"",
            credentials: r#"{ "client_secret": "s/+=:% x" }"#,
            // the-client:s/+=:% x
            expect: &[("/token#1", "authorization: Basic dGhlLWNsaWVudDpzLys9OiUgeA==")],
            ..P
        },
        // What the auth config says of its client stands.
        Case {
            keys: &["ClientAuthentication.client_secret_basic"],
            tables: "[oauth2]\n",
            credentials: r#"{ "token_endpoint_auth_method": "client_secret_basic" }"#,
            expect: &[("/token#1", "authorization: Basic "), ("/token#1", "!client_secret")],
            ..P
        },
        Case {
            keys: &["OAuth2.revocation_client_authentication"],
            tables: "[oauth2]\nrevocation_url = \"$ORIGIN/revoke\"\nrevocation_client_authentication = \"client_secret_basic\"",
            answers: &[("/revoke", "{}")],
            expect: &[("/token#1", "client_secret="), ("/revoke#1", "authorization: Basic "), ("/revoke#1", "!client_secret")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_parameters"],
            tables: "[oauth2]\nrefresh_parameters = { redirect_uri = \"{redirect_uri}\" }",
            expect: &[("/token#2", "redirect_uri=http%3A%2F%2F127.0.0.1"), ("/token#2", "toolkits%2Fauth%2Fcallback%2Fac_")],
            ..P
        },
        Case {
            keys: &["OAuth2.authorization_parameters"],
            tables: "[oauth2]\nauthorization_parameters = { nonce = \"{nonce}\" }",
            expect: &[("authorize", "&nonce="), ("authorize", "!{nonce}"), ("account", "ACTIVE")],
            ..P
        },
        Case {
            keys: &["OAuth2.authorization_parameters"],
            tables: "[oauth2]\nauthorization_parameters = { nonce = \"{nonce}\" }",
            // {"nonce":"another"}
            answers: &[("/token", r#"{"access_token":"AT1","id_token":"e30.eyJub25jZSI6ImFub3RoZXIifQ.x"}"#)],
            expect: &[("account", "INITIATED"), ("account", "its nonce is another")],
            ..P
        },
        Case {
            keys: &["ClientAuthentication.client_secret_as_username"],
            tables: "[oauth2]\nclient_authentication = \"client_secret_as_username\"",
            // the client secret:
            expect: &[("/token#1", "authorization: Basic dGhlIGNsaWVudCBzZWNyZXQ6")],
            ..P
        },
        Case {
            keys: &["ClientAuthentication.client_secret_jwt", "OAuth2.client_assertion", "ClientAssertion.algorithm",
                "ClientAssertion.audience", "ClientAssertion.issuer"],
            tables: r#"[oauth2]
                client_authentication = "client_secret_jwt"
                client_assertion = { algorithm = "HS256", audience = "https://aud.example.com", issuer = "me-{client_id}" }"#,
            credentials: r#"{ "client_secret": "0123456789abcdef0123456789abcdef" }"#,
            // {"alg":"HS256" … without a secret
            expect: &[("/token#1", "client_assertion=eyJ"), ("/token#1", "client_assertion_type=urn%3Aietf"),
                ("/token#1", "!0123456789abcdef")],
            ..P
        },
        Case {
            keys: &["ClientAuthentication.none"],
            tables: "[oauth2]\nclient_authentication = \"none\"",
            expect: &[("/token#1", "client_id=the-client"), ("/token#1", "!secret")],
            ..P
        },
        Case {
            keys: &["OAuth2.token_request_format", "TokenRequestFormat.json"],
            tables: "[oauth2]\ntoken_request_format = \"json\"",
            expect: &[("/token#1", "content-type: application/json"), ("/token#1", "\"code\":\"the-code\"")],
            ..P
        },
        Case {
            keys: &["TokenRequestFormat.query"],
            tables: "[oauth2]\ntoken_request_format = \"query\"\nclient_authentication = \"client_secret_basic\"",
            expect: &[("/token#1", "POST /token?"), ("/token#1", "code=the-code")],
            ..P
        },
        Case {
            keys: &["OAuth2.steps", "Call.url", "Call.method", "Call.parameters", "Call.format", "CallFormat.query",
                "Call.headers"],
            tables: r#"[oauth2]
                refresh = "none"
                [[oauth2.steps]]
                method = "GET"
                url = "$ORIGIN/longer"
                format = "query"
                parameters = { grant_type = "exchange", client = "{client_id}" }
                headers = { Authorization = "Bearer {access_token}" }"#,
            answers: &[("/longer", r#"{"access_token":"LONG","expires_in":5184000}"#)],
            expect: &[("/longer", "GET /longer?client=the-client&grant_type=exchange"),
                ("/longer", "authorization: Bearer AT1"), ("/api/thing#2", "authorization: Bearer LONG")],
            ..P
        },
        Case {
            keys: &["OAuth2.refresh_call", "Call.client_authentication", "CallFormat.form"],
            tables: r#"[oauth2]
                [oauth2.refresh_call]
                url = "$ORIGIN/renew"
                client_authentication = "client_secret_basic"
                parameters = { token = "{access_token}" }"#,
            answers: &[("/token", r#"{"access_token":"AT1","expires_in":1000}"#),
                ("/renew", r#"{"access_token":"AT2","expires_in":600}"#)],
            expect: &[("/renew", "token=AT1"), ("/renew", "authorization: Basic "),
                ("/api/thing#2", "Bearer AT2")],
            ..P
        },
        Case {
            keys: &["OAuth2.revocation_url"],
            tables: "[oauth2]\nrevocation_url = \"$ORIGIN/gone\"",
            answers: &[("/gone", "{}")],
            expect: &[("/gone", "token=RT1"), ("/gone", "token_type_hint=refresh_token")],
            ..P
        },
        Case {
            keys: &["OAuth2.revoke", "CallFormat.json"],
            tables: r#"[oauth2]
                [oauth2.revoke]
                method = "DELETE"
                url = "$ORIGIN/apps/{client_id}/{token}"
                format = "json"
                parameters = { token = "{token}" }"#,
            answers: &[("/apps/the-client/RT1", "{}"), ("/apps/the-client/AT1", "{}")],
            expect: &[("/apps/the-client/AT1", "DELETE"), ("/apps/the-client/AT1", "{\"token\":\"AT1\"}")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_answers() {
    prove(&[
        Case {
            keys: &["OAuth2.response", "TokenResponse.access_token", "TokenResponse.refresh_token",
                "TokenResponse.expires_in", "TokenResponse.time_unit", "TokenResponse.scope",
                "TokenResponse.token_type", "TokenResponse.ok_pointer", "TokenResponse.ok_value",
                "TokenResponse.capture", "OAuth2.tokens", "ExtraToken.name", "ExtraToken.access_token",
                "ExtraToken.hosts", "OAuth2.apply"],
            top: "",
            tables: r#"[oauth2]
                scopes = ["a", "b"]
                tokens = [{ name = "user", access_token = "/data/user_token", hosts = ["$HOST"] }]
                apply = [{ header = "Authorization", value = "Bearer {access_token}" }, { header = "X-Team", value = "{team}" }]
                [oauth2.response]
                access_token = "/data/token"
                refresh_token = "/data/again"
                expires_in = "/data/ms"
                time_unit = "milliseconds"
                scope = "/data/scopes"
                token_type = "/data/kind"
                ok_pointer = "/ok"
                ok_value = true
                capture = [{ name = "team", at = "/data/team", required = true }]"#,
            answers: &[("/token", r#"{"ok":true,"data":{"token":"NESTED","again":"RT9","ms":600000,"scopes":["a"],"kind":"bearer","user_token":"USER","team":"T7"}}"#)],
            expect: &[("/api/thing#1", "Bearer USER"),
                ("/api/thing#1", "x-team: T7"), ("/token#2", "refresh_token=RT9"),
                ("account", "\"missing\":[\"b\"]"), ("account", "\"granted\":[\"a\"]")],
            ..P
        },
        Case {
            keys: &["TokenResponse.access_token"],
            tables: r#"[oauth2]
                [oauth2.response]
                access_token = "header:X-Token"
                refresh_token = "cookie:again""#,
            answers: &[("/token", "X-Token: FROMHEADER\nset-cookie: again=FROMCOOKIE; Path=/\n{\"expires_in\":600}")],
            expect: &[("/api/thing#1", "Bearer FROMHEADER"), ("/token#2", "refresh_token=FROMCOOKIE")],
            ..P
        },
        Case {
            keys: &["TokenResponse.error_pointer", "TokenResponse.error_value", "TokenResponse.errors",
                "TokenErrors.code", "TokenErrors.description", "TokenErrors.invalid_client"],
            tables: r#"[oauth2]
                [oauth2.response]
                error_pointer = "/status"
                error_value = "failed"
                [oauth2.response.errors]
                code = "/why/number"
                description = "/why/text"
                invalid_client = ["4711"]"#,
            answers: &[("/token", r#"{"status":"failed","why":{"number":4711,"text":"no such app"}}"#)],
            expect: &[("page", "app"), ("account", "INITIATED"), ("account", "no such app")],
            ..P
        },
        Case {
            keys: &["TokenErrors.invalid_grant"],
            tables: "[oauth2]\n[oauth2.response.errors]\ninvalid_grant = [\"bad_refresh_token\"]",
            answers: &[("1 /token", super::TOKEN), ("/token", "400\n{\"error\":\"bad_refresh_token\"}")],
            expect: &[("account", "EXPIRED"), ("account", "Permanent auth")],
            ..P
        },
        Case {
            keys: &["TokenErrors.transient"],
            tables: "[oauth2]\n[oauth2.response.errors]\ntransient = [\"busy\"]",
            answers: &[("1 /token", super::TOKEN), ("/token", "400\n{\"error\":\"busy\"}")],
            expect: &[("account", "\"status\":\"ACTIVE\"")],
            ..P
        },
    ])
    .await;
}
