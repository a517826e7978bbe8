-- Questions to a person before a tool is called, and their answers. One row is one exact call: `digest` covers session,
-- tool, its definition, account and arguments. Ids begin with the time, so that rows are appended.
CREATE TABLE approvals (
    project_id     TEXT NOT NULL,
    id             TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    toolkit        TEXT NOT NULL,
    tool           TEXT NOT NULL,
    account_id     TEXT,                          -- NULL: no credential
    digest         BLOB NOT NULL,
    state          TEXT NOT NULL,                 -- pending, approved, denied, used
    scope          TEXT NOT NULL,                 -- once, session: for further calls of the same tool with the same account
    preview_sealed BLOB NOT NULL,                 -- the arguments
    requested_by   TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    decided_at     INTEGER,
    decided_by     TEXT,
    PRIMARY KEY (project_id, id)
) WITHOUT ROWID;
-- One open question a call.
CREATE UNIQUE INDEX approvals_open ON approvals(session_id, digest) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_of_call ON approvals(session_id, digest, id);
CREATE INDEX approvals_of_tool ON approvals(session_id, tool, id) WHERE state IN ('approved', 'used');
CREATE INDEX approvals_of_session ON approvals(session_id, id);
CREATE INDEX approvals_by_end ON approvals(expires_at) WHERE scope = 'once';
