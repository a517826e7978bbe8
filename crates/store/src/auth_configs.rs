//! Auth configs: how one toolkit authenticates in one project.

mod deletion;
mod list;

pub use deletion::{delete, delete_unused, lock_for_deletion};
pub use list::{AuthConfigFilter, CountedAuthConfig};

use switchboard_types::{AuthConfigId, ProjectId, Scheme, Timestamp};

use crate::row::push_in;
use crate::sqlite::Reading;
use crate::unit::{Lock, Parent};
use crate::{ReadError, Refusal, Row, Statement, Store, Unit, Value, projects};

/// An auth config that was not deleted.
#[derive(Clone, Debug)]
pub struct AuthConfigRow {
    /// `ac_…`.
    pub id: AuthConfigId,
    /// Owner.
    pub project_id: ProjectId,
    /// Toolkit slug.
    pub toolkit: String,
    /// Shown in lists.
    pub name: String,
    /// Contract name of the scheme, such as `OAUTH2`.
    pub scheme: Scheme,
    /// Uses the operator's client.
    pub is_managed: bool,
    /// ENABLED rather than DISABLED.
    pub is_enabled: bool,
    /// May be used by sessions that name no auth config.
    pub is_enabled_for_tool_router: bool,
    /// JSON: scopes, redirect URI, restrictions.
    pub settings: String,
    /// Client id and secret, sealed; `None` when managed or not needed.
    pub credentials_sealed: Option<Vec<u8>>,
    /// Connection fields that all its accounts share, sealed; `None` if there are none.
    pub shared_sealed: Option<Vec<u8>>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change; flows started before it are rejected (R18).
    pub updated_at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, project_id, toolkit, name, scheme, is_managed, status, is_enabled_for_tool_router, \
         settings, credentials_sealed, created_at, updated_at, shared_sealed"
    };
}
use columns;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM auth_configs ", $rest)
    };
}

/// Selects all columns of live auth configs for [`read`].
pub(crate) const SELECT_LIVE: &str = select!("WHERE deleted_at IS NULL");
/// Number of these columns.
pub(crate) const COLUMN_COUNT: usize = 13;

/// A new auth config of a live project. Refused as `project_gone`.
pub fn insert(config: &AuthConfigRow) -> Unit {
    let insert = Statement::one(
        Refusal::AuthConfigExists,
        "INSERT INTO auth_configs (id, project_id, toolkit, name, scheme, is_managed, status,
           is_enabled_for_tool_router, settings, credentials_sealed, created_at, updated_at, shared_sealed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        vec![
            (&config.id).into(),
            (&config.project_id).into(),
            (&config.toolkit).into(),
            (&config.name).into(),
            config.scheme.into(),
            config.is_managed.into(),
            if config.is_enabled { "ENABLED" } else { "DISABLED" }.into(),
            config.is_enabled_for_tool_router.into(),
            (&config.settings).into(),
            config.credentials_sealed.clone().into(),
            config.created_at.into(),
            config.updated_at.into(),
            config.shared_sealed.clone().into(),
        ],
    );
    Unit::new().with(projects::require_live(&config.project_id)).with(insert)
}

/// Sets the client of an auth config. Refused as `client_is_set` if the client or the shared fields sealed
/// with it changed since they were read. Flows in progress continue.
pub fn set_client(config: &AuthConfigRow, sealed: Vec<u8>) -> Statement {
    Statement::one(
        Refusal::ClientIsSet,
        "UPDATE auth_configs SET credentials_sealed = $3
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND credentials_sealed IS NOT DISTINCT FROM $5
           AND shared_sealed IS NOT DISTINCT FROM $4",
        vec![
            (&config.project_id).into(),
            (&config.id).into(),
            sealed.into(),
            config.shared_sealed.clone().into(),
            config.credentials_sealed.clone().into(),
        ],
    )
}

/// Replaces the settings. Refused as `auth_config_changed` if they changed since they were read. Flows in
/// progress continue.
pub fn set_settings(config: &AuthConfigRow, settings: &str) -> Statement {
    Statement::one(
        Refusal::AuthConfigChanged,
        "UPDATE auth_configs SET settings = $3
         WHERE id = $2 AND project_id = $1 AND settings = $4 AND deleted_at IS NULL",
        vec![(&config.project_id).into(), (&config.id).into(), settings.into(), (&config.settings).into()],
    )
}

