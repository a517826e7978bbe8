//! `/auth_configs`: create, list, read, delete (contract section 5).

pub mod changes;
mod fields;
pub(in crate::api) mod operations;
pub mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use switchboard_catalog::Scheme;
use switchboard_store::auth_configs::AuthConfigFilter;
use switchboard_vault::Secrets;

use switchboard_types::ToolAccessConfig;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::once;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::auth_config::{NewAuthConfig, Source, client_names, secrets_from};
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

use fields::{Credentials, reject_unsupported, shared_of, take_scopes, take_text, texts};
use view::{AuthConfig, CreateResponse};

/// Body of `POST /auth_configs`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CreateAuthConfig")]
pub struct Body {
    /// The toolkit.
    toolkit: BodyToolkit,
    /// How its accounts authenticate; with the operator's client when omitted.
    auth_config: Option<BodyConfig>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "CreateAuthConfigToolkit")]
struct BodyToolkit {
    /// Its slug.
    slug: String,
}

// Both variants in one struct; `type` distinguishes them.
/// An auth config with the operator's client, or with your own.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "NewAuthConfig")]
struct BodyConfig {
    /// `use_composio_managed_auth`: the operator's client; `use_custom_auth`: your own.
    #[serde(rename = "type")]
    #[schemars(with = "Option<BodyType>")]
    kind: Option<String>,
    /// Shown in lists.
    name: Option<String>,
    /// With `use_custom_auth`: how its accounts authenticate, such as `OAUTH2` or `API_KEY`.
    #[serde(rename = "authScheme", alias = "auth_scheme")]
    auth_scheme: Option<String>,
    /// By name: `scopes` and `user_scopes`; with your own OAuth client also `client_id`,
    /// `client_secret` and `oauth_redirect_uri`.
    credentials: Option<Credentials>,
    /// Whether sessions that name no auth config may use it; default true.
    is_enabled_for_tool_router: Option<bool>,
    /// Which tools it is for.
    tool_access_config: Option<ToolAccessConfig>,
    /// Which tools it is for, in an older form.
    restrict_to_following_tools: Option<Vec<String>>,
    /// Values of connection fields that all its accounts share. Users are not asked for them.
    shared_connection_fields: Option<Map<String, Value>>,
    /// The older name of `shared_connection_fields`.
    shared_credentials: Option<Map<String, Value>>,
    #[schemars(skip)]
    proxy_config: Option<Value>,
    #[schemars(skip)]
    sealed_credentials: Option<Value>,
}

/// Who owns the client.
#[derive(JsonSchema)]
#[schemars(rename = "NewAuthConfigType", rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words; they are read by hand, for better messages")]
enum BodyType {
    UseComposioManagedAuth,
    UseCustomAuth,
}

/// `POST /auth_configs` → 201.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<Body>,
) -> std::result::Result<Response, ApiError> {
    let new = body.value.into_new()?;
    let key = body.idempotency.as_ref();
    if let Some(earlier) = once::earlier(&app, key).await? {
        return Ok(earlier);
    }
    let restricted = new.settings.restrict_to_following_tools.clone().unwrap_or_default();
    let prepared = app.auth_configs.prepare(&caller.actor(), new).await?;
    let response = once::created(&CreateResponse::new(&app, &prepared.object, restricted))?;
    let commit = app.auth_configs.commit(prepared, key, &response).await?;
    Ok(once::committed(commit, response)?)
}

/// `GET /auth_configs` → 200 page, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, 200)?;
    let filter = AuthConfigFilter {
        toolkits: query.list("toolkit_slug").iter().map(|slug| slug.to_ascii_lowercase()).collect(),
        is_managed: query.flag("is_composio_managed")?,
        include_disabled: query.flag("show_disabled")?.unwrap_or(false),
        search: query.text("search").map(ToOwned::to_owned),
    };
    let found = app.auth_configs.list(&caller.project_id, filter, page.store_query()).await?;
    let items: Vec<AuthConfig> = found.rows.iter().map(|config| AuthConfig::new(&app, config)).collect();
    Ok(json(StatusCode::OK, &page.envelope(items, found.total, found.next.as_ref()))?)
}

/// `GET /auth_configs/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let config = app.auth_configs.get(&caller.project_id, &id.into()).await?;
    Ok(json(StatusCode::OK, &AuthConfig::new(&app, &config))?)
}

/// `DELETE /auth_configs/{id}` → 200; deletes its accounts as well and queues their credentials for
/// revocation.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.auth_configs.delete(&caller.actor(), &id.as_str().into(), revoke).await?;
    Ok(json(StatusCode::OK, &Deleted { success: true, message: "Auth config deleted", revoke_job_id })?)
}

