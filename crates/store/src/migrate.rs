//! Schema migrations: forward only, applied once, under a lock (R94).
//!
//! Each file of `migrations/<engine>/` is applied in its own transaction together with its row in
//! `schema_migrations`, so that a process killed half-way leaves either all of it or nothing.

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

/// One migration file.
struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

const SQLITE: &[Migration] = &[
    Migration { number: 1, name: "foundation", sql: include_str!("../../../migrations/sqlite/0001_foundation.sql") },
    Migration { number: 2, name: "whole_api", sql: include_str!("../../../migrations/sqlite/0002_whole_api.sql") },
    Migration {
        number: 3,
        name: "credential_engine",
        sql: include_str!("../../../migrations/sqlite/0003_credential_engine.sql"),
    },
    Migration {
        number: 4,
        name: "promised_revocations",
        sql: include_str!("../../../migrations/sqlite/0004_promised_revocations.sql"),
    },
    Migration {
        number: 5,
        name: "device_authorization",
        sql: include_str!("../../../migrations/sqlite/0005_device_authorization.sql"),
    },
    Migration {
        number: 6,
        name: "audit_segments",
        sql: include_str!("../../../migrations/sqlite/0006_audit_segments.sql"),
    },
];

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// Written by a later version of this program.
    #[error("database has schema version {found}, this program knows {known}: use the newer program")]
    TooNew {
        /// Version in the database.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The engine refused.
    #[error("cannot migrate the database")]
    Engine(#[from] rusqlite::Error),
}

/// Applies what is missing. Waits for another process that is migrating.
pub(crate) fn run(connection: &mut Connection) -> Result<(), MigrationError> {
    let known = SQLITE.last().map_or(0, |migration| migration.number);
    for migration in SQLITE {
        // IMMEDIATE takes the write lock first; the version is read under it.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)",
        )?;
        let found: i64 =
            transaction.query_row("SELECT COALESCE(MAX(number), 0) FROM schema_migrations", [], |row| row.get(0))?;
        if found > known {
            return Err(MigrationError::TooNew { found, known });
        }
        if found < migration.number {
            transaction.execute_batch(migration.sql)?;
            transaction.execute(
                "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)",
                (migration.number, migration.name),
            )?;
        }
        transaction.commit()?;
    }
    Ok(())
}
