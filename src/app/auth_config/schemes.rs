//! Selects the auth config, and so the scheme, of a link (contract section 3.2): the session's; or else the
//! newest one that sessions may use; or else a new one for a scheme that needs no client of the project. The
//! request may name a scheme or leave the choice to the user.

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::Unit;
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_types::{AuditAction, AuditOutcome, AuthConfigId, ProjectId};

use crate::app::Actor;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::errors::auth_config_not_found;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::error::{Code, Error, Result};

/// Maximum number of auth configs cached per toolkit. Links need the newest of each scheme.
const MAX_CACHED: i64 = 20;

/// What a link request says about the scheme.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RequestedScheme {
    /// No preference.
    #[default]
    Any,
    /// This scheme only.
    Only(Scheme),
    /// The user chooses the scheme.
    UserChooses,
}

/// A warning about a link, for the developer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkWarning {
    /// Stable code for programs.
    pub code: &'static str,
    /// Text for people.
    pub message: String,
}

/// The auth config selected for a link.
pub(in crate::app) struct SelectedAuthConfig {
    pub config: Arc<AuthConfigRow>,
    /// The user is asked for the scheme; this auth config is one of several candidates.
    pub user_chooses: bool,
    pub warnings: Vec<LinkWarning>,
}

/// The auth configs of a project and toolkit that sessions may use, without sealed columns. Also the one that a
/// link uses by default, and its warnings. Cached for one second.
#[derive(Debug)]
pub struct Candidates {
    /// Newest first.
    configs: Vec<Arc<AuthConfigRow>>,
    /// Index of the auth config that is used by default.
    default_index: usize,
    warnings: Vec<LinkWarning>,
}

impl Candidates {
    fn new(configs: Vec<Arc<AuthConfigRow>>) -> Result<Option<Self>> {
        if configs.is_empty() {
            return Ok(None);
        }
        let mut default_index = Vec::new();
        for (cache_key, config) in configs.iter().enumerate() {
            if !AuthConfigSettings::parse(&config.settings)?.made_for_scheme {
                default_index.push(cache_key);
            }
        }
        let warnings =
            several_warning(&default_index.iter().map(|cache_key| &*configs[*cache_key]).collect::<Vec<_>>());
        Ok(Some(Self { default_index: default_index.first().copied().unwrap_or(0), configs, warnings }))
    }
}

impl Candidates {
    /// The newest auth config of a scheme.
    pub(in crate::app) fn newest_of(&self, scheme: Scheme) -> Option<&Arc<AuthConfigRow>> {
        self.configs.iter().find(|config| config.scheme == scheme)
    }

    /// Whether an auth config is among the candidates.
    pub fn has(&self, id: &AuthConfigId) -> bool {
        self.configs.iter().any(|config| config.id == *id)
    }

    /// Whether the candidates belong to a project.
    pub fn is_of(&self, project: &ProjectId) -> bool {
        self.configs.iter().any(|config| config.project_id == *project)
    }
}

/// Warns which auth config is used if there are several and the request names none.
fn several_warning(configs: &[&AuthConfigRow]) -> Vec<LinkWarning> {
    let [used, others @ ..] = configs else { return Vec::new() };
    if others.is_empty() {
        return Vec::new();
    }
    let listed: Vec<String> =
        others.iter().take(5).map(|config| format!("{} ({})", config.id, config.scheme)).collect();
    let more = if others.len() > listed.len() { " and more" } else { "" };
    vec![LinkWarning {
        code: "SEVERAL_AUTH_CONFIGS",
        message: format!(
            "Links for {} use the newest auth config, {} ({}). There are also {}{more}. \
             Name one in the session's auth_configs, or send auth_scheme.",
            used.toolkit,
            used.id,
            used.scheme,
            listed.join(", ")
        ),
    }]
}

