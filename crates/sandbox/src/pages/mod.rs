//! The HTML pages: plain HTML with one stylesheet, no script, and a strict content security policy.

mod html;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::app::App;
use crate::users::{Scope, Scopes, User};
use html::{Text, document};

/// Also allows `http:` and `https:` as form targets: browsers apply `form-action` to every redirect after the
/// POST, and after consent these lead to the client and on to the URL of its application.
const CSP_WITH_FORM: &str = "default-src 'none'; style-src 'self'; \
    form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'";

const CSP_WITHOUT_FORM: &str = "default-src 'none'; style-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The common parts of the login page and the consent page.
pub(crate) struct Form<'a> {
    /// Target URL of the form.
    pub action: &'a str,
    /// The CSRF token.
    pub token: &'a str,
    /// Error of the previous submission.
    pub notice: Option<&'a str>,
    /// The requesting client.
    pub client_id: &'a str,
}

/// The login page.
pub(crate) fn login(status: StatusCode, form: &Form<'_>) -> Response {
    let main = format!(
        r#"<h1>Log in to Sandbox</h1>
<p class="lead">to continue to <bdi class="client">{client}</bdi></p>
{notice}
<form method="post" action="{action}">
<input type="hidden" name="csrf" value="{token}">
<label for="username">User name</label>
<input id="username" name="username" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus aria-describedby="hint">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required aria-describedby="hint">
<div class="buttons"><button class="primary" type="submit" name="action" value="login">Log in</button></div>
</form>
<div class="hint" id="hint">
<p>This is a demo. Two users live here:</p>
<ul>{users}</ul>
</div>"#,
        client = Text(form.client_id),
        notice = notice(form.notice),
        action = Text(form.action),
        token = Text(form.token),
        users = demo_users(),
    );
    page(status, CSP_WITH_FORM, &document("Log in", &main))
}

/// The consent page.
pub(crate) fn consent(
    status: StatusCode,
    form: &Form<'_>,
    user: User,
    scopes: &Scopes,
    redirect_uri: &str,
) -> Response {
    let mut rows = String::new();
    for scope in scopes {
        let (words, name) = (scope.description(), scope.name());
        // Writing to a string does not fail.
        let _ = write!(rows, "<li><span>{words}</span> <code>{name}</code></li>");
    }
    // `/api/me` is available to every connected app, so that consent must list it without a scope.
    let always = if scopes.contains(&Scope::Profile) {
        ""
    } else {
        "Like every connected app, it also learns your name and email address. "
    };
    let main = format!(
        r#"<h1>Allow <bdi class="client">{client}</bdi> to use your account?</h1>
<p class="who"><span class="avatar" aria-hidden="true">{initial}</span><span>Logged in as <strong>{name}</strong><br><span class="quiet">{email}</span></span></p>
{notice}
<h2>It will be able to</h2>
<ul class="scopes">{rows}</ul>
<p class="quiet">{always}You go back to <bdi>{target}</bdi>.</p>
<form method="post" action="{action}">
<input type="hidden" name="csrf" value="{token}">
<div class="buttons">
<button class="primary" type="submit" name="decision" value="allow">Allow</button>
<button class="secondary" type="submit" name="decision" value="deny">Deny</button>
</div>
<button class="link" type="submit" name="decision" value="switch">Use another account</button>
</form>"#,
        client = Text(form.client_id),
        initial = Text(&user.name()[..1]),
        name = Text(user.name()),
        email = Text(user.email()),
        notice = notice(form.notice),
        target = Text(origin(redirect_uri)),
        action = Text(form.action),
        token = Text(form.token),
    );
    page(status, CSP_WITH_FORM, &document("Allow access?", &main))
}

/// An authorization request that must not be answered by redirect.
pub(crate) fn refused_request(reason: &str) -> Response {
    let main = format!(
        r#"<h1>This request cannot be trusted</h1>
<p role="alert" class="alert">{reason}</p>
<p>Nothing was shared, and you were not sent anywhere. Go back to the app you came from and try again; if it happens again, its settings need a look.</p>"#,
        reason = Text(reason),
    );
    page(StatusCode::BAD_REQUEST, CSP_WITHOUT_FORM, &document("Request refused", &main))
}

/// The state file could not be written; see the log.
pub(crate) fn storage_failed() -> Response {
    let main = r#"<h1>That did not work</h1>
<p role="alert" class="alert">Sandbox could not save the change.</p>
<p>The log of the program says why. Nothing was shared.</p>"#;
    page(StatusCode::INTERNAL_SERVER_ERROR, CSP_WITHOUT_FORM, &document("Error", main))
}

/// `GET /`: a description of the provider.
pub(crate) async fn home(State(app): State<Arc<App>>) -> Response {
    let main = format!(
        r#"<h1>A provider to try things with</h1>
<p class="lead">Sandbox is a small OAuth provider with a notes API, for use without an account anywhere.</p>
<h2>Users</h2>
<ul>{users}</ul>
<p class="quiet">The API also takes HTTP Basic, or an <code>X-Api-Key</code> header such as <code>{key}</code>.</p>
<h2>Addresses</h2>
<ul class="plain">
<li><code>{issuer}/.well-known/oauth-authorization-server</code></li>
<li><code>{issuer}/api/me</code></li>
<li><code>{issuer}/api/notes</code></li>
<li><code>{issuer}/api/echo</code></li>
</ul>
<p class="quiet">Access tokens live {ttl} seconds, so that refreshing them is seen to work. Passwords and keys are public: keep nothing here that matters.</p>"#,
        users = demo_users(),
        key = User::Alice.api_key(),
        issuer = Text(&app.config.issuer),
        ttl = app.config.access_token_ttl_seconds,
    );
    page(StatusCode::OK, CSP_WITHOUT_FORM, &document("Demo provider", &main))
}

/// Any other URL.
pub(crate) async fn not_found() -> Response {
    let main = r#"<h1>Nothing here</h1>
<p>This address does not exist. <a href="/">What is this?</a></p>"#;
    page(StatusCode::NOT_FOUND, CSP_WITHOUT_FORM, &document("Not found", main))
}

/// Redirects the browser with a GET (303: RFC 9700 §4.12).
pub(crate) fn redirect(url: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(url) else {
        return refused_request("The address to go back to cannot be written in a header.");
    };
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn page(status: StatusCode, csp: &'static str, document: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, csp),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    (status, headers, document.to_owned()).into_response()
}

fn notice(text: Option<&str>) -> String {
    match text {
        Some(text) => format!(r#"<p role="alert" class="alert">{}</p>"#, Text(text)),
        None => String::new(),
    }
}

fn demo_users() -> String {
    let mut rows = String::new();
    for user in User::ALL {
        let (username, password) = (user.username(), user.password());
        // Writing to a string does not fail.
        let _ = write!(rows, "<li><code>{username}</code> with password <code>{password}</code></li>");
    }
    rows
}

/// Scheme, host and port of a redirect URI.
fn origin(uri: &str) -> &str {
    let after_scheme = uri.find("://").map_or(0, |at| at + 3);
    let end = uri[after_scheme..].find(['/', '?']).map_or(uri.len(), |at| after_scheme + at);
    &uri[..end]
}
