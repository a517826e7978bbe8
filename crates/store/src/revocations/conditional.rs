//! Conditional revocations: of tokens that wait for their user's choice.
//!
//! The row and its job are written with the tokens. The job is not due before the choice can no longer be made.
//! While the user goes on it is postponed; when an account gets the tokens both are deleted. All of this is
//! possible only before the first run (`tries = 0`): afterwards the provider may have been asked.
//!
//! A new time needs no lock. A revocation that ended meanwhile has no job without a run, and one that was made
//! unconditional is only later. What deletes revocations or makes them unconditional locks them first: the job of
//! an unconditional one must not be deleted.

use switchboard_types::{AccountId, LinkId, ProjectId, Timestamp};

use crate::unit::Parent;
use crate::{Refusal, Statement, Unit};

/// Pending conditional revocations of an account, `$1` its project, `$2` its id.
macro_rules! of_account {
    () => {
        "project_id = $1 AND account_id = $2 AND promised_for IS NOT NULL AND outcome IS NULL"
    };
}

/// The pending revocation of a verification's tokens, `$1` its project, `$2` its id.
macro_rules! of_verification {
    () => {
        "project_id = $1 AND promised_for = $2 AND outcome IS NULL
         AND account_id = (SELECT account_id FROM verifications WHERE id = $2)"
    };
}

/// An update of the jobs of revocations that no worker has taken yet. The new time is in `$set`, without a
/// condition on the old one: with it, the engine would search the jobs by time instead of by key.
macro_rules! update_jobs {
    ($set:literal, guarded by $guard:literal, $revocations:expr) => {
        concat!(
            "UPDATE jobs SET ",
            $set,
            " WHERE kind = 'revocation' AND tries = 0 AND key IN (SELECT /* guarded by: ",
            $guard,
            " */ id FROM revocations WHERE ",
            $revocations,
            ")"
        )
    };
}

/// Locks revocations until the unit is committed.
macro_rules! lock {
    ($revocations:expr, $args:expr) => {
        Statement::lock_all(Parent::Revocation, concat!("SELECT 1 FROM revocations WHERE ", $revocations), $args)
    };
}

/// Deletes revocations that no worker has taken yet, with their jobs. A pending revocation without a job is one
/// whose job the statement before has deleted: it never gets another.
macro_rules! delete {
    ($revocations:expr, $args:expr) => {{
        let args = $args;
        Unit::new()
            .with(lock!($revocations, args.clone()))
            .with(Statement::any(
                concat!(
                    "DELETE FROM jobs WHERE kind = 'revocation' AND tries = 0
                       AND key IN (SELECT /* guarded by: exclusive lock revocations */ id FROM revocations WHERE ",
                    $revocations,
                    ")"
                ),
                args.clone(),
            ))
            .with(Statement::any(
                concat!(
                    "DELETE FROM revocations WHERE ",
                    $revocations,
                    " AND id NOT IN (SELECT /* guarded by: final */ key FROM jobs
                                     WHERE kind = 'revocation' AND key = revocations.id)"
                ),
                args,
            ))
    }};
}

/// Postpones the conditional revocation of a verification until `until` while its tokens are in use. Refused
/// as `already_being_revoked` if the tokens are being revoked.
pub fn postpone(project: &ProjectId, verification: &str, until: Timestamp) -> Statement {
    Statement::one(
        Refusal::AlreadyBeingRevoked,
        update_jobs!("run_at = $3", guarded by "own row", of_verification!()),
        vec![project.into(), verification.into(), until.into()],
    )
}

/// Postpones the conditional revocations of an account until `until`, at least, while it is connecting.
pub fn postpone_of_account(project: &ProjectId, account: &AccountId, until: Timestamp) -> Statement {
    Statement::any(
        update_jobs!("run_at = CASE WHEN run_at < $3 THEN $3 ELSE run_at END", guarded by "own row", of_account!()),
        vec![project.into(), account.into(), until.into()],
    )
}

/// Makes the revocation of a verification's tokens unconditional and due now.
pub fn make_unconditional(project: &ProjectId, verification: &str, now: Timestamp) -> Unit {
    Unit::new()
        .with(lock!(of_verification!(), vec![project.into(), verification.into()]))
        .with(Statement::any(
            update_jobs!("run_at = $3", guarded by "exclusive lock revocations", of_verification!()),
            vec![project.into(), verification.into(), now.into()],
        ))
        .with(Statement::any(
            concat!(
                "UPDATE revocations SET promised_for = NULL WHERE ",
                of_verification!(),
                " AND id IN (SELECT /* guarded by: exclusive lock jobs */ key FROM jobs
                             WHERE kind = 'revocation' AND key = revocations.id AND tries = 0)"
            ),
            vec![project.into(), verification.into()],
        ))
}

/// Makes conditional revocations of a link due now, since the choice can no longer be made. The worker drops
/// those of an account that works with other tokens.
pub(crate) fn make_due_of_link(link: &LinkId, now: Timestamp) -> Statement {
    Statement::any(
        update_jobs!(
            "run_at = CASE WHEN run_at > $2 THEN $2 ELSE run_at END",
            guarded by "own row",
            "account_id = (SELECT account_id FROM links WHERE id = $1) AND promised_for IS NOT NULL AND outcome IS NULL"
        ),
        vec![link.into(), now.into()],
    )
}

/// Cancels the conditional revocation of a verification's tokens.
pub fn cancel_conditional(project: &ProjectId, verification: &str) -> Unit {
    delete!(of_verification!(), vec![project.into(), verification.into()])
}

/// Cancels the conditional revocations of an account that now has a credential. Their tokens may share its
/// grant, and some providers end the grant with any of its tokens (RFC 7009 section 2.1).
pub fn cancel_conditional_of_account(project: &ProjectId, account: &AccountId) -> Unit {
    delete!(of_account!(), vec![project.into(), account.into()])
}

/// Deletes a conditional revocation, in the unit that ends its job.
pub fn withdraw(project: &ProjectId, id: &str) -> Statement {
    Statement::one(
        Refusal::RevocationFinished,
        "DELETE FROM revocations WHERE id = $2 AND project_id = $1 AND promised_for IS NOT NULL AND outcome IS NULL",
        vec![project.into(), id.into()],
    )
}
