//! The check behind `switchboard audit check`: whether events were changed, whether segments are missing, and
//! how many events are not sealed yet.

use std::path::Path;

use serde::Serialize;
use switchboard_store::audit::AuditCursor;
use switchboard_store::audit_segments::Segment;
use switchboard_types::{ProjectId, Timestamp};
use switchboard_vault::MacError;

use super::canon::{self, Events, GENESIS};
use super::head::{self, Head, HeadState};
use crate::app::audit::AuditLog;
use crate::error::Result;

/// Segments read per page.
const PAGE: i64 = 500;

/// The kind of a finding, as it appears in the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A sealed range has the right number of events, but their content differs.
    Changed,
    /// A sealed range has fewer events than were sealed.
    Missing,
    /// A sealed range has more events than were sealed, or events of a project that had none.
    Inserted,
    /// The segment's own row was changed.
    SegmentChanged,
    /// Segments between others are missing.
    SegmentMissing,
    /// The tombstone was not written by retention.
    TombstoneChanged,
    /// The segment was sealed under a master key that is not in the key file.
    UnknownKey,
    /// The head names a later segment: the newest segments were truncated, or an older database was restored.
    Truncated,
    /// The head names another segment with that number.
    HeadDiffers,
    /// There is no head file.
    HeadMissing,
    /// The head file cannot be read.
    HeadUnreadable,
}

/// One problem that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The kind of problem.
    pub kind: Kind,
    /// The segment concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<i64>,
    /// The project whose events these are; none means the installation itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Description for people.
    pub message: String,
}

/// The result of a check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// No event was changed and none is missing.
    pub intact: bool,
    /// Number of segments checked.
    pub segments: i64,
    /// Number of the newest segment.
    pub newest_segment: i64,
    /// Number of events that match their segment.
    pub sealed_events: i64,
    /// Number of events that are not sealed yet.
    pub unsealed_events: i64,
    /// When the oldest unsealed event was written.
    pub unsealed_since: Option<Timestamp>,
    /// Number of events dropped by retention.
    pub dropped_events: i64,
    /// The problems found.
    pub findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, kind: Kind, segment: Option<&Segment>, message: String) {
        let project_id = segment.and_then(|segment| segment.project_id.clone());
        self.findings.push(Finding { kind, segment: segment.map(|segment| segment.number), project_id, message });
    }
}

impl AuditLog {
    /// Compares the audit log with its segments and a head file. With a project, checks all segments but only
    /// that project's events. Changes nothing; may run beside a server.
    pub async fn check(&self, project: Option<&str>, head_file: &Path) -> Result<Report> {
        let mut report = Report::default();
        // Read the head first: segments sealed during the check make it older, not newer.
        self.check_head(head_file, &mut report).await?;
        let end = self.check_segments(project, &mut report).await?;
        let (unsealed, since) = self.core.store.audit_events_from(&end, project).await?;
        (report.unsealed_events, report.unsealed_since) = (unsealed, since);
        report.intact = report.findings.is_empty();
        Ok(report)
    }

    async fn check_head(&self, file: &Path, report: &mut Report) -> Result<()> {
        let path = file.display();
        let describe = |head: &Head| format!("the head file {path} names segment {} ({})", head.segment, head.mac);
        let (kind, message) = match head::compare(self, file).await? {
            HeadState::Agrees(_) => return Ok(()),
            // A database without segments needs no head file.
            HeadState::Missing if self.core.store.newest_audit_segment().await?.is_none() => return Ok(()),
            HeadState::Missing => (Kind::HeadMissing, format!("there is no head file at {path}")),
            HeadState::Unreadable(error) => {
                (Kind::HeadUnreadable, format!("the head file {path} cannot be read: {error}"))
            }
            HeadState::Ahead(head) => (
                Kind::Truncated,
                format!(
                    "{}, which the database does not have: the newest segments were cut off, or this is an older database",
                    describe(&head)
                ),
            ),
            HeadState::Differs(head) => {
                (Kind::HeadDiffers, format!("{}, but the database has another one of that number", describe(&head)))
            }
        };
        report.find(kind, None, message);
        Ok(())
    }

    /// Checks all segments. Returns the end of the last sealed range.
    async fn check_segments(&self, project: Option<&str>, report: &mut Report) -> Result<String> {
        let mut end = String::new();
        let mut previous: Option<Segment> = None;
        let mut range: Vec<Segment> = Vec::new();
        // Segments before the tombstone are being deleted and need no check.
        let dropping = if self.core.store.is_dropping_audit_events().await? {
            self.core.store.audit_tombstone().await?
        } else {
            None
        };
        let mut number = dropping.map_or(0, |tombstone| tombstone.number - 1);
        loop {
            let page = self.core.store.audit_segments_after(number, PAGE).await?;
            let Some(last) = page.last() else { break };
            number = last.number;
            for segment in page {
                self.check_link(previous.as_ref(), &segment, report);
                previous = Some(segment.clone());
                if segment.tombstone.is_some() {
                    self.check_tombstone(&segment, report).await?;
                    end.clone_from(&segment.until_id);
                    continue;
                }
                if range.first().is_some_and(|first| first.until_id != segment.until_id) {
                    self.check_range(&range, project, report).await?;
                    range.clear();
                }
                end.clone_from(&segment.until_id);
                range.push(segment);
            }
        }
        self.check_range(&range, project, report).await?;
        report.newest_segment = number;
        Ok(end)
    }

