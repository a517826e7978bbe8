//! One pass over all stored values, page by page in the order of the primary keys. Each update replaces only
//! the exact bytes that were read. A pass can therefore be interrupted and repeated at any time, also by
//! several servers at once.

use std::path::Path;

use anyhow::{Context, Result};
use switchboard_store::accounts::AccountRow;
use switchboard_store::failpoint;
use switchboard_store::reseal::{self, RowKey, SealedAccount, SealedColumn};
use switchboard_store::{Statement, Store, Unit};
use switchboard_types::{AccountId, AccountParams, ProjectId};
use switchboard_vault::{KeyRing, OpenError, SealContext};

use crate::app::base::idempotency;
use crate::app::credential::seals::{self, Owner};
use crate::app::spool::rotation;
use crate::error::Error;

/// Number of the first layout, the first byte of its sealed values.
const FIRST_LAYOUT: u8 = 1;
/// Rows per page. Each page is one transaction.
const PAGE: i64 = 2_048;
/// Log the progress after this many values.
const PROGRESS_INTERVAL: usize = 100_000;

/// The result of a pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Resealed {
    /// Resealed values.
    pub values: usize,
    /// Damaged values, or values sealed with a key that is not in the key file. They stay as they are and are
    /// never read.
    pub unreadable: usize,
}

/// Reseals all values that are in the first layout.
pub async fn run(store: &Store, ring: &KeyRing, spool_dir: &Path) -> Result<Resealed> {
    let mut run = Run { store, ring, done: Resealed::default() };
    run.accounts().await?;
    run.auth_configs().await?;
    for column in [
        SealedColumn::Prefill,
        SealedColumn::Verifier,
        SealedColumn::Parked,
        SealedColumn::Revocation,
        SealedColumn::Response,
    ] {
        run.column(column).await?;
    }
    run.spool(spool_dir).await?;
    Ok(run.done)
}

/// How many values are in the first layout, up to one page per table.
pub async fn count(store: &Store) -> Result<usize> {
    let mut found = store.accounts_sealed_with(FIRST_LAYOUT, "", PAGE).await?.len();
    found += store.auth_configs_sealed_with(FIRST_LAYOUT, "", PAGE).await?.len();
    Ok(found)
}

struct Run<'a> {
    store: &'a Store,
    ring: &'a KeyRing,
    done: Resealed,
}

/// Why a value was not resealed.
enum Skipped {
    /// The value cannot be opened.
    Unreadable(OpenError),
    /// The values that it is bound to cannot be read.
    Unbound(Error),
    /// The row that it belongs to is gone, so the value has no use.
    Orphan,
}

