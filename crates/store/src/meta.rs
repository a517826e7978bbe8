//! Key-value facts about the installation, such as the check value of the master key.

use crate::{ReadError, Refusal, Statement, Store};

/// Inserts a fact that does not exist yet.
pub fn insert(name: &str, value: Vec<u8>) -> Statement {
    Statement::one(
        Refusal::MetaExists,
        "INSERT INTO meta (name, value) VALUES ($1, $2)",
        vec![name.into(), value.into()],
    )
}

/// Inserts or replaces a fact.
pub fn put(name: &str, value: Vec<u8>) -> Statement {
    Statement::any(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        vec![name.into(), value.into()],
    )
}

impl Store {
    /// Facts whose names begin with a prefix, with their names.
    pub async fn meta_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        let sql = "SELECT name, value FROM meta WHERE substr(name, 1, length($1)) = $1 ORDER BY name LIMIT 1000";
        self.list("", sql, vec![prefix.into()], |row| Ok((row.text(0)?, row.blob(1)?))).await
    }

    /// One fact.
    pub async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.one("SELECT value FROM meta WHERE name = $1", &[name.into()], |row| row.blob(0)).await
    }
}
