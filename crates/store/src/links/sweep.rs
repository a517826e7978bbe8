//! The sweep of expired links: which of them to end, without an index that every new link would be in.
//!
//! Ids begin with the time, and links live equally long. So the sweep goes along the primary key, and `link_sweep` says
//! how far it has come. A step covers a range of ids ([`Store::sweep_step`]). Its overdue links are ended; then
//! [`end_step`] gives what is still open in it a time of its own, `sweep_at`, by which an index finds it
//! ([`Store::overdue_links`]): a link with an attempt that runs, or with another lifetime. A link that is added behind the
//! sweep has such a time from the beginning.

use switchboard_types::{LinkId, ProjectId, Timestamp};

use super::{LinkRow, read, select};
use crate::accounts::{self, AccountRow};
use crate::sqlite::Reading;
use crate::{ReadError, Statement, Store, Unit, Value};

/// A link whose time is over.
#[derive(Debug)]
pub struct OverdueLink {
    /// The link.
    pub link: LinkRow,
    /// Its account, `None` if that was deleted. An error concerns this account only.
    pub account: Result<Option<AccountRow>, ReadError>,
}

/// A range of ids in the order of the sweep.
#[derive(Debug)]
pub struct SweepStep {
    /// Its links that can be ended.
    pub overdue: Vec<OverdueLink>,
    /// Its end, for [`end_step`].
    pub until_id: String,
    /// Nothing comes after it for now.
    pub is_last: bool,
}

/// Some open links of a project.
#[derive(Debug)]
pub struct OpenLinks {
    /// Their ids.
    pub ids: Vec<LinkId>,
    /// Where to read on.
    pub after: String,
}

/// Ends a step: what is open in it gets a time of its own, and the next step begins at `until_id`.
pub fn end_step(until_id: &str) -> Unit {
    Unit::new()
        // Links are added too often to lock anything themselves.
        .with(Statement::lock_table("LOCK TABLE links IN SHARE ROW EXCLUSIVE MODE"))
        .with(Statement::any(
            "UPDATE links SET sweep_at = expires_at
             WHERE id >= (SELECT until_id FROM link_sweep) AND id < $1 AND finished_at IS NULL AND sweep_at IS NULL
             /* guarded by: table lock links */",
            vec![until_id.into()],
        ))
        .with(Statement::any("UPDATE link_sweep SET until_id = $1 WHERE until_id < $1", vec![until_id.into()]))
}

/// Overdue links that a condition selects: those without a running attempt and without a pending verification.
macro_rules! overdue {
    ($condition:literal) => {
        select!(
            "WHERE finished_at IS NULL AND expires_at <= $1
               AND (exchange_since IS NULL OR exchange_since <= $2)
               AND NOT EXISTS (SELECT 1 FROM attempts WHERE link_id = links.id
                               AND consumed_at IS NULL AND expires_at > $1)
               AND NOT EXISTS (SELECT 1 FROM verifications WHERE link_id = links.id
                               AND consumed_at IS NULL AND expires_at > $1)
               AND ",
            $condition
        )
    };
}

fn read_overdue(reading: &Reading<'_>, sql: &str, args: &[Value]) -> Result<Vec<OverdueLink>, ReadError> {
    let with_account = |link: LinkRow| {
        let account = accounts::read_by_id(reading, &link.project_id, &link.account_id);
        OverdueLink { link, account }
    };
    Ok(reading.all_consistent(sql, args, read)?.into_iter().map(with_account).collect())
}

impl Store {
    /// Overdue links that have a time of their own, the longest overdue first, at most `limit`. An exchange that
    /// began after `exchanging_since` may still succeed.
    pub async fn overdue_links(
        &self,
        now: Timestamp,
        exchanging_since: Timestamp,
        limit: i64,
    ) -> Result<Vec<OverdueLink>, ReadError> {
        let args: [Value; 3] = [now.into(), exchanging_since.into(), limit.into()];
        let sql = overdue!("sweep_at <= $1 ORDER BY sweep_at LIMIT $3");
        self.scan("", move |reading| read_overdue(reading, sql, &args)).await
    }

    /// The next step of the sweep: at most `limit` links with ids before `before_id`. `None` if there are none.
    pub async fn sweep_step(
        &self,
        before_id: String,
        now: Timestamp,
        exchanging_since: Timestamp,
        limit: i64,
    ) -> Result<Option<SweepStep>, ReadError> {
        self.scan("", move |reading| {
            let from_id = reading.one("SELECT until_id FROM link_sweep", &[], |row| row.text(0))?.unwrap_or_default();
            if from_id >= before_id {
                return Ok(None);
            }
            // Without links there is no step, so that an idle server writes nothing.
            let bounds: [Value; 2] = [from_id.as_str().into(), before_id.as_str().into()];
            let first = "SELECT id FROM links WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 1";
            if reading.one(first, &bounds, |row| row.text(0))?.is_none() {
                return Ok(None);
            }
            let range: [Value; 3] = [from_id.as_str().into(), before_id.as_str().into(), limit.into()];
            let next = "SELECT id FROM links WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 1 OFFSET $3";
            let next = reading.one(next, &range, |row| row.text(0))?;
            let is_last = next.is_none();
            let until_id = next.unwrap_or(before_id);
            let args: [Value; 4] = [now.into(), exchanging_since.into(), from_id.into(), until_id.as_str().into()];
            let sql = overdue!("id >= $3 AND id < $4 AND sweep_at IS NULL ORDER BY id");
            Ok(Some(SweepStep { overdue: read_overdue(reading, sql, &args)?, until_id, is_last }))
        })
        .await
    }

    /// Open links of a project, at most `limit`: in the order of their ids and after `after`, those to which the sweep has
    /// still to come, then those with a time of their own. In this order none is missed that the sweep passes meanwhile. Reads over the open links of all projects, which
    /// are few since links expire.
    pub async fn open_links_of_project(
        &self,
        project: &ProjectId,
        after: &str,
        limit: i64,
    ) -> Result<OpenLinks, ReadError> {
        let args: [Value; 3] = [project.into(), after.into(), limit.into()];
        let mut after = after.to_owned();
        self.scan(project, move |reading| {
            let to_come = "SELECT id FROM links
                 WHERE id >= (SELECT until_id FROM link_sweep) AND id > $2 AND sweep_at IS NULL
                   AND finished_at IS NULL AND project_id = $1 ORDER BY id LIMIT $3";
            let mut ids: Vec<LinkId> = reading.all(to_come, &args, |row| row.id(0))?;
            after = ids.last().map_or(after, LinkId::to_string);
            if ids.is_empty() {
                let own_time = "SELECT id FROM links
                     WHERE sweep_at > 0 AND finished_at IS NULL AND project_id = $1 LIMIT $2";
                let [project, _, limit] = args.clone();
                ids = reading.all(own_time, &[project, limit], |row| row.id(0))?;
            }
            Ok(OpenLinks { ids, after })
        })
        .await
    }
}
