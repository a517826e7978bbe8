-- Files: uploads, results of tools, and what sessions keep. The bytes are in the file store, by `object`.
CREATE TABLE files (
    id         TEXT PRIMARY KEY,                   -- file_…
    project_id TEXT NOT NULL,
    key        TEXT NOT NULL UNIQUE,               -- the id and a random part: what an argument names the file by
    name       TEXT NOT NULL,                      -- without folders
    mimetype   TEXT NOT NULL,
    size       INTEGER NOT NULL DEFAULT 0,         -- bytes; reserved for those that arrive, while it is pending
    md5        TEXT,                               -- hexadecimal; as announced, until the bytes are there
    toolkit    TEXT NOT NULL DEFAULT '',
    tool       TEXT NOT NULL DEFAULT '',
    session_id TEXT,                               -- the session that keeps it; NULL: none
    mount_path TEXT,                               -- its path there
    object     TEXT,                               -- name of its bytes in the file store
    state      TEXT NOT NULL,                      -- pending, stored, deleted
    begun_at   INTEGER,                            -- since when a request sends its bytes; NULL: none does
    created_at INTEGER NOT NULL,
    stored_at  INTEGER,
    expires_at INTEGER                             -- it is deleted then; NULL: with its session
) WITHOUT ROWID;
CREATE INDEX files_listed ON files(project_id, id) WHERE session_id IS NULL AND state = 'stored';
CREATE INDEX files_of_project ON files(project_id) WHERE state <> 'deleted';
CREATE UNIQUE INDEX files_of_session ON files(session_id, mount_path)
    WHERE session_id IS NOT NULL AND state = 'stored';
CREATE INDEX files_kept ON files(session_id) WHERE session_id IS NOT NULL AND state <> 'deleted';
CREATE INDEX files_to_delete ON files(expires_at, id) WHERE expires_at IS NOT NULL;

-- The bytes of a project's files until they are deleted, at least 4 KiB each, and how many files its list has.
CREATE TRIGGER files_count_added AFTER INSERT ON files BEGIN
    INSERT INTO counts (project_id, what, number) VALUES (NEW.project_id, 'file_bytes', MAX(NEW.size, 4096))
        ON CONFLICT (project_id, what) DO UPDATE SET number = number + MAX(NEW.size, 4096);
END;
CREATE TRIGGER files_count_changed AFTER UPDATE OF size, state ON files BEGIN
    INSERT INTO counts (project_id, what, number)
        VALUES (NEW.project_id, 'file_bytes', MAX(NEW.size, 4096) - MAX(OLD.size, 4096))
        ON CONFLICT (project_id, what)
        DO UPDATE SET number = number + MAX(NEW.size, 4096) - MAX(OLD.size, 4096);
    INSERT INTO counts (project_id, what, number)
        SELECT NEW.project_id, 'files', (NEW.state = 'stored') - (OLD.state = 'stored') WHERE NEW.session_id IS NULL
        ON CONFLICT (project_id, what) DO UPDATE SET number = number + (NEW.state = 'stored') - (OLD.state = 'stored');
END;
CREATE TRIGGER files_count_gone AFTER DELETE ON files BEGIN
    UPDATE counts SET number = number - MAX(OLD.size, 4096) WHERE project_id = OLD.project_id AND what = 'file_bytes';
    UPDATE counts SET number = number - 1
        WHERE project_id = OLD.project_id AND what = 'files' AND OLD.state = 'stored' AND OLD.session_id IS NULL;
END;
