//! The fields of each scheme of a toolkit, for developers and users (contract sections 6.2 and 6.3).

use schemars::JsonSchema;
use serde::Serialize;
use switchboard_catalog::{ClientAuthentication, Field, Scheme, Toolkit};

use crate::app::App;
use crate::app::provider::redirect_uris;

/// The fields of a scheme of a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitAuthDetails")]
pub struct AuthDetails {
    /// Toolkit and scheme, lower case.
    name: String,
    /// Such as `OAUTH2`.
    mode: &'static str,
    /// Default scopes of an auth config.
    required_scopes: Vec<String>,
    /// The fields, by when they are entered.
    fields: DetailFields,
    /// The base URL of relative endpoints, unless it differs between accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyInfo>,
    /// The provider's guide to registering an OAuth client or creating a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_hint_url: Option<String>,
    /// The redirect URI to register at the provider, if known before there is an auth config: pass it
    /// as `oauth_redirect_uri` when creating one. An extension of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    /// What to do about the redirect URI; only if a client is registered by hand. An extension of this
    /// server.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri_hint: Option<String>,
    /// The OAuth provider's endpoints, unless they differ between accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated_auth_provider_details: Option<ProviderEndpoints>,
}

/// The base URL of relative endpoints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitProxyInfo")]
pub struct ProxyInfo {
    /// URL.
    base_url: String,
}

/// Endpoints of an OAuth provider.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitProviderEndpoints")]
pub struct ProviderEndpoints {
    /// Where users grant access.
    authorization_url: String,
    /// Where codes and refresh tokens are exchanged.
    token_url: String,
}

/// The fields, by when they are entered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitDetailFields")]
pub struct DetailFields {
    /// Entered by the developer who creates an auth config.
    auth_config_creation: FieldGroup,
    /// Entered by the user who connects an account.
    connected_account_initiation: FieldGroup,
}

/// Required and optional fields.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitFieldGroup")]
pub struct FieldGroup {
    /// Required fields.
    required: Vec<InputField>,
    /// Fields that have a default or may be empty.
    optional: Vec<InputField>,
}

/// A value that a person enters.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitInputField")]
pub struct InputField {
    /// Name in requests.
    name: String,
    /// Display name.
    #[serde(rename = "displayName")]
    display_name: String,
    /// Always `string`.
    r#type: &'static str,
    /// What to enter and where to find it.
    description: String,
    /// Whether it is required.
    required: bool,
    /// Whether it is stored sealed and shown masked.
    is_secret: bool,
    /// Always true.
    user_visible: bool,
    /// Used when nothing is entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

impl InputField {
    /// A field of a toolkit's file.
    pub fn of(field: &Field) -> Self {
        Self {
            name: field.name.clone(),
            display_name: field.display_name.clone(),
            r#type: "string",
            description: field.description.clone(),
            required: field.required,
            is_secret: field.secret,
            user_visible: true,
            default: field.default.clone(),
        }
    }
}

/// The fields of a scheme of a toolkit.
pub fn details(app: &App, toolkit: &Toolkit, scheme: Scheme) -> AuthDetails {
    let (redirect_uri, redirect_uri_hint) = match redirect_uris::advice(&app.core.settings.public_url, toolkit, scheme)
    {
        Some((uri, hint)) => (uri, Some(hint)),
        None => (None, None),
    };
    let oauth = toolkit.oauth(scheme);
    let (asked, optional): (Vec<Field>, Vec<Field>) =
        toolkit.scheme_fields(scheme).into_iter().partition(|field| field.required && field.default.is_none());
    let is_fixed = |url: &str| !url.is_empty() && !url.contains('{');
    let fixed = oauth.filter(|oauth| is_fixed(&oauth.authorization_url) && is_fixed(&oauth.token_url));
    let base_url = toolkit.base_url(scheme);
    AuthDetails {
        name: format!("{}_{}", toolkit.slug, scheme.as_str().to_ascii_lowercase()),
        mode: scheme.as_str(),
        required_scopes: oauth
            .map(|oauth| oauth.scopes.iter().chain(&oauth.always_scopes).cloned().collect())
            .unwrap_or_default(),
        fields: DetailFields {
            auth_config_creation: creation_fields(toolkit, scheme),
            connected_account_initiation: FieldGroup {
                required: asked.iter().map(InputField::of).collect(),
                optional: optional.iter().map(InputField::of).collect(),
            },
        },
        proxy: is_fixed(base_url).then(|| ProxyInfo { base_url: base_url.to_owned() }),
        auth_hint_url: toolkit.auth_guide_url.clone(),
        redirect_uri,
        redirect_uri_hint,
        deprecated_auth_provider_details: fixed.map(|oauth| ProviderEndpoints {
            authorization_url: oauth.authorization_url.clone(),
            token_url: oauth.token_url.clone(),
        }),
    }
}

/// The fields that a developer enters when creating an auth config of a scheme.
fn creation_fields(toolkit: &Toolkit, scheme: Scheme) -> FieldGroup {
    let field = |name: &str, display_name: &str, description: &str, required: bool, is_secret: bool| InputField {
        name: name.to_owned(),
        display_name: display_name.to_owned(),
        r#type: "string",
        description: description.to_owned(),
        required,
        is_secret,
        user_visible: true,
        default: None,
    };
    let redirect_uri = || {
        let description = "Redirect URI that is registered for the app, if not the auth config's own";
        field("oauth_redirect_uri", "Redirect URI", description, false, false)
    };
    if scheme == Scheme::OAuth1 {
        let required = vec![
            field("consumer_key", "Consumer key", "Consumer key of the app you registered", true, false),
            field("consumer_secret", "Consumer secret", "Consumer secret of that app", true, true),
        ];
        return FieldGroup { required, optional: vec![redirect_uri()] };
    }
    let Some(oauth) = toolkit.oauth(scheme) else { return FieldGroup::default() };
    let mut required = Vec::new();
    let mut optional = Vec::new();
    if scheme == Scheme::OAuth2 {
        required.push(field("client_id", "Client id", "Client id of the OAuth app you registered", true, false));
        match oauth.client_authentication {
            ClientAuthentication::None => {}
            ClientAuthentication::PrivateKeyJwt => {
                required.push(field("private_key", "Private key", "Private key of that app, in PEM", true, true));
                optional.push(field("key_id", "Key id", "Which of the app's keys that is", false, false));
                optional.push(field("certificate", "Certificate", "Certificate of the key, in PEM", false, false));
            }
            _ => required.push(field("client_secret", "Client secret", "Client secret of that app", true, true)),
        }
    }
    optional.push(field("scopes", "Scopes", "Scopes to ask for instead of the toolkit's", false, false));
    optional.push(redirect_uri());
    FieldGroup { required, optional }
}
