//! Auth configs: how one toolkit authenticates in one project (contract section 5). Created, read and listed
//! here; `edit.rs` changes them and `deletion.rs` deletes them.

mod deletion;
pub mod edit;
pub mod methods;
pub mod schemes;
mod tool_lists;

use std::sync::Arc;

use switchboard_catalog::{ClientAuthentication, Scheme, Toolkit};
use switchboard_store::auth_configs::{self, AuthConfigFilter, AuthConfigRow, CountedAuthConfig};
use switchboard_store::{ListPage, PageQuery};
use switchboard_types::{AuditAction, AuditOutcome, AuthConfigId, CompactString, ProjectId};
use switchboard_vault::{Secret, Secrets};

use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::base::errors::auth_config_not_found;
use crate::app::base::idempotency::{Commit, Idempotency, IdempotencyKey, Prepared, StoredResponse};
use crate::app::base::recent::Recent;
use crate::app::credential::Credentials;
use crate::app::credential::secret_addresses::check_shared_secrets;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::provider::Providers;
use crate::app::provider::redirect_uris::RedirectUris;
use crate::app::revocation::Revocations;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::{is_invisible, pasted, truncate};

use schemes::Candidates;
use tool_lists::check_tool_lists;

/// A new auth config as the API receives it.
#[derive(Debug)]
pub struct NewAuthConfig {
    /// Toolkit slug in any case.
    pub toolkit: String,
    /// Display name.
    pub name: Option<String>,
    /// Managed by the operator, or the project's own.
    pub source: Source,
    /// Settings that are not secret.
    pub settings: AuthConfigSettings,
    /// Connection fields shared by all accounts.
    pub shared: Secrets,
    /// Whether sessions may use it; default true.
    pub is_enabled_for_tool_router: bool,
}

/// The owner of the client.
#[derive(Debug)]
pub enum Source {
    /// The operator.
    Managed,
    /// The project.
    Custom {
        /// How it authenticates.
        scheme: Scheme,
        /// Client id and secret, if the scheme needs them.
        credentials: Secrets,
    },
}

/// An auth config with everything that a response needs.
#[derive(Debug)]
pub struct AuthConfigView {
    /// The row.
    pub row: AuthConfigRow,
    /// Parsed settings.
    pub settings: AuthConfigSettings,
    /// Credentials. A response must mask everything except the client id.
    pub secrets: Secrets,
    /// Shared connection fields. A response must mask the secret ones.
    pub shared: Secrets,
    /// Number of accounts that are not deleted.
    pub connections: i64,
}

/// Auth configs, and the choice of one for a link.
pub struct AuthConfigs {
    core: Arc<Core>,
    idempotency: Arc<Idempotency>,
    credentials: Arc<Credentials>,
    redirect_uris: Arc<RedirectUris>,
    providers: Arc<Providers>,
    revocations: Arc<Revocations>,
    recent: Recent<(ProjectId, CompactString), Arc<Candidates>>,
}

crate::redacted_debug!(AuthConfigs);

impl AuthConfigs {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        idempotency: Arc<Idempotency>,
        credentials: Arc<Credentials>,
        redirect_uris: Arc<RedirectUris>,
        providers: Arc<Providers>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { core, idempotency, credentials, redirect_uris, providers, revocations, recent: Recent::default() }
    }

    /// Removes a toolkit's auth configs from the cache, because they changed.
    pub(in crate::app) fn forget(&self, project: &ProjectId, toolkit: &str) {
        self.recent.forget(&(project.clone(), toolkit.into()));
    }

    /// Removes a project's auth configs from the cache.
    pub(in crate::app) fn forget_project(&self, project: &ProjectId) {
        self.recent.forget_where(|candidates| candidates.is_of(project));
    }
}

