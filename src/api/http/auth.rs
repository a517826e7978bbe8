//! Who calls: exactly one credential, of a kind that the operation takes (contract section 1.2).
//!
//! A layer over all operations, not an extractor that a handler could forget: every route is denied
//! by default (R62). What a route takes stands in the table of operations, whose row comes with the request;
//! `admission.rs` reads it.
//! Missing, malformed, unknown, expired and revoked keys answer alike; only who holds a valid key
//! learns that it is of the wrong kind or lacks a right.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use switchboard_store::organization_keys::OrganizationKeyRow;
use switchboard_vault::KeyKind;

use super::edge::{CallerRequestId, LoggedKey, RequestId};
use super::error::ApiError;
use super::parameters::{self, Routed};
use super::{admission, limits};
use crate::api::operations::{Keys, Operation};
use crate::app::project::keys::{self, KeyScope};
use crate::app::{Actor, App};
use crate::error::{Code, Error, Result};
use crate::text::capital;

/// Headers that carry a credential, and the kind of key that each is for.
pub const CREDENTIALS: [(&str, KeyKind); 3] =
    [("x-api-key", KeyKind::Project), ("x-user-api-key", KeyKind::User), ("x-org-api-key", KeyKind::Organization)];

/// Where a request comes from, for whoever knows better than the connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The authenticated caller of an operation in a project.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The project that the key opens.
    pub project_id: String,
    /// Which key.
    pub key_id: String,
    /// Of this request.
    pub request_id: Arc<str>,
    /// The caller's own id of it.
    pub caller_request_id: Option<Arc<str>>,
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor {
            project_id: self.project_id.clone(),
            name: self.key_id.clone(),
            request_id: Some(self.request_id.to_string()),
            caller_request_id: self.caller_request_id.as_deref().map(ToOwned::to_owned),
        }
    }
}

/// The authenticated caller of an operation beyond one project: a member, or the organisation.
#[derive(Clone, Debug)]
pub struct OrgCaller {
    /// The key; of a kind that the operation takes.
    pub key: OrganizationKeyRow,
    /// Of this request.
    pub request_id: Arc<str>,
    /// The caller's own id of it.
    pub caller_request_id: Option<Arc<str>>,
}

impl OrgCaller {
    /// The caller as the audit log names it, in no project.
    pub fn actor(&self) -> Actor {
        Actor {
            project_id: String::new(),
            name: self.key.id.clone(),
            request_id: Some(self.request_id.to_string()),
            caller_request_id: self.caller_request_id.as_deref().map(ToOwned::to_owned),
        }
    }
}

/// Whoever holds a valid key of any kind.
#[derive(Clone, Debug)]
pub enum Asker {
    /// With a project's key.
    Project(Caller),
    /// With a member's, or the organisation's.
    Beyond(OrgCaller),
}

/// A key that was recognised, before it is known what it may do here.
#[derive(Debug)]
pub(in crate::api) struct Holder {
    /// Who.
    pub(in crate::api) asker: Asker,
    /// What a project's key may do; everything for the others.
    pub(in crate::api) scope: KeyScope,
}

/// Lets a request through with a valid key only, of a kind and with the rights that its operation
/// takes. A path that is not in the table needs some valid key.
pub async fn require_key(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let routed = request.extensions().get::<Routed>().copied();
    let keys = routed.map_or(Keys::Any, |routed| routed.operation.keys);
    if keys == Keys::Nobody {
        return run(&app, routed, request, next).await;
    }
    let holder = match recognise(&app, keys, request.headers(), request.extensions()).await {
        Ok(holder) => holder,
        Err(error) => return ApiError(error).into_response(),
    };
    let logged = LoggedKey(holder.key_id().to_owned());
    // What an admitted key is refused counts for the key, too.
    let handled = async {
        match admit(&app, routed.map(|routed| routed.operation), &mut request, holder).await {
            Ok(()) => run(&app, routed, request, next).await,
            Err(error) => ApiError(error).into_response(),
        }
    };
    let mut response = limits::with_key(&app, &logged.0, handled).await;
    response.extensions_mut().insert(logged);
    response
}

/// Runs an operation whose caller is admitted, once its parameters are checked, too.
async fn run(app: &App, routed: Option<Routed>, request: Request, next: Next) -> Response {
    let Some(routed) = routed else { return next.run(request).await };
    match parameters::check(routed, &request, app.core.settings.unknown_query_parameters) {
        Ok(warnings) => parameters::with_warnings(next.run(request).await, &warnings).await,
        Err(error) => ApiError(error).into_response(),
    }
}

