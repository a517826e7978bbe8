//! The canonical bytes that a segment's hash and authentication codes are computed over. Every part is prefixed
//! with its length, so different rows or segments never give the same bytes. This is a stored format: changing
//! it makes sealed segments unverifiable.

use sha2::{Digest, Sha256};
use switchboard_store::audit::AuditEvent;
use switchboard_store::audit_segments::{Segment, Tombstone};
use switchboard_types::Timestamp;

/// Domain of the authentication codes of segments; see `KeyRing::authenticate`.
pub const SEGMENT: &str = "audit segment, version 1";
/// Domain of the authentication codes of tombstones.
pub const TOMBSTONE: &str = "audit tombstone, version 1";

/// The first segment has this in place of a previous MAC.
pub const GENESIS: [u8; 32] = [0; 32];

/// The SHA-256 of events, added in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Events {
    hash: Sha256,
    /// Number of events so far.
    pub count: i64,
    /// Time of the newest event.
    pub newest_at: Timestamp,
}

impl Events {
    /// Adds an event.
    pub fn add(&mut self, event: &AuditEvent) {
        let mut bytes = Vec::with_capacity(256);
        text(&mut bytes, Some(&event.id));
        text(&mut bytes, event.project_id.as_deref());
        number(&mut bytes, event.at.as_millis());
        for part in [event.actor.as_str(), event.action.as_str(), event.object.as_str(), event.outcome.as_str()] {
            text(&mut bytes, Some(part));
        }
        for part in [event.request_id.as_deref(), event.caller_request_id.as_deref(), event.detail.as_deref()] {
            text(&mut bytes, part);
        }
        self.hash.update(&bytes);
        self.newest_at = if self.count == 0 { event.at } else { self.newest_at.max(event.at) };
        self.count += 1;
    }

    /// The hash of all events added.
    pub fn digest(self) -> Vec<u8> {
        self.hash.finalize().to_vec()
    }
}

/// The bytes of a segment's code: every column of its row except the code and the tombstone.
pub fn segment(row: &Segment) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    number(&mut bytes, row.number);
    text(&mut bytes, row.project_id.as_deref());
    text(&mut bytes, Some(&row.from_id));
    text(&mut bytes, Some(&row.until_id));
    for part in [row.events, row.newest_at.as_millis(), row.sealed_at.as_millis()] {
        number(&mut bytes, part);
    }
    blob(&mut bytes, &row.digest);
    blob(&mut bytes, &row.previous);
    bytes
}

/// The bytes of a tombstone's code: its segment, and what was dropped when.
pub fn tombstone(segment: &Segment, row: &Tombstone) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    number(&mut bytes, segment.number);
    blob(&mut bytes, &segment.mac);
    number(&mut bytes, row.dropped_at.as_millis());
    number(&mut bytes, row.dropped_events);
    bytes
}

fn text(bytes: &mut Vec<u8>, part: Option<&str>) {
    match part {
        None => bytes.push(0),
        Some(part) => {
            bytes.push(1);
            blob(bytes, part.as_bytes());
        }
    }
}

fn blob(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}

fn number(bytes: &mut Vec<u8>, part: i64) {
    bytes.extend_from_slice(&part.to_be_bytes());
}