/// Replaces an auth config that was read at version `replaces`. Refused as `auth_config_changed` if it was
/// changed or deleted since.
pub fn replace(config: &AuthConfigRow, replaces: Timestamp) -> Statement {
    Statement::one(
        Refusal::AuthConfigChanged,
        "UPDATE auth_configs SET name = $4, status = $5, is_enabled_for_tool_router = $6, settings = $7,
           credentials_sealed = $8, shared_sealed = $9, updated_at = $10
         WHERE id = $2 AND project_id = $1 AND updated_at = $3 AND deleted_at IS NULL",
        vec![
            (&config.project_id).into(),
            (&config.id).into(),
            replaces.into(),
            (&config.name).into(),
            if config.is_enabled { "ENABLED" } else { "DISABLED" }.into(),
            config.is_enabled_for_tool_router.into(),
            (&config.settings).into(),
            config.credentials_sealed.clone().into(),
            config.shared_sealed.clone().into(),
            config.updated_at.into(),
        ],
    )
}

/// Adds the first managed auth config of a toolkit and scheme. Refused as `managed_auth_config_exists` when
/// another request was first, and as `project_gone`.
pub fn insert_first_managed(config: &AuthConfigRow) -> Unit {
    let insert = Statement::one(
        Refusal::ManagedAuthConfigExists,
        "INSERT INTO auth_configs (id, project_id, toolkit, name, scheme, is_managed, status,
           is_enabled_for_tool_router, settings, created_at, updated_at)
         SELECT $1, $2, $3, $4, $5, 1, 'ENABLED', 1, $6, $7, $7
         WHERE NOT EXISTS (SELECT 1 FROM auth_configs
                           WHERE project_id = $2 AND toolkit = $3 AND scheme = $5 AND is_managed = 1
                             AND deleted_at IS NULL)
         /* guarded by: exclusive lock projects */",
        vec![
            (&config.id).into(),
            (&config.project_id).into(),
            (&config.toolkit).into(),
            (&config.name).into(),
            config.scheme.into(),
            (&config.settings).into(),
            config.created_at.into(),
        ],
    );
    Unit::new().with(projects::lock_live(&config.project_id)).with(insert)
}

/// Requires that an auth config is enabled, and keeps it so until the unit is committed. A unit that adds an account
/// begins with this. Refused as `auth_config_gone` otherwise.
pub(crate) fn require_enabled(project: &ProjectId, id: &AuthConfigId) -> Statement {
    Statement::lock(
        Refusal::AuthConfigGone,
        Parent::AuthConfig,
        Lock::Share,
        "SELECT 1 FROM auth_configs WHERE id = $2 AND project_id = $1 AND status = 'ENABLED' AND deleted_at IS NULL",
        vec![project.into(), id.into()],
    )
}

pub(crate) fn read(row: &Row<'_>) -> Result<AuthConfigRow, ReadError> {
    Ok(AuthConfigRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        toolkit: row.text(2)?,
        name: row.text(3)?,
        scheme: row.scheme(4)?,
        is_managed: row.flag(5)?,
        is_enabled: row.text(6)? == "ENABLED",
        is_enabled_for_tool_router: row.flag(7)?,
        settings: row.text(8)?,
        credentials_sealed: row.opt_blob(9)?,
        created_at: row.timestamp(10)?,
        updated_at: row.timestamp(11)?,
        shared_sealed: row.opt_blob(12)?,
    })
}

impl Store {
    /// Auth configs of all projects with their own redirect URI. Not a finder for callers: only compared, and
    /// shown only to the operator.
    pub async fn redirected_auth_configs(&self) -> Result<Vec<AuthConfigRow>, ReadError> {
        self.list(
            "",
            select!(
                "WHERE id > '' AND deleted_at IS NULL AND instr(settings, '\"oauth_redirect_uri\":\"') > 0 ORDER BY id"
            ),
            Vec::new(),
            read,
        )
        .await
    }

    /// A live auth config of a scheme whose description is public, by id alone.
    pub async fn public_auth_config(
        &self,
        id: &AuthConfigId,
        scheme: Scheme,
    ) -> Result<Option<AuthConfigRow>, ReadError> {
        self.one(
            select!("WHERE id = $1 AND scheme = $2 AND status = 'ENABLED' AND deleted_at IS NULL"),
            &[id.into(), scheme.into()],
            read,
        )
        .await
    }