/// Admits the holder of a key to an operation, or to a path that is none, and tells the handler who
/// calls.
async fn admit(app: &App, operation: Option<&Operation>, request: &mut Request, holder: Holder) -> Result<()> {
    holder.check_address(request.extensions())?;
    let caller = match operation {
        Some(operation) => admission::admit(app, operation, request.headers(), &holder).await?,
        // Not in the table, so nobody said which right it needs: a scoped key acts in no project here.
        None => holder.unscoped_caller(),
    };
    let extensions = request.extensions_mut();
    if let Some(caller) = caller {
        extensions.insert(caller);
    }
    if let Asker::Beyond(caller) = &holder.asker {
        extensions.insert(caller.clone());
    }
    extensions.insert(holder.asker);
    Ok(())
}

impl Holder {
    fn key_id(&self) -> &str {
        match &self.asker {
            Asker::Project(caller) => &caller.key_id,
            Asker::Beyond(caller) => &caller.key.id,
        }
    }

    /// Refuses a key that is used from elsewhere than it may be (R61).
    fn check_address(&self, extensions: &Extensions) -> Result<()> {
        if self.scope.admits_address(client_address(extensions)) {
            return Ok(());
        }
        Err(Error::of(Code::Forbidden, &[("reason", &"This API key may not be used from this address")])
            .fix("Use the key from one of its allowed addresses, or make another with `switchboard key create`."))
    }

    fn unscoped_caller(&self) -> Option<Caller> {
        match &self.asker {
            Asker::Project(caller) => self.scope.permissions.is_none().then(|| caller.clone()),
            Asker::Beyond(_) => None,
        }
    }
}

/// Who holds the key of a request. Nothing is said of which keys exist.
async fn recognise(app: &App, keys: Keys, headers: &HeaderMap, extensions: &Extensions) -> Result<Holder> {
    // What an operation takes is no secret: it is published.
    let advised = |error: Error| {
        if error.code() == Code::Unauthorized { error.fix(admission::advice(keys)) } else { error }
    };
    let (kind, presented) = presented_key(headers)?.ok_or_else(|| advised(keys::invalid()))?;
    let request_id = extensions.get::<RequestId>().map_or_else(|| "".into(), |id| Arc::clone(&id.0));
    let caller_request_id = extensions.get::<CallerRequestId>().map(|id| Arc::clone(&id.0));
    if kind != KeyKind::Project {
        let key = app.keys.authenticate_beyond(presented, kind).await.map_err(advised)?;
        let asker = Asker::Beyond(OrgCaller { key, request_id, caller_request_id });
        return Ok(Holder { asker, scope: KeyScope::default() });
    }
    let key = app.keys.authenticate(presented).await.map_err(advised)?;
    let caller = Caller { project_id: key.project_id, key_id: key.key_id, request_id, caller_request_id };
    Ok(Holder { asker: Asker::Project(caller), scope: key.scope })
}

/// The one credential of a request and the kind that its header is for. A value that is not text is
/// a key that opens nothing.
fn presented_key(headers: &HeaderMap) -> Result<Option<(KeyKind, &str)>> {
    let mut given = CREDENTIALS.iter().flat_map(|(name, kind)| headers.get_all(*name).iter().map(|it| (*kind, it)));
    let Some((kind, value)) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(Error::new(Code::Unauthorized, "Multiple authentication modes were provided; send exactly one")
            .fix("Send exactly one of x-api-key, x-user-api-key and x-org-api-key, once."));
    }
    let key = value.to_str().unwrap_or_default();
    // SDKs take one key and choose the header by themselves, so this is the mistake that is made.
    let meant = KeyKind::ALL.into_iter().find(|other| *other != kind && key.starts_with(other.prefix()));
    match meant {
        Some(meant) => {
            let (sent, right) = (header(kind), header(meant));
            let message = format!("{} was sent in the {sent} header", capital(admission::name(meant)));
            Err(Error::new(Code::Unauthorized, message).fix(format!("Send it in the `{right}` header.")))
        }
        None => Ok(Some((kind, key))),
    }
}

/// The header that is for a kind of key.
pub(in crate::api) fn header(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Project => CREDENTIALS[0].0,
        KeyKind::User => CREDENTIALS[1].0,
        KeyKind::Organization => CREDENTIALS[2].0,
    }
}

/// The address that a request comes from, as far as it is known.
fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().map(|address| address.0)
}

/// What the layer above put there; absent only where a route was mounted outside it, or takes
/// another kind of key: then nobody gets in.
fn from_layer<T: Clone + Send + Sync + 'static>(parts: &Parts) -> std::result::Result<T, ApiError> {
    parts.extensions.get::<T>().cloned().ok_or_else(|| ApiError(keys::invalid()))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        from_layer(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for OrgCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        from_layer(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        from_layer(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self("".into())))
    }
}