impl AuthConfigs {
    /// Selects the auth config of a link. A new one is added to the unit.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(in crate::app) async fn pick(
        &self,
        actor: &Actor,
        named: Option<&AuthConfigId>,
        toolkit: &Toolkit,
        requested: RequestedScheme,
        unit: &mut Unit,
    ) -> Result<SelectedAuthConfig> {
        if let Some(id) = named {
            return self.named(actor, id, toolkit, requested).await;
        }
        let candidates = self.usable_configs(&actor.project_id, toolkit).await?;
        if let RequestedScheme::Only(scheme) = requested {
            let newest = candidates.as_ref().and_then(|config| config.newest_of(scheme)).cloned();
            let config = match newest {
                Some(config) => config,
                None => Arc::new(self.find_or_create(actor, toolkit, scheme, unit).await?),
            };
            return Ok(SelectedAuthConfig { config, user_chooses: false, warnings: Vec::new() });
        }
        let user_chooses =
            requested == RequestedScheme::UserChooses && self.methods(&actor.project_id, toolkit).await?.len() > 1;
        if let Some(candidates) = candidates {
            let config = candidates.configs[candidates.default_index].clone();
            let warnings = if user_chooses { Vec::new() } else { candidates.warnings.clone() };
            return Ok(SelectedAuthConfig { config, user_chooses, warnings });
        }
        let (config, warnings) = self.first(actor, toolkit, unit).await?;
        let warnings = if user_chooses { Vec::new() } else { warnings };
        Ok(SelectedAuthConfig { config: Arc::new(config), user_chooses, warnings })
    }

    /// The auth config that the session names.
    async fn named(
        &self,
        actor: &Actor,
        id: &AuthConfigId,
        toolkit: &Toolkit,
        requested: RequestedScheme,
    ) -> Result<SelectedAuthConfig> {
        let config = self.core.store.auth_config(&actor.project_id, id).await?;
        let config = config.ok_or_else(|| auth_config_not_found(id))?;
        if self.lacks_client(&config) {
            return Err(no_managed_auth(toolkit));
        }
        if !config.is_enabled {
            return Err(super::disabled(&config).fix("Enable it, or name another auth config in the session."));
        }
        if let RequestedScheme::Only(scheme) = requested
            && scheme != config.scheme
        {
            let reason =
                format!("must be {}: the session names auth config {} of that scheme", config.scheme, config.id);
            return Err(Error::field("auth_scheme", reason)
                .fix("Leave auth_scheme out, or use a session whose auth_configs does not name this toolkit."));
        }
        let mut warnings = Vec::new();
        if requested == RequestedScheme::UserChooses {
            let message =
                format!("The session names auth config {}, so the user is not asked for a scheme.", config.id);
            warnings.push(LinkWarning { code: "NO_CHOICE", message });
        }
        Ok(SelectedAuthConfig { config: Arc::new(config), user_chooses: false, warnings })
    }

    /// The auth configs that links of a project and toolkit may use, cached for one second.
    pub(in crate::app) async fn usable_configs(
        &self,
        project: &ProjectId,
        toolkit: &Toolkit,
    ) -> Result<Option<Arc<Candidates>>> {
        let cache_key = (project.clone(), toolkit.slug.as_str().into());
        if let Some(candidates) = self.recent.get(&cache_key) {
            return Ok(Some(candidates));
        }
        let before = self.recent.before();
        let with_client = self.core.settings.managed_client(&toolkit.slug, project).is_some();
        let configs = self.core.store.usable_auth_configs(project, &toolkit.slug, with_client, MAX_CACHED).await?;
        let unsealed = |config| Arc::new(AuthConfigRow { credentials_sealed: None, shared_sealed: None, ..config });
        let Some(candidates) = Candidates::new(configs.into_iter().map(unsealed).collect())? else { return Ok(None) };
        let candidates = Arc::new(candidates);
        self.recent.put(cache_key, before, Arc::clone(&candidates));
        Ok(Some(candidates))
    }

    /// Creates the first auth config of a toolkit, for the first scheme that is possible, with its warnings.
    async fn first(
        &self,
        actor: &Actor,
        toolkit: &Toolkit,
        unit: &mut Unit,
    ) -> Result<(AuthConfigRow, Vec<LinkWarning>)> {
        let schemes = toolkit.schemes();
        let is_offered = |scheme: Scheme| schemes.first() == Some(&scheme) || !uses_service_credential(scheme);
        let mut offered = schemes.iter().copied().filter(|scheme| is_offered(*scheme));
        let creatable = offered.find(|scheme| self.can_create(&actor.project_id, toolkit, *scheme));
        let scheme = creatable.ok_or_else(|| no_managed_auth(toolkit))?;
        if let Some(existing) = self.core.store.managed_auth_config(&actor.project_id, &toolkit.slug, None).await?
            && !(existing.is_enabled && existing.is_enabled_for_tool_router)
        {
            return Err(managed_disabled(&existing));
        }
        let config = self.insert_managed(actor, toolkit, scheme, false, unit);
        let mut warnings = Vec::new();
        if schemes.first() != Some(&scheme) {
            let preferred = schemes.first().map_or("", |config| config.as_str());
            warnings.push(LinkWarning {
                code: "OTHER_SCHEME",
                message: format!(
                    "{} is connected by {scheme}, since this project has no client for {preferred}. \
                     Links go on with auth config {} until there is a newer one.",
                    toolkit.name, config.id
                ),
            });
        }
        Ok((config, warnings))
    }

    /// The newest auth config of a scheme, or a new one for links that request that scheme. Other links do not
    /// use it.
    pub(in crate::app) async fn find_or_create(
        &self,
        actor: &Actor,
        toolkit: &Toolkit,
        scheme: Scheme,
        unit: &mut Unit,
    ) -> Result<AuthConfigRow> {
        let project = &actor.project_id;
        // The cache is limited, so an older auth config may have the scheme.
        let with_client = self.core.settings.managed_client(&toolkit.slug, project).is_some();
        let older = self.core.store.usable_auth_config_of_scheme(project, &toolkit.slug, scheme, with_client).await?;
        if let Some(config) = older {
            return Ok(config);
        }
        if !self.can_create(project, toolkit, scheme) {
            return Err(no_client(toolkit, scheme));
        }
        if let Some(existing) = self.core.store.managed_auth_config(project, &toolkit.slug, Some(scheme)).await?
            && !(existing.is_enabled && existing.is_enabled_for_tool_router)
        {
            return Err(managed_disabled(&existing));
        }
        Ok(self.insert_managed(actor, toolkit, scheme, true, unit))
    }

    pub(in crate::app) fn insert_managed(
        &self,
        actor: &Actor,
        toolkit: &Toolkit,
        scheme: Scheme,
        made_for_scheme: bool,
        unit: &mut Unit,
    ) -> AuthConfigRow {
        let mut config = self.new_row(&actor.project_id, toolkit, scheme, true);
        if made_for_scheme {
            config.settings = AuthConfigSettings { made_for_scheme, ..AuthConfigSettings::default() }.to_text();
        }
        unit.extend(auth_configs::insert_first_managed(&config));
        unit.push(self.core.audit(actor, AuditAction::AuthConfigCreate, &config.id, AuditOutcome::Ok, None));
        config
    }

    /// Whether an auth config of a scheme can be created without anything from the project: with the operator's
    /// client, or because the scheme needs no client.
    pub(in crate::app) fn can_create(&self, project: &ProjectId, toolkit: &Toolkit, scheme: Scheme) -> bool {
        let is_user_token = scheme == Scheme::BearerToken && toolkit.oauth2.is_some();
        if !toolkit.offers(scheme) && !is_user_token {
            return false;
        }
        match scheme {
            Scheme::OAuth2 => self.core.settings.managed_client(&toolkit.slug, project).is_some(),
            // Consumer keys of OAuth 1.0a must be registered manually.
            Scheme::OAuth1 => false,
            _ => toolkit.developer_fields(scheme).is_empty(),
        }
    }

    /// Whether a managed auth config has no client, because the operator has withdrawn it or never set one.
    pub(in crate::app) fn lacks_client(&self, config: &AuthConfigRow) -> bool {
        let has_client = || self.core.settings.managed_client(&config.toolkit, &config.project_id).is_some();
        let is = |scheme: Scheme| config.scheme == scheme;
        config.is_managed && (is(Scheme::OAuth1) || is(Scheme::OAuth2) && !has_client())
    }
}

