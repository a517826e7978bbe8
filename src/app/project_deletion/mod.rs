//! Deletes a project: it is closed at once and emptied in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_store::accounts::CredentialFilter;
use switchboard_store::project_deletion::{self, BATCH, ClosedProject};
use switchboard_store::{Refusal, Unit, WriteError, files};
use switchboard_types::{AuditAction, AuditOutcome, LinkId, ProjectId};

use crate::app::Actor;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::core::Core;
use crate::app::project::not_found;
use crate::app::revocation::{EndState, Revocations};
use crate::app::session::Sessions;
use crate::error::{Error, Result};
use crate::id::Kind;

/// How long a request empties a project. Background jobs do the rest.
const REQUEST_TIME_LIMIT: Duration = Duration::from_secs(10);
/// Links ended per unit.
const LINK_BATCH: usize = 100;
/// Closed projects per run of the job.
const PROJECT_BATCH: i64 = 100;

/// Deletion of projects and everything in them.
pub struct ProjectDeletion {
    core: Arc<Core>,
    auth_configs: Arc<AuthConfigs>,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
}

crate::redacted_debug!(ProjectDeletion);

impl ProjectDeletion {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        auth_configs: Arc<AuthConfigs>,
        sessions: Arc<Sessions>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { core, auth_configs, sessions, revocations }
    }
}

impl ProjectDeletion {
    /// Deletes a project and everything in it. Its keys are rejected from the next request on. With `revoke`,
    /// its credentials are queued to be revoked at their providers; returns the id of that job if there were
    /// any. Background jobs finish emptying a large or interrupted deletion.
    pub async fn delete(&self, actor: &Actor, project: &ProjectId, revoke: bool) -> Result<Option<String>> {
        let actor = Actor { project_id: project.to_owned(), ..actor.clone() };
        let unit = project_deletion::close(project, revoke, self.core.now()).with(self.core.audit(
            &actor,
            AuditAction::ProjectDelete,
            project,
            AuditOutcome::Ok,
            None,
        ));
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::ProjectNotFound)) => return Err(not_found(project)),
            Err(error) => return Err(error.into()),
        }
        self.sessions.forget_project(project);
        self.auth_configs.forget_project(project);
        let job = revoke_job_id(project);
        let until = Instant::now().checked_add(REQUEST_TIME_LIMIT);
        self.empty_project(&actor, revoke, &job, until).await?;
        self.auth_configs.forget_project(project);
        let queued = revoke && self.core.store.revocation_counts(project, &job).await?.total > 0;
        Ok(queued.then_some(job))
    }

    /// Continues emptying deleted projects.
    pub async fn empty_deleted(&self) -> Result<usize> {
        let closed = self.core.store.closed_projects(PROJECT_BATCH).await?;
        let count = closed.len();
        for ClosedProject { id, revokes } in closed {
            // A project that cannot be emptied now must not block the others.
            if let Err(error) = self.empty_project(&Actor::system(&id), revokes, &revoke_job_id(&id), None).await {
                tracing::error!(project.id = %id, error = error.message(), cause = error.causes(), "a deleted project could not be emptied");
            }
        }
        Ok(count)
    }

    /// Ends what is in a closed project, batch by batch, until nothing is left or the time is up. Each batch is
    /// committed on its own; a later call continues.
    async fn empty_project(&self, actor: &Actor, revoke: bool, job: &str, until: Option<Instant>) -> Result<()> {
        let project = &actor.project_id;
        let must_stop = || until.is_some_and(|until| Instant::now() >= until) || self.core.stopping.is_cancelled();
        self.end_links_of(project, &must_stop).await?;
        if revoke && !must_stop() {
            self.revocations.queue_revocations(actor, &CredentialFilter::default(), EndState::Deleted, job).await?;
        }
        let accounts =
            if revoke { project_deletion::end_accounts_without_credential } else { project_deletion::end_accounts };
        self.repeat(|| Unit::new().with(accounts(project, self.core.now())), &must_stop).await?;
        self.repeat(|| Unit::new().with(project_deletion::end_sessions(project, self.core.now())), &must_stop).await?;
        self.repeat(|| Unit::new().with(files::delete_of_project(project, self.core.now())), &must_stop).await?;
        self.repeat(|| Unit::new().with(project_deletion::forget_idempotency_keys(project)), &must_stop).await?;
        self.repeat(|| Unit::new().with(project_deletion::forget_calls(project)), &must_stop).await?;
        self.repeat(|| project_deletion::end_auth_configs(project, self.core.now()), &must_stop).await?;
        // A link may have been created while the project was closed.
        self.end_links_of(project, &must_stop).await?;
        if must_stop() {
            return Ok(());
        }
        let unit = project_deletion::mark_empty(project, self.core.now()).with(self.core.audit(
            actor,
            AuditAction::ProjectEmpty,
            project,
            AuditOutcome::Ok,
            None,
        ));
        match self.core.store.apply(unit).await {
            // Rows added meanwhile are left to the next run.
            Ok(_) | Err(WriteError::Refused(Refusal::ProjectNotEmpty)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Repeats a unit whose last statement changes a batch of rows until it changes less than a full batch.
    pub(in crate::app) async fn repeat(&self, unit: impl Fn() -> Unit, must_stop: &impl Fn() -> bool) -> Result<usize> {
        let mut changed = 0;
        while !must_stop() {
            let rows = self.core.store.apply(unit()).await?.last().copied().unwrap_or(0);
            changed += rows;
            if rows < BATCH {
                break;
            }
        }
        Ok(changed)
    }

    async fn end_links_of(&self, project: &ProjectId, must_stop: &impl Fn() -> bool) -> Result<()> {
        let limit = i64::try_from(LINK_BATCH).map_err(Error::internal)?;
        let mut after = String::new();
        while !must_stop() {
            let open = self.core.store.open_links_of_project(project, &after, limit).await?;
            if open.ids.is_empty() {
                break;
            }
            let now = self.core.now();
            let end = |unit: Unit, link: &LinkId| unit.and(project_deletion::end_link(project, link, now));
            self.core.store.apply(open.ids.iter().fold(Unit::new(), end)).await?;
            after = open.after;
        }
        Ok(())
    }
}

/// The id of the job that revokes a project's credentials. It is derived from the project's id, so that every
/// run uses the same one.
fn revoke_job_id(project: &ProjectId) -> String {
    let suffix = project.strip_prefix(Kind::Project.prefix()).unwrap_or(project);
    format!("{}{suffix}", Kind::RevokeJob.prefix())
}
