//! Links: creating a link that connects one account (contract section 3), with or without a session. Also
//! importing, changing and renewing an account's credential.
//!
//! A link call checks the session's policy, selects the auth config, and inserts a new account (INITIALIZING),
//! the link and its audit event in one unit. Only the hash of the link token is stored.

mod create;
pub mod direct;
pub mod edit_account;
pub mod import;
pub mod reconnect;

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountType, NewAccount};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::{self, LinkChoice, LinkPurpose, NewLink};
use switchboard_store::{Refusal, Unit};
use switchboard_types::{
    AccountId, AccountParams, AuditAction, AuditOutcome, AuthConfigId, LinkId, ProjectId, SessionId, Timestamp,
};
use switchboard_vault::{OneTimeToken, Secrets};

use self::direct::insert_error;
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::auth_config::AuthConfigs;
use crate::app::auth_config::schemes::{LinkWarning, RequestedScheme, SelectedAuthConfig};
use crate::app::base::core::Core;
use crate::app::base::errors::invalid_slugs;
use crate::app::base::idempotency::{Commit, CommitError, Idempotency, IdempotencyKey, Prepared, StoredResponse};
use crate::app::credential::Credentials;
use crate::app::credential::seals::Owner;
use crate::app::model::access_list::{Acl, AclInput};
use crate::app::model::expected_identity::{Expectation, ExpectedIdentity};
use crate::app::project::{Projects, callback_url};
use crate::app::refresh::Refresher;
use crate::app::revocation::Revocations;
use crate::app::session::Session;
use crate::app::session::policy::CallKind;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// How often a link is prepared if others change its auth configs meanwhile.
pub const MAX_TRIES: usize = 4;

/// A link request.
#[derive(Clone, Debug, Default)]
pub struct LinkRequest {
    /// Toolkit slug in any case.
    pub toolkit: String,
    /// Name of the connection, unique per user and toolkit.
    pub alias: Option<String>,
    /// Where the browser is redirected afterwards.
    pub callback_url: Option<String>,
    /// Who may use the account.
    pub account_type: AccountType,
    /// Access list; only for SHARED accounts.
    pub acl: Option<AclInput>,
    /// The expected account at the provider.
    pub expected: Option<ExpectedIdentity>,
    /// How to authenticate: the name of a scheme, or `choose`.
    pub auth_scheme: Option<String>,
}

/// A new link.
#[derive(Clone)]
pub struct Link {
    /// The link token; shown only once.
    pub token: String,
    /// The page to send the user to.
    pub redirect_url: String,
    /// The new account.
    pub account_id: AccountId,
    /// The requested account type.
    pub account_type: AccountType,
    /// The stored access list.
    pub acl: Option<Acl>,
    /// The link cannot be opened after this time.
    pub expires_at: Timestamp,
    /// The auth config that is used unless the user chooses another one.
    pub auth_config_id: AuthConfigId,
    /// The scheme of the auth config.
    pub auth_scheme: Scheme,
    /// Warnings for the developer.
    pub warnings: Vec<LinkWarning>,
}

/// A link that is not stored yet, and what its refusal is explained with.
pub struct PreparedLink {
    /// The link.
    pub link: Link,
    alias: Option<String>,
    config: Arc<AuthConfigRow>,
}

/// Creates links, and imports, changes and renews credentials of accounts.
pub struct Links {
    core: Arc<Core>,
    idempotency: Arc<Idempotency>,
    projects: Arc<Projects>,
    credentials: Arc<Credentials>,
    auth_configs: Arc<AuthConfigs>,
    refresher: Arc<Refresher>,
    revocations: Arc<Revocations>,
}

crate::redacted_debug!(Links);

impl Links {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        idempotency: Arc<Idempotency>,
        projects: Arc<Projects>,
        credentials: Arc<Credentials>,
        auth_configs: Arc<AuthConfigs>,
        refresher: Arc<Refresher>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { core, idempotency, projects, credentials, auth_configs, refresher, revocations }
    }
}

