//! The HTTP service: operations of the REST API by the table, everything else by a router.
//!
//! Every operation is available under `/api/v3.1` and `/api/v3`. Everything requires a key
//! ([`http::auth::require_key`]) except [`public`] and operations that the table marks as public. The
//! table of operations is [`table`]: routes, keys and permissions.
//!
//! A link call can be followed through four files: this one → `session/links.rs` → `app/link/mod.rs` →
//! `crates/store/src/links.rs` (the account's row: `…/accounts/state.rs`).

pub mod account;
pub mod approval;
pub mod auth_config;
pub mod file;
pub mod http;
pub mod logs;
pub mod mcp;
pub mod openapi;
pub mod operations;
pub mod org;
pub mod session;
pub mod table;
pub mod tool;
pub mod toolkit;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tower::Service;

use self::http::edge::{self, Target};
use self::operations::{EARLIER_PREFIX, PREFIX};
use crate::app::App;
use crate::pages;

/// The whole HTTP service: API, pages, health. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    app: Arc<App>,
    /// Everything but the operations of the table.
    others: Router,
}

impl Api {
    /// Creates the service.
    pub fn new(app: &Arc<App>) -> Self {
        table::prepare();
        let others = Router::new()
            .nest(PREFIX, public())
            .nest(EARLIER_PREFIX, public())
            .merge(outside_the_prefix())
            .merge(pages::router())
            .merge(http::health::router())
            .fallback(http::error::unknown_path)
            .method_not_allowed_fallback(http::error::unknown_method)
            .layer(from_fn_with_state(Arc::clone(app), guard_other))
            .with_state(Arc::clone(app));
        Self { app: Arc::clone(app), others }
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Around everything, [`edge::guard`] assigns the request id, validates HTTP, counts for the rate limits, checks the
    /// key, writes the log line and renders errors.
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some((target, responder)) = table::find(&request) else { return Box::pin(self.others.call(request)) };
        let app = Arc::clone(&self.app);
        Box::pin(async move {
            let handler = |request| responder.respond(request, Arc::clone(&app));
            Ok(edge::guard(&app, target, request, handler).await)
        })
    }
}

/// Runs [`edge::guard`] around pages, health checks and unknown paths.
async fn guard_other(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).into();
    let target = Target { route, operation: None, parameters: Vec::new() };
    edge::guard(&app, target, request, |request| next.run(request)).await
}

/// The signed URLs of files, the `OpenAPI` document and its reference page are outside of the prefix. So is the session's
/// MCP endpoint, which the table has.
fn outside_the_prefix() -> Router<Arc<App>> {
    let table: Vec<_> = table::all().collect();
    Router::new().merge(file::router()).merge(openapi::router(table.clone())).merge(pages::reference(table))
}

/// Routes under the prefix that take no key: the redirect URIs that browsers come back to.
fn public() -> Router<Arc<App>> {
    pages::callbacks().layer(from_fn(pages::headers))
}
