//! Reads release sets and releases that are not in the catalog.

use std::sync::Arc;

use switchboard_catalog::{Release, Toolkit};
use switchboard_types::CompactString;

use super::{ReleaseSet, ToolVersions, lock};
use crate::app::base::tools::{EarlierTools, ToolkitVersion};
use crate::error::{Code, Error, Result};

/// What a release set says of a toolkit.
#[derive(Debug)]
pub enum Member {
    /// This version of it.
    Is(ToolkitVersion),
    /// Nothing, and it has no tools now.
    HasNoTools,
    /// Nothing, but it has tools now.
    IsMissing,
}

impl ToolVersions {
    /// What a release set says of a toolkit. `None` is the set of a session that has none yet.
    ///
    /// # Errors
    /// The database does not respond, or no longer has the release.
    pub async fn member(&self, set: Option<i64>, toolkit: &Arc<Toolkit>) -> Result<Member> {
        let current = self.current();
        let now = current.set.get(&toolkit.slug);
        let then = match set {
            Some(set) if current.is(set) => now.cloned(),
            Some(set) => self.set(set).await?.get(&toolkit.slug).cloned(),
            None => None,
        };
        Ok(match (then, now) {
            (Some(then), Some(now)) if then == *now => Member::Is(ToolkitVersion::current(toolkit)),
            (Some(then), _) => Member::Is(self.earlier(toolkit, &then).await?),
            (None, Some(_)) => Member::IsMissing,
            (None, None) => Member::HasNoTools,
        })
    }

    /// A release set.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn set(&self, id: i64) -> Result<Arc<ReleaseSet>> {
        if let Some(set) = lock(&self.sets).get(&id) {
            return Ok(Arc::clone(set));
        }
        let members = self.core.store.release_set(id).await?;
        let set = Arc::new(ReleaseSet(members.into_iter().collect()));
        lock(&self.sets).put(id, Arc::clone(&set));
        Ok(set)
    }

    /// The id of the set `id`, or of an empty one, with the toolkit as it is in the catalog.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn set_with_current(&self, id: Option<i64>, toolkit: &Toolkit) -> Result<i64> {
        let Some(id) = id else { return self.current_set().await };
        let current = self.current();
        let mut set = ReleaseSet::clone(&*self.set(id).await?);
        if let Some(release) = current.set.get(&toolkit.slug) {
            set.insert(&toolkit.slug, release);
        }
        self.store_set(&set).await
    }

    /// A stored version of a toolkit.
    pub(super) async fn earlier(&self, toolkit: &Arc<Toolkit>, digest: &CompactString) -> Result<ToolkitVersion> {
        if let Some(earlier) = lock(&self.earlier).get(digest) {
            return Ok(ToolkitVersion::earlier(toolkit, Arc::clone(earlier)));
        }
        let gone = || {
            let message = format!("The version of toolkit {} that is asked for is no longer stored", toolkit.slug);
            Error::new(Code::ToolVersionGone, message)
                .fix(format!("Use version {}: the session's toolkit_versions change it.", toolkit.version))
        };
        let row = self.core.store.release(digest).await?.ok_or_else(gone)?;
        let labels = (row.toolkit.as_str(), row.version.as_str(), row.name.as_str());
        let release = Release::stored(digest, labels, row.tools).ok_or_else(gone)?;
        let rows = release.tools().map_err(|cause| gone().because(cause))?;
        let earlier = Arc::new(EarlierTools { version: row.version, name: row.name, rows });
        lock(&self.earlier).put(digest.clone(), Arc::clone(&earlier));
        Ok(ToolkitVersion::earlier(toolkit, earlier))
    }
}
