//! What a link needs to know of the account that it connects, in one read.

use std::sync::LazyLock;
use switchboard_types::{AccountId, ProjectId};

use super::AccountRow;
use super::read::{BY_ID, COLUMN_COUNT, read};
use crate::auth_configs::{self, AuthConfigRow};
use crate::projects::{self, Project};
use crate::{ReadError, Store};

/// A live account with its auth config and its project, each `None` if it was deleted.
#[derive(Clone, Debug)]
pub struct ConnectingAccount {
    /// The account.
    pub account: AccountRow,
    /// Its auth config.
    pub config: Option<AuthConfigRow>,
    /// Its project.
    pub project: Option<Project>,
}

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT a.*, c.*, p.* FROM ({BY_ID}) AS a
         LEFT JOIN ({}) AS c ON c.id = a.auth_config_id AND c.project_id = a.project_id
         LEFT JOIN ({}) AS p ON p.id = a.project_id",
        auth_configs::SELECT_LIVE,
        projects::SELECT_LIVE
    )
});

impl Store {
    /// One live account of a project with its auth config and the project. Boxed, because futures that hold it are large.
    pub async fn connecting_account(
        &self,
        project: &ProjectId,
        id: &AccountId,
    ) -> Result<Option<Box<ConnectingAccount>>, ReadError> {
        self.one(&SELECT, &[project.into(), id.into()], |row| {
            let config = row.part(COLUMN_COUNT, "auth_configs")?;
            let owner = row.part(COLUMN_COUNT + auth_configs::COLUMN_COUNT, "projects")?;
            Ok(Box::new(ConnectingAccount {
                account: read(row)?,
                config: config.map(|part| auth_configs::read(&part)).transpose()?,
                project: owner.map(|part| projects::read(&part)).transpose()?,
            }))
        })
        .await
    }
}
