//! `/auth_configs`: create, list, read, delete (contract section 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use switchboard_catalog::Scheme;
use switchboard_store::auth_configs::{AuthConfigFilter, AuthConfigRow};
use switchboard_vault::Secrets;

use super::auth::Caller;
use super::body::{JsonBody, created, json, replayable};
use super::error::ApiError;
use super::page::PageRequest;
use super::path::Id;
use super::query::Query;
use super::strict::cut;
use super::toolkits::{input_fields, logo_url};
use crate::app::App;
use crate::app::auth_configs::{AuthConfigSettings, AuthConfigView, NewAuthConfig, Source, secrets_from};
use crate::error::{Code, Error, Result};
use crate::time::iso;

/// Body of a creation.
#[derive(Deserialize)]
pub struct Body {
    toolkit: BodyToolkit,
    auth_config: Option<BodyConfig>,
}

#[derive(Debug, Deserialize)]
struct BodyToolkit {
    slug: String,
}

/// Both variants in one: which of them is told by `type`.
#[derive(Default, Deserialize)]
struct BodyConfig {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    #[serde(rename = "authScheme", alias = "auth_scheme")]
    auth_scheme: Option<String>,
    credentials: Option<BTreeMap<String, Value>>,
    is_enabled_for_tool_router: Option<bool>,
    tool_access_config: Option<Map<String, Value>>,
    restrict_to_following_tools: Option<Vec<String>>,
    shared_connection_fields: Option<Map<String, Value>>,
    shared_credentials: Option<Map<String, Value>>,
    proxy_config: Option<Value>,
    sealed_credentials: Option<Value>,
}

/// `POST /auth_configs` → 201.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<Body>,
) -> std::result::Result<Response, ApiError> {
    let new = body.value.into_new()?;
    let restricted = new.settings.restrict_to_following_tools.clone().unwrap_or_default();
    let view = |row: &AuthConfigRow| {
        json!({
            "toolkit": { "slug": row.toolkit },
            "auth_config": {
                "id": row.id,
                "auth_scheme": row.scheme,
                "is_composio_managed": row.is_managed,
                "restrict_to_following_tools": restricted,
            },
        })
    };
    let encode = |row: &AuthConfigRow| replayable(StatusCode::CREATED, &view(row));
    let row = app.create_auth_config(&caller.actor(), new, body.idempotency.as_ref(), encode).await?;
    Ok(created(row, view)?)
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
    let (configs, total) = app.auth_configs(&caller.project_id, &filter, page.offset(), page.limit).await?;
    let items: Vec<Value> = configs.iter().map(|config| item(&app, config)).collect();
    Ok(json(StatusCode::OK, &page.envelope(items, total))?)
}

/// `GET /auth_configs/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let config = app.auth_config(&caller.project_id, &id).await?;
    Ok(json(StatusCode::OK, &item(&app, &config))?)
}

/// `DELETE /auth_configs/{id}` → 200; its accounts go with it, and their credentials to be revoked.
pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let revoke = query.flag("revoke_on_delete")?.unwrap_or(true);
    let revoke_job_id = app.delete_auth_config(&caller.actor(), &id, revoke).await?;
    Ok(json(StatusCode::OK, &Deleted { success: true, message: "Auth config deleted", revoke_job_id })?)
}

/// Answer of a deletion.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Deleted {
    /// Always true.
    pub success: bool,
    /// For people.
    pub message: &'static str,
    /// Where to read what became of the credentials at their provider: `GET /revoke_jobs/{id}`.
    /// Absent when there were none, or `revoke_on_delete` was false.
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
        config.refuse_unbuilt()?;
        let mut settings = AuthConfigSettings {
            tool_access_config: config.tool_access_config.map(Value::Object),
            restrict_to_following_tools: config.restrict_to_following_tools,
            ..AuthConfigSettings::default()
        };
        let mut credentials = config.credentials.unwrap_or_default();
        let source = match kind {
            Kind::Managed => {
                settings.scopes = take_scopes(&mut credentials, "scopes")?;
                settings.user_scopes = take_scopes(&mut credentials, "user_scopes")?;
                // The operator's client is used as the operator registered it (R16, R17).
                refuse_others(&credentials, &[], "with use_composio_managed_auth; scopes and user_scopes may be set")?;
                Source::Managed
            }
            Kind::Custom => {
                let scheme = parse_scheme(config.auth_scheme.as_deref())?;
                if scheme == Scheme::OAuth2 {
                    settings.scopes = take_scopes(&mut credentials, "scopes")?;
                    settings.user_scopes = take_scopes(&mut credentials, "user_scopes")?;
                    settings.oauth_redirect_uri = take_text(&mut credentials, "oauth_redirect_uri")?;
                }
                let known: &[&str] = if scheme == Scheme::OAuth2 { &["client_id", "client_secret"] } else { &[] };
                refuse_others(
                    &credentials,
                    known,
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
            is_enabled_for_tool_router: config.is_enabled_for_tool_router.unwrap_or(true),
        })
    }
}