impl Links {
    /// Prepares a link for the session's user and a toolkit.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn prepare(
        &self,
        actor: &Actor,
        session: &Session,
        request: &LinkRequest,
    ) -> Result<Prepared<PreparedLink>> {
        let toolkit = self.core.toolkit(&request.toolkit).ok_or_else(|| invalid_slugs(&[&request.toolkit]))?;
        check_policy(session, &toolkit)?;
        let acl = check_access(request.account_type, request.acl.as_ref())?;
        let alias = check_alias(request.alias.as_deref())?;
        let expected =
            request.expected.clone().map(|identity| identity.check(&toolkit, "expected_identity")).transpose()?;
        let requested_scheme = RequestedScheme::parse(request.auth_scheme.as_deref(), &toolkit)?;
        let policy = &session.config;
        let from_session = policy.manage_connections.as_ref().and_then(|manage| manage.callback_url.as_deref());
        let callback = self.link_callback(actor, request.callback_url.as_deref(), from_session).await?;
        let mut unit = Unit::new();
        let named = policy.auth_config(&toolkit.slug);
        let selected = self.auth_configs.pick(actor, named.as_ref(), &toolkit, requested_scheme, &mut unit).await?;
        let SelectedAuthConfig { config, user_chooses, warnings } = selected;
        let draft = LinkDraft {
            session_id: Some(&session.id),
            user_id: &session.user_id,
            toolkit: &toolkit,
            alias,
            acl,
            callback,
            account_type: request.account_type,
            base: policy.experimental.as_ref().and_then(|experimental| experimental.link_url_overwrite.as_deref()),
            choice: if user_chooses { LinkChoice::Open } else { LinkChoice::None },
            prefill: Secrets::new(),
            expected: expected.map(|identity| Expectation { identity: Some(identity), ..Expectation::default() }),
        };
        self.credentials.check_offered(&toolkit, &config, &draft.prefill).await?;
        let (mut link, unit) = self.draft(actor, &draft, &config, unit);
        link.warnings = warnings;
        Ok(Prepared::new(PreparedLink { link, alias: request.alias.clone(), config }, unit))
    }

    /// Stores a prepared link of a session with its response. None means: prepare it again, because its auth config
    /// was deleted, or a concurrent request created the first auth config of the toolkit.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(
        &self,
        prepared: Prepared<PreparedLink>,
        key: Option<&IdempotencyKey>,
        response: &StoredResponse,
    ) -> Result<Option<Commit>> {
        let PreparedLink { alias, config, .. } = &prepared.object;
        match self.idempotency.commit(prepared.unit, key, response).await {
            Err(CommitError::Refused(Refusal::AuthConfigGone | Refusal::ManagedAuthConfigExists)) => {
                self.auth_configs.forget(&config.project_id, &config.toolkit);
                Ok(None)
            }
            committed => committed.map(Some).map_err(|error| insert_error(error, alias.as_deref(), config)),
        }
    }

    /// The statements that insert a link, its account and its audit event.
    pub(super) fn draft(
        &self,
        actor: &Actor,
        draft: &LinkDraft<'_>,
        config: &AuthConfigRow,
        unit: Unit,
    ) -> (Link, Unit) {
        let now = self.core.now();
        let account_id = AccountId::from(self.core.mint(Kind::ConnectedAccount));
        let (token, link_id) = self.mint_link();
        let expires_at = now + self.core.settings.link_ttl;
        let expected = draft.expected.as_ref().and_then(Expectation::to_text);
        let link = NewLink {
            id: &link_id,
            project_id: &actor.project_id,
            session_id: draft.session_id,
            account_id: &account_id,
            token_hash: token.digest(),
            callback_url: draft.callback.as_deref(),
            purpose: LinkPurpose::Connect,
            choice: draft.choice,
            prefill_sealed: self.credentials.seal_prefill(
                &draft.owner(&actor.project_id, &account_id, config),
                &link_id,
                &draft.prefill,
            ),
            expected: expected.as_deref(),
            created_at: now,
            expires_at,
        };
        let facts = Facts {
            auth_config_id: Some(config.id.clone()),
            link_expires_at: Some(expires_at),
            ..Facts::of_link(&link_id)
        };
        let unit = unit
            .and(self.insert_account(actor, draft, config, &account_id, Some(&link_id)))
            .with(links::insert(&link))
            .with(self.core.audit(
                actor,
                AuditAction::LinkCreate,
                &account_id,
                AuditOutcome::Ok,
                Some(facts.to_text()),
            ));
        let created = Link {
            redirect_url: self.link_url(draft.base, &token),
            token: token.text().to_owned(),
            account_id,
            account_type: draft.account_type,
            acl: draft.acl.clone(),
            expires_at,
            auth_config_id: config.id.clone(),
            auth_scheme: config.scheme,
            warnings: Vec::new(),
        };
        (created, unit)
    }

    /// The statements that insert an account without a credential.
    pub(super) fn insert_account(
        &self,
        actor: &Actor,
        draft: &LinkDraft<'_>,
        config: &AuthConfigRow,
        id: &AccountId,
        link_id: Option<&LinkId>,
    ) -> Unit {
        let acl = draft.acl.as_ref().and_then(|acl| serde_json::to_string(acl).ok());
        accounts::insert(&NewAccount {
            id,
            project_id: &actor.project_id,
            user_id: draft.user_id,
            toolkit: &draft.toolkit.slug,
            auth_config_id: &config.id,
            scheme: config.scheme,
            alias: draft.alias,
            word_id: &crate::app::account::word_id(&draft.toolkit.slug, &*self.core.entropy),
            account_type: draft.account_type,
            acl: acl.as_deref(),
            params: &AccountParams::default(),
            link_id,
            now: self.core.now(),
        })
    }

    /// A new link token and the id of its row.
    pub(super) fn mint_link(&self) -> (OneTimeToken, LinkId) {
        let link_id = self.core.mint(Kind::Link);
        (OneTimeToken::new(&*self.core.entropy, &link_id), link_id.into())
    }

    /// The URL of a link's page, under the server's public URL or another one that forwards to it.
    pub(super) fn link_url(&self, base: Option<&str>, token: &OneTimeToken) -> String {
        let base = base.unwrap_or(&self.core.settings.public_url);
        format!("{}/link/{}", base.trim_end_matches('/'), token.text())
    }

    /// The link's own callback URL or the fallback, checked against the project's registered URLs.
    pub(super) async fn link_callback(
        &self,
        actor: &Actor,
        given: Option<&str>,
        fallback: Option<&str>,
    ) -> Result<Option<String>> {
        if let Some(url) = given
            && let Err(reason) = callback_url::check(url)
        {
            return Err(Error::field("callback_url", reason)
                .fix("Give an absolute https:// URL, such as https://app.example.com/callback, or leave it out."));
        }
        let Some(url) = given.or(fallback) else { return Ok(None) };
        self.projects.check_registered(&actor.project_id, url, "callback_url").await?;
        Ok(Some(url.to_owned()))
    }
}

