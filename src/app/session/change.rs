//! Changes of an existing session: policy updates, policy history, and the caller's custom tools (contract
//! sections 2.4, 2.6, 2.7).

use serde_json::json;
use switchboard_store::sessions::{self, SessionRow, SessionVersion};
use switchboard_store::{ListPage, PageQuery, Refusal, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, ProjectId, SessionId, Timestamp};

use super::patch::SessionPatch;
use super::policy::{Experimental, SessionConfig};
use super::{Session, check_id, custom_tools, not_found, to_row};
use crate::app::Actor;
use crate::app::base::errors::readable;
use crate::app::session::Sessions;
use crate::error::{Code, Error, Result};

/// How often a change without `expected_config_version` is retried on a newer policy. Every retry means that a
/// concurrent change succeeded, so reaching the limit needs that many of them.
const MAX_ATTEMPTS: usize = 64;

/// A current or earlier policy of a session.
#[derive(Debug)]
pub struct PastPolicy {
    /// 1 at creation.
    pub version: i64,
    /// When it was set.
    pub created_at: Timestamp,
    /// The policy.
    pub config: SessionConfig,
    /// Whether it is the current policy.
    pub is_current: bool,
}

/// Whether two parts of a policy say the same.
fn is_same<T: serde::Serialize>(one: &T, other: &T) -> bool {
    serde_json::to_value(one).ok() == serde_json::to_value(other).ok()
}

impl Sessions {
    /// Changes a session's policy. The result must pass the same checks as a new session, the previous policy
    /// goes into the history, and the version is incremented. Without an expected version, a change that loses
    /// against a concurrent one is applied to the newer policy.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn patch(&self, actor: &Actor, id: &SessionId, patch: &SessionPatch) -> Result<Session> {
        check_id(id)?;
        patch.check()?;
        for _ in 0..MAX_ATTEMPTS {
            // Not cached: a change based on an outdated row would be refused.
            let row = self.core.store.session(&actor.project_id, id).await?.ok_or_else(|| not_found(id))?;
            if let Some(expected) = patch.expected_config_version
                && expected != row.config_version
            {
                let placeholders: [(&str, &dyn std::fmt::Display); 3] =
                    [("id", &id), ("stored", &row.config_version), ("expected", &expected)];
                return Err(Error::of(Code::SessionConfigConflict, &placeholders));
            }
            let (stored, changed) = self.changed(actor, row, patch).await?;
            let detail = json!({ "config_version": changed.config_version, "blocks": patch.blocks() });
            let max_versions = self.core.settings.retention.session_versions;
            let unit = sessions::change(&to_row(&changed)?, stored, max_versions, self.core.now()).with(
                self.core.audit(actor, AuditAction::SessionUpdate, id, AuditOutcome::Ok, Some(detail.to_string())),
            );
            match self.core.store.apply(unit).await {
                Ok(_) => {
                    self.recent.forget(&(actor.project_id.clone(), id.to_owned()));
                    return Ok(changed);
                }
                Err(WriteError::Refused(Refusal::SessionChanged)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Code::Conflict, format!("Session \"{id}\" is being changed too often")))
    }

    /// The stored version and the changed session.
    async fn changed(&self, actor: &Actor, row: SessionRow, patch: &SessionPatch) -> Result<(i64, Session)> {
        let mut session = Session::read(row)?;
        let stored = session.config_version;
        let (tools, preload) = (session.config.tools.clone(), session.config.preload.clone());
        session.config = patch.apply(std::mem::take(&mut session.config))?;
        self.check_policy(actor, &session.user_id, &mut session.config).await?;
        // What was accepted earlier stays: a tool may have gone since.
        if let Some(set) = self.versions.set_with(session.release_set, patch.toolkit_versions.as_ref()).await? {
            session.release_set = Some(set);
        }
        if !is_same(&tools, &session.config.tools) {
            self.check_tools(&session.config, session.release_set).await?;
        }
        if !is_same(&preload, &session.config.preload) {
            self.check_preload_tools(&session.config, session.release_set).await?;
        }
        session.config_version += 1;
        Ok((stored, session))
    }

    /// The session together with the caller's custom tools. They run in the caller's process and are not
    /// stored: they are validated, named and returned.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn attach(&self, project: &ProjectId, id: &SessionId, given: Experimental) -> Result<Session> {
        let session = self.get(project, id).await?;
        let mut session = Session::clone(&session);
        if given.custom_toolkits.is_some() || given.custom_tools.is_some() {
            let experimental = session.config.experimental.get_or_insert_default();
            experimental.custom_toolkits = given.custom_toolkits;
            experimental.custom_tools = given.custom_tools;
            custom_tools::prepare(experimental)?;
            self.check_toolkits(&session.config)?;
        }
        Ok(session)
    }

    /// One page of a session's policies, newest first, with the total number and the session's user.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn history(
        &self,
        project: &ProjectId,
        id: &SessionId,
        page: PageQuery,
    ) -> Result<(String, ListPage<PastPolicy>)> {
        let session = self.get(project, id).await?;
        let ListPage { rows, next, total } = self.core.store.session_versions(project, id, page).await?;
        let policies = rows.into_iter().filter_map(|row| readable(id, past_policy(&row))).collect();
        Ok((session.user_id.clone(), ListPage { rows: policies, next, total }))
    }
}

fn past_policy(row: &SessionVersion) -> Result<PastPolicy> {
    Ok(PastPolicy {
        version: row.version,
        created_at: row.created_at,
        config: serde_json::from_str(&row.config).map_err(Error::internal)?,
        is_current: row.is_current,
    })
}