/// What would be stored and never used is refused.
fn refuse_others(credentials: &BTreeMap<String, Value>, known: &[&str], why: &str) -> Result<()> {
    match credentials.iter().find(|(name, value)| !known.contains(&name.as_str()) && !value.is_null()) {
        Some((name, _)) => {
            Err(Error::field(&format!("auth_config.credentials.{}", cut(name)), format!("is not taken {why}")))
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
            Some("use_composio_managed_auth") => Ok(Kind::Managed),
            Some("use_custom_auth") => Ok(Kind::Custom),
            None if self.auth_scheme.is_none() && self.credentials.is_none() => Ok(Kind::Managed),
            _ => Err(Error::field("auth_config.type", "must be use_composio_managed_auth or use_custom_auth")),
        }
    }

    /// What would be stored without having an effect is refused instead.
    fn refuse_unbuilt(&self) -> Result<()> {
        let shared = [&self.shared_connection_fields, &self.shared_credentials].into_iter().flatten();
        let unbuilt = [
            ("proxy_config", self.proxy_config.as_ref().is_some_and(|it| !it.is_null())),
            ("sealed_credentials", self.sealed_credentials.as_ref().is_some_and(|it| !it.is_null())),
            ("shared_connection_fields", shared.into_iter().any(|fields| !fields.is_empty())),
        ];
        match unbuilt.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Error::new(Code::NotImplemented, format!("auth_config.{name} is not built yet"))
                .fix(format!("Leave {name} out."))),
            None => Ok(()),
        }
    }
}

fn parse_scheme(given: Option<&str>) -> Result<Scheme> {
    let given = given.ok_or_else(|| Error::field("auth_config.authScheme", "is required with use_custom_auth"))?;
    if let Ok(scheme) = given.parse() {
        return Ok(scheme);
    }
    if UNBUILT_SCHEMES.contains(&given) {
        return Err(Error::new(Code::NotImplemented, format!("Auth scheme {given} is not built yet")));
    }
    Err(Error::field("auth_config.authScheme", "must be one of OAUTH2, API_KEY, BEARER_TOKEN, BASIC, NO_AUTH"))
}

/// Schemes of the contract that this server does not have yet.
const UNBUILT_SCHEMES: [&str; 10] = [
    "OAUTH1",
    "BILLCOM_AUTH",
    "GOOGLE_SERVICE_ACCOUNT",
    "BASIC_WITH_JWT",
    "CALCOM_AUTH",
    "SERVICE_ACCOUNT",
    "SAML",
    "DCR_OAUTH",
    "CIMD_OAUTH",
    "S2S_OAUTH2",
];

fn take_scopes(credentials: &mut BTreeMap<String, Value>, name: &str) -> Result<Option<Vec<String>>> {
    let wrong = || Error::field(&format!("auth_config.credentials.{name}"), "must be a string or a list of strings");
    let scopes: Vec<String> = match credentials.remove(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => {
            text.split([' ', ',']).filter(|it| !it.is_empty()).map(ToOwned::to_owned).collect()
        }
        Some(list) => serde_json::from_value(list).map_err(|_| wrong())?,
    };
    Ok((!scopes.is_empty()).then_some(scopes))
}

fn take_text(credentials: &mut BTreeMap<String, Value>, name: &str) -> Result<Option<String>> {
    match credentials.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::field(&format!("auth_config.credentials.{name}"), "must be a string")),
    }
}

fn take_secrets(credentials: BTreeMap<String, Value>) -> Result<Secrets> {
    let mut pairs = Vec::with_capacity(credentials.len());
    for (name, value) in credentials {
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name, text)),
            _ => return Err(Error::field(&format!("auth_config.credentials.{name}"), "must be a string")),
        }
    }
    Ok(secrets_from(pairs))
}

fn item(app: &App, config: &AuthConfigView) -> Value {
    let row = &config.row;
    let toolkit = app.toolkit(&row.toolkit);
    let scheme = row.scheme.parse().ok();
    let fields = toolkit.zip(scheme).map(|(toolkit, scheme)| input_fields(&toolkit.scheme_fields(scheme)));
    let mut toolkit_view = json!({ "slug": row.toolkit, "logo": logo_url(app, &row.toolkit) });
    if let (Some(guide), Some(view)) =
        (toolkit.and_then(|it| it.auth_guide_url.as_deref()), toolkit_view.as_object_mut())
    {
        view.insert("auth_guide_url".to_owned(), guide.into());
    }
    let tool_access = config.settings.tool_access_config.clone().filter(Value::is_object);
    json!({
        "id": row.id,
        "uuid": row.id,
        "type": if row.is_managed { "default" } else { "custom" },
        "toolkit": toolkit_view,
        "name": row.name,
        "auth_scheme": row.scheme,
        "is_composio_managed": row.is_managed,
        "credentials": masked_credentials(config),
        "status": if row.is_enabled { "ENABLED" } else { "DISABLED" },
        "created_at": iso(row.created_at),
        "last_updated_at": iso(row.updated_at),
        "no_of_connections": config.connections,
        "expected_input_fields": fields.unwrap_or_default(),
        "restrict_to_following_tools": config.settings.restrict_to_following_tools.clone().unwrap_or_default(),
        "tool_access_config": tool_access.unwrap_or_else(|| json!({})),
        "is_enabled_for_tool_router": row.is_enabled_for_tool_router,
    })
}

/// The client id is shown; every other credential is not, whatever the project's switches say
/// (contract section 5, "masking").
fn masked_credentials(config: &AuthConfigView) -> Value {
    let mut shown = Map::new();
    for (name, secret) in config.secrets.iter() {
        let is_public = matches!(name, "client_id" | "consumer_key");
        shown.insert(name.to_owned(), if is_public { secret.expose().into() } else { "REDACTED".into() });
    }
    if let Some(scopes) = &config.settings.scopes {
        shown.insert("scopes".to_owned(), json!(scopes));
    }
    if let Some(scopes) = &config.settings.user_scopes {
        shown.insert("user_scopes".to_owned(), json!(scopes));
    }
    if let Some(uri) = &config.settings.oauth_redirect_uri {
        shown.insert("oauth_redirect_uri".to_owned(), uri.as_str().into());
    }
    shown.into()
}

crate::redacted_debug!(Body, BodyConfig);
