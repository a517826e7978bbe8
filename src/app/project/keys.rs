//! API keys: creation, revocation and authentication (R58 to R61). `api/http/auth.rs` decides what a key gives
//! access to.
//!
//! Keys of projects and keys of the organization are in separate tables. [`Keys::revoke_leaked`] revokes a
//! leaked key of any kind.

mod create;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::api_keys::{self, ApiKeyRow};
use switchboard_store::organization_keys::{self, OrganizationKeyKind, OrganizationKeyRow};
use switchboard_store::{Statement, Topic, Unit, Versioned, WriteError, meta};
use switchboard_types::{AuditAction, AuditOutcome, CompactString, ProjectId, SessionId, Timestamp};
use switchboard_vault::{ApiKey, KeyKind};

use super::key_uses;
use super::key_uses::KeyUses;
use super::permissions::{Access, Permissions, Preset};
use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::base::networks::{self, Network};
use crate::error::{Code, Error, Result};

/// How long a key is remembered. A change by a server or command of ours is seen at once; only one that is made to
/// the database by other means waits for this.
const KEY_LIFETIME: Duration = Duration::from_secs(1);
/// Maximum length of a key's name, in characters.
const MAX_NAME: usize = 100;

/// What a project key may do, and from where.
#[derive(Clone, Debug, Default)]
pub struct KeyScope {
    /// None means full access to the project.
    pub permissions: Option<Permissions>,
    /// None means from any address.
    pub allowed_ips: Option<Vec<Network>>,
    /// The session whose MCP endpoint it is for, and for nothing else.
    pub session: Option<SessionId>,
}

impl KeyScope {
    /// Whether the key may be used from this address.
    pub fn admits_address(&self, client: Option<IpAddr>) -> bool {
        networks::admits(self.allowed_ips.as_deref(), client)
    }
}

/// A project key as it is checked at each request.
#[derive(Debug)]
pub struct ProjectKey {
    /// `key_…`.
    pub id: CompactString,
    /// The project that the key belongs to.
    pub project_id: ProjectId,
    /// What the key may do.
    pub scope: KeyScope,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

/// The owner of a key that is not limited to one project.
#[derive(Clone, Debug)]
pub enum KeyOwner {
    /// The organization.
    Organization,
    /// A member of the organization.
    User {
        /// The member's e-mail address.
        email: String,
    },
}

impl KeyOwner {
    fn kind(&self) -> KeyKind {
        match self {
            Self::Organization => KeyKind::Organization,
            Self::User { .. } => KeyKind::User,
        }
    }

    fn stored(&self) -> (OrganizationKeyKind, Option<&str>) {
        match self {
            Self::Organization => (OrganizationKeyKind::Organization, None),
            Self::User { email } => (OrganizationKeyKind::User, Some(email)),
        }
    }
}

/// API keys of projects and of the organization.
pub struct Keys {
    core: Arc<Core>,
    key_uses: KeyUses,
    /// Keys by digest, as they are stored now: a key that is revoked by any process is refused from the next request
    /// on.
    accepted: Versioned<[u8; 32], Arc<ProjectKey>>,
}

crate::redacted_debug!(Keys);

impl Keys {
    /// Creates the service.
    pub fn new(core: Arc<Core>) -> Self {
        let accepted = Versioned::new(Topic::ApiKeys, KEY_LIFETIME, |_| true);
        Self { core, key_uses: KeyUses::default(), accepted }
    }
}

impl Keys {
    /// Revokes a key. Every server on this database rejects it from the next request on.
    pub async fn revoke(&self, actor: &Actor, id: &str) -> Result<()> {
        let revoke = api_keys::revoke(&actor.project_id, id, self.core.now());
        self.apply_revocation(revoke, self.core.audit(actor, AuditAction::ApiKeyRevoke, id, AuditOutcome::Ok, None), id)
            .await
    }

    /// A key of a project.
    pub async fn get(&self, project: &ProjectId, id: &str) -> Result<ApiKeyRow> {
        self.core.store.api_key(project, id).await?.ok_or_else(invalid)
    }

    /// All keys of a project, revoked ones included.
    pub async fn list(&self, project: &ProjectId) -> Result<Vec<ApiKeyRow>> {
        Ok(self.core.store.api_keys(project).await?)
    }

    /// Revokes a key of the organization or of a member.
    pub async fn revoke_organization_key(&self, actor: &Actor, owner: &KeyOwner, id: &str) -> Result<()> {
        let (kind, email) = owner.stored();
        let revoke = organization_keys::revoke(kind, email, id, self.core.now());
        self.apply_revocation(
            revoke,
            self.core.audit(actor, AuditAction::OrganizationKeyRevoke, id, AuditOutcome::Ok, None),
            id,
        )
        .await
    }

