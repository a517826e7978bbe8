//! Versions by their names: which there are, which are withdrawn, and what a session asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use switchboard_catalog::{Toolkit, Withdrawn};
use switchboard_store::releases::ReleaseLabel;

use super::{ReleaseSet, ToolVersions, lock};
use crate::app::base::errors::invalid_slugs;
use crate::app::base::tools::{FoundTool, ToolkitVersion};
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// How long a list of stored releases is used. One that another server has added is seen after it.
const LIST_LIFETIME: Duration = Duration::from_secs(5);
/// The word for the version in the catalog.
const LATEST: &str = "latest";

/// The versions that a session asks for: `latest`, or toolkit → `latest` or a version.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be latest, or an object with a version per toolkit")]
pub enum ToolkitVersions {
    /// `latest`: of all toolkits.
    All(String),
    /// Toolkit → version.
    Each(BTreeMap<String, String>),
}

/// The rule that withdraws a version of a toolkit, or one of its tools.
pub fn withdrawn<'t>(toolkit: &'t Toolkit, version: &str, tool: Option<&str>) -> Option<&'t Withdrawn> {
    toolkit.withdrawn.iter().find(|withdrawn| {
        let concerns =
            withdrawn.tools.is_empty() || tool.is_some_and(|tool| withdrawn.tools.iter().any(|slug| slug == tool));
        withdrawn.version == version && concerns
    })
}

/// The error for a version that is withdrawn. `fix` says how to use the one that replaces it.
fn refusal(toolkit: &Toolkit, withdrawn: &Withdrawn, fix: impl FnOnce(&str) -> String) -> Error {
    let replacement = withdrawn.replacement.as_ref().unwrap_or(&toolkit.version);
    let reason = withdrawn.reason.trim_end_matches('.');
    let placeholders: [(&str, &dyn std::fmt::Display); 4] = [
        ("version", &withdrawn.version),
        ("toolkit", &toolkit.slug),
        ("reason", &reason),
        ("replacement", replacement),
    ];
    Error::of(Code::ToolVersionWithdrawn, &placeholders).fix(fix(replacement))
}

impl ToolkitVersion {
    /// Refuses a version that is withdrawn, or the tool of one. `session` is the id of the session that uses it.
    ///
    /// # Errors
    /// It names the version that replaces it.
    pub fn check_withdrawn(&self, tool: &str, session: &str) -> Result<()> {
        let toolkit = &self.toolkit;
        match withdrawn(toolkit, self.version(), Some(tool)) {
            None => Ok(()),
            Some(rule) if session.is_empty() => {
                Err(refusal(toolkit, rule, |replacement| format!("Call it with version {replacement} or latest.")))
            }
            Some(rule) => Err(refusal(toolkit, rule, |replacement| {
                format!(
                    "Move the session to it: PATCH /api/v3.1/tool_router/session/{session} with \
                     {{\"toolkit_versions\":{{\"{}\":\"{replacement}\"}}}}.",
                    toolkit.slug
                )
            })),
        }
    }
}

impl ToolVersions {
    /// A version of a toolkit by its name; the one in the catalog for `latest` and when omitted. `place` names the
    /// parameter as messages do, such as `query.version`.
    ///
    /// # Errors
    /// There is no such version, or it is withdrawn. The error names those that there are.
    pub async fn named(&self, toolkit: &Arc<Toolkit>, version: Option<&str>, place: &str) -> Result<ToolkitVersion> {
        let Some(version) = version.filter(|version| !version.eq_ignore_ascii_case(LATEST)) else {
            return Ok(ToolkitVersion::current(toolkit));
        };
        match self.release_named(toolkit, version, place).await? {
            None => Ok(ToolkitVersion::current(toolkit)),
            Some(label) => self.earlier(toolkit, &label.digest.as_str().into()).await,
        }
    }

