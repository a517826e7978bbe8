//! Templates: compiled in, escaped automatically, rendered to a page.

use std::fmt::Write;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, Value};
use serde::Serialize;

/// Longer names are truncated: they come from outside.
const MAX_NAME: usize = 80;

/// Product name on every page.
pub const BRAND: &str = "Switchboard";

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("code", code);
        for (name, text) in [
            ("layout.html", include_str!("../../templates/layout.html")),
            ("connect.html", include_str!("../../templates/connect.html")),
            ("choice.html", include_str!("../../templates/choice.html")),
            ("scheme_choice.html", include_str!("../../templates/scheme_choice.html")),
            ("device.html", include_str!("../../templates/device.html")),
            ("result.html", include_str!("../../templates/result.html")),
            ("fields.html", include_str!("../../templates/fields.html")),
            ("reference.html", include_str!("../../templates/reference.html")),
        ] {
            // A template that does not compile fails the test below, and its page at run time.
            if let Err(error) = environment.add_template(name, text) {
                tracing::error!(template = name, error = %error, "template does not compile");
            }
        }
        environment
    })
}

/// Text of a description as HTML: text between backticks becomes `<code>`.
#[expect(clippy::needless_pass_by_value, reason = "what filters of the template engine take")]
fn code(text: String) -> Value {
    let mut html = String::with_capacity(text.len() + 16);
    let parts: Vec<&str> = text.split('`').collect();
    // An unpaired backtick stays as it is.
    let paired = parts.len() - 1 + parts.len() % 2;
    for (index, part) in parts.iter().enumerate() {
        let escaped = HtmlEscape(part);
        let _ = match index {
            index if index % 2 == 1 && index < paired => write!(html, "<code>{escaped}</code>"),
            index if index % 2 == 1 => write!(html, "`{escaped}"),
            _ => write!(html, "{escaped}"),
        };
    }
    Value::from_safe_string(html)
}

/// The HTML of a page; none on a template error, which is logged.
pub fn render(template: &str, context: &impl Serialize) -> Option<String> {
    let rendered =
        environment().get_template(template).and_then(|template| template.render(Value::from(Serde(context))));
    rendered.inspect_err(|error| tracing::error!(template, error = %error, "page could not be rendered")).ok()
}

/// A page; on a template error a plain sentence instead of a partial page.
pub fn page(status: StatusCode, template: &str, context: &impl Serialize) -> Response {
    let (status, html) = match render(template, context) {
        Some(html) => (status, html),
        None => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "<!doctype html><title>Error</title><p>This page cannot be shown.".to_owned(),
        ),
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A name from outside, truncated for display.
pub fn short(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME - 1).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_compiles() {
        for name in [
            "layout.html",
            "connect.html",
            "choice.html",
            "scheme_choice.html",
            "device.html",
            "result.html",
            "fields.html",
            "reference.html",
        ] {
            assert!(environment().get_template(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn backticks_become_code_and_markup_stays_text() {
        let shown = |text: &str| code(text.to_owned()).to_string();
        assert_eq!(shown("a `b` c `d`"), "a <code>b</code> c <code>d</code>");
        assert_eq!(shown("`<b>` & <i>"), "<code>&lt;b&gt;</code> &amp; &lt;i&gt;");
        assert_eq!(shown("one ` alone"), "one ` alone");
        assert_eq!(shown("`a` and ` alone"), "<code>a</code> and ` alone");
    }

    #[test]
    fn long_names_are_truncated() {
        assert_eq!(short("short"), "short");
        assert_eq!(short(&"x".repeat(10_000)).chars().count(), MAX_NAME);
    }
}
