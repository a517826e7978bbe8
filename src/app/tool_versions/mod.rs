//! Versions of tools: a session keeps the tools that it began with.
//!
//! A *release* is the tools of one version of a toolkit, known by its digest. A *release set* says which release of each
//! toolkit a session uses. Both are stored once, however many sessions name them: by this module before the first
//! session names them, so that a session costs no more than a number in its row. A call reads nothing for it while its
//! session uses the releases that are in the catalog; `link` and `proxy_execute` use no tools and do not come here.
//!
//! - Creating a session: it gets the set of the catalog in force, or one with the versions that the request asks for.
//! - A toolkit file is edited, or the server is another version after an upgrade: the catalog has another set. Sessions
//!   of before go on with theirs. What differs from the catalog is read from the database, and kept in memory.
//! - Several servers with one database: each offers its own set to new sessions, and finds those of the others in the
//!   database.
//! - PATCH of a session: the versions stay unless `toolkit_versions` asks for others, by name or as `latest`.
//! - A toolkit that has got its first tools after a session began, and a session from before release sets: the version
//!   of the first use is added to the session, which is the only time that a call writes for this.
//! - Only the tools are kept: their names, schemas, requests and results. Hosts, credentials and base URL of a toolkit
//!   are those of its file now, because its accounts are connected with them and a limit of hosts has to hold at once.
//!   A toolkit that is gone takes its tools with it. Links ask for the scopes of the tools in the catalog.
//! - A withdrawn version (`[[withdrawn]]` in `toolkit.toml`) is not listed and not run, for any session.
//! - Retention: `keep.tool_versions_days` after the last session that names a release is deleted, and no server has it.

mod changelog;
mod current;
mod load;
mod named;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use data_encoding::HEXLOWER;
use lru::LruCache;
use sha2::{Digest, Sha256};
use switchboard_store::releases::ReleaseLabel;
use switchboard_types::CompactString;

use crate::app::base::core::Core;
use crate::app::base::tools::EarlierTools;

pub use changelog::{VersionChanges, VersionEntry};
use current::CurrentReleases;
pub use load::Member;
pub use named::{ToolkitVersions, withdrawn};

/// Release sets in memory, of some kilobytes each.
const SETS: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(255);
/// Releases in memory that are not in the catalog, of some hundred kilobytes each.
const EARLIER: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(63);

/// Which release of each toolkit is used: digests by slug.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReleaseSet(BTreeMap<CompactString, CompactString>);

impl ReleaseSet {
    /// SHA-256 of all of it, in hexadecimal digits.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (toolkit, release) in &self.0 {
            hash.update(toolkit);
            hash.update("\n");
            hash.update(release);
            hash.update("\n");
        }
        HEXLOWER.encode(&hash.finalize())
    }

    /// The toolkits that have tools.
    pub fn toolkits(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(CompactString::as_str)
    }

    /// The release of a toolkit.
    fn get(&self, toolkit: &str) -> Option<&CompactString> {
        self.0.get(toolkit)
    }

    /// Removes a toolkit.
    fn remove(&mut self, toolkit: &str) {
        self.0.remove(toolkit);
    }

    /// Gives a toolkit another release.
    fn insert(&mut self, toolkit: &str, release: &str) {
        self.0.insert(toolkit.into(), release.into());
    }
}

/// The releases and release sets of this database.
pub struct ToolVersions {
    core: Arc<Core>,
    /// Those of the catalog that was in force at the last look.
    current: Mutex<Option<Arc<CurrentReleases>>>,
    sets: Mutex<LruCache<i64, Arc<ReleaseSet>>>,
    earlier: Mutex<LruCache<CompactString, Arc<EarlierTools>>>,
    /// All releases that are stored, and since when that is known.
    stored: Mutex<Option<(Instant, Arc<Vec<ReleaseLabel>>)>>,
}

crate::redacted_debug!(ToolVersions);

impl ToolVersions {
    /// Creates the service.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            current: Mutex::default(),
            sets: Mutex::new(LruCache::new(SETS)),
            earlier: Mutex::new(LruCache::new(EARLIER)),
            stored: Mutex::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
