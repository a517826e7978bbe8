//! Authentication: exactly one credential, of a kind that the operation accepts (contract section 1.2).
//!
//! This is a layer over all operations, not an extractor that a handler could forget: every route is
//! denied by default (R62). The row of the table of operations comes with the request; `admission.rs`
//! evaluates it.
//!
//! Missing, malformed, unknown, expired and revoked keys get the same response. Only the holder of a
//! valid key learns that it is of the wrong kind or lacks a permission.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use switchboard_store::organization_keys::OrganizationKeyRow;
use switchboard_types::{CompactString, ProjectId};
use switchboard_vault::KeyKind;

use super::edge::{Handled, RequestId, RequestInfo};
use super::error::ApiError;
use super::parameters::{self, Routed};
use super::{admission, limits};
use crate::api::operations::{EARLIER_PREFIX, Keys, MCP_PATH, Operation, PREFIX};
use crate::app::project::keys::{self, KeyScope};
use crate::app::project::permissions::{Access, Preset};
use crate::app::{Actor, App};
use crate::error::{Code, Error, Result};
use crate::pages;
use crate::text::capital;

/// Headers that carry a credential, and the kind of key that each is for.
pub const CREDENTIALS: [(&str, KeyKind); 3] =
    [("x-api-key", KeyKind::Project), ("x-user-api-key", KeyKind::User), ("x-org-api-key", KeyKind::Organization)];

/// The authenticated caller of an operation in a project.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key's project.
    pub project_id: ProjectId,
    /// Id of the key.
    pub key_id: CompactString,
    /// Id of this request.
    pub request_id: CompactString,
    /// The `x-request-id` that the caller sent.
    pub caller_request_id: Option<CompactString>,
    /// Whether the key may make raw API calls.
    pub makes_raw_calls: bool,
}

impl Caller {
    /// The caller as recorded in the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            project_id: self.project_id.clone(),
            name: self.key_id.clone(),
            request_id: Some(self.request_id.clone()),
            caller_request_id: self.caller_request_id.clone(),
        }
    }
}

/// The authenticated caller of an operation outside of a project: a member, or the organisation.
#[derive(Clone, Debug)]
pub struct OrgCaller {
    /// The key, of a kind that the operation accepts.
    pub key: OrganizationKeyRow,
    /// Id of this request.
    pub request_id: CompactString,
    /// The `x-request-id` that the caller sent.
    pub caller_request_id: Option<CompactString>,
}

impl OrgCaller {
    /// The caller as recorded in the audit log, without a project.
    pub fn actor(&self) -> Actor {
        Actor {
            project_id: ProjectId::default(),
            name: self.key.id.as_str().into(),
            request_id: Some(self.request_id.clone()),
            caller_request_id: self.caller_request_id.clone(),
        }
    }
}

/// The holder of a valid key of any kind.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A project key.
    Project(Caller),
    /// A user key or an organisation key.
    Organization(OrgCaller),
}

/// An authenticated key, before it is authorized for an operation.
#[derive(Debug)]
pub(in crate::api) struct AuthenticatedKey {
    /// Who holds it.
    pub(in crate::api) principal: Principal,
    /// The scope of a project key; unrestricted for the other kinds.
    pub(in crate::api) scope: KeyScope,
}

/// Requires a valid key, of a kind and with the permissions that the operation accepts. Any other path under the prefix
/// of the API, or method of a path, requires any valid key; pages and health checks require none.
pub(super) async fn require_key<F: Future<Output = Response>>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Handled {
    let routed = RequestInfo::of(&request).and_then(|info| info.target.operation);
    if routed.is_none() && !is_for_api(&request) {
        return Handled::without_key(next(request).await);
    }
    let keys = routed.map_or(Keys::Any, |routed| routed.operation.keys);
    if keys == Keys::Public {
        return Handled::without_key(run(app, routed, request, next).await);
    }
    let key = match authenticate(app, keys, request.headers(), RequestInfo::of(&request)).await {
        Ok(key) => key,
        Err(error) => return Handled::without_key(ApiError(error)),
    };
    let key_id = CompactString::from(key.key_id());
    // A request that is rejected after authentication also counts for the key.
    let operation = async {
        match admit(app, routed.map(|routed| routed.operation), &mut request, key).await {
            Ok(()) => run(app, routed, request, next).await,
            Err(error) => ApiError(error).into_response(),
        }
    };
    let response = limits::with_key(app, &key_id, operation).await;
    Handled { response, key_id: Some(key_id) }
}

/// Runs an operation for an authorized caller, after checking its parameters.
async fn run<F: Future<Output = Response>>(
    app: &App,
    routed: Option<Routed>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let unknown = app.core.settings.unknown_query_parameters;
    let checked = routed.map_or(Ok(Vec::new()), |routed| parameters::check(routed, &request, unknown));
    match checked {
        Ok(warnings) => parameters::with_warnings(next(request).await, &warnings).await,
        Err(error) => ApiError(error).into_response(),
    }
}

/// Whether a request is for the API: anything under its prefixes but the routes that take no key.
fn is_for_api(request: &Request) -> bool {
    let below = |path: &str, prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let route = RequestInfo::of(request).map(|info| info.target.route.as_str());
    [PREFIX, EARLIER_PREFIX].into_iter().any(|prefix| below(request.uri().path(), prefix))
        && ![PREFIX, EARLIER_PREFIX]
            .into_iter()
            .any(|prefix| route.and_then(|route| route.strip_prefix(prefix)).is_some_and(pages::is_callback))
}

