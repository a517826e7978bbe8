//! What a link needs to know of the account that it connects, in one read.

use std::sync::LazyLock;
use switchboard_types::{AccountId, ProjectId, SessionId};

use super::AccountRow;
use super::read::{BY_ID, COLUMN_COUNT, read};
use crate::auth_configs::{self, AuthConfigRow};
use crate::projects::{self, Project};
use crate::sessions::{self, SessionPolicy};
use crate::{ReadError, Store, Value};

/// A live account with its auth config and its project, each `None` if it was deleted.
#[derive(Clone, Debug)]
pub struct ConnectingAccount {
    /// The account.
    pub account: AccountRow,
    /// Its auth config.
    pub config: Option<AuthConfigRow>,
    /// Its project.
    pub project: Option<Project>,
    /// The policy of the session, if one is given.
    pub policy: Option<SessionPolicy>,
}

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT a.*, c.*, p.*, s.* FROM ({BY_ID}) AS a
         LEFT JOIN ({}) AS c ON c.id = a.auth_config_id AND c.project_id = a.project_id
         LEFT JOIN ({}) AS p ON p.id = a.project_id
         LEFT JOIN ({}) AS s ON s.id = $3 AND s.project_id = a.project_id",
        auth_configs::SELECT_LIVE,
        projects::SELECT_LIVE,
        sessions::SELECT_POLICY
    )
});

impl Store {
    /// One live account of a project with its auth config and the project, and the policy of a session, also of a
    /// deleted one. Boxed, because futures that hold it are large.
    pub async fn connecting_account(
        &self,
        project: &ProjectId,
        id: &AccountId,
        session: Option<&SessionId>,
    ) -> Result<Option<Box<ConnectingAccount>>, ReadError> {
        let args: [Value; 3] = [project.into(), id.into(), session.into()];
        self.one(&SELECT, &args, |row| {
            let config = row.part(COLUMN_COUNT, "auth_configs")?;
            let owner = row.part(COLUMN_COUNT + auth_configs::COLUMN_COUNT, "projects")?;
            let start = COLUMN_COUNT + auth_configs::COLUMN_COUNT + projects::COLUMN_COUNT;
            let policy = row.part(start, "sessions")?;
            Ok(Box::new(ConnectingAccount {
                account: read(row)?,
                config: config.map(|part| auth_configs::read(&part)).transpose()?,
                project: owner.map(|part| projects::read(&part)).transpose()?,
                policy: policy.map(|part| sessions::read_policy(&part)).transpose()?,
            }))
        })
        .await
    }
}
