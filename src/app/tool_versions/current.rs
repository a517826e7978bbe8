//! The releases of the catalog in force, and their set in the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_catalog::{Catalog, Release};
use switchboard_store::releases::{self, ReleaseRow};
use switchboard_store::{Unit, WriteError};
use switchboard_types::Timestamp;
use tokio::sync::OnceCell;

use super::{ReleaseSet, ToolVersions, lock};
use crate::error::{Error, Result};

/// The releases of one catalog.
pub(super) struct CurrentReleases {
    catalog: Arc<Catalog>,
    pub(super) releases: BTreeMap<String, Arc<Release>>,
    pub(super) set: ReleaseSet,
    /// Of the set, once it is stored.
    id: OnceCell<i64>,
}

impl CurrentReleases {
    fn new(catalog: Arc<Catalog>) -> Self {
        let releases: BTreeMap<String, Arc<Release>> =
            catalog.releases().map(|release| (release.toolkit.clone(), release)).collect();
        let mut set = ReleaseSet::default();
        for release in releases.values() {
            set.insert(&release.toolkit, &release.digest);
        }
        Self { catalog, releases, set, id: OnceCell::new() }
    }

    /// Whether this is the id of the set.
    pub(super) fn is(&self, set: i64) -> bool {
        self.id.get() == Some(&set)
    }
}

impl ToolVersions {
    /// Those of the catalog in force.
    pub(super) fn current(&self) -> Arc<CurrentReleases> {
        let catalog = self.core.catalog.get();
        let mut known = lock(&self.current);
        match &*known {
            Some(current) if Arc::ptr_eq(&current.catalog, &catalog) => Arc::clone(current),
            _ => Arc::clone(known.insert(Arc::new(CurrentReleases::new(catalog)))),
        }
    }

    /// The id of the release set of the catalog in force. The set is stored before, if it is new to the database.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn current_set(&self) -> Result<i64> {
        let current = self.current();
        current.id.get_or_try_init(|| self.store_set(&current.set)).await.copied()
    }

    /// Stores the set of the catalog in force and keeps it and what sessions use from being deleted; deletes what was
    /// not used since `before`. Returns the number of releases that were deleted.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn delete_unused(&self, before: Option<Timestamp>) -> Result<usize> {
        let set = self.current_set().await?;
        let now = self.core.now();
        let mut unit = Unit::new().with(releases::mark_seen(set, now));
        if let Some(before) = before {
            unit.extend(releases::delete_unused(before, now));
        }
        let changed = self.core.store.apply(unit).await?;
        let deleted = if before.is_some() { changed.last().copied().unwrap_or_default() } else { 0 };
        if deleted > 0 {
            *lock(&self.stored) = None;
        }
        Ok(deleted)
    }

    /// The id of a set, which is stored if it is new.
    pub(super) async fn store_set(&self, set: &ReleaseSet) -> Result<i64> {
        let store = &self.core.store;
        let digest = set.digest();
        let now = self.core.now();
        let apply = async |unit: Unit| match store.apply(unit).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(refusal)) => Err(Error::internal(refusal.to_string())),
            Err(error) => Err(error.into()),
        };
        if let Some(id) = store.release_set_id(&digest).await? {
            apply(Unit::new().with(releases::mark_seen(id, now))).await?;
            return Ok(id);
        }
        let stored = store.releases().await?;
        let mut unit = Unit::new();
        for release in self.current().releases.values() {
            if !stored.iter().any(|label| label.digest == release.digest) {
                unit = unit.with(releases::insert(&to_row(release), now));
            }
        }
        let members = set.0.iter().map(|(toolkit, release)| (toolkit.as_str(), release.as_str()));
        unit.extend(releases::insert_set(&digest, members, now));
        apply(unit).await?;
        *lock(&self.stored) = None;
        store.release_set_id(&digest).await?.ok_or_else(|| Error::internal("a release set was not stored"))
    }
}

fn to_row(release: &Release) -> ReleaseRow {
    ReleaseRow {
        digest: release.digest.clone(),
        toolkit: release.toolkit.clone(),
        version: release.version.clone(),
        name: release.name.clone(),
        tools: release.compressed().to_vec(),
    }
}
