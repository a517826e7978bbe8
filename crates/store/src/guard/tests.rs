//! Every condition over other rows in the sources names a guard that exists.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use switchboard_types::Timestamp;

use super::*;
use crate::{Refusal, attempts, auth_configs, links, project_deletion};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// String literals of Rust code, without comments and unit tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut found = Vec::new();
    let mut letters = source.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => while letters.next_if(|letter| *letter != '\n').is_some() {},
            '\'' if letters.peek() == Some(&'"') => drop(letters.next()),
            '"' => {
                let mut text = String::new();
                while let Some(letter) = letters.next_if(|letter| *letter != '"') {
                    text.push(letter);
                    if letter == '\\' {
                        text.extend(letters.next());
                    }
                }
                letters.next();
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

/// All literals of the crate, each with its file.
fn all_literals() -> Vec<(String, String)> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_source = path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("guard/tests.rs");
            if path.is_dir() {
                folders.push(path);
            } else if is_source && !path.ends_with("src/guard.rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let file = path.file_name().unwrap().to_string_lossy().into_owned();
                found.extend(literals(&source).into_iter().map(|literal| (file.clone(), literal)));
            }
        }
    }
    found
}

/// Whether a literal is a statement that writes, or a condition of one that is put together from parts.
fn is_write(literal: &str) -> bool {
    let starts = ["INSERT", "UPDATE", "DELETE", "(SELECT", "IN (SELECT", "AND NOT EXISTS", "AND EXISTS"];
    starts.iter().any(|start| literal.trim_start().starts_with(start))
}

#[test]
fn a_write_that_reads_other_rows_names_its_guard() {
    let is_unguarded = |(_, literal): &&(String, String)| {
        let is_batch_of_macro = literal == " IN (SELECT id FROM ";
        let is_part = literal.trim_start().starts_with('(');
        let reads = reads_other_rows(literal) || (is_part && literal.contains("SELECT"));
        let is_fixed = FIXED.contains(&literal.as_str());
        is_write(literal) && reads && guards(literal).is_empty() && !is_batch_of_macro && !is_fixed
    };
    let all = all_literals();
    let unguarded: Vec<_> = all.iter().filter(is_unguarded).collect();
    assert!(unguarded.is_empty(), "name the guard in the SQL, see guard.rs: {unguarded:#?}");
    let guarded = all.iter().filter(|(_, literal)| !guards(literal).is_empty()).count();
    assert!(guarded >= 20, "only {guarded} guards found: the search is broken");
    let batches = all.iter().filter(|(file, literal)| file == "retention.rs" && literal.contains("guarded by: final"));
    assert_eq!(batches.count(), 2);
}

/// A migrated database.
fn database(folder: &Path) -> Connection {
    let path = folder.join("test.db");
    drop(crate::Store::open(&path).unwrap());
    Connection::open(path).unwrap()
}

#[test]
fn the_indexes_and_tables_of_guards_exist() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let has = |sql: &str, name: &str| database.query_row(sql, [name], |row| row.get::<_, bool>(0)).unwrap();
    let is_table = |name: &str| has("SELECT COUNT(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = $1", name);
    let is_unique = "SELECT COUNT(*) > 0 FROM sqlite_schema WHERE name = $1 AND sql LIKE 'CREATE UNIQUE INDEX %'";
    let has_key = "SELECT COUNT(*) > 0 FROM pragma_table_info($1) WHERE pk > 0";
    let all = all_literals();
    for guard in all.iter().flat_map(|(_, literal)| guards(literal)) {
        let (kind, name) = guard.rsplit_once(' ').unwrap_or((guard, ""));
        let is_valid = match (kind, name) {
            ("index", name) => has(is_unique, name) || has(has_key, name),
            ("shared lock" | "exclusive lock" | "table lock", name) => is_table(name),
            ("sealing lock", name) => {
                let lock = format!("LOCK TABLE {name} ");
                is_table(name) && all.iter().any(|(_, literal)| literal.starts_with(&lock))
            }
            ("own", "row") | ("final", "") => true,
            _ => false,
        };
        assert!(is_valid, "unknown guard \"{guard}\"");
    }
}

#[test]
fn a_unit_without_its_guard_is_refused() {
    let refused = |unit: &Unit, cause: &str| {
        let refused = check(unit).unwrap_err();
        assert!(refused.contains(cause), "{refused}");
    };
    let one = |statement| Unit::new().with(statement);
    let sql = "DELETE FROM links WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE link_id = links.id)";
    refused(&one(Statement::any(sql, Vec::new())), "without a guard");
    let locked = "SELECT 1 FROM links WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE link_id = links.id)";
    refused(&one(Statement::lock_all(Parent::Link, locked, Vec::new())), "a lock with a subquery");

    let delete = auth_configs::delete_unused(&"pr_1".into(), &"ac_1".into(), at(5));
    refused(&one(delete.clone()), "exclusive lock auth_configs");
    let shared = one(auth_configs::require_enabled(&"pr_1".into(), &"ac_1".into()));
    refused(&shared.with(delete.clone()), "exclusive lock auth_configs");
    check(&auth_configs::lock_for_deletion(&"pr_1".into(), &"ac_1".into()).with(delete)).unwrap();

    let oldest = attempts::cancel_oldest(&"lt_1".into(), 3, at(5));
    refused(&one(oldest.clone()), "exclusive lock links");
    // A change of the parent's row locks it, too.
    check(&one(links::start(&"lt_1".into(), at(5))).with(oldest)).unwrap();
}

#[test]
fn locks_come_in_one_order() {
    let link = || Unit::new().with(links::is_open(&"lt_1".into()));
    let config = || auth_configs::lock_for_deletion(&"pr_1".into(), &"ac_1".into());
    check(&config().and(link())).unwrap();
    let refused = check(&link().and(config())).unwrap_err();
    assert!(refused.contains("AuthConfig is locked after"), "{refused}");
    check(&project_deletion::mark_empty(&"pr_1".into(), at(5))).unwrap();
    assert!(Parent::Project < Parent::AuthConfig && Parent::Account < Parent::Link);
}

#[tokio::test]
async fn a_unit_without_its_guard_is_not_applied() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::Store::open(&folder.path().join("test.db")).unwrap();
    let unit = Unit::new().with(auth_configs::delete_unused(&"pr_1".into(), &"ac_1".into(), at(5)));
    let refused = store.apply(unit).await.unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");
    let gone = store.apply(auth_configs::lock_for_deletion(&"pr_1".into(), &"ac_1".into())).await.unwrap_err();
    assert!(matches!(gone, crate::WriteError::Refused(Refusal::AuthConfigNotFound)), "{gone}");
}
