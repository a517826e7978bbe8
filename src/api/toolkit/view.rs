//! Responses of `/toolkits` (contract sections 6.1 to 6.4).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use switchboard_catalog::{Scheme, Sunset, Toolkit};
use switchboard_types::ProjectId;

use super::details::{AuthDetails, details};
use crate::app::App;
use crate::app::base::tools::ToolkitVersion;
use crate::app::tool_versions::{VersionChanges, VersionEntry};
use crate::text::capital;

/// A toolkit in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolkitItem {
    /// Lower case.
    slug: String,
    /// Display name.
    name: String,
    /// Always `native`: it comes from this server's files.
    r#type: &'static str,
    /// Schemes that can be used.
    auth_schemes: Vec<&'static str>,
    /// Schemes that can be used without an auth config of your own.
    composio_managed_auth_schemes: Vec<&'static str>,
    /// Always false.
    is_local_toolkit: bool,
    /// Whether it is used without an account.
    no_auth: bool,
    /// The provider's guide to registering an OAuth client or creating a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_guide_url: Option<String>,
    /// Older names.
    deprecated: DeprecatedItem,
    /// Metadata for lists.
    meta: Meta<CategoryItem>,
}

/// Older names of a toolkit's values.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitItemDeprecated")]
pub struct DeprecatedItem {
    /// The slug.
    #[serde(rename = "toolkitId")]
    toolkit_id: String,
}

/// Metadata of a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitMetaWith{C}")]
pub struct Meta<C> {
    /// ISO 8601: the day of the file's version; the real creation date is unknown.
    created_at: String,
    /// The same day.
    updated_at: String,
    /// A sentence.
    description: String,
    /// URL of an image on this server.
    logo: String,
    /// Home page of the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_url: Option<String>,
    /// At least one.
    categories: Vec<C>,
    /// Number of triggers that this server offers.
    triggers_count: u32,
    /// Number of tools that this server offers.
    tools_count: u32,
    /// `YYYYMMDD_NN`.
    version: String,
    /// All available versions; only when reading a single toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    available_versions: Option<Vec<String>>,
}

/// A category in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitCategory")]
pub struct CategoryItem {
    /// The value for `category` in lists.
    id: String,
    /// Display name.
    name: String,
}

impl CategoryItem {
    /// The category of this id.
    pub fn of(id: &str) -> Self {
        Self { id: id.to_owned(), name: title(id) }
    }
}

/// A category of a single toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitCategorySlug")]
pub struct CategorySlug {
    /// Display name.
    name: String,
    /// The value for `category` in lists.
    slug: String,
}

/// A single toolkit with all details.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Toolkit")]
pub struct ToolkitResponse {
    /// Lower case.
    slug: String,
    /// Display name.
    name: String,
    /// Always `native`: it comes from this server's files.
    r#type: &'static str,
    /// Always true.
    enabled: bool,
    /// Schemes that can be used without an auth config of your own.
    composio_managed_auth_schemes: Vec<&'static str>,
    /// The same with the available scopes.
    composio_managed_auth: Vec<ManagedAuth>,
    /// Always false.
    is_local_toolkit: bool,
    /// The fields of each scheme.
    auth_config_details: Vec<AuthDetails>,
    /// The provider's guide to registering an OAuth client or creating a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_guide_url: Option<String>,
    /// The base URL of relative endpoints, unless it differs between accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    /// Metadata.
    meta: Meta<CategorySlug>,
    /// The request that identifies the user of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    get_current_user_endpoint: Option<String>,
    /// Its method.
    #[serde(skip_serializing_if = "Option::is_none")]
    get_current_user_endpoint_method: Option<String>,
    /// Changes that the provider has announced, soonest first. An extension of this server.
    sunset: Vec<SunsetItem>,
    /// Facts that could not be checked against public documentation of the provider. An extension of
    /// this server.
    unverified: Vec<String>,
    /// Older names.
    deprecated: Deprecated,
}

/// A dated change at a provider.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitSunset")]
pub struct SunsetItem {
    /// `YYYY-MM-DD`.
    date: String,
    /// What happens then, and what to do before.
    message: String,
    /// The page that announces it.
    source: String,
}

/// Older names of a toolkit's values.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitDeprecated")]
pub struct Deprecated {
    /// The slug.
    #[serde(rename = "toolkitId")]
    toolkit_id: String,
    /// The same as `get_current_user_endpoint`.
    #[serde(rename = "getCurrentUserEndpoint", skip_serializing_if = "Option::is_none")]
    get_current_user_endpoint: Option<String>,
    /// Always empty.
    #[serde(rename = "rawProxyInfoByAuthSchemes")]
    raw_proxy_info: Vec<Map<String, Value>>,
}

/// A scheme that can be used without an auth config of your own.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitManagedAuth")]
pub struct ManagedAuth {
    /// Such as `OAUTH2`.
    mode: &'static str,
    /// Its scopes.
    scopes: Scopes,
}

/// Scopes of an OAuth provider.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitScopes")]
pub struct Scopes {
    /// All available scopes.
    available: Vec<String>,
}

/// Versions of all toolkits.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitChangelog")]
pub struct Changelog {
    /// One for each toolkit.
    items: Vec<ChangelogItem>,
}

/// Versions of a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitChangelogItem")]
pub struct ChangelogItem {
    /// Lower case.
    slug: String,
    /// Display name.
    name: String,
    /// The same.
    display_name: String,
    /// Its versions, the newest first.
    versions: Vec<ChangelogVersion>,
}

/// A version of a toolkit.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolkitChangelogVersion")]
pub struct ChangelogVersion {
    /// `YYYYMMDD_NN`.
    version: String,
    /// What is new in it.
    changelog: String,
}

