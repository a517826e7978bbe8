-- The whole session and account API: session history, keys of the organisation, scoped keys,
-- confirmation of who finished a link, revocation at providers.

-- Earlier policies of a session; the present one is in `sessions`.
CREATE TABLE session_versions (
    session_id TEXT NOT NULL,
    version    INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    config     TEXT NOT NULL,                      -- JSON, as in sessions.config
    created_at INTEGER NOT NULL,                   -- when this version was written
    PRIMARY KEY (session_id, version)
) WITHOUT ROWID;

ALTER TABLE projects ADD COLUMN updated_at INTEGER;
ALTER TABLE projects ADD COLUMN deleted_at INTEGER;

ALTER TABLE api_keys ADD COLUMN permissions TEXT;  -- JSON: preset → access; NULL: everything in the project
ALTER TABLE api_keys ADD COLUMN allowed_ips TEXT;  -- JSON list of addresses and CIDR ranges; NULL: from anywhere

-- Keys that reach beyond one project: an organisation's, and those of its members.
CREATE TABLE organization_keys (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,                    -- ORGANIZATION, USER
    name         TEXT NOT NULL,
    email        TEXT,                             -- of the member; only with USER
    prefix       TEXT NOT NULL,
    key_hash     BLOB NOT NULL UNIQUE,             -- SHA-256
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) WITHOUT ROWID;

ALTER TABLE auth_configs ADD COLUMN shared_sealed BLOB; -- connection fields that all its accounts share

-- A link connects a new account, or connects one that is there again.
ALTER TABLE links ADD COLUMN purpose TEXT NOT NULL DEFAULT 'connect'; -- connect, reconnect
ALTER TABLE links ADD COLUMN prefill_sealed BLOB;                     -- fields that the developer gave

-- A connection that waits for the developer's word on who finished it (R05).
CREATE TABLE verifications (
    id             TEXT PRIMARY KEY,               -- first part of the session URI
    project_id     TEXT NOT NULL,
    link_id        TEXT NOT NULL,
    account_id     TEXT NOT NULL,
    auth_config_version INTEGER NOT NULL,          -- as in attempts
    token_hash     BLOB NOT NULL,                  -- of the session URI
    kind           TEXT NOT NULL,                  -- code, credential
    parked_sealed  BLOB,                           -- code and PKCE verifier, or what was entered; erased when used
    params         TEXT NOT NULL,                  -- JSON: parameters of the account
    redirect_uri   TEXT,                           -- of the attempt; only with code
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    consumed_at    INTEGER
) WITHOUT ROWID;
CREATE INDEX verifications_by_link ON verifications(link_id);

-- Credentials on their way to being revoked at their provider (R42), and the receipts.
CREATE TABLE revocations (
    id           TEXT PRIMARY KEY,
    job_id       TEXT NOT NULL,                    -- what one request revokes
    project_id   TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    toolkit      TEXT NOT NULL,
    auth_config_id TEXT NOT NULL,
    is_managed   INTEGER NOT NULL,
    material_sealed BLOB,                          -- tokens and the client; erased with the outcome
    params       TEXT NOT NULL,                    -- JSON: parameters of the account
    outcome      TEXT,                             -- revoked, not_supported, failed; NULL: not yet
    tokens       TEXT NOT NULL DEFAULT '[]',       -- JSON: which were revoked
    detail       TEXT,                             -- what stood in the way
    tries        INTEGER NOT NULL DEFAULT 0,
    next_try_at  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER
) WITHOUT ROWID;
CREATE INDEX revocations_due ON revocations(next_try_at) WHERE outcome IS NULL;
CREATE INDEX revocations_by_job ON revocations(project_id, job_id);
