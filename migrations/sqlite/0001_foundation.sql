-- The foundation: projects and keys, auth configs, sessions, accounts, links, attempts, audit.
-- Times are integer milliseconds since 1970 UTC; JSON is text that is read and written whole;
-- `…_sealed` columns hold ciphertext that opens only at its own row (crates/vault/src/ring.rs).
-- Primary keys start with the time, so that inserts append; where rows are small the key is the
-- table (WITHOUT ROWID), which saves a second b-tree. The two tables of the link call name their
-- project without a foreign key: a project is never deleted, and each check costs a look-up.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE projects (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    settings   TEXT NOT NULL,              -- JSON: callback_urls, mask_secret_keys_in_connected_account
    created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects(id),
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,            -- first characters, to recognise it by
    key_hash     BLOB NOT NULL UNIQUE,     -- SHA-256; the key itself is stored nowhere
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX api_keys_by_project ON api_keys(project_id);

CREATE TABLE auth_configs (
    id                         TEXT PRIMARY KEY,
    project_id                 TEXT NOT NULL REFERENCES projects(id),
    toolkit                    TEXT NOT NULL,
    name                       TEXT NOT NULL,
    scheme                     TEXT NOT NULL,
    is_managed                 INTEGER NOT NULL,
    status                     TEXT NOT NULL,      -- ENABLED, DISABLED
    is_enabled_for_tool_router INTEGER NOT NULL,
    settings                   TEXT NOT NULL,      -- JSON: scopes, redirect URI, restrictions …
    credentials_sealed         BLOB,               -- client id and secret of a custom config
    created_at                 INTEGER NOT NULL,
    updated_at                 INTEGER NOT NULL,
    deleted_at                 INTEGER
);
CREATE INDEX auth_configs_by_toolkit ON auth_configs(project_id, toolkit);

CREATE TABLE sessions (
    id             TEXT PRIMARY KEY,
    project_id     TEXT NOT NULL REFERENCES projects(id),
    user_id        TEXT NOT NULL,
    config         TEXT NOT NULL,                  -- JSON: the request's fields, all of them
    config_version INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    deleted_at     INTEGER
) WITHOUT ROWID;

CREATE TABLE connected_accounts (
    id                 TEXT PRIMARY KEY,
    project_id         TEXT NOT NULL,
    user_id            TEXT NOT NULL,
    toolkit            TEXT NOT NULL,
    auth_config_id     TEXT NOT NULL,
    scheme             TEXT NOT NULL,
    status             TEXT NOT NULL,              -- INITIALIZING, INITIATED, ACTIVE, FAILED, EXPIRED, INACTIVE, REVOKED
    status_reason      TEXT,
    alias              TEXT,
    word_id            TEXT NOT NULL,
    account_type       TEXT NOT NULL,              -- PRIVATE, SHARED; never changes
    acl                TEXT,                       -- JSON; only with SHARED
    params             TEXT NOT NULL,              -- JSON: connection fields, requested and granted scopes, identity
    credential_sealed  BLOB,
    credential_version INTEGER NOT NULL DEFAULT 0, -- +1 with every credential written
    expires_at         INTEGER,                    -- of the access token
    issued_at          INTEGER,                    -- when that token arrived
    refresh_fence      INTEGER NOT NULL DEFAULT 0, -- +1 with every lease; a write needs the newest
    refresh_lease_until INTEGER,
    refresh_started_at INTEGER,                    -- set before a refresh is sent, cleared with its outcome
    refresh_failures   INTEGER NOT NULL DEFAULT 0,
    refresh_rejections INTEGER NOT NULL DEFAULT 0, -- refusals in a row that could not be understood
    refresh_retry_at   INTEGER,                    -- not before, after a transient failure
    link_id            TEXT,                       -- the link that connects it
    connected_at       INTEGER,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    deleted_at         INTEGER
) WITHOUT ROWID;
-- An alias names one connection of a user and toolkit, whatever its status (contract section 3.1).
CREATE UNIQUE INDEX connected_accounts_alias ON connected_accounts(project_id, user_id, toolkit, alias)
    WHERE alias IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX connected_accounts_by_user ON connected_accounts(project_id, user_id, toolkit);
CREATE INDEX connected_accounts_by_auth_config ON connected_accounts(project_id, auth_config_id);

CREATE TABLE links (
    id           TEXT PRIMARY KEY,                 -- first part of the link token
    project_id   TEXT NOT NULL,
    session_id   TEXT,
    account_id   TEXT NOT NULL,
    token_hash   BLOB NOT NULL,
    callback_url TEXT,
    browser_hash BLOB,                             -- of the cookie of the browser that claimed it
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    claimed_at   INTEGER,
    finished_at  INTEGER,
    outcome      TEXT                              -- success, failed, expired, rejected, deleted
) WITHOUT ROWID;
CREATE INDEX links_unfinished ON links(expires_at) WHERE finished_at IS NULL;

CREATE TABLE attempts (
    id             TEXT PRIMARY KEY,               -- first part of the OAuth state
    project_id     TEXT NOT NULL REFERENCES projects(id),
    link_id        TEXT NOT NULL REFERENCES links(id),
    account_id     TEXT NOT NULL,
    auth_config_id TEXT NOT NULL,
    auth_config_version INTEGER NOT NULL,          -- updated_at when started; an edit kills the flow (R18)
    state_hash     BLOB NOT NULL,
    browser_hash   BLOB NOT NULL,
    redirect_uri   TEXT NOT NULL,
    verifier_sealed BLOB,                          -- PKCE
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    consumed_at    INTEGER
) WITHOUT ROWID;
CREATE INDEX attempts_by_link ON attempts(link_id);

CREATE TABLE idempotency_keys (
    project_id      TEXT NOT NULL,
    key             TEXT NOT NULL,
    request_hash    BLOB NOT NULL,                 -- method, path and body
    status          INTEGER NOT NULL,
    response_sealed BLOB NOT NULL,                 -- holds a link token
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (project_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys(created_at);

-- Who did what. Rows are only ever added.
CREATE TABLE audit_events (
    id         TEXT PRIMARY KEY,
    project_id TEXT,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,                      -- key_…, link:lt_…, system, cli
    action     TEXT NOT NULL,                      -- noun.verb
    object     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    request_id TEXT,
    detail     TEXT                                -- JSON without secrets
) WITHOUT ROWID;
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