impl AuthConfigs {
    /// Prepares an auth config.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn prepare(&self, actor: &Actor, new: NewAuthConfig) -> Result<Prepared<AuthConfigRow>> {
        let toolkit = self.core.toolkit(&new.toolkit).ok_or_else(|| toolkit_not_found(&new.toolkit))?;
        let mut row = match &new.source {
            Source::Managed => {
                self.managed_auth_config(&actor.project_id, &toolkit).ok_or_else(|| missing_client(&toolkit))?
            }
            Source::Custom { scheme, credentials } => self.custom_row(actor, &toolkit, *scheme, credentials)?,
        };
        row.name = check_name(new.name, "auth_config.name")?.unwrap_or(row.name);
        let scheme = row.scheme;
        check_shared(&toolkit, scheme, &new.shared, "auth_config.shared_connection_fields")?;
        check_shared_secrets(&toolkit, scheme, &new.shared)?;
        row.shared_sealed = self.credentials.seal_shared(&row, &new.shared);
        if let Source::Custom { credentials, .. } = &new.source
            && !credentials.is_empty()
        {
            row.credentials_sealed = Some(self.credentials.seal_client(&row, credentials));
        }
        row.is_enabled_for_tool_router = new.is_enabled_for_tool_router;
        let mut settings = new.settings;
        check_tool_lists(Some(&toolkit), &mut settings, "auth_config.")?;
        if let Some(uri) = settings.oauth_redirect_uri.take() {
            let at = "auth_config.credentials.oauth_redirect_uri";
            self.redirect_uris.choose(&row, &uri, at).await?.store_in(&mut settings);
        }
        row.settings = serde_json::to_string(&settings).map_err(Error::internal)?;
        let unit = auth_configs::insert(&row).with(self.core.audit(
            actor,
            AuditAction::AuthConfigCreate,
            &row.id,
            AuditOutcome::Ok,
            None,
        ));
        Ok(Prepared::new(row, unit))
    }

    /// Stores a prepared auth config with its response.
    pub async fn commit(
        &self,
        prepared: Prepared<AuthConfigRow>,
        key: Option<&IdempotencyKey>,
        response: &StoredResponse,
    ) -> Result<Commit> {
        let commit = self.idempotency.commit(prepared.unit, key, response).await?;
        self.forget(&prepared.object.project_id, &prepared.object.toolkit);
        Ok(commit)
    }

    /// The scheme by which this project can connect without an auth config of its own: OAuth 2 with the
    /// operator's client if it may use it, or a scheme that needs nothing from the developer.
    pub fn managed_scheme(&self, project: &ProjectId, toolkit: &Toolkit) -> Option<Scheme> {
        if toolkit.oauth2.is_some() {
            return self.core.settings.managed_client(&toolkit.slug, project).map(|_| Scheme::OAuth2);
        }
        toolkit.schemes().into_iter().find(|scheme| self.can_create(project, toolkit, *scheme))
    }

    /// A new managed auth config, not yet stored.
    pub fn managed_auth_config(&self, project: &ProjectId, toolkit: &Toolkit) -> Option<AuthConfigRow> {
        let scheme = self.managed_scheme(project, toolkit)?;
        Some(self.new_row(project, toolkit, scheme, true))
    }

    /// One auth config of the caller's project.
    pub async fn get(&self, project: &ProjectId, id: &AuthConfigId) -> Result<AuthConfigView> {
        let found = self.core.store.counted_auth_config(project, id).await?;
        self.view(found.ok_or_else(|| auth_config_not_found(id))?)
    }

    /// One page of auth configs and the total number of matches. A row that cannot be read is logged and left
    /// out.
    pub async fn list(
        &self,
        project: &ProjectId,
        filter: AuthConfigFilter,
        page: PageQuery,
    ) -> Result<ListPage<AuthConfigView>> {
        let ListPage { rows, next, total } = self.core.store.auth_configs(project, filter, page).await?;
        let mut views = Vec::with_capacity(rows.len());
        for counted in rows {
            let id = counted.0.id.clone();
            views.extend(crate::app::base::errors::readable(&id, self.view(counted)));
        }
        Ok(ListPage { rows: views, next, total })
    }

    fn custom_row(
        &self,
        actor: &Actor,
        toolkit: &Toolkit,
        scheme: Scheme,
        credentials: &Secrets,
    ) -> Result<AuthConfigRow> {
        // Own bearer tokens are accepted for every OAuth2 toolkit (contract section 5).
        let schemes = toolkit.schemes();
        let imports_tokens = scheme == Scheme::BearerToken && schemes.contains(&Scheme::OAuth2);
        if !schemes.contains(&scheme) && !imports_tokens {
            let known: Vec<&str> = schemes.iter().map(|scheme| scheme.as_str()).collect();
            return Err(Error::new(
                Code::AuthConfigBadRequest,
                format!("Toolkit \"{}\" does not support auth scheme {}", toolkit.slug, scheme.as_str()),
            )
            .fix(format!("Use one of: {}.", known.join(", "))));
        }
        check_client(toolkit, scheme, credentials, "auth_config.credentials")?;
        Ok(self.new_row(&actor.project_id, toolkit, scheme, false))
    }

    pub(super) fn new_row(
        &self,
        project: &ProjectId,
        toolkit: &Toolkit,
        scheme: Scheme,
        is_managed: bool,
    ) -> AuthConfigRow {
        let now = self.core.now();
        AuthConfigRow {
            id: self.core.mint(Kind::AuthConfig).into(),
            project_id: project.to_owned(),
            toolkit: toolkit.slug.clone(),
            name: format!("{} Auth Config", toolkit.name),
            scheme,
            is_managed,
            is_enabled: true,
            is_enabled_for_tool_router: true,
            settings: "{}".to_owned(),
            credentials_sealed: None,
            shared_sealed: None,
            created_at: now,
            updated_at: now,
        }
    }

    fn view(&self, (row, connections): CountedAuthConfig) -> Result<AuthConfigView> {
        let settings = serde_json::from_str(&row.settings).map_err(Error::internal)?;
        let secrets = self.credentials.open_auth_config(&row)?;
        let shared = self.credentials.open_shared(&row)?;
        Ok(AuthConfigView { row, settings, secrets, shared, connections })
    }
}

