-- Releases: the tools of versions of toolkits, so that a session keeps those that it began with. A release set says
-- which release of each toolkit a session uses; nearly all sessions of a time share one.
CREATE TABLE toolkit_releases (
    id         INTEGER PRIMARY KEY,
    digest     TEXT NOT NULL UNIQUE,               -- SHA-256 of all that follows up to `tools`
    toolkit    TEXT NOT NULL,
    version    TEXT NOT NULL,
    name       TEXT NOT NULL,                      -- of the toolkit
    tools      BLOB NOT NULL,                      -- tools.toml, DEFLATE
    stored_at  INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL                    -- when a release set had it last
);
CREATE INDEX toolkit_releases_listed ON toolkit_releases(toolkit, version, stored_at, digest);

CREATE TABLE release_sets (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- none is used again
    digest     TEXT NOT NULL UNIQUE,               -- SHA-256 of its toolkits and releases
    stored_at  INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL                    -- when a server offered it or a session used it last
);
CREATE TABLE release_set_members (
    set_id     INTEGER NOT NULL,
    toolkit    TEXT NOT NULL,
    digest     TEXT NOT NULL,                      -- of the release
    PRIMARY KEY (set_id, toolkit)
) WITHOUT ROWID;
CREATE INDEX release_set_members_by_release ON release_set_members(digest);

ALTER TABLE sessions ADD COLUMN release_set INTEGER; -- NULL: it has used no tool since this was added
CREATE INDEX sessions_by_release_set ON sessions(release_set) WHERE release_set IS NOT NULL AND deleted_at IS NULL;
