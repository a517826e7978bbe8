//! `POST /tool_router/session/{session_id}/link`: the call that everything else serves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use switchboard_store::accounts::AccountType;

use super::auth::Caller;
use super::body::{JsonBody, created, replayable};
use super::error::ApiError;
use super::path::Id;
use crate::app::App;
use crate::app::access::{Acl, AclInput};
use crate::app::links::{Link, LinkRequest};
use crate::error::{Error, Result};

/// Body. The published page has `account_type` at top level, today's SDKs under `experimental`:
/// both are taken (contract section 3.1). Unknown keys are ignored, as the hosted API does here.
#[derive(Debug, Deserialize)]
pub struct Body {
    toolkit: String,
    alias: Option<String>,
    callback_url: Option<String>,
    account_type: Option<WireAccountType>,
    acl_config_for_shared: Option<AclInput>,
    experimental: Option<BodyExperimental>,
}

#[derive(Debug, Default, Deserialize)]
struct BodyExperimental {
    account_type: Option<WireAccountType>,
    acl_config_for_shared: Option<AclInput>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum WireAccountType {
    Private,
    Shared,
}

/// Answer, with the account type in both places.
#[derive(Serialize)]
pub struct Answer {
    link_token: String,
    redirect_url: String,
    connected_account_id: String,
    account_type: &'static str,
    experimental: AnswerExperimental,
}

#[derive(Serialize)]
struct AnswerExperimental {
    account_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_config_for_shared: Option<Acl>,
}

/// `POST /tool_router/session/{session_id}/link` → 201.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<Body>,
) -> std::result::Result<Response, ApiError> {
    let session = app.session(&caller.project_id, &session_id).await?;
    let request = body.value.into_request()?;
    let encode = |link: &_| replayable(StatusCode::CREATED, &view(link));
    let link = app.create_link(&caller.actor(), &session, request, body.idempotency.as_ref(), encode).await?;
    Ok(created(link, view)?)
}

impl Body {
    fn into_request(self) -> Result<LinkRequest> {
        if self.toolkit.is_empty() {
            return Err(Error::field("toolkit", "must have at least 1 character"));
        }
        let inner = self.experimental.unwrap_or_default();
        let account_type = same("account_type", self.account_type, inner.account_type)?;
        let acl = same("acl_config_for_shared", self.acl_config_for_shared, inner.acl_config_for_shared)?;
        Ok(LinkRequest {
            toolkit: self.toolkit,
            alias: self.alias,
            callback_url: self.callback_url,
            account_type: match account_type {
                Some(WireAccountType::Shared) => AccountType::Shared,
                Some(WireAccountType::Private) | None => AccountType::Private,
            },
            acl,
        })
    }
}

/// One value given in two places must be the same value.
fn same<T: PartialEq>(name: &str, outer: Option<T>, inner: Option<T>) -> Result<Option<T>> {
    match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => {
            Err(Error::field(name, format!("differs from experimental.{name}"))
                .fix(format!("Give {name} in one place only.")))
        }
        (outer, inner) => Ok(outer.or(inner)),
    }
}

fn view(link: &Link) -> Answer {
    let account_type = link.account_type.as_str();
    Answer {
        link_token: link.token.clone(),
        redirect_url: link.redirect_url.clone(),
        connected_account_id: link.account_id.clone(),
        account_type,
        experimental: AnswerExperimental { account_type, acl_config_for_shared: link.acl.clone() },
    }
}

crate::redacted_debug!(Answer, AnswerExperimental);