    /// One auth config of a project.
    pub async fn auth_config(
        &self,
        project: &ProjectId,
        id: &AuthConfigId,
    ) -> Result<Option<AuthConfigRow>, ReadError> {
        self.one(
            select!("WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL"),
            &[project.into(), id.into()],
            read,
        )
        .await
    }

    /// Enabled auth configs of a toolkit that sessions may use, newest first (contract section 2.2). Managed
    /// OAuth configs only if the operator still offers a client.
    pub async fn usable_auth_configs(
        &self,
        project: &ProjectId,
        toolkit: &str,
        with_client: bool,
        limit: i64,
    ) -> Result<Vec<AuthConfigRow>, ReadError> {
        self.few(
            select!(
                "WHERE project_id = $1 AND toolkit = $2 AND status = 'ENABLED' AND is_enabled_for_tool_router = 1
               AND deleted_at IS NULL
               AND (is_managed = 0 OR scheme NOT IN ('OAUTH2', 'OAUTH1') OR (scheme = 'OAUTH2' AND $3 = 1))
             ORDER BY id DESC LIMIT $4"
            ),
            &[project.into(), toolkit.into(), with_client.into(), limit.into()],
            read,
        )
        .await
    }

    /// The newest of these with the given scheme.
    pub async fn usable_auth_config_of_scheme(
        &self,
        project: &ProjectId,
        toolkit: &str,
        scheme: Scheme,
        with_client: bool,
    ) -> Result<Option<AuthConfigRow>, ReadError> {
        self.one(
            select!(
                "WHERE project_id = $1 AND toolkit = $2 AND scheme = $3 AND status = 'ENABLED'
               AND is_enabled_for_tool_router = 1 AND deleted_at IS NULL
               AND (is_managed = 0 OR scheme NOT IN ('OAUTH2', 'OAUTH1') OR (scheme = 'OAUTH2' AND $4 = 1))
             ORDER BY id DESC LIMIT 1"
            ),
            &[project.into(), toolkit.into(), scheme.into(), with_client.into()],
            read,
        )
        .await
    }

    /// The schemes of a toolkit that have a managed auth config, including disabled ones.
    pub async fn managed_schemes(&self, project: &ProjectId, toolkit: &str) -> Result<Vec<String>, ReadError> {
        self.few(
            "SELECT DISTINCT scheme FROM auth_configs
             WHERE project_id = $1 AND toolkit = $2 AND is_managed = 1 AND deleted_at IS NULL LIMIT 100",
            &[project.into(), toolkit.into()],
            |row| row.text(0),
        )
        .await
    }

    /// The newest managed auth config of a toolkit, of one scheme or any, including disabled ones.
    pub async fn managed_auth_config(
        &self,
        project: &ProjectId,
        toolkit: &str,
        scheme: Option<Scheme>,
    ) -> Result<Option<AuthConfigRow>, ReadError> {
        self.one(
            select!(
                "WHERE project_id = $1 AND toolkit = $2 AND ($3 IS NULL OR scheme = $3) AND is_managed = 1
                 AND deleted_at IS NULL ORDER BY id DESC LIMIT 1"
            ),
            &[project.into(), toolkit.into(), scheme.into()],
            read,
        )
        .await
    }

    /// Auth configs of a project by id. Missing ones are omitted.
    pub async fn auth_configs_by_id(
        &self,
        project: &ProjectId,
        ids: &[AuthConfigId],
    ) -> Result<Vec<AuthConfigRow>, ReadError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (sql, args) = by_id(project, ids);
        self.by_keys(project, ids.len(), sql, args, read).await
    }
}

/// Auth configs of a project by id, within a scan. Missing and unreadable ones are omitted.
pub(crate) fn read_by_id(
    reading: &Reading<'_>,
    project: &ProjectId,
    ids: &[AuthConfigId],
) -> Result<Vec<AuthConfigRow>, ReadError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, args) = by_id(project, ids);
    reading.all_consistent(&sql, &args, read)
}

fn by_id(project: &ProjectId, ids: &[AuthConfigId]) -> (String, Vec<Value>) {
    let mut args: Vec<Value> = vec![project.into()];
    let mut sql = select!("WHERE project_id = $1 AND deleted_at IS NULL").to_owned();
    push_in(&mut sql, &mut args, "id", ids);
    (sql, args)
}