/// The validated values that the rows of a link are made of.
pub(super) struct LinkDraft<'a> {
    pub session_id: Option<&'a SessionId>,
    pub user_id: &'a str,
    pub toolkit: &'a Toolkit,
    pub alias: Option<&'a str>,
    pub acl: Option<Acl>,
    pub callback: Option<String>,
    pub account_type: AccountType,
    /// Base URL of the page, if it is not the public URL.
    pub base: Option<&'a str>,
    /// Whether the user is asked for the scheme.
    pub choice: LinkChoice,
    /// Connection fields that the developer sent.
    pub prefill: Secrets,
    /// The expected account at the provider.
    pub expected: Option<Expectation>,
}

impl<'a> LinkDraft<'a> {
    /// The owner of the new account's secrets.
    pub(super) fn owner(&self, project: &'a ProjectId, account: &'a AccountId, config: &'a AuthConfigRow) -> Owner<'a> {
        Owner {
            project_id: project,
            account_id: account,
            user_id: self.user_id,
            toolkit: &self.toolkit.slug,
            auth_config_id: &config.id,
            account_type: self.account_type,
            scheme: config.scheme,
        }
    }
}

/// Checks the session's toolkit filter and pins, and that the toolkit needs an account.
fn check_policy(session: &Session, toolkit: &Toolkit) -> Result<()> {
    let call = CallKind::Toolkit { toolkit: &toolkit.slug };
    session.config.check(call).map_err(|denial| denial.error(call))?;
    check_needs_account(toolkit)?;
    if session.config.pins(&toolkit.slug).is_some() {
        return Err(Error::new(
            Code::SessionBadRequest,
            format!("Toolkit \"{}\" already has connected accounts pinned in this session's config", toolkit.slug),
        )
        .fix("Create a session without connected_accounts for this toolkit, or use the pinned account."));
    }
    Ok(())
}

/// Rejects a toolkit without authentication.
pub(super) fn check_needs_account(toolkit: &Toolkit) -> Result<()> {
    if toolkit.has_only_no_auth() {
        return Err(Error::of(Code::ToolkitIsNoAuth, &[("slug", &toolkit.slug)]));
    }
    Ok(())
}

/// Validates the access list. Only SHARED accounts have one.
pub(super) fn check_access(account_type: AccountType, acl: Option<&AclInput>) -> Result<Option<Acl>> {
    match (account_type, acl) {
        (AccountType::Private, Some(_)) => {
            Err(Error::new(Code::AccountBadRequest, "acl_config_for_shared is only valid on SHARED connections")
                .fix("Set account_type to SHARED, or leave acl_config_for_shared out."))
        }
        (AccountType::Private, None) => Ok(None),
        (AccountType::Shared, acl) => {
            acl.cloned().unwrap_or_default().check("experimental.acl_config_for_shared").map(Some)
        }
    }
}

/// Validates an alias: 1 to 128 visible characters.
pub(super) fn check_alias(alias: Option<&str>) -> Result<Option<&str>> {
    let Some(alias) = alias else { return Ok(None) };
    let length = alias.chars().count();
    if !(1..=128).contains(&length) || alias.chars().any(char::is_control) || alias.trim() != alias {
        return Err(Error::field(
            "alias",
            "must have 1 to 128 characters, no control characters and no space at its ends",
        ));
    }
    Ok(Some(alias))
}

/// Another connection of the user and toolkit has this alias.
pub(super) fn alias_in_use(alias: &str) -> Error {
    Error::new(
        Code::AccountBadRequest,
        format!("Alias \"{alias}\" is already in use by another connection for this entity"),
    )
    .fix("Choose another alias, or delete the connection that has it.")
}

crate::redacted_debug!(Link, PreparedLink);