    /// Checks a segment's own row and its link to the previous segment.
    fn check_link(&self, previous: Option<&Segment>, segment: &Segment, report: &mut Report) {
        report.segments += 1;
        let number = segment.number;
        let expected = previous.map_or(1, |previous| previous.number + 1);
        // Segments before a tombstone are gone on purpose. Retention may have removed more since they were
        // read.
        let is_first_kept = segment.tombstone.is_some();
        if number != expected && !is_first_kept {
            let message = format!("segments {expected} to {} are missing", number - 1);
            report.find(Kind::SegmentMissing, Some(segment), message);
        }
        match self.ring.verify(canon::SEGMENT, &canon::segment(segment), &segment.key_id, &segment.mac) {
            Ok(()) => {
                let before = previous.map_or(GENESIS.as_slice(), |previous| previous.mac.as_slice());
                if number == expected && !is_first_kept && segment.previous != before {
                    let message = format!("segment {number} does not continue the segment before it");
                    report.find(Kind::SegmentChanged, Some(segment), message);
                }
            }
            Err(MacError::UnknownKey(key)) => {
                let message =
                    format!("segment {number} was sealed under master key {key}, which is not in the key file");
                report.find(Kind::UnknownKey, Some(segment), message);
            }
            Err(MacError::Mismatch) => {
                report.find(Kind::SegmentChanged, Some(segment), format!("segment {number} itself was changed"));
            }
        }
    }

    /// Checks the tombstone, and that no event of its range is left once the drop is finished.
    async fn check_tombstone(&self, segment: &Segment, report: &mut Report) -> Result<()> {
        let Some(tombstone) = &segment.tombstone else { return Ok(()) };
        let message = canon::tombstone(segment, tombstone);
        match self.ring.verify(canon::TOMBSTONE, &message, &tombstone.key_id, &tombstone.mac) {
            Ok(()) => report.dropped_events = tombstone.dropped_events,
            Err(error) => {
                let kind = if error == MacError::Mismatch { Kind::TombstoneChanged } else { Kind::UnknownKey };
                let message = format!("the tombstone of segment {} is not retention's: {error}", segment.number);
                report.find(kind, Some(segment), message);
            }
        }
        if self.core.store.is_dropping_audit_events().await? {
            return Ok(());
        }
        let left = self.core.store.audit_events_after(&AuditCursor::default().until(&segment.until_id), 1).await?;
        if !left.is_empty() {
            let message = format!("there are events in the range that was dropped with segment {}", segment.number);
            report.find(Kind::Inserted, Some(segment), message);
        }
        Ok(())
    }

    /// Checks the events of one range against its segments.
    async fn check_range(&self, range: &[Segment], project: Option<&str>, report: &mut Report) -> Result<()> {
        let Some(first) = range.first() else { return Ok(()) };
        let mut found = self.hash_events(&first.from_id, &first.until_id).await?;
        let tombstone = self.core.store.audit_tombstone().await?;
        if tombstone.is_some_and(|tombstone| tombstone.number >= first.number) {
            // Retention dropped this range meanwhile.
            return Ok(());
        }
        let is_selected = |of: Option<&str>| project.is_none() || project == of;
        for segment in range {
            let events = found.remove(&segment.project_id).unwrap_or_default();
            if is_selected(segment.project_id.as_deref()) {
                compare(segment, events, report);
            }
        }
        for (project_id, events) in found.into_iter().filter(|(project, _)| is_selected(project.as_deref())) {
            let message = format!(
                "{} events of {} are in the range of segment {}, in which it had none",
                events.count,
                owner(project_id.as_deref()),
                first.number
            );
            report.findings.push(Finding { kind: Kind::Inserted, segment: Some(first.number), project_id, message });
        }
        Ok(())
    }
}

fn compare(segment: &Segment, events: Events, report: &mut Report) {
    let (sealed, count) = (segment.events, events.count);
    let kind = match count - sealed {
        0 if events.digest() == segment.digest => {
            report.sealed_events += sealed;
            return;
        }
        0 => Kind::Changed,
        more if more > 0 => Kind::Inserted,
        _ => Kind::Missing,
    };
    let difference = match kind {
        Kind::Changed => format!("some of {sealed} events were changed"),
        _ => format!("{sealed} events were sealed and {count} are there"),
    };
    let message = format!("segment {} of {}: {difference}", segment.number, owner(segment.project_id.as_deref()));
    report.find(kind, Some(segment), message);
}

fn owner(project: Option<&str>) -> String {
    project.map_or_else(|| "the installation".to_owned(), |project| format!("project {project}"))
}
