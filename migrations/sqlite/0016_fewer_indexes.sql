-- A new link changes fewer b-trees: each costs a commit of one link more than a page, and two writes.

-- Ids begin with the time. The event that makes an object has the time of the object's id, mostly, and is found by a
-- range of the primary key (crates/store/src/audit.rs). The index has all others.
DROP INDEX audit_events_by_object;
CREATE INDEX audit_events_by_object ON audit_events(project_id, object)
    WHERE substr(id, 1, 13) <> 'evt_' || substr(object, 4, 9);

-- Links live equally long, so that they expire in the order of their ids, too: the sweep of expired links goes along
-- the primary key (crates/store/src/links/sweep.rs). A link that it passes and cannot end yet has a time of its own.
ALTER TABLE links ADD COLUMN sweep_at INTEGER;     -- when the sweep looks at it; NULL: when it comes to its id
UPDATE links SET sweep_at = expires_at WHERE finished_at IS NULL;
DROP INDEX links_unfinished;
CREATE INDEX links_to_sweep ON links(sweep_at, project_id) WHERE sweep_at IS NOT NULL AND finished_at IS NULL;

-- How far the sweep has come: a link with a smaller id has ended or has its own time. One row.
CREATE TABLE link_sweep (
    until_id TEXT NOT NULL
);
INSERT INTO link_sweep (until_id) SELECT COALESCE(MAX(id) || '!', '') FROM links;
