-- The log of calls: tools and raw API calls. The row of a call that may change something is committed before the call
-- is sent; the others are written after their answer. Ids begin with the time, so that rows are appended, one b-tree
-- and no more.
CREATE TABLE tool_calls (
    project_id      TEXT NOT NULL,
    id              TEXT NOT NULL,
    state           TEXT NOT NULL,                 -- sent, completed, failed, unknown
    run             INTEGER NOT NULL,              -- the server process that makes or made the call
    user_id         TEXT NOT NULL,
    session_id      TEXT,                          -- NULL: a call without a session
    toolkit         TEXT NOT NULL,
    tool            TEXT,                          -- NULL: a raw API call
    version         TEXT,                          -- of the tool
    effect          TEXT NOT NULL,                 -- read, create, update, destructive, unknown
    method          TEXT NOT NULL,
    account_id      TEXT,                          -- NULL: no credential
    auth_config_id  TEXT,
    actor           TEXT NOT NULL,
    request_id      TEXT,
    started_at      INTEGER NOT NULL,
    until_at        INTEGER NOT NULL,              -- when the call has ended at the latest
    ended_at        INTEGER,
    http_status     INTEGER,                       -- of the provider, if it answered
    error_code      TEXT,                          -- why it failed
    -- Idempotency-Key. NULL: none, or older than its time
    key             TEXT,
    request_hash    BLOB,                          -- SHA-256 of method, path and body
    response_status INTEGER,
    content_sealed  BLOB,                          -- arguments and answer, if the project keeps them
    response_sealed BLOB,                          -- sent again if the request is repeated
    PRIMARY KEY (project_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX tool_calls_by_key ON tool_calls(project_id, key) WHERE key IS NOT NULL;
