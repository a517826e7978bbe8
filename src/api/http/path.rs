//! Ids in paths.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use switchboard_types::CompactString;

use super::edge::RequestInfo;

/// The one parameter of a path. If it is not UTF-8, it becomes a string that matches nothing, so that
/// the response is that of an unknown id.
#[derive(Debug)]
pub struct Id(pub CompactString);

/// The two parameters of a path; the same holds for each of them.
#[derive(Debug)]
pub struct TwoIds(pub CompactString, pub CompactString);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        if let Some(id) = parameters(parts).first() {
            return Ok(Self(id.clone()));
        }
        // A page.
        let found = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(found.map_or_else(|_| CompactString::const_new("\u{fffd}"), |Path(id)| id.into())))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TwoIds {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let parameter = |number| parameters(parts).get(number).cloned().unwrap_or_default();
        Ok(Self(parameter(0), parameter(1)))
    }
}

/// The parameters of an operation's path.
fn parameters(parts: &Parts) -> &[CompactString] {
    parts.extensions.get::<RequestInfo>().map(|info| info.target.parameters.as_slice()).unwrap_or_default()
}