impl From<OpenError> for Skipped {
    fn from(error: OpenError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Error> for Skipped {
    fn from(error: Error) -> Self {
        Self::Unbound(error)
    }
}

impl Run<'_> {
    /// There may be millions of accounts: a page is resealed while the previous one is written.
    async fn accounts(&mut self) -> Result<()> {
        let mut written = Unit::new();
        let mut after = String::new();
        loop {
            let (applied, page) = tokio::join!(self.store.apply(std::mem::take(&mut written)), async {
                let page = self.store.accounts_sealed_with(FIRST_LAYOUT, &after, PAGE).await?;
                let sealed: Vec<_> = page.iter().map(|account| self.credential(account)).collect();
                anyhow::Ok((page, sealed))
            });
            applied.context("resealing stored credentials")?;
            if self.done.values > 0 {
                failpoint::hit("reseal_page");
            }
            let (page, sealed) = page?;
            let Some(last) = page.last() else { return Ok(()) };
            last.id.as_str().clone_into(&mut after);
            for (account, sealed) in page.iter().zip(sealed) {
                if let Some(sealed) = self.record("connected_accounts", &account.id, sealed) {
                    written.push(reseal::replace_credential(account, sealed));
                }
            }
        }
    }

    fn credential(&self, account: &SealedAccount) -> std::result::Result<Vec<u8>, Skipped> {
        let owner = Owner {
            project_id: &account.project_id,
            account_id: &account.id,
            user_id: &account.user_id,
            toolkit: &account.toolkit,
            auth_config_id: &account.auth_config_id,
            account_type: account.account_type,
            scheme: account.scheme,
        };
        let old = SealContext::new(&account.project_id, "connected_accounts", &account.id, "credential_sealed");
        let params = AccountParams::parse(&account.params);
        let params = params.ok_or_else(|| Error::internal("not the parameters of an account"))?;
        let context = seals::credential_context(&owner, &params);
        Ok(self.ring.reseal(old, &account.sealed, context)?)
    }

    async fn auth_configs(&mut self) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self.store.auth_configs_sealed_with(FIRST_LAYOUT, &after, PAGE).await?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let mut unit = Unit::new();
            for key in &page {
                let Some(statement) = self.auth_config(key).await? else { continue };
                unit.push(statement);
            }
            self.store.apply(unit).await.context("resealing stored clients")?;
        }
    }

    /// The shared fields come first, because the client is bound to them.
    async fn auth_config(&mut self, key: &RowKey) -> Result<Option<Statement>> {
        let Some(mut config) = self.store.auth_config(&key.0.as_str().into(), &key.1.as_str().into()).await? else {
            return Ok(None);
        };
        let old = (config.credentials_sealed.clone(), config.shared_sealed.clone());
        // A client in the current layout beside shared fields in the first one was not written by this program.
        if let Some(shared) = &old.1 {
            let sealed = self.reseal("auth_configs", key, "shared_sealed", shared, seals::shared_context(&config));
            let Some(sealed) = self.record("auth_configs", &key.1, sealed) else { return Ok(None) };
            config.shared_sealed = Some(sealed);
        }
        if let Some(client) = &old.0 {
            let sealed = self.reseal("auth_configs", key, "credentials_sealed", client, seals::client_context(&config));
            let Some(sealed) = self.record("auth_configs", &key.1, sealed) else { return Ok(None) };
            config.credentials_sealed = Some(sealed);
        }
        let new = (config.credentials_sealed, config.shared_sealed);
        Ok(Some(reseal::replace_auth_config(&config.id, old, new)))
    }

    async fn column(&mut self, column: SealedColumn) -> Result<()> {
        let mut after = RowKey::default();
        loop {
            let page = self.store.rows_sealed_with(column, FIRST_LAYOUT, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let mut unit = Unit::new();
            for (key, old) in &page {
                let sealed = self.value(column, key, old).await?;
                if let Some(sealed) = self.record(table(column), &key.1, sealed) {
                    unit.push(reseal::replace(column, key, old, sealed));
                }
            }
            self.store.apply(unit).await.with_context(|| format!("resealing {}", table(column)))?;
        }
    }

    /// Reseals one value for its row.
    async fn value(
        &self,
        column: SealedColumn,
        key: &RowKey,
        old: &[u8],
    ) -> Result<std::result::Result<Vec<u8>, Skipped>> {
        let (project, id) = (&ProjectId::from(key.0.as_str()), &key.1);
        let (name, context) = match column {
            SealedColumn::Prefill => {
                let Some(link) = self.store.link(&id.as_str().into()).await? else { return Ok(Err(Skipped::Orphan)) };
                let Some(account) = self.account(project, &link.account_id).await? else {
                    return Ok(Err(Skipped::Orphan));
                };
                ("prefill_sealed", seals::prefill_context(&(&account).into(), &link.id))
            }
            SealedColumn::Verifier => {
                let Some(attempt) = self.store.attempt(id).await? else { return Ok(Err(Skipped::Orphan)) };
                let Some(account) = self.account(project, &attempt.account_id).await? else {
                    return Ok(Err(Skipped::Orphan));
                };
                if let Err(error) = seals::check_readable(&account.params) {
                    return Ok(Err(error.into()));
                }
                ("verifier_sealed", seals::verifier_context(&(&account).into(), &attempt, &account.params))
            }
            SealedColumn::Parked => {
                let Some(row) = self.store.verification(project, id).await? else { return Ok(Err(Skipped::Orphan)) };
                let Some(account) = self.account(project, &row.account_id).await? else {
                    return Ok(Err(Skipped::Orphan));
                };
                if let Err(error) = seals::check_readable(&row.params) {
                    return Ok(Err(error.into()));
                }
                ("parked_sealed", seals::pending_context(&(&account).into(), &row))
            }
            SealedColumn::Revocation => {
                let Some(row) = self.store.revocation(project, id).await? else { return Ok(Err(Skipped::Orphan)) };
                if let Err(error) = seals::check_readable(&row.params) {
                    return Ok(Err(error.into()));
                }
                ("material_sealed", seals::revocation_context(&row))
            }
            SealedColumn::Response => {
                let Some(row) = self.store.idempotency(project, id).await? else { return Ok(Err(Skipped::Orphan)) };
                ("response_sealed", idempotency::seal_context(project, id, &row.request_hash, row.status))
            }
        };
        Ok(self.reseal(table(column), key, name, old, context))
    }

    async fn account(&self, project: &ProjectId, id: &AccountId) -> Result<Option<AccountRow>> {
        Ok(self.store.account(project, id).await?)
    }

    /// Spool files are rewritten as a whole.
    async fn spool(&mut self, dir: &Path) -> Result<()> {
        for file in rotation::files(dir).with_context(|| format!("cannot look into {}", dir.display()))? {
            // Unreadable files are reported when the spool is replayed.
            let Ok(Some(rotation)) = rotation::read(&file) else { continue };
            let Ok(old) = rotation.sealed() else { continue };
            if !switchboard_vault::is_first_layout(&old) {
                continue;
            }
            let Some(account) = self.account(&rotation.project_id, &rotation.account_id).await? else { continue };
            let key = (rotation.project_id.to_string(), rotation.account_id.to_string());
            let sealed = rotation.params().map_err(Skipped::from).and_then(|params| {
                let context = seals::credential_context(&(&account).into(), &params);
                self.reseal("connected_accounts", &key, "credential_sealed", &old, context)
            });
            if let Some(sealed) = self.record("spool", &key.1, sealed) {
                rotation::write(dir, &rotation.resealed(&sealed))
                    .with_context(|| format!("cannot write to {}", dir.display()))?;
            }
        }
        Ok(())
    }

    fn reseal(
        &self,
        table: &str,
        (project, id): &RowKey,
        column: &str,
        sealed: &[u8],
        context: SealContext,
    ) -> std::result::Result<Vec<u8>, Skipped> {
        Ok(self.ring.reseal(SealContext::new(project, table, id, column), sealed, context)?)
    }

    /// Counts a result, and logs progress and errors.
    fn record(&mut self, table: &str, id: &str, sealed: std::result::Result<Vec<u8>, Skipped>) -> Option<Vec<u8>> {
        match sealed {
            Ok(sealed) => {
                self.done.values += 1;
                if self.done.values.is_multiple_of(PROGRESS_INTERVAL) {
                    tracing::info!(values = self.done.values, table, "resealing stored values");
                }
                return Some(sealed);
            }
            Err(Skipped::Orphan) => return None,
            Err(Skipped::Unreadable(error)) => {
                tracing::error!(table, id, error = %error, "a stored value cannot be resealed and will be unreadable");
            }
            Err(Skipped::Unbound(error)) => {
                tracing::error!(
                    table,
                    id,
                    error = error.message(),
                    cause = error.causes(),
                    "a stored value cannot be resealed and will be unreadable"
                );
            }
        }
        self.done.unreadable += 1;
        None
    }
}

fn table(column: SealedColumn) -> &'static str {
    match column {
        SealedColumn::Prefill => "links",
        SealedColumn::Verifier => "attempts",
        SealedColumn::Parked => "verifications",
        SealedColumn::Revocation => "revocations",
        SealedColumn::Response => "idempotency_keys",
    }
}
