//! Schemes in which the service gets tokens by itself, and OAuth 1.0a.

use super::{Case, prove};

const P: Case = Case::PLAIN;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_without_a_user() {
    let key: &'static str = include_str!("service_account.pem");
    let key_file: &'static str = serde_json::json!({
        "client_email": "robot@example.iam.example.com", "private_key_id": "kid-1", "private_key": key,
    })
    .to_string()
    .leak();
    let google: &'static [(&str, &str)] = vec![("credentials_json", key_file)].leak();
    let app: &'static [(&str, &str)] =
        vec![("application_id", "77"), ("installation_id", "4242"), ("private_key", key)].leak();
    prove(&[
        Case {
            keys: &["Toolkit.s2s_oauth2", "TokenScheme.fields", "TokenScheme.steps", "TokenScheme.expires_in",
                "TokenScheme.apply", "TokenScheme.base_url", "TokenScheme.revoke", "Call.client_authentication"],
            tables: r#"
                [s2s_oauth2]
                base_url = "$ORIGIN/machine"
                expires_in = 600
                fields = [
                  { name = "client_id", display_name = "Client id" },
                  { name = "client_secret", display_name = "Secret", secret = true },
                ]
                apply = [{ header = "X-Token", value = "{access_token}" }]
                [[s2s_oauth2.steps]]
                url = "$ORIGIN/machine-token"
                client_authentication = "client_secret_basic"
                parameters = { grant_type = "client_credentials" }
                [s2s_oauth2.revoke]
                url = "$ORIGIN/machine-end"
                parameters = { token = "{token}" }"#,
            form: &[("client_id", "m"), ("client_secret", "s")],
            answers: &[("1 /machine-token", r#"{"access_token":"M1"}"#), ("/machine-token", r#"{"access_token":"M2"}"#),
                ("/machine/thing", "{}"), ("/machine-end", "{}")],
            expect: &[("/machine-token#1", "authorization: Basic bTpz"),
                ("/machine-token#1", "grant_type=client_credentials"), ("/machine/thing#1", "x-token: M1"),
                ("/machine/thing#2", "x-token: M2"), ("/machine-end", "token=M2")],
            ..P
        },
        Case {
            keys: &["Toolkit.basic_with_jwt", "Call.body", "Call.content_type", "Call.escape", "Escape.xml"],
            tables: r#"
                [basic_with_jwt]
                expires_in = 600
                fields = [
                  { name = "username", display_name = "User" },
                  { name = "password", display_name = "Password", secret = true },
                ]
                [[basic_with_jwt.steps]]
                url = "$ORIGIN/login"
                content_type = "text/xml"
                escape = "xml"
                body = "<login user='{username}'>{password}</login>"
                [basic_with_jwt.steps.response]
                access_token = "/jwt""#,
            form: &[("username", "ada"), ("password", "<&>")],
            answers: &[("/login", r#"{"jwt":"J1"}"#)],
            expect: &[("/login", "<login user='ada'>&lt;&amp;&gt;</login>"), ("/login", "content-type: text/xml"),
                ("/api/thing", "Bearer J1")],
            ..P
        },
        Case {
            keys: &["Toolkit.google_service_account", "Call.assertion", "Assertion.key", "Assertion.algorithm",
                "Assertion.claims", "Assertion.header", "Assertion.lifetime"],
            tables: r#"
                [google_service_account]
                fields = [{ name = "credentials_json", display_name = "Key file", secret = true, format = "document" }]
                [[google_service_account.steps]]
                url = "$ORIGIN/google"
                parameters = { grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion = "{assertion}" }
                [google_service_account.steps.assertion]
                algorithm = "RS256"
                key = "{private_key}"
                header = { kid = "{private_key_id}" }
                claims = { iss = "{client_email}", aud = "$ORIGIN/google" }
                lifetime = 3600"#,
            form: google,
            answers: &[("/google", r#"{"access_token":"G1","expires_in":600}"#)],
            // The first bytes of a header that begins with "alg".
            expect: &[("/google", "assertion=eyJ"), ("/google", "!PRIVATE"), ("/api/thing", "Bearer G1")],
            ..P
        },
        Case {
            keys: &["Toolkit.service_account", "Call.headers", "Call.response", "TokenResponse.expires_at"],
            tables: r#"
                [service_account]
                fields = [
                  { name = "application_id", display_name = "App" },
                  { name = "installation_id", display_name = "Installation", format = "path_segment" },
                  { name = "private_key", display_name = "Key", secret = true, format = "document" },
                ]
                [[service_account.steps]]
                url = "$ORIGIN/app/installations/{installation_id}/access_tokens"
                headers = { Authorization = "Bearer {assertion}" }
                [service_account.steps.assertion]
                key = "{private_key}"
                claims = { iss = "{application_id}" }
                [service_account.steps.response]
                access_token = "/token"
                expires_at = "/expires_at""#,
            form: app,
            answers: &[("/app/installations/4242/access_tokens", r#"{"token":"I1","expires_at":"2030-01-01T00:00:00Z"}"#)],
            expect: &[("/app/installations/4242/access_tokens", "authorization: Bearer eyJ"),
                ("/api/thing", "Bearer I1"), ("account", "2030-01-01"), ("account", "\"application_id\":\"77\""),
                ("account", "\"private_key\":\"")],
            ..P
        },
        Case {
            keys: &["Toolkit.saml"],
            tables: r#"
                [saml]
                fields = [{ name = "assertion_xml", display_name = "Assertion", secret = true, format = "document" }]
                [[saml.steps]]
                url = "$ORIGIN/saml"
                parameters = { grant_type = "urn:ietf:params:oauth:grant-type:saml2-bearer", assertion = "{assertion_xml}" }"#,
            form: &[("assertion_xml", "PHNhbWw-")],
            answers: &[("/saml", r#"{"access_token":"S1","expires_in":600}"#)],
            expect: &[("/saml", "assertion=PHNhbWw-"), ("/api/thing", "Bearer S1")],
            ..P
        },
        Case {
            keys: &["Toolkit.billcom_auth", "Escape.json"],
            tables: r#"
                [billcom_auth]
                expires_in = 600
                fields = [
                  { name = "username", display_name = "User" },
                  { name = "password", display_name = "Password", secret = true },
                ]
                apply = [{ header = "sessionId", value = "{access_token}" }]
                [[billcom_auth.steps]]
                url = "$ORIGIN/session"
                content_type = "application/json"
                escape = "json"
                body = "{{\"user\":\"{username}\",\"password\":\"{password}\"}}"
                response = { access_token = "/sessionId" }"#,
            form: &[("username", "ada"), ("password", "a\"b")],
            answers: &[("/session", r#"{"sessionId":"B1"}"#)],
            expect: &[("/session", r#"{"user":"ada","password":"a\"b"}"#), ("/api/thing", "sessionid: B1"), ("account", "\"devKey\":\"REDACTED\""), ("account", "\"sessionId\":\"")],
            ..P
        },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_1() {
    prove(&[Case {
        keys: &[
            "Toolkit.oauth1",
            "OAuth1.request_token_url",
            "OAuth1.authorization_url",
            "OAuth1.access_token_url",
            "OAuth1.authorization_parameters",
            "OAuth1.base_url",
            "OAuth1.capture",
            "OAuth1.realm",
            "OAuth1.request_parameters",
            "OAuth1.revoke",
            "OAuth1.signature_method",
            "OAuth1.expires_in",
            "OAuth1.fields",
            "OAuth1.identity",
        ],
        tables: r#"
            [oauth1]
            request_token_url = "$ORIGIN/temporary"
            authorization_url = "$ORIGIN/allow"
            access_token_url = "$ORIGIN/lasting"
            authorization_parameters = { expiration = "never", name = "{app_name}" }
            fields = [{ name = "app_name", display_name = "App", default = "Robot" }]
            request_parameters = { scope = "all" }
            signature_method = "HMAC-SHA256"
            realm = "things"
            base_url = "$ORIGIN/{team}"
            expires_in = 7200
            capture = [{ name = "team", at = "/team", format = "path_segment", required = true }]
            identity = { request = { url = "/me" }, id = "/id" }
            [oauth1.revoke]
            method = "DELETE"
            url = "$ORIGIN/tokens"
            [identity]
            request = { url = "/other" }
            id = "/id""#,
        credentials: r#"{ "consumer_key": "ck", "consumer_secret": "cs" }"#,
        callback: "oauth_token=t1&oauth_verifier=v1",
        answers: &[
            ("/temporary", "oauth_token=t1&oauth_token_secret=s1&oauth_callback_confirmed=true"),
            ("/lasting", "oauth_token=t2&oauth_token_secret=s2&team=T7"),
            ("/T7/thing", "{}"),
            ("/T7/me", "{\"id\":\"m-1\"}"),
            ("/tokens", "{}"),
        ],
        expect: &[
            ("/temporary", "scope=all"),
            ("/temporary", "oauth_signature_method=\"HMAC-SHA256\""),
            ("/temporary", "realm=\"things\""),
            ("authorize", "/allow?"),
            ("authorize", "oauth_token=t1"),
            ("authorize", "expiration=never"),
            ("authorize", "name=Robot"),
            ("/lasting", "oauth_verifier=\"v1\""),
            ("account", "\"id\":\"m-1\""),
            ("/T7/thing", "oauth_token=\"t2\""),
            ("/tokens", "DELETE /tokens"),
            ("/tokens", "oauth_token=\"t2\""),
            ("account", "access_token_expires_at\":\"2"),
        ],
        ..P
    }])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_names_its_authorization_server() {
    prove(&[Case {
        keys: &["Toolkit.dcr_oauth", "OAuth2.resource", "OAuth2.registration_parameters", "OAuth2.registration_url"],
        tables: r#"
            [dcr_oauth]
            resource = "$ORIGIN/mcp"
            registration_parameters = { software_id = "quirk" }"#,
        answers: &[
            ("/.well-known/oauth-protected-resource/mcp",
                r#"{"resource":"$ORIGIN/mcp","authorization_servers":["$ORIGIN"]}"#),
            ("/.well-known/oauth-authorization-server",
                r#"{"issuer":"$ORIGIN","authorization_endpoint":"$ORIGIN/authorize","token_endpoint":"$ORIGIN/token","registration_endpoint":"$ORIGIN/register","code_challenge_methods_supported":["S256"]}"#),
            ("/register", "201\n{\"client_id\":\"registered\",\"token_endpoint_auth_method\":\"none\"}"),
        ],
        expect: &[
            ("/register", "\"software_id\":\"quirk\""), ("authorize", "client_id=registered"),
            ("authorize", "resource=http%3A%2F%2F"), ("/token#1", "resource=http%3A%2F%2F"),
        ],
        ..P
    }])
    .await;
}
