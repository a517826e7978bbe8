//! Projects: the tenants. Every other object belongs to one.

use switchboard_types::{ProjectId, Timestamp};

use crate::unit::{Lock, Parent};
use crate::{ListPage, PageQuery, Position, ReadError, Refusal, Row, Statement, Store, counts};

/// A project that was not deleted.
#[derive(Clone, Debug)]
pub struct Project {
    /// `pr_…`.
    pub id: ProjectId,
    /// Shown on connect pages unless the settings override it.
    pub name: String,
    /// JSON: registered callback URLs and switches.
    pub settings: String,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change of its settings.
    pub updated_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, settings, created_at, COALESCE(updated_at, created_at) AS changed_at FROM projects ",
            $rest
        )
    };
}

/// Selects all columns of live projects for [`read`].
pub(crate) const SELECT_LIVE: &str = select!("WHERE deleted_at IS NULL");
/// Number of these columns.
pub(crate) const COLUMN_COUNT: usize = 5;

pub(crate) fn read(row: &Row<'_>) -> Result<Project, ReadError> {
    Ok(Project {
        id: row.id(0)?,
        name: row.text(1)?,
        settings: row.text(2)?,
        created_at: row.timestamp(3)?,
        updated_at: row.timestamp(4)?,
    })
}

/// A new project.
pub fn insert(project: &Project) -> Statement {
    Statement::one(
        Refusal::ProjectExists,
        "INSERT INTO projects (id, name, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)",
        vec![
            (&project.id).into(),
            (&project.name).into(),
            (&project.settings).into(),
            project.created_at.into(),
            project.updated_at.into(),
        ],
    )
}

/// Requires that a project is not deleted, and keeps it so until the unit is committed. A unit that adds an object
/// to a project begins with this. Refused as `project_gone` otherwise.
pub fn require_live(id: &ProjectId) -> Statement {
    Statement::lock(
        Refusal::ProjectGone,
        Parent::Project,
        Lock::Share,
        "SELECT 1 FROM projects WHERE id = $1 AND deleted_at IS NULL",
        vec![id.into()],
    )
}

/// The same, while no other unit adds an object to the project. For a condition over all of them; a unit that needs
/// this is rare.
pub(crate) fn lock_live(id: &ProjectId) -> Statement {
    Statement::lock(
        Refusal::ProjectGone,
        Parent::Project,
        Lock::Exclusive,
        "SELECT 1 FROM projects WHERE id = $1 AND deleted_at IS NULL",
        vec![id.into()],
    )
}

/// Replaces the settings that were read. Refused if they changed since.
pub fn set_settings(id: &ProjectId, read: &str, new: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::ProjectChanged,
        "UPDATE projects SET settings = $3, updated_at = $4 WHERE id = $1 AND settings = $2 AND deleted_at IS NULL",
        vec![id.into(), read.into(), new.into(), now.into()],
    )
}

impl Store {
    /// One live project.
    pub async fn project(&self, id: &ProjectId) -> Result<Option<Project>, ReadError> {
        self.one(select!("WHERE id = $1 AND deleted_at IS NULL"), &[id.into()], read).await
    }

    /// All live projects, oldest first.
    pub async fn projects(&self) -> Result<Vec<Project>, ReadError> {
        self.list("", select!("WHERE deleted_at IS NULL ORDER BY id LIMIT 10000"), Vec::new(), read).await
    }

    /// One page of live projects, newest first, and the number of all.
    pub async fn projects_page(&self, page: PageQuery) -> Result<ListPage<Project>, ReadError> {
        self.scan("", move |reading| {
            let total = counts::read(reading, &ProjectId::default(), counts::PROJECTS)?;
            let sql = select!("WHERE deleted_at IS NULL AND ($1 = '' OR id < $1) ORDER BY id DESC LIMIT $2 OFFSET $3");
            let after = page.after().map_or("", |position| position.id.as_str());
            let args = [after.into(), (page.limit + 1).into(), page.skip().into()];
            let (rows, next) = page.read(reading, sql, &args, Position::of_id, read)?;
            Ok(ListPage { rows, next, total })
        })
        .await
    }

    /// The project of an installation that has exactly one.
    pub async fn sole_project(&self) -> Result<Option<Project>, ReadError> {
        let mut found = self.few(select!("WHERE deleted_at IS NULL ORDER BY id LIMIT 2"), &[], read).await?;
        let first = found.pop();
        Ok(first.filter(|_| found.is_empty()))
    }
}