/// Response of `DELETE /auth_configs/{id}`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "DeletedAuthConfig")]
pub struct Deleted {
    /// Always true.
    pub success: bool,
    /// For people.
    pub message: &'static str,
    /// The receipt of the revocations at the provider, for `GET /revoke_jobs/{id}`. Absent when there
    /// were no credentials, or `revoke_on_delete` was false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_job_id: Option<String>,
}

impl Body {
    fn into_new(self) -> Result<NewAuthConfig> {
        let kind = match &self.auth_config {
            None => Kind::Managed,
            Some(config) => config.kind()?,
        };
        let config = self.auth_config.unwrap_or_default();
        reject_unsupported(config.proxy_config.as_ref(), config.sealed_credentials.as_ref(), "auth_config.")?;
        let shared = shared_of(config.shared_connection_fields, config.shared_credentials, "auth_config.")?;
        let mut settings = AuthConfigSettings {
            tool_access_config: config.tool_access_config,
            restrict_to_following_tools: config.restrict_to_following_tools,
            ..AuthConfigSettings::default()
        };
        let mut credentials = config.credentials.unwrap_or_default();
        let source = match kind {
            Kind::Managed => {
                settings.scopes = scopes_from(&mut credentials, "scopes")?;
                settings.user_scopes = scopes_from(&mut credentials, "user_scopes")?;
                // The operator's client is used as the operator registered it (R16, R17).
                reject_others(&credentials, &[], "with use_composio_managed_auth; scopes and user_scopes may be set")?;
                Source::Managed
            }
            Kind::Custom => {
                let scheme = parse_scheme(config.auth_scheme.as_deref())?;
                if scheme.is_oauth2() {
                    settings.scopes = scopes_from(&mut credentials, "scopes")?;
                    settings.user_scopes = scopes_from(&mut credentials, "user_scopes")?;
                }
                if scheme.is_redirect() {
                    settings.oauth_redirect_uri =
                        take_text(&mut credentials, "oauth_redirect_uri", CREDENTIALS)?.filter(|uri| !uri.is_empty());
                }
                reject_others(
                    &credentials,
                    client_names(scheme),
                    "with this authScheme; each user enters their own on the connect page",
                )?;
                Source::Custom { scheme, credentials: take_secrets(credentials)? }
            }
        };
        Ok(NewAuthConfig {
            toolkit: self.toolkit.slug,
            name: config.name,
            source,
            settings,
            shared: shared.unwrap_or_default(),
            is_enabled_for_tool_router: config.is_enabled_for_tool_router.unwrap_or(true),
        })
    }
}

/// Rejects values that would be stored but never used.
fn reject_others(credentials: &Credentials, known: &[&str], why: &str) -> Result<()> {
    match credentials.iter().find(|(name, value)| !known.contains(&name.as_str()) && !value.is_null()) {
        Some((name, _)) => {
            Err(Error::field(&format!("auth_config.credentials.{}", truncate(name)), format!("is not taken {why}")))
        }
        None => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Managed,
    Custom,
}

impl BodyConfig {
    fn kind(&self) -> Result<Kind> {
        match self.kind.as_deref() {
            // PATCH uses these words with the same meaning.
            Some("use_composio_managed_auth" | "default") => Ok(Kind::Managed),
            Some("use_custom_auth" | "custom") => Ok(Kind::Custom),
            None if self.auth_scheme.is_none() && self.credentials.is_none() => Ok(Kind::Managed),
            _ => Err(Error::field("auth_config.type", "must be use_composio_managed_auth or use_custom_auth")),
        }
    }
}

fn parse_scheme(given: Option<&str>) -> Result<Scheme> {
    let given = given.ok_or_else(|| Error::field("auth_config.authScheme", "is required with use_custom_auth"))?;
    if UNBUILT_SCHEMES.contains(&given) {
        return Err(Error::new(Code::NotImplemented, format!("Auth scheme {given} is not built yet")));
    }
    given.parse().map_err(|_| {
        let built = Scheme::ALL.iter().map(|scheme| scheme.as_str()).filter(|name| !UNBUILT_SCHEMES.contains(name));
        Error::field("auth_config.authScheme", format!("must be one of {}", built.collect::<Vec<_>>().join(", ")))
    })
}

/// Schemes of the contract that this server does not support yet.
const UNBUILT_SCHEMES: [&str; 1] = ["CALCOM_AUTH"];

/// Location of the credentials in the body.
const CREDENTIALS: &str = "auth_config.credentials";

fn scopes_from(credentials: &mut Credentials, name: &str) -> Result<Option<Vec<String>>> {
    Ok(take_scopes(credentials, name, CREDENTIALS)?.filter(|scopes| !scopes.is_empty()))
}

fn take_secrets(credentials: Credentials) -> Result<Secrets> {
    let given = texts(credentials, CREDENTIALS)?;
    Ok(secrets_from(given.into_iter().filter_map(|(name, value)| Some((name, value?)))))
}

crate::redacted_debug!(Body, BodyConfig);