    async fn apply_revocation(&self, revoke: Statement, audit: Statement, id: &str) -> Result<()> {
        match self.core.store.apply(Unit::new().with(revoke).with(audit)).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(_)) => {
                Err(Error::new(Code::NotFound, format!("API key \"{id}\" not found, or revoked already")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The keys of the organization or of a member.
    pub async fn organization_keys(&self, owner: &KeyOwner) -> Result<Vec<OrganizationKeyRow>> {
        let (kind, email) = owner.stored();
        Ok(self.core.store.organization_keys(kind, email).await?)
    }

    /// Revokes leaked keys of any kind. Does not reveal which of them exist, and always writes once so that the
    /// timing does not either. Fails if anything could not be written.
    pub async fn revoke_leaked(&self, presented: &[String], request_id: &str) -> Result<()> {
        let now = self.core.now();
        let mut unit = Unit::new().with(meta::put("last_revocation_request", now.as_millis().to_be_bytes().to_vec()));
        let keys = presented.iter().filter_map(|text| ApiKey::parse(text).ok());
        let keys: BTreeMap<_, _> = keys.map(|key| (key.digest(), key.kind())).collect();
        for (digest, kind) in keys {
            let actor = |project_id: &ProjectId| Actor {
                project_id: project_id.to_owned(),
                name: "revocation".into(),
                request_id: Some(request_id.into()),
                caller_request_id: None,
            };
            if kind == KeyKind::Project {
                let found = self.core.store.api_key_by_hash(digest).await?;
                if let Some(row) = found.filter(|row| row.revoked_at.is_none()) {
                    unit.push(api_keys::revoke_leaked(&row.id, now));
                    unit.push(self.core.audit(
                        &actor(&row.project_id),
                        AuditAction::ApiKeyRevoke,
                        &row.id,
                        AuditOutcome::Leaked,
                        None,
                    ));
                }
                continue;
            }
            let found = self.core.store.organization_key_by_hash(digest).await?;
            if let Some(row) = found.filter(|row| row.revoked_at.is_none()) {
                unit.push(organization_keys::revoke_leaked(&row.id, now));
                unit.push(self.core.audit(
                    &actor(&ProjectId::default()),
                    AuditAction::OrganizationKeyRevoke,
                    &row.id,
                    AuditOutcome::Leaked,
                    None,
                ));
            }
        }
        self.core.store.apply(unit).await?;
        Ok(())
    }

    /// Authenticates a project key. Malformed keys never reach the database (R58).
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate(&self, presented: &str) -> Result<Arc<ProjectKey>> {
        let key = parse(presented, KeyKind::Project)?;
        let digest = key.digest();
        let store = &self.core.store;
        let read = async || match store.api_key_by_hash(digest).await? {
            Some(row) => ProjectKey::from_row(row).map(|key| Some(Arc::new(key))),
            None => Ok(None),
        };
        let key = self.accepted.get(store, digest, read).await?.ok_or_else(invalid)?;
        let now = self.core.now();
        if !is_live(key.revoked_at, key.expires_at, now) {
            return Err(invalid());
        }
        if is_due(key.last_used_at, now) && self.key_uses.should_record(&key.id, now) {
            self.touch(api_keys::touch(&key.id, now));
        }
        Ok(key)
    }

    /// Authenticates a key of the organization or of a member.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_organization_key(&self, presented: &str, kind: KeyKind) -> Result<OrganizationKeyRow> {
        let key = parse(presented, kind)?;
        let row = self.core.store.organization_key_by_hash(key.digest()).await?.ok_or_else(invalid)?;
        let now = self.core.now();
        if !is_live(row.revoked_at, row.expires_at, now) {
            return Err(invalid());
        }
        if is_due(row.last_used_at, now) && self.key_uses.should_record(&row.id, now) {
            self.touch(organization_keys::touch(&row.id, now));
        }
        Ok(row)
    }

    /// Records the use of a key without making the request wait for the disk.
    fn touch(&self, statement: Statement) {
        let store = self.core.store.clone();
        self.core.tasks.spawn(async move {
            if let Err(error) = store.apply(Unit::new().with(statement)).await {
                tracing::warn!(error = %error, "the use of an API key could not be recorded");
            }
        });
    }
}

/// The same error for a missing key and for every invalid key.
pub fn invalid() -> Error {
    Error::of(Code::Unauthorized, &[])
}

fn parse(presented: &str, kind: KeyKind) -> Result<ApiKey> {
    ApiKey::parse(presented).ok().filter(|key| key.kind() == kind).ok_or_else(invalid)
}

/// Whether a key is neither revoked nor expired.
pub fn is_live(revoked_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    revoked_at.is_none() && expires_at.is_none_or(|expires| expires > now)
}

/// Whether the stored time of last use is old enough to be updated.
fn is_due(last_used_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_used_at.is_none_or(|used| used + key_uses::INTERVAL <= now)
}

impl ProjectKey {
    /// Parses the scope of a key. If it cannot be parsed, the request fails.
    fn from_row(row: ApiKeyRow) -> Result<Self> {
        let permissions = row.permissions.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        let allowed_ips = row.allowed_ips.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?;
        Ok(Self {
            id: row.id.into(),
            project_id: row.project_id,
            scope: KeyScope { permissions, allowed_ips, session: row.session_id },
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// Builds permissions from the pairs given with a new key. `field` is their name in the request.
pub fn permissions_from(field: &str, pairs: &[(Preset, Access)]) -> Result<Permissions> {
    if pairs.is_empty() {
        return Err(Error::field(field, "must name at least one permission, or be left out for all"));
    }
    let mut permissions = Permissions::default();
    for (preset, access) in pairs {
        if permissions.0.insert(*preset, *access).is_some() {
            return Err(Error::field(field, format!("names {} twice", preset.name())));
        }
    }
    Ok(permissions)
}

fn check_key_name(name: &str) -> Result<()> {
    if (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::field("name", format!("must have 1 to {MAX_NAME} characters and no control characters")))
}

fn check_email(email: &str) -> Result<()> {
    let plain = email.len() <= 254 && !email.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    let parts = email.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if plain && parts { Ok(()) } else { Err(Error::field("email", "must be an e-mail address")) }
}
