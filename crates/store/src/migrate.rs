//! Schema migrations: forward only, applied once, under a lock (R94).
//!
//! Each file of `migrations/<engine>/` is applied in its own transaction together with its row in
//! `schema_migrations`. A process killed during a migration leaves all of it or nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use thiserror::Error;

/// Timeout for another process to close the database.
const EXCLUSIVE_TIMEOUT: Duration = Duration::from_secs(1);

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
    Migration {
        number: 7,
        name: "pages_and_counts",
        sql: include_str!("../../../migrations/sqlite/0007_pages_and_counts.sql"),
    },
    Migration { number: 8, name: "retention", sql: include_str!("../../../migrations/sqlite/0008_retention.sql") },
    Migration {
        number: 9,
        name: "unread_answers",
        sql: include_str!("../../../migrations/sqlite/0009_unread_answers.sql"),
    },
    Migration { number: 10, name: "attempts", sql: include_str!("../../../migrations/sqlite/0010_attempts.sql") },
    Migration {
        number: 11,
        name: "auth_config_deletion",
        sql: include_str!("../../../migrations/sqlite/0011_auth_config_deletion.sql"),
    },
    Migration {
        number: 12,
        name: "reach_of_revocations",
        sql: include_str!("../../../migrations/sqlite/0012_reach_of_revocations.sql"),
    },
    Migration {
        number: 13,
        name: "cheap_inserts",
        sql: include_str!("../../../migrations/sqlite/0013_cheap_inserts.sql"),
    },
    Migration { number: 14, name: "reasons", sql: include_str!("../../../migrations/sqlite/0014_reasons.sql") },
    Migration { number: 15, name: "jobs", sql: include_str!("../../../migrations/sqlite/0015_jobs.sql") },
    Migration {
        number: 16,
        name: "fewer_indexes",
        sql: include_str!("../../../migrations/sqlite/0016_fewer_indexes.sql"),
    },
    Migration { number: 17, name: "tool_calls", sql: include_str!("../../../migrations/sqlite/0017_tool_calls.sql") },
    Migration { number: 18, name: "files", sql: include_str!("../../../migrations/sqlite/0018_files.sql") },
    Migration { number: 19, name: "approvals", sql: include_str!("../../../migrations/sqlite/0019_approvals.sql") },
    Migration {
        number: 20,
        name: "session_keys",
        sql: include_str!("../../../migrations/sqlite/0020_session_keys.sql"),
    },
    Migration {
        number: 21,
        name: "tool_releases",
        sql: include_str!("../../../migrations/sqlite/0021_tool_releases.sql"),
    },
    Migration {
        number: 22,
        name: "provider_pauses",
        sql: include_str!("../../../migrations/sqlite/0022_provider_pauses.sql"),
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
    /// An older version that another process has open.
    #[error(
        "the database has schema version {found}, this program needs {known}, and another process is using it: \
         stop the server first, or use the program that it was started with"
    )]
    InUse {
        /// Version in the database.
        found: i64,
        /// Version to migrate to.
        known: i64,
    },
    /// The engine returned an error.
    #[error("cannot migrate the database")]
    Engine(#[from] rusqlite::Error),
}

/// Refuses to migrate a database that another process has open: it may be a server of the previous version. A
/// database without a schema, or with the current one, is left to [`run`].
pub(crate) fn check_exclusive(path: &Path) -> Result<(), MigrationError> {
    let known = SQLITE.last().map_or(0, |migration| migration.number);
    let connection = Connection::open(path)?;
    // In this mode the first access locks the whole file, which fails while another connection is open.
    let found = {
        let reader = Connection::open(path)?;
        let sql = "SELECT MAX(number) FROM schema_migrations";
        reader.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap_or_default().unwrap_or(known)
    };
    if found >= known {
        return Ok(());
    }
    connection.busy_timeout(EXCLUSIVE_TIMEOUT)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    match connection.execute_batch("BEGIN IMMEDIATE; COMMIT") {
        Ok(()) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(MigrationError::InUse { found, known })
        }
        Err(error) => Err(error.into()),
    }
}

/// Applies the missing migrations. Waits for another process that is migrating.
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

#[cfg(test)]
mod tests {
    use switchboard_types::{Reason, ReasonCode};

    use super::*;

    /// A database with the schema before migration `number`.
    fn database_before(number: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for migration in SQLITE.iter().filter(|migration| migration.number < number) {
            connection.execute_batch(migration.sql).unwrap();
        }
        connection
    }