impl RequestedScheme {
    /// Parses the request's scheme: a scheme of the toolkit, or `choose`.
    ///
    /// # Errors
    /// 400, with the names that the toolkit accepts.
    pub fn parse(text: Option<&str>, toolkit: &Toolkit) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Any) };
        if text == "choose" {
            return Ok(Self::UserChooses);
        }
        let mut known = toolkit.schemes();
        if toolkit.oauth2.is_some() && !known.contains(&Scheme::BearerToken) {
            known.push(Scheme::BearerToken);
        }
        if let Some(scheme) = text.parse().ok().filter(|scheme| known.contains(scheme)) {
            return Ok(Self::Only(scheme));
        }
        let names: Vec<&str> = known.iter().map(|scheme| scheme.as_str()).collect();
        let takes = format!("must be one of {}, or choose", names.join(", "));
        Err(Error::field("auth_scheme", takes).fix("Name a scheme of the toolkit, or leave auth_scheme out."))
    }
}

/// Whether a scheme uses a service credential, which an administrator has. Users are not asked for one unless
/// the developer names the scheme.
fn uses_service_credential(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::S2sOAuth2 | Scheme::GoogleServiceAccount | Scheme::ServiceAccount)
}

/// The managed auth config was disabled on purpose: do not create another.
fn managed_disabled(config: &AuthConfigRow) -> Error {
    let id = &config.id;
    let (how, fix) = if config.is_enabled {
        ("not enabled for sessions", format!("Set is_enabled_for_tool_router with PATCH /auth_configs/{id}."))
    } else {
        ("disabled", format!("Enable it with PATCH /auth_configs/{id}/ENABLED."))
    };
    Error::new(Code::AuthConfigBadRequest, format!("Auth config \"{id}\" of toolkit {} is {how}", config.toolkit))
        .fix(format!("{fix} Or name another auth config in the session, or create one."))
}

