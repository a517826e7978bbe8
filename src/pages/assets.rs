//! Static files of the pages, and a monogram per toolkit in place of a logo.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;

const STYLESHEET: &str = include_str!("../../assets/connect.css");
const REFERENCE: &str = include_str!("../../assets/reference.css");

/// Asset routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/assets/connect.css", get(|| async { stylesheet(STYLESHEET) }))
        .route("/assets/reference.css", get(|| async { stylesheet(REFERENCE) }))
        .route("/assets/toolkits/{file}", get(monogram))
}

fn stylesheet(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")], text)
        .into_response()
}

/// The first letter of the toolkit's name on its colour. Logos of providers are trademarks and are not
/// shipped.
async fn monogram(State(app): State<Arc<App>>, Path(file): Path<String>) -> Response {
    let toolkit = file.strip_suffix(".svg").and_then(|slug| app.core.toolkit(slug));
    let Some(toolkit) = toolkit else { return StatusCode::NOT_FOUND.into_response() };
    let letter = toolkit.name.chars().find(|letter| letter.is_alphanumeric()).unwrap_or('?').to_uppercase();
    let ink = if is_light(&toolkit.color) { "#1b1f24" } else { "#ffffff" };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" width=\"64\" height=\"64\">\
         <rect width=\"64\" height=\"64\" rx=\"14\" fill=\"{}\"/>\
         <text x=\"32\" y=\"44\" font-family=\"system-ui, sans-serif\" font-size=\"34\" font-weight=\"600\" \
         text-anchor=\"middle\" fill=\"{ink}\">{letter}</text></svg>",
        toolkit.color
    );
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (headers, svg).into_response()
}

/// Whether dark text is more readable on a `#rrggbb` colour (relative luminance of sRGB, unrounded).
fn is_light(color: &str) -> bool {
    let part = |at: usize| color.get(at..at + 2).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
    part(1) * 299 + part(3) * 587 + part(5) * 114 > 150_000
}
