//! A provider with a controllable clock, and a browser with a cookie.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use switchboard_sandbox::{Client, Clock, SandboxConfig, router};
use tower::ServiceExt as _;

pub const ISSUER: &str = "http://127.0.0.1:4000";
pub const REDIRECT_URI: &str = "http://127.0.0.1:3000/callback/ac_1";

/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A confidential client whose secret changes when it is form-encoded.
pub const CLIENT: &str = "app one";
pub const SECRET: &str = "s+cr%t:&ü";

pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub struct Sandbox {
    router: Router,
    clock: Arc<TestClock>,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

pub fn config(state_file: Option<PathBuf>) -> SandboxConfig {
    let client = |client_id: &str, client_secret: Option<&str>| Client {
        client_id: client_id.into(),
        client_secret: client_secret.map(Into::into),
        redirect_uri_prefixes: vec!["http://127.0.0.1:3000/callback/".into()],
    };
    SandboxConfig {
        issuer: ISSUER.into(),
        clients: vec![client(CLIENT, Some(SECRET)), client("other", Some("other-secret")), client("public", None)],
        access_token_ttl_seconds: 60,
        state_file,
    }
}

impl Sandbox {
    pub fn start() -> Self {
        Self::start_with(config(None))
    }

    pub fn start_with(config: SandboxConfig) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000)));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        Self { router: router(config, shared).expect("the configuration is good"), clock }
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub async fn get(&self, uri: &str) -> Reply {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    /// `GET` with a header.
    pub async fn get_with(&self, uri: &str, name: &str, value: &str) -> Reply {
        let request = Request::get(uri).header(name, value);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn get_as(&self, uri: &str, access_token: &str) -> Reply {
        let value = format!("Bearer {access_token}");
        self.get_with(uri, "authorization", &value).await
    }

    /// Posts a form as the confidential client, with HTTP Basic.
    pub async fn post_as_client(&self, uri: &str, form: &[(&str, &str)]) -> Reply {
        let authorization = basic_of_client(CLIENT, SECRET);
        let request = Request::post(uri)
            .header("authorization", authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(form)))
            .unwrap();
        self.send(request).await
    }

    pub async fn post_form(&self, uri: &str, form: &[(&str, &str)]) -> Reply {
        let request = Request::post(uri)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(form)))
            .unwrap();
        self.send(request).await
    }

    pub async fn redeem(&self, code: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        self.post_as_client("/oauth/token", &form).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Reply {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.post_as_client("/oauth/token", &form).await
    }

    pub async fn revoke(&self, token: &str) -> Reply {
        self.post_as_client("/oauth/revoke", &[("token", token)]).await
    }

    /// Logs in, allows the scopes, and returns the code.
    pub async fn consent(&self, username: &str, scope: &str) -> String {
        let uri = authorize_uri(&[("scope", scope)]);
        let mut browser = Browser::new(self);
        browser.log_in(&uri, username).await;
        let answer = browser.post(&uri, &[("decision", "allow")]).await;
        answer.location_param("code").expect("a code")
    }

    /// The whole flow: access token and refresh token.
    pub async fn connect(&self, username: &str, scope: &str) -> (String, String) {
        let code = self.consent(username, scope).await;
        self.redeem(&code).await.tokens()
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: impl AsRef<str>) -> &str {
        let value = self.headers.get(name.as_ref());
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// A parameter of the query that the reply redirects to.
    pub fn location_param(&self, name: &str) -> Option<String> {
        let (_, query) = self.header(LOCATION).split_once('?')?;
        let params: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        params.get(name).cloned()
    }

    pub fn tokens(&self) -> (String, String) {
        assert_eq!(self.status, 200, "{}", self.body);
        let body = self.json();
        let token = |name: &str| body[name].as_str().expect(name).to_owned();
        (token("access_token"), token("refresh_token"))
    }

    /// Asserts status and `error` of a JSON error.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.json()["error"], error, "{}", self.body);
        let description = self.json()["error_description"].to_string();
        assert!(description.len() > 2, "no description: {}", self.body);
    }
}

/// A browser: keeps the cookie and reads the form token of the last page.
pub struct Browser<'s> {
    sandbox: &'s Sandbox,
    pub cookie: Option<String>,
    form_token: String,
}

impl<'s> Browser<'s> {
    pub fn new(sandbox: &'s Sandbox) -> Self {
        Self { sandbox, cookie: None, form_token: String::new() }
    }

    pub async fn get(&mut self, uri: &str) -> Reply {
        let request = self.with_cookie(Request::get(uri));
        let reply = self.sandbox.send(request.body(Body::empty()).unwrap());
        let reply = reply.await;
        self.learn(&reply);
        reply
    }

    /// Submits the form of the last page.
    pub async fn post(&mut self, uri: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.form_token.clone();
        let mut form = vec![("csrf", token.as_str())];
        form.extend_from_slice(fields);
        let request = self.with_cookie(Request::post(uri)).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = Body::from(encode(&form));
        let reply = self.sandbox.send(request.body(body).unwrap()).await;
        self.learn(&reply);
        reply
    }

    /// Logs in and follows the redirect to the consent page.
    pub async fn log_in(&mut self, uri: &str, username: &str) -> Reply {
        self.get(uri).await;
        let fields = [("username", username), ("password", username)];
        let answer = self.post(uri, &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let next = answer.header(LOCATION).to_owned();
        self.get(&next).await
    }

    fn with_cookie(&self, request: Builder) -> Builder {
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, format!("theme=dark; {cookie}")),
            None => request,
        }
    }

    fn learn(&mut self, reply: &Reply) {
        if let Some((pair, _)) = reply.header(SET_COOKIE).split_once(';') {
            self.cookie = Some(pair.to_owned());
        }
        let marker = r#"name="csrf" value=""#;
        if let Some((_, rest)) = reply.body.split_once(marker) {
            let (token, _) = rest.split_once('"').unwrap();
            token.clone_into(&mut self.form_token);
        }
    }
}

/// A valid authorization request with some parameters replaced; an empty one is omitted.
pub fn authorize_uri(changes: &[(&str, &str)]) -> String {
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "notes:read notes:write"),
        ("state", "st&te=1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for &(name, value) in changes {
        params.retain(|(existing, _)| *existing != name);
        if !value.is_empty() {
            params.push((name, value));
        }
    }
    format!("/oauth/authorize?{}", encode(&params))
}

pub fn encode(params: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// RFC 6749 §2.3.1: form-encoded first, then Base64.
pub fn basic_of_client(client_id: &str, client_secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    basic(&encoded(client_id), &encoded(client_secret))
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