/// No client is available for any scheme.
pub(in crate::app) fn no_managed_auth(toolkit: &Toolkit) -> Error {
    let scheme = toolkit.schemes().into_iter().find(|config| matches!(config, Scheme::OAuth2 | Scheme::OAuth1));
    no_client(toolkit, scheme.or_else(|| toolkit.schemes().first().copied()).unwrap_or(Scheme::OAuth2))
}

/// No client is available for this scheme; the error says what to do.
fn no_client(toolkit: &Toolkit, scheme: Scheme) -> Error {
    let slug = &toolkit.slug;
    let own = match scheme {
        Scheme::OAuth2 => format!(
            "Create an auth config with your own OAuth client: POST /auth_configs with type use_custom_auth, authScheme \
             OAUTH2, client_id and client_secret for toolkit {slug}. Or the operator sets [managed.{slug}] in \
             switchboard.toml and lists this project there. Or send auth_scheme BEARER_TOKEN: the user then enters an \
             access token of their own."
        ),
        Scheme::OAuth1 => format!(
            "Create an auth config with your own client: POST /auth_configs with type use_custom_auth, authScheme \
             OAUTH1, consumer_key and consumer_secret for toolkit {slug}."
        ),
        _ => {
            let fields: Vec<&str> = toolkit.developer_fields(scheme).iter().map(|field| field.name.as_str()).collect();
            let fields = fields.join(", ");
            format!(
                "Create an auth config: POST /auth_configs with type use_custom_auth, authScheme {scheme} and \
                 shared_connection_fields {fields} for toolkit {slug}."
            )
        }
    };
    Error::of(Code::NoManagedAuth, &[("slug", slug)]).fix(own)
}
