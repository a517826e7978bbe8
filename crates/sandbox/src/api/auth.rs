//! Authentication of API calls: a bearer token, an API key or a password. A handler's signature states what
//! it needs: [`Caller`], [`NotesReader`] or [`NotesWriter`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::error::ApiError;
use crate::app::App;
use crate::authorization::{credential_of, decode_basic};
use crate::users::{Scope, Scopes, User};

const API_KEY_HEADER: &str = "x-api-key";

/// A caller with a valid credential.
pub(crate) struct Caller {
    pub user: User,
    scopes: Scopes,
}

/// A caller who may read notes.
pub(crate) struct NotesReader(pub User);

/// A caller who may change notes.
pub(crate) struct NotesWriter(pub User);

impl Caller {
    /// A user's own credentials may do everything; scopes limit only apps.
    fn with_all_scopes(user: User) -> Self {
        Self { user, scopes: Scopes::from(Scope::ALL) }
    }

    fn with_scope(self, needed: Scope) -> Result<User, ApiError> {
        if !self.scopes.contains(&needed) {
            return Err(ApiError::insufficient_scope(needed));
        }
        Ok(self.user)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let authorization = only_one(&parts.headers, AUTHORIZATION.as_str())?;
        let api_key = only_one(&parts.headers, API_KEY_HEADER)?;
        match (authorization, api_key) {
            (None, None) => Err(ApiError::no_credential()),
            (Some(_), Some(_)) => {
                Err(ApiError::invalid_request("send one credential, not an authorization header and an API key"))
            }
            (None, Some(api_key)) => api_key
                .to_str()
                .ok()
                .and_then(User::by_api_key)
                .map(Self::with_all_scopes)
                .ok_or_else(ApiError::invalid_api_key),
            (Some(authorization), None) => by_authorization(app, authorization),
        }
    }
}

impl FromRequestParts<Arc<App>> for NotesReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.with_scope(Scope::NotesRead).map(Self)
    }
}

impl FromRequestParts<Arc<App>> for NotesWriter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.with_scope(Scope::NotesWrite).map(Self)
    }
}

fn by_authorization(app: &App, authorization: &HeaderValue) -> Result<Caller, ApiError> {
    if let Some((username, password)) = decode_basic(authorization) {
        return User::by_password(&username, &password)
            .map(Caller::with_all_scopes)
            .ok_or_else(ApiError::invalid_password);
    }
    let token = credential_of(authorization, "bearer")
        .ok_or_else(|| ApiError::invalid_request("the authorization header is neither Bearer nor Basic"))?;
    let now_ms = app.now_ms();
    let (user, scopes) =
        app.store.read(|state| state.authenticate_token(token, now_ms)).ok_or_else(ApiError::invalid_token)?;
    Ok(Caller { user, scopes })
}

fn only_one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = format!("there is more than one {name} header");
        return Err(ApiError::invalid_request(message));
    }
    Ok(first)
}
