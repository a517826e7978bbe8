//! The end of links, with their attempts and verifications, so that nothing sealed remains.

use switchboard_types::{AccountId, AuthConfigId, LinkId, LinkOutcome, ProjectId, Timestamp};

use crate::{Refusal, Statement, Unit, attempts, revocations, verifications};

/// Finishes a link, once.
fn finish(id: &LinkId, outcome: LinkOutcome, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::LinkFinished,
        "UPDATE links SET finished_at = $3, outcome = $2, prefill_sealed = NULL, exchange_by = NULL,
           exchange_since = NULL
         WHERE id = $1 AND finished_at IS NULL",
        vec![id.into(), outcome.as_str().into(), now.into()],
    )
}

/// Finishes a link with its pending attempts and verifications.
pub fn end(id: &LinkId, outcome: LinkOutcome, now: Timestamp) -> Unit {
    Unit::new()
        .with(finish(id, outcome, now))
        .with(attempts::cancel_of_link(id, now))
        .with(verifications::cancel_of_link(id, now))
        .with(revocations::make_due_of_link(id, now))
}

/// Ends the links selected by a subquery over the project (`$1`) and the owner (`$2`).
macro_rules! end_links {
    ($links:literal, $project:expr, $owner:expr, $outcome:expr, $now:expr) => {
        Unit::new()
            .with(Statement::any(
                concat!(
                    "UPDATE links SET finished_at = $4, outcome = $3, prefill_sealed = NULL
                     WHERE finished_at IS NULL AND id IN ",
                    $links
                ),
                vec![$project.into(), $owner.into(), $outcome.as_str().into(), $now.into()],
            ))
            .with(Statement::any(
                concat!("UPDATE attempts SET verifier_sealed = NULL, poll_at = NULL WHERE link_id IN ", $links),
                vec![$project.into(), $owner.into()],
            ))
            .with(Statement::any(
                concat!(
                    "UPDATE verifications SET consumed_at = COALESCE(consumed_at, $3), parked_sealed = NULL
                     WHERE link_id IN ",
                    $links
                ),
                vec![$project.into(), $owner.into(), $now.into()],
            ))
            .with(Statement::any(
                concat!(
                    "UPDATE jobs SET run_at = CASE WHEN run_at > $3 THEN $3 ELSE run_at END
                     WHERE kind = 'revocation' AND tries = 0 AND key IN (SELECT /* guarded by: own row */ id
                       FROM revocations WHERE promised_for IS NOT NULL AND outcome IS NULL
                         AND account_id IN (SELECT /* guarded by: final */ account_id FROM links WHERE id IN ",
                    $links,
                    "))"
                ),
                vec![$project.into(), $owner.into(), $now.into()],
            ))
    };
}

/// Ends the open link of an account that is being deleted, with its attempts and verifications, so that
/// nothing sealed remains. The unit begins with a change of the account, or with [`crate::accounts::lock_for_link`].
pub fn end_of_account(project: &ProjectId, account: &AccountId, outcome: LinkOutcome, now: Timestamp) -> Unit {
    end_links!(
        "(SELECT link_id FROM connected_accounts WHERE project_id = $1 AND id = $2
            /* guarded by: exclusive lock connected_accounts */)",
        project,
        account,
        outcome,
        now
    )
}

/// The same for one link.
pub(crate) fn end_one(project: &ProjectId, link: &LinkId, outcome: LinkOutcome, now: Timestamp) -> Unit {
    end_links!("(SELECT id FROM links WHERE project_id = $1 AND id = $2)", project, link, outcome, now)
}

/// The same for all accounts of an auth config. The unit begins with [`crate::auth_configs::lock_for_deletion`].
pub fn end_of_auth_config(
    project: &ProjectId,
    auth_config: &AuthConfigId,
    outcome: LinkOutcome,
    now: Timestamp,
) -> Unit {
    end_links!(
        "(SELECT link_id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2 AND deleted_at IS NULL
            /* guarded by: exclusive lock auth_configs, exclusive lock connected_accounts */)",
        project,
        auth_config,
        outcome,
        now
    )
}

/// The same for the first 100 accounts, as [`crate::accounts::delete_batch_of_auth_config`] selects them.
pub(crate) fn end_batch_of_auth_config(
    project: &ProjectId,
    auth_config: &AuthConfigId,
    with_credentials: bool,
    now: Timestamp,
) -> Unit {
    if with_credentials {
        end_links!(
            "(SELECT link_id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
                AND deleted_at IS NULL ORDER BY id LIMIT 100
                /* guarded by: exclusive lock connected_accounts */)",
            project,
            auth_config,
            LinkOutcome::Deleted,
            now
        )
    } else {
        end_links!(
            "(SELECT link_id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
                AND deleted_at IS NULL AND credential_sealed IS NULL ORDER BY id LIMIT 100
                /* guarded by: exclusive lock connected_accounts */)",
            project,
            auth_config,
            LinkOutcome::Deleted,
            now
        )
    }
}