/// URL of a toolkit's monogram.
pub fn logo_url(app: &App, slug: &str) -> String {
    format!("{}/assets/toolkits/{slug}.svg", app.core.settings.public_url)
}

/// A toolkit as shown in lists.
pub fn item(app: &App, project: &ProjectId, toolkit: &Toolkit) -> ToolkitItem {
    let schemes: Vec<&'static str> = toolkit.schemes().into_iter().map(Scheme::as_str).collect();
    ToolkitItem {
        slug: toolkit.slug.clone(),
        name: toolkit.name.clone(),
        r#type: "native",
        no_auth: schemes == ["NO_AUTH"],
        auth_schemes: schemes,
        composio_managed_auth_schemes: managed_schemes(app, project, toolkit),
        is_local_toolkit: false,
        auth_guide_url: toolkit.auth_guide_url.clone(),
        deprecated: DeprecatedItem { toolkit_id: toolkit.slug.clone() },
        meta: meta(app, toolkit, CategoryItem::of, None),
    }
}

/// A toolkit with all details.
pub fn toolkit(app: &App, project: &ProjectId, version: &ToolkitVersion, versions: Vec<String>) -> ToolkitResponse {
    let toolkit = &version.toolkit;
    let managed = managed_schemes(app, project, toolkit);
    let available = toolkit.oauth2.as_ref().map(|oauth| {
        let asked: Vec<String> = oauth.scopes.iter().chain(&oauth.always_scopes).cloned().collect();
        all_scopes(&asked, &oauth.available_scopes)
    });
    let scopes = || Scopes { available: available.clone().unwrap_or_default() };
    let preferred = toolkit.schemes().into_iter().find_map(|scheme| toolkit.identity_of(scheme));
    let identity =
        preferred.and_then(|identity| identity.request.as_ref()).filter(|request| !request.url.contains('{'));
    let category = |slug: &str| CategorySlug { name: title(slug), slug: slug.to_owned() };
    ToolkitResponse {
        slug: toolkit.slug.clone(),
        name: toolkit.name.clone(),
        r#type: "native",
        enabled: true,
        composio_managed_auth: managed.iter().map(|mode| ManagedAuth { mode, scopes: scopes() }).collect(),
        composio_managed_auth_schemes: managed,
        is_local_toolkit: false,
        auth_config_details: toolkit.schemes().into_iter().map(|scheme| details(app, toolkit, scheme)).collect(),
        auth_guide_url: toolkit.auth_guide_url.clone(),
        base_url: (!toolkit.base_url.contains('{')).then(|| toolkit.base_url.clone()),
        meta: Meta { version: version.version().to_owned(), ..meta(app, toolkit, category, Some(versions)) },
        get_current_user_endpoint: identity.map(|request| request.url.clone()),
        get_current_user_endpoint_method: identity.map(|request| request.method.clone()),
        sunset: sunsets(toolkit),
        unverified: toolkit.unverified.clone(),
        deprecated: Deprecated {
            toolkit_id: toolkit.slug.clone(),
            get_current_user_endpoint: identity.map(|request| request.url.clone()),
            raw_proxy_info: Vec::new(),
        },
    }
}

fn sunsets(toolkit: &Toolkit) -> Vec<SunsetItem> {
    let item = |sunset: &Sunset| SunsetItem {
        date: sunset.date.clone(),
        message: sunset.message.clone(),
        source: sunset.source.clone(),
    };
    let mut items: Vec<SunsetItem> = toolkit.sunset.iter().map(item).collect();
    items.sort_by(|one, other| one.date.cmp(&other.date));
    items
}

/// The versions of toolkits.
pub fn changelog(toolkits: Vec<VersionChanges>) -> Changelog {
    let version = |entry: VersionEntry| ChangelogVersion { version: entry.version, changelog: entry.changes };
    let item = |changes: VersionChanges| ChangelogItem {
        slug: changes.toolkit.slug.clone(),
        name: changes.toolkit.name.clone(),
        display_name: changes.toolkit.name.clone(),
        versions: changes.versions.into_iter().map(version).collect(),
    };
    Changelog { items: toolkits.into_iter().map(item).collect() }
}

fn meta<C>(
    app: &App,
    toolkit: &Toolkit,
    category: impl Fn(&str) -> C,
    available_versions: Option<Vec<String>>,
) -> Meta<C> {
    // `YYYYMMDD_NN`: the day of the last change to the file; nothing else is known about its age.
    let part = |from: usize, to: usize| toolkit.version.get(from..to).unwrap_or("01");
    let day = format!("{}-{}-{}T00:00:00.000Z", part(0, 4), part(4, 6), part(6, 8));
    Meta {
        created_at: day.clone(),
        updated_at: day,
        description: toolkit.description.clone(),
        logo: logo_url(app, &toolkit.slug),
        app_url: toolkit.app_url.clone(),
        categories: toolkit.categories.iter().map(|id| category(id)).collect(),
        // Tools and triggers are not served yet.
        triggers_count: 0,
        tools_count: u32::try_from(toolkit.tool_count()).unwrap_or(u32::MAX),
        version: toolkit.version.clone(),
        available_versions,
    }
}

fn managed_schemes(app: &App, project: &ProjectId, toolkit: &Toolkit) -> Vec<&'static str> {
    app.auth_configs.managed_scheme(project, toolkit).map(Scheme::as_str).into_iter().collect()
}

fn all_scopes(default: &[String], further: &[String]) -> Vec<String> {
    let mut scopes = default.to_vec();
    scopes.extend(further.iter().filter(|scope| !default.contains(scope)).cloned());
    scopes
}

/// `developer-tools` → `Developer Tools`.
fn title(slug: &str) -> String {
    slug.split('-').map(capital).collect::<Vec<String>>().join(" ")
}
