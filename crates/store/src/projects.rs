//! Projects: the tenants. Everything else belongs to one.

use crate::{ReadError, Row, Statement, Store};

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// `pr_…`.
    pub id: String,
    /// Shown on connect pages.
    pub name: String,
    /// JSON: registered callback URLs and switches.
    pub settings: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

const COLUMNS: &str = "id, name, settings, created_at";

fn read(row: &Row<'_>) -> Result<Project, ReadError> {
    Ok(Project { id: row.text(0)?, name: row.text(1)?, settings: row.text(2)?, created_at: row.int(3)? })
}

/// A new project.
pub fn insert(project: &Project) -> Statement {
    Statement::one(
        "project_exists",
        "INSERT INTO projects (id, name, settings, created_at) VALUES ($1, $2, $3, $4)",
        vec![(&project.id).into(), (&project.name).into(), (&project.settings).into(), project.created_at.into()],
    )
}

impl Store {
    /// One project.
    pub async fn project(&self, id: &str) -> Result<Option<Project>, ReadError> {
        self.one("SELECT id, name, settings, created_at FROM projects WHERE id = $1", &[id.into()], read).await
    }

    /// All projects, oldest first.
    pub async fn projects(&self) -> Result<Vec<Project>, ReadError> {
        self.all(&format!("SELECT {COLUMNS} FROM projects ORDER BY id LIMIT 10000"), &[], read).await
    }
}
