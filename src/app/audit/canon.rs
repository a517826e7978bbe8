//! What a segment's hash and authentication codes are made of. Every part stands with its length, so
//! that no two different rows or segments give the same bytes. These bytes are a stored format: a
//! change of them makes sealed segments unreadable.

use sha2::{Digest, Sha256};
use switchboard_store::audit::AuditEvent;
use switchboard_store::audit_segments::{Segment, Tombstone};

/// What the codes of segments are made for; see `KeyRing::authenticate`.
pub const SEGMENT: &str = "audit segment, version 1";
/// What the codes of tombstones are made for.
pub const TOMBSTONE: &str = "audit tombstone, version 1";

/// Bytes in the place of a MAC that the first segment names.
pub const GENESIS: [u8; 32] = [0; 32];

/// The SHA-256 of events, given one after the other in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Events {
    hash: Sha256,
    /// How many so far.
    pub count: i64,
    /// When the newest was written.
    pub newest_at: i64,
}

impl Events {
    /// Adds an event.
    pub fn add(&mut self, event: &AuditEvent) {
        let mut bytes = Vec::with_capacity(256);
        text(&mut bytes, Some(&event.id));
        text(&mut bytes, event.project_id.as_deref());
        number(&mut bytes, event.at);
        for part in [&event.actor, &event.action, &event.object, &event.outcome] {
            text(&mut bytes, Some(part));
        }
        for part in [&event.request_id, &event.caller_request_id, &event.detail] {
            text(&mut bytes, part.as_deref());
        }
        self.hash.update(&bytes);
        self.newest_at = if self.count == 0 { event.at } else { self.newest_at.max(event.at) };
        self.count += 1;
    }

    /// The hash of all that was added.
    pub fn digest(self) -> Vec<u8> {
        self.hash.finalize().to_vec()
    }
}

/// What a segment's code is made of: everything in its row but the code and the tombstone.
pub fn segment(it: &Segment) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    number(&mut bytes, it.number);
    text(&mut bytes, it.project_id.as_deref());
    text(&mut bytes, Some(&it.from_id));
    text(&mut bytes, Some(&it.until_id));
    for part in [it.events, it.newest_at, it.sealed_at] {
        number(&mut bytes, part);
    }
    blob(&mut bytes, &it.digest);
    blob(&mut bytes, &it.previous);
    bytes
}

/// What a tombstone's code is made of: the segment that it stands for, and what was dropped when.
pub fn tombstone(segment: &Segment, it: &Tombstone) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    number(&mut bytes, segment.number);
    blob(&mut bytes, &segment.mac);
    number(&mut bytes, it.dropped_at);
    number(&mut bytes, it.dropped_events);
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