/// Authorizes a key for an operation, or for a path outside of the table, and passes the caller to the
/// handler.
async fn admit(app: &App, operation: Option<&Operation>, request: &mut Request, key: AuthenticatedKey) -> Result<()> {
    key.check_address(RequestInfo::of(request).and_then(|info| info.client))?;
    key.check_session(operation, request)?;
    let caller = match operation {
        Some(operation) => admission::admit(app, operation, request.headers(), &key).await?,
        // The table has no permission for this path, so a scoped key gets no project here.
        None => key.unscoped_caller(),
    };
    if let Some(info) = request.extensions_mut().get_mut::<RequestInfo>() {
        info.caller = caller;
        info.principal = Some(key.principal);
    }
    Ok(())
}

impl AuthenticatedKey {
    fn key_id(&self) -> &str {
        match &self.principal {
            Principal::Project(caller) => &caller.key_id,
            Principal::Organization(caller) => &caller.key.id,
        }
    }

    /// Rejects a key that is used from an address outside of its list (R61).
    fn check_address(&self, client: Option<IpAddr>) -> Result<()> {
        if self.scope.admits_address(client) {
            return Ok(());
        }
        Err(Error::of(Code::Forbidden, &[("reason", &"This API key may not be used from this address")])
            .fix("Use the key from one of its allowed addresses, or make another with `switchboard key create`."))
    }

    /// Rejects a key of one session anywhere but at the session's MCP endpoint.
    fn check_session(&self, operation: Option<&Operation>, request: &Request) -> Result<()> {
        let Some(session) = &self.scope.session else { return Ok(()) };
        let requested = RequestInfo::of(request).and_then(|info| info.target.parameters.first());
        let is_own = operation.is_some_and(|operation| operation.path == MCP_PATH)
            && requested.is_some_and(|requested| requested.as_str() == session.as_str());
        if is_own {
            return Ok(());
        }
        Err(Error::of(Code::Forbidden, &[("reason", &"This API key is for the MCP endpoint of one session only")])
            .fix(format!("Use it at /tool_router/{session}/mcp; for anything else, use a key of the project.")))
    }

    fn unscoped_caller(&self) -> Option<Caller> {
        match &self.principal {
            Principal::Project(caller) => self.scope.permissions.is_none().then(|| caller.clone()),
            Principal::Organization(_) => None,
        }
    }
}

/// Authenticates the key of a request. The error does not reveal which keys exist.
async fn authenticate(
    app: &App,
    keys: Keys,
    headers: &HeaderMap,
    info: Option<&RequestInfo>,
) -> Result<AuthenticatedKey> {
    // Which kinds of key an operation accepts is public.
    let with_hint = |error: Error| {
        if error.code() == Code::Unauthorized { error.fix(admission::key_hint(keys)) } else { error }
    };
    let (kind, presented) = presented_key(headers)?.ok_or_else(|| with_hint(keys::invalid()))?;
    let request_id = info.map(|info| info.id.clone()).unwrap_or_default();
    let caller_request_id = info.and_then(|info| info.caller_id.clone());
    if kind != KeyKind::Project {
        let key = app.keys.authenticate_organization_key(presented, kind).await.map_err(with_hint)?;
        let principal = Principal::Organization(OrgCaller { key, request_id, caller_request_id });
        return Ok(AuthenticatedKey { principal, scope: KeyScope::default() });
    }
    let key = app.keys.authenticate(presented).await.map_err(with_hint)?;
    let (project_id, key_id) = (key.project_id.clone(), key.id.clone());
    let permissions = key.scope.permissions.as_ref();
    let makes_raw_calls = permissions.is_none_or(|given| given.admit(&[(Preset::ProxyExecute, Access::Write)]));
    let caller = Caller { project_id, key_id, request_id, caller_request_id, makes_raw_calls };
    Ok(AuthenticatedKey { principal: Principal::Project(caller), scope: key.scope.clone() })
}

/// The one credential of a request, and the kind that its header is for. A value that is not text is an
/// invalid key.
fn presented_key(headers: &HeaderMap) -> Result<Option<(KeyKind, &str)>> {
    let mut given =
        CREDENTIALS.iter().flat_map(|(name, kind)| headers.get_all(*name).iter().map(|value| (*kind, value)));
    let Some((kind, value)) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(Error::new(Code::Unauthorized, "Multiple authentication modes were provided; send exactly one")
            .fix("Send exactly one of x-api-key, x-user-api-key and x-org-api-key, once."));
    }
    let key = value.to_str().unwrap_or_default();
    // A common mistake: SDKs take one key and choose the header themselves.
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

/// The header for a kind of key.
pub(in crate::api) fn header(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Project => CREDENTIALS[0].0,
        KeyKind::User => CREDENTIALS[1].0,
        KeyKind::Organization => CREDENTIALS[2].0,
    }
}

/// What authentication found out. It is absent only where a route was mounted outside of the layer or accepts another
/// kind of key; the request is rejected then.
fn authenticated<T>(parts: &Parts, part: impl FnOnce(&RequestInfo) -> Option<T>) -> std::result::Result<T, ApiError> {
    parts.extensions.get().and_then(part).ok_or_else(|| ApiError(keys::invalid()))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        authenticated(parts, |info| info.caller.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for OrgCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        authenticated(parts, |info| match &info.principal {
            Some(Principal::Organization(caller)) => Some(caller.clone()),
            _ => None,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        authenticated(parts, |info| info.principal.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<RequestInfo>().map(|info| info.id.clone()).unwrap_or_default()))
    }
}