/// Names of the client fields that an auth config of a scheme accepts.
pub fn client_names(scheme: Scheme) -> &'static [&'static str] {
    match scheme {
        Scheme::OAuth2 => {
            &["client_id", "client_secret", "private_key", "key_id", "certificate", "token_endpoint_auth_method"]
        }
        Scheme::OAuth1 => &["consumer_key", "consumer_secret", "client_id", "client_secret"],
        _ => &[],
    }
}

/// Checks that an OAuth client is complete. `at` is the path of the credentials in the request.
pub(super) fn check_client(toolkit: &Toolkit, scheme: Scheme, credentials: &Secrets, at: &str) -> Result<()> {
    let missing = |display: &str| {
        Error::new(
            Code::AuthConfigBadRequest,
            format!(
                "Missing required field \"{display}\" for auth scheme \"{scheme}\" in toolkit \"{}\"",
                toolkit.slug
            ),
        )
        .fix("Give in credentials what belongs to the OAuth client you registered at the provider.")
    };
    let given = |name: &str| credentials.get(name).filter(|value| !value.is_empty());
    let method = match scheme {
        Scheme::OAuth2 => toolkit.oauth2.as_ref().map(|oauth| oauth.client_authentication),
        Scheme::OAuth1 => Some(ClientAuthentication::ClientSecretPost),
        _ => return Ok(()),
    };
    if given("client_id").or_else(|| given("consumer_key")).is_none() {
        return Err(missing("Client id"));
    }
    let errors = |name: &str, reason: &str| Error::field(&format!("{at}.{name}"), reason);
    // The registered authentication method takes precedence over the toolkit's.
    let method = match given("token_endpoint_auth_method") {
        Some(name) => Some(ClientAuthentication::from_name(name).ok_or_else(|| {
            let known = "client_secret_basic, client_secret_basic_unencoded, client_secret_post, client_secret_jwt, \
                         private_key_jwt, none";
            errors("token_endpoint_auth_method", &format!("must be one of {known}"))
        })?),
        None => method,
    };
    for name in ["client_id", "consumer_key", "key_id"] {
        // RFC 6749 appendix A.1: visible ASCII. Invisible characters are copied by accident.
        if given(name).is_some_and(|id| id.chars().any(is_invisible)) {
            return Err(errors(name, "holds an invisible character; copy it once more, or type it"));
        }
    }
    if let Some(key) = given("private_key") {
        switchboard_auth::check_private_key(key).map_err(|reason| errors("private_key", reason))?;
    }
    if let Some(certificate) = given("certificate") {
        switchboard_auth::check_certificate(certificate).map_err(|reason| errors("certificate", reason))?;
    }
    match (given("client_secret").or_else(|| given("consumer_secret")), method) {
        (_, Some(ClientAuthentication::PrivateKeyJwt)) if given("private_key").is_none() => Err(missing("Private key")),
        (None, Some(ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt)) => Ok(()),
        (None, _) => Err(missing("Client secret")),
        // A private key for OAuth 1.0a's RSA methods has line breaks.
        (Some(_), _) if scheme == Scheme::OAuth1 => Ok(()),
        // RFC 6749 appendix A: visible ASCII. A pasted line break would fail much later.
        (Some(secret), _) => {
            switchboard_auth::check_client_secret(secret).map_err(|reason| errors("client_secret", reason))
        }
    }
}