    #[test]
    fn stored_sentences_become_reasons_that_say_the_same() {
        let connection = database_before(14);
        let cases = [
            ("Connection initiation did not complete within 10 minutes", ReasonCode::LinkExpired),
            ("rejected_by_user", ReasonCode::RejectedByUser),
            ("access_denied", ReasonCode::AccessDenied),
            ("access_denied: The user said no: twice", ReasonCode::AccessDenied),
            ("invalid_scope: no such scope", ReasonCode::AuthorizationRefused),
            ("unauthorized_client", ReasonCode::AuthorizationRefused),
            ("expired_token: the code was not entered in time", ReasonCode::DeviceCodeExpired),
            ("OAuth callback failed during token exchange", ReasonCode::ExchangeFailed),
            ("OAuth callback failed during token exchange: invalid_grant: too old", ReasonCode::ExchangeFailed),
            (
                "OAuth callback failed during token exchange: The request cannot be made: no key",
                ReasonCode::ExchangeNotSent,
            ),
            ("Acme did not say a usable site", ReasonCode::PostConnectFailed),
            (
                "Acme does not accept this. Check that it was copied completely and is still valid.",
                ReasonCode::CredentialRefused,
            ),
            (
                "account_mismatch: another account signed in than the one that is expected",
                ReasonCode::UnexpectedAccount,
            ),
            ("Permanent auth error during token refresh", ReasonCode::GrantEnded),
            ("Revoked via admin tool", ReasonCode::RevokedByOperator),
            ("Connection status updated by user", ReasonCode::Disabled),
            ("words of an earlier version", ReasonCode::Other),
            ("", ReasonCode::Other),
        ];
        // Only the column that the migration changes, so that the test needs no whole account.
        connection
            .execute_batch(
                "ALTER TABLE connected_accounts RENAME TO old; CREATE TABLE connected_accounts (status_reason TEXT)",
            )
            .unwrap();
        for (sentence, _) in cases {
            connection.execute("INSERT INTO connected_accounts VALUES ($1)", [sentence]).unwrap();
        }
        connection.execute("INSERT INTO connected_accounts VALUES (NULL)", []).unwrap();
        let migration = SQLITE.iter().find(|migration| migration.number == 14).unwrap();
        connection.execute_batch(migration.sql).unwrap();
        let mut statement = connection.prepare("SELECT status_reason FROM connected_accounts ORDER BY rowid").unwrap();
        let stored: Vec<Option<String>> =
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(stored.len(), cases.len() + 1);
        assert_eq!(stored[cases.len()], None);
        for ((sentence, code), stored) in cases.into_iter().zip(stored) {
            let reason = Reason::parse(&stored.unwrap()).unwrap();
            assert_eq!((reason.code(), reason.to_string().as_str()), (code, sentence));
        }
    }

    #[test]
    fn every_fixed_sentence_is_read_by_the_migration() {
        let migration = SQLITE.iter().find(|migration| migration.number == 14).unwrap();
        for code in ReasonCode::ALL {
            assert!(migration.sql.contains(&format!("'{}", code.as_str())), "{code:?}");
        }
    }

    fn migrate(connection: &Connection, number: i64) {
        let migration = SQLITE.iter().find(|migration| migration.number == number).unwrap();
        connection.execute_batch(migration.sql).unwrap();
    }

    fn texts(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn open_links_of_before_keep_their_time_and_the_sweep_begins_after_all_of_them() {
        let connection = database_before(16);
        let columns = "id, project_id, account_id, token_hash, created_at, expires_at, finished_at";
        connection
            .execute_batch(&format!(
                "INSERT INTO links ({columns}) VALUES ('lt_1', 'pr_1', 'ca_1', X'', 0, 10, 5),
                   ('lt_2', 'pr_1', 'ca_2', X'', 0, 20, NULL), ('lt_3', 'pr_1', 'ca_3', X'', 0, 30, 5)"
            ))
            .unwrap();
        migrate(&connection, 16);
        let own_time = "SELECT id || ' ' || sweep_at FROM links INDEXED BY links_to_sweep
             WHERE sweep_at > 0 AND finished_at IS NULL";
        assert_eq!(texts(&connection, own_time), ["lt_2 20"]);
        assert_eq!(texts(&connection, "SELECT until_id FROM link_sweep"), ["lt_3!"]);
        // An empty database has nothing to begin after.
        let empty = database_before(16);
        migrate(&empty, 16);
        assert_eq!(texts(&empty, "SELECT until_id FROM link_sweep"), [""]);
    }

    #[test]
    fn the_index_of_events_has_those_that_their_time_does_not_find() {
        let connection = database_before(16);
        let event = |id: &str, object: &str| {
            format!(
                "INSERT INTO audit_events (id, project_id, at, actor, action, object, outcome)
                 VALUES ('{id}', 'pr_1', 1, 'cli', 'a', '{object}', 'ok');"
            )
        };
        for (id, object) in [
            ("evt_000000001aaaaaaaaaaa", "ca_000000001bbbbbbbbbbb"),
            ("evt_000000002aaaaaaaaaaa", "ca_000000001bbbbbbbbbbb"),
            ("evt_000000003aaaaaaaaaaa", "trs_000000003bbbbbbbbbbb"),
        ] {
            connection.execute_batch(&event(id, object)).unwrap();
        }
        migrate(&connection, 16);
        let indexed = "SELECT id FROM audit_events INDEXED BY audit_events_by_object
             WHERE project_id = 'pr_1' AND substr(id, 1, 13) <> 'evt_' || substr(object, 4, 9)";
        assert_eq!(texts(&connection, indexed), ["evt_000000002aaaaaaaaaaa", "evt_000000003aaaaaaaaaaa"]);
        let deleted = connection.execute_batch("DELETE FROM audit_events").unwrap_err().to_string();
        assert!(deleted.contains("append-only"), "{deleted}");
    }
}
