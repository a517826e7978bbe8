-- The audit log is sealed in segments afterwards, its rows cannot be replaced, and what retention
-- drops leaves a tombstone.

-- The `x-request-id` that the caller sent, beside our own id of the request.
ALTER TABLE audit_events ADD COLUMN caller_request_id TEXT;

-- A segment vouches for the events of one project (NULL: of the installation) in one range of ids,
-- which begin with the time. Ranges follow each other without a gap; the segments of one range have
-- the same two ends.
CREATE TABLE audit_segments (
    number        INTEGER PRIMARY KEY,     -- from 1, without gaps
    project_id    TEXT,
    from_id       TEXT NOT NULL,           -- ids from here …
    until_id      TEXT NOT NULL,           -- … to before here
    events        INTEGER NOT NULL,
    digest        BLOB NOT NULL,           -- SHA-256 of the events
    newest_at     INTEGER NOT NULL,        -- of the newest event
    sealed_at     INTEGER NOT NULL,
    previous      BLOB NOT NULL,           -- MAC of the segment before
    key_id        TEXT NOT NULL,           -- master key that the MAC's key is derived from
    mac           BLOB NOT NULL,           -- HMAC-SHA256 of all of the above
    -- A tombstone: this segment, all before it and their events were dropped by retention.
    dropped_at     INTEGER,
    dropped_events INTEGER,
    drop_key_id    TEXT,
    drop_mac       BLOB
);
CREATE INDEX audit_segments_dropped ON audit_segments(number) WHERE dropped_at IS NOT NULL;

CREATE TRIGGER audit_segments_no_replace BEFORE INSERT ON audit_segments
WHEN EXISTS (SELECT 1 FROM audit_segments WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'audit segments are append-only'); END;
CREATE TRIGGER audit_segments_no_update BEFORE UPDATE ON audit_segments
WHEN OLD.dropped_at IS NOT NULL OR NEW.dropped_at IS NULL OR NEW.number <> OLD.number OR NEW.mac <> OLD.mac
BEGIN SELECT RAISE(ABORT, 'audit segments are append-only'); END;
CREATE TRIGGER audit_segments_no_delete BEFORE DELETE ON audit_segments
WHEN OLD.number >= COALESCE((SELECT MAX(number) FROM audit_segments WHERE dropped_at IS NOT NULL), 0)
BEGIN SELECT RAISE(ABORT, 'audit segments are append-only'); END;

-- REPLACE deletes without firing the trigger on deletes.
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;

-- Retention may delete what its tombstone names, and nothing else.
DROP TRIGGER audit_events_no_delete;
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
WHEN OLD.id >= COALESCE(
    (SELECT until_id FROM audit_segments WHERE dropped_at IS NOT NULL ORDER BY number DESC LIMIT 1), '')
BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
