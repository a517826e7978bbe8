//! What a link costs next to many accounts, which are inserted by SQL beforehand.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::load::Target;
use crate::options::Build;
use crate::product::Product;
use crate::rounds::{Bench, Level, interleave};

/// Powers of ten; those above `--scale-max` are left out.
const EXPONENTS: [u32; 4] = [3, 5, 6, 7];
/// Number of requests in flight.
pub const CONNECTIONS: usize = 64;
/// Sessions, each of another user. They are spread over the accounts' users, so that links are inserted all
/// over the index by user. With few, the pages that they touch would fit into a cache at any size.
const SESSIONS: u64 = 10_000;
/// Their numbers begin here: none of these users has an account.
const FIRST_USER: u64 = 1 << 40;
/// As large as a credential with an access token and a refresh token. It is never opened; the first byte is
/// the present layout of sealed values.
const CREDENTIAL_BYTES: usize = 300;
const LAYOUT: u8 = 2;
/// A time before every real id.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// Results.
#[derive(Debug, Serialize)]
pub struct Scale {
    /// Powers of ten that were measured.
    pub exponents: Vec<u32>,
    /// Rounds of every build with every number of accounts, see [`name`].
    pub level: Level,
}

/// The name of a build with 10 to the power of `exponent` accounts.
pub fn name(build: &str, exponent: u32) -> String {
    format!("{build} at 10^{exponent}")
}

/// Runs the measurement: all sizes of all builds in the same rounds.
pub async fn measure(bench: &Bench<'_>) -> Result<Scale> {
    let exponents: Vec<u32> = EXPONENTS.into_iter().filter(|exponent| *exponent <= bench.options.scale_max).collect();
    let mut servers = Vec::new();
    for &exponent in &exponents {
        for build in &bench.builds {
            servers.push((name(&build.name, exponent), start(bench, build, exponent).await?));
        }
    }
    let targets: Vec<Target<'_>> = servers
        .iter()
        .map(|(name, (product, requests))| Target {
            name: name.clone(),
            process: &product.process,
            requests: Arc::clone(requests),
        })
        .collect();
    let mut levels = interleave("scale", bench.options, &[CONNECTIONS], &targets).await?;
    Ok(Scale { exponents, level: levels.pop().context("nothing was measured")? })
}

/// A server with that many accounts, and requests for links.
async fn start(bench: &Bench<'_>, build: &Build, exponent: u32) -> Result<(Product, Arc<Vec<Vec<u8>>>)> {
    let folder = bench.folder.join(format!("scale-{exponent}")).join(&build.name);
    let product = Product::start(bench, build, &folder, None)?;
    let sessions = product.sessions_of(SESSIONS, |user| user_name(user + FIRST_USER)).await?;
    let requests = product.link_requests(&sessions).await?;
    let accounts = 10_u64.pow(exponent);
    let before = product.process.address();
    let product = product
        .restart_after(bench, build, (&folder, None), |database| insert(database, accounts, Inserted::Active))?;
    let after = product.process.address();
    // The port of the new process is another one.
    let requests = requests.iter().map(|request| for_host(request, &before.to_string(), &after.to_string()));
    Ok((product, Arc::new(requests.collect::<Result<_>>()?)))
}

fn for_host(request: &[u8], before: &str, after: &str) -> Result<Vec<u8>> {
    Ok(std::str::from_utf8(request)?.replacen(before, after, 1).into_bytes())
}

/// Names in an order that has nothing to do with their numbers, as the ids of an app's users are.
fn user_name(number: u64) -> String {
    // The finalizer of SplitMix64: every bit of the input changes half of the output.
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("user-{:016x}", mixed ^ (mixed >> 31))
}

/// What accounts that are inserted by SQL are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// ACTIVE, with a credential that cannot be opened.
    Active,
    /// EXPIRED, without a credential, so that they can be listed.
    Expired,
}

/// Inserts accounts of as many users into the database of a server that has stopped. It must have an auth config.
pub fn insert(database: &Path, accounts: u64, kind: Inserted) -> Result<()> {
    let started = Instant::now();
    let mut connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // Nothing is lost if this fails: the folder is temporary.
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -(1_i64 << 20))?;
    let transaction = connection.transaction()?;
    {
        let (project, auth_config): (String, String) =
            transaction.query_row("SELECT project_id, id FROM auth_configs LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let mut insert = transaction.prepare(
            "INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status,
               word_id, account_type, params, credential_sealed, credential_version, connected_at, created_at,
               updated_at)
             VALUES (?1, ?2, ?3, 'sandbox', ?4, 'OAUTH2', ?7, 'sandbox_silver-castle', 'PRIVATE', '{}', ?5, 1,
               ?6, ?6, ?6)",
        )?;
        let mut sealed = vec![0x5a; CREDENTIAL_BYTES];
        sealed[0] = LAYOUT;
        let (status, credential) = match kind {
            Inserted::Active => ("ACTIVE", Some(sealed)),
            Inserted::Expired => ("EXPIRED", None),
        };
        for number in 0..accounts {
            let created_at = EPOCH_MS + i64::try_from(number)?;
            // Sorts before the ids that the server makes.
            let id = format!("ca_0{number:019}");
            insert.execute(params![id, project, user_name(number), auth_config, credential, created_at, status])?;
        }
    }
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    eprintln!("{accounts} accounts inserted in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn users_have_different_names_all_over_the_range() {
        let names: BTreeSet<String> = (0..5_000).chain(FIRST_USER..FIRST_USER + 5_000).map(user_name).collect();
        assert_eq!(names.len(), 10_000);
        let first_digits: BTreeSet<&str> = names.iter().filter_map(|name| name.get(5..6)).collect();
        assert_eq!(first_digits.len(), 16);
    }

    #[test]
    fn requests_follow_the_server_to_its_new_port() {
        let request = b"POST /a HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n{}";
        let changed = for_host(request, "127.0.0.1:1", "127.0.0.1:22").unwrap();
        assert_eq!(changed, b"POST /a HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n{}");
    }
}
