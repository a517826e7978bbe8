//! Auth configs in responses (contract section 5).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use switchboard_catalog::Field;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::ToolAccessConfig;

use crate::api::account::state_view::REDACTED;
use crate::api::toolkit::details::InputField;
use crate::api::toolkit::view::logo_url;
use crate::app::App;
use crate::app::auth_config::AuthConfigView;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::time::iso;

/// Response of `POST /auth_configs`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CreatedAuthConfig")]
pub struct CreateResponse {
    /// The toolkit.
    toolkit: ToolkitSlug,
    /// The new auth config.
    auth_config: Created,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AuthConfigToolkitSlug")]
struct ToolkitSlug {
    /// Its slug.
    slug: String,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "CreatedAuthConfigSummary")]
struct Created {
    /// `ac_…`.
    id: String,
    /// How its accounts authenticate, such as `OAUTH2`.
    auth_scheme: String,
    /// It uses the operator's OAuth client.
    is_composio_managed: bool,
    /// As it was given.
    restrict_to_following_tools: Vec<String>,
    /// The redirect URI to register at the provider; only for schemes with a redirect. An extension of
    /// this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
}

impl CreateResponse {
    /// From a new row.
    pub fn new(app: &App, row: &AuthConfigRow, restrict_to_following_tools: Vec<String>) -> Self {
        let settings = AuthConfigSettings::parse(&row.settings).ok();
        Self {
            toolkit: ToolkitSlug { slug: row.toolkit.clone() },
            auth_config: Created {
                id: row.id.to_string(),
                auth_scheme: row.scheme.to_string(),
                is_composio_managed: row.is_managed,
                restrict_to_following_tools,
                redirect_uri: settings.and_then(|settings| app.redirect_uris.for_display(row, &settings)),
            },
        }
    }
}

/// An auth config.
#[derive(JsonSchema, Serialize)]
pub struct AuthConfig {
    /// `ac_…`.
    id: String,
    /// The same as `id`.
    uuid: String,
    /// `default` uses the operator's client, `custom` the project's own.
    #[serde(rename = "type")]
    kind: AuthConfigType,
    /// The toolkit.
    toolkit: AuthConfigToolkit,
    /// Shown in lists.
    name: String,
    /// How its accounts authenticate, such as `OAUTH2`.
    auth_scheme: String,
    /// It uses the operator's OAuth client.
    is_composio_managed: bool,
    /// Credentials by name: the client id is shown, every other secret is `REDACTED`.
    credentials: Map<String, Value>,
    /// While it is `DISABLED`, its accounts cannot be used.
    status: AuthConfigStatus,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    last_updated_at: String,
    /// Number of its accounts.
    no_of_connections: i64,
    /// The fields to enter when an account is connected.
    expected_input_fields: Vec<ExpectedInputField>,
    /// As it was given.
    restrict_to_following_tools: Vec<String>,
    /// As it was given.
    tool_access_config: ToolAccessConfig,
    /// Values that all its accounts share, by field name; secret ones are `REDACTED`.
    shared_connection_fields: Map<String, Value>,
    /// The older name of `shared_connection_fields`.
    shared_credentials: Map<String, Value>,
    /// Whether sessions that name no auth config may use it.
    is_enabled_for_tool_router: bool,
    /// The redirect URI to register at the provider; only for schemes with a redirect. An extension of
    /// this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
}

#[derive(Clone, Copy, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum AuthConfigType {
    Default,
    Custom,
}

/// Whether an auth config can be used.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum AuthConfigStatus {
    Enabled,
    Disabled,
}

#[derive(JsonSchema, Serialize)]
struct AuthConfigToolkit {
    /// Its slug.
    slug: String,
    /// URL of its logo.
    logo: String,
    /// The provider's guide to getting credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_guide_url: Option<String>,
}

/// A field of a connection.
#[derive(Debug, JsonSchema, Serialize)]
struct ExpectedInputField {
    /// The field, as toolkits show it.
    #[serde(flatten)]
    field: InputField,
    /// Always true: it may be one of the `shared_connection_fields`.
    is_available_as_shared_credentials: bool,
}

impl AuthConfig {
    /// An auth config as shown in responses.
    pub fn new(app: &App, config: &AuthConfigView) -> Self {
        let row = &config.row;
        let toolkit = app.core.toolkit(&row.toolkit);
        let fields = toolkit.as_ref().map(|toolkit| toolkit.connection_fields(row.scheme)).unwrap_or_default();
        let settings = &config.settings;
        let tool_access = settings.tool_access_config.clone();
        let shared = shared_fields(config, &fields);
        Self {
            id: row.id.to_string(),
            uuid: row.id.to_string(),
            kind: if row.is_managed { AuthConfigType::Default } else { AuthConfigType::Custom },
            toolkit: AuthConfigToolkit {
                slug: row.toolkit.clone(),
                logo: logo_url(app, &row.toolkit),
                auth_guide_url: toolkit.and_then(|toolkit| toolkit.auth_guide_url.clone()),
            },
            name: row.name.clone(),
            auth_scheme: row.scheme.to_string(),
            is_composio_managed: row.is_managed,
            credentials: masked_credentials(app, config),
            status: if row.is_enabled { AuthConfigStatus::Enabled } else { AuthConfigStatus::Disabled },
            created_at: iso(row.created_at),
            last_updated_at: iso(row.updated_at),
            no_of_connections: config.connections,
            expected_input_fields: fields.iter().map(ExpectedInputField::of).collect(),
            restrict_to_following_tools: settings.restrict_to_following_tools.clone().unwrap_or_default(),
            tool_access_config: tool_access.unwrap_or_default(),
            shared_credentials: shared.clone(),
            shared_connection_fields: shared,
            is_enabled_for_tool_router: row.is_enabled_for_tool_router,
            redirect_uri: app.redirect_uris.for_display(row, settings),
        }
    }
}

impl ExpectedInputField {
    fn of(field: &Field) -> Self {
        Self { field: InputField::of(field), is_available_as_shared_credentials: true }
    }
}

/// A field that the toolkit no longer has may have been a secret, so it is masked.
fn shared_fields(config: &AuthConfigView, fields: &[Field]) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in config.shared.iter() {
        let is_public = fields.iter().any(|field| field.name == name && !field.secret);
        shown.insert(name.to_owned(), if is_public { value.expose().into() } else { REDACTED.into() });
    }
    shown
}

/// Shows the client id and masks every other credential, regardless of the project's masking setting
/// (contract section 5, "masking").
fn masked_credentials(app: &App, config: &AuthConfigView) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, secret) in config.secrets.iter() {
        // The former client and details of its registration are not shown.
        if name.starts_with("former_") || name == "client_secret_expires_at" {
            continue;
        }
        let is_public = matches!(name, "client_id" | "consumer_key" | "token_endpoint_auth_method");
        shown.insert(name.to_owned(), if is_public { secret.expose().into() } else { REDACTED.into() });
    }
    if let Some(scopes) = &config.settings.scopes {
        shown.insert("scopes".to_owned(), json!(scopes));
    }
    if let Some(scopes) = &config.settings.user_scopes {
        shown.insert("user_scopes".to_owned(), json!(scopes));
    }
    let settings = &config.settings;
    if settings.oauth_redirect_uri.is_some() || settings.uses_toolkit_redirect_uri {
        shown.insert("oauth_redirect_uri".to_owned(), app.redirect_uris.of(&config.row, settings).into());
    }
    shown
}

crate::redacted_debug!(AuthConfig);