    /// The stored release of a version; none for the version in the catalog.
    async fn release_named(&self, toolkit: &Toolkit, version: &str, place: &str) -> Result<Option<ReleaseLabel>> {
        if version == toolkit.version {
            return Ok(None);
        }
        if let Some(rule) = withdrawn(toolkit, version, None) {
            return Err(refusal(toolkit, rule, |replacement| format!("Ask for version {replacement} or latest.")));
        }
        let stored = self.stored().await?;
        let is_it = |label: &&ReleaseLabel| label.toolkit == toolkit.slug && label.version == version;
        if let Some(label) = stored.iter().find(is_it) {
            return Ok(Some(label.clone()));
        }
        let available = available(toolkit, &stored).join(", ");
        let message = format!("Error in {place}: must be latest or one of the versions here: {available}");
        Err(Error::validation(vec![message]))
    }

    /// The versions of a toolkit that can be used: the one in the catalog, then the others, newest first.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn available(&self, toolkit: &Toolkit) -> Result<Vec<String>> {
        Ok(available(toolkit, &self.stored().await?))
    }

    /// The same for the toolkits of some tools, by slug.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn available_of(&self, tools: &[FoundTool]) -> Result<BTreeMap<String, Vec<String>>> {
        let stored = self.stored().await?;
        let mut versions = BTreeMap::new();
        for found in tools {
            let toolkit = &found.toolkit;
            if !versions.contains_key(&toolkit.slug) {
                versions.insert(toolkit.slug.clone(), available(toolkit, &stored));
            }
        }
        Ok(versions)
    }

    /// The id of the set of a session that asks for versions: `set`, or the one of the catalog, with those. None if it
    /// asks for nothing.
    ///
    /// # Errors
    /// There is no such toolkit or version, or the version is withdrawn.
    pub async fn set_with(&self, set: Option<i64>, asked: Option<&ToolkitVersions>) -> Result<Option<i64>> {
        let versions = match asked {
            None => return Ok(None),
            Some(ToolkitVersions::All(word)) if word.eq_ignore_ascii_case(LATEST) => {
                return self.current_set().await.map(Some);
            }
            Some(ToolkitVersions::All(_)) => {
                return Err(Error::field(
                    "toolkit_versions",
                    "must be latest, or an object with a version per toolkit",
                ));
            }
            Some(ToolkitVersions::Each(versions)) => versions,
        };
        let current = self.current();
        let mut asked_for = match set {
            Some(set) => ReleaseSet::clone(&*self.set(set).await?),
            None => current.set.clone(),
        };
        for (slug, version) in versions {
            let toolkit = self.core.toolkit(slug).ok_or_else(|| invalid_slugs(&[slug]))?;
            let place = format!("payload.toolkit_versions.{}", truncate(slug));
            let stored = match version.as_str() {
                latest if latest.eq_ignore_ascii_case(LATEST) => None,
                version => self.release_named(&toolkit, version, &place).await?,
            };
            match (stored, current.set.get(&toolkit.slug)) {
                (Some(label), _) => asked_for.insert(&toolkit.slug, &label.digest),
                (None, Some(release)) => asked_for.insert(&toolkit.slug, release),
                // It has no tools in this version.
                (None, None) => asked_for.remove(&toolkit.slug),
            }
        }
        self.store_set(&asked_for).await.map(Some)
    }

    /// All releases that are stored.
    pub(super) async fn stored(&self) -> Result<Arc<Vec<ReleaseLabel>>> {
        if let Some((read_at, stored)) = &*lock(&self.stored)
            && read_at.elapsed() < LIST_LIFETIME
        {
            return Ok(Arc::clone(stored));
        }
        let read_at = Instant::now();
        let stored = Arc::new(self.core.store.releases().await?);
        *lock(&self.stored) = Some((read_at, Arc::clone(&stored)));
        Ok(stored)
    }
}

/// The versions of a toolkit that can be used.
fn available(toolkit: &Toolkit, stored: &[ReleaseLabel]) -> Vec<String> {
    let mut versions = vec![toolkit.version.clone()];
    for label in stored.iter().filter(|label| label.toolkit == toolkit.slug) {
        if !versions.contains(&label.version) && withdrawn(toolkit, &label.version, None).is_none() {
            versions.push(label.version.clone());
        }
    }
    versions
}