/// Validates a name. `at` is its path in the request.
pub(super) fn check_name(name: Option<String>, at: &str) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    if !(1..=256).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Error::field(at, "must have 1 to 256 characters and no control characters"));
    }
    Ok(Some(name))
}

/// Checks that shared fields are valid connection fields. `at` is their path in the request.
pub(super) fn check_shared(toolkit: &Toolkit, scheme: Scheme, shared: &Secrets, at: &str) -> Result<()> {
    let fields = toolkit.connection_fields(scheme);
    let mut errors = Vec::new();
    for (name, value) in shared.iter() {
        let field_name = truncate(name);
        match fields.iter().find(|field| field.name == name) {
            Some(field) => {
                if let Err(reason) = field.check(value.expose()) {
                    errors.push(format!("Error in payload.{at}.{field_name}: {reason}"));
                }
            }
            None if fields.is_empty() => errors.push(format!(
                "Error in payload.{at}.{field_name}: is not known; {scheme} connections of toolkit {} have no fields",
                toolkit.slug
            )),
            None => {
                let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                errors
                    .push(format!("Error in payload.{at}.{field_name}: is not known; known are {}", known.join(", ")));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::validation(errors)) }
}

fn missing_client(toolkit: &Toolkit) -> Error {
    Error::new(
        Code::AuthConfigBadRequest,
        format!("Missing required field \"Client id\" for auth scheme \"OAUTH2\" in toolkit \"{}\"", toolkit.slug),
    )
    .fix(format!(
        "This server manages no OAuth client for {0} that this project may use. Create the auth config with type \
         use_custom_auth and your own client, or ask the operator for [managed.{0}].",
        toolkit.slug
    ))
}

/// The toolkit no longer exists, though it did when the auth config was created.
pub(super) fn toolkit_gone(config: &AuthConfigRow) -> Error {
    Error::new(Code::AuthConfigBadRequest, format!("This server no longer has toolkit \"{}\"", config.toolkit))
}

/// The auth config is disabled, so accounts cannot be connected.
pub(super) fn disabled(config: &AuthConfigRow) -> Error {
    Error::new(Code::AuthConfigBadRequest, format!("Auth config \"{}\" is disabled", config.id))
        .fix("Enable it with PATCH /auth_configs/{id}/ENABLED, or use another one.")
}

/// The toolkit does not exist.
pub fn toolkit_not_found(slug: &str) -> Error {
    Error::of(Code::ToolkitNotFound, &[("slug", &truncate(slug))])
}

/// Client credentials from a request, without surrounding blanks.
pub fn secrets_from(pairs: impl IntoIterator<Item = (String, Secret)>) -> Secrets {
    let mut secrets = Secrets::new();
    for (name, value) in pairs {
        secrets.insert(&name, Secret::from(pasted(value.expose())));
    }
    secrets
}
