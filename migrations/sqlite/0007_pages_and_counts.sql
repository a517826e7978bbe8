-- Lists that cost what they show: indexes in the order of each list, and numbers that are kept instead
-- of counted. Ids begin with their time, so the order of ids is the order of creation (on PostgreSQL:
-- with COLLATE "C").

-- A project's accounts, newest last, for each type and status.
CREATE INDEX connected_accounts_listed ON connected_accounts(project_id, account_type, status, id)
    WHERE deleted_at IS NULL;
-- The account that a session uses: of a user and toolkit, the one connected last.
CREATE INDEX connected_accounts_active ON connected_accounts(project_id, user_id, toolkit, connected_at, id)
    WHERE status = 'ACTIVE' AND account_type = 'PRIVATE' AND deleted_at IS NULL;
-- Accounts with a credential, for whoever goes through all of them.
CREATE INDEX connected_accounts_held ON connected_accounts(project_id, id)
    WHERE credential_sealed IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX auth_configs_listed ON auth_configs(project_id, id) WHERE deleted_at IS NULL;
CREATE INDEX revocations_outcomes ON revocations(project_id, job_id, outcome);

-- Live accounts, by what lists narrow them by. Kept by the triggers below; a row of 0 is not kept.
CREATE TABLE account_counts (
    project_id     TEXT NOT NULL,
    auth_config_id TEXT NOT NULL,
    account_type   TEXT NOT NULL,
    toolkit        TEXT NOT NULL,
    accounts       INTEGER NOT NULL,
    PRIMARY KEY (project_id, auth_config_id, account_type, toolkit)
) WITHOUT ROWID;
INSERT INTO account_counts (project_id, auth_config_id, account_type, toolkit, accounts)
    SELECT project_id, auth_config_id, account_type, toolkit, COUNT(*) FROM connected_accounts
    WHERE deleted_at IS NULL GROUP BY project_id, auth_config_id, account_type, toolkit;

CREATE TRIGGER connected_accounts_count_new AFTER INSERT ON connected_accounts WHEN NEW.deleted_at IS NULL BEGIN
    INSERT INTO account_counts (project_id, auth_config_id, account_type, toolkit, accounts)
        VALUES (NEW.project_id, NEW.auth_config_id, NEW.account_type, NEW.toolkit, 1)
        ON CONFLICT (project_id, auth_config_id, account_type, toolkit) DO UPDATE SET accounts = accounts + 1;
END;
CREATE TRIGGER connected_accounts_count_changed
    AFTER UPDATE OF deleted_at, project_id, auth_config_id, account_type, toolkit ON connected_accounts BEGIN
    UPDATE account_counts SET accounts = accounts - 1
        WHERE OLD.deleted_at IS NULL AND project_id = OLD.project_id AND auth_config_id = OLD.auth_config_id
          AND account_type = OLD.account_type AND toolkit = OLD.toolkit;
    INSERT INTO account_counts (project_id, auth_config_id, account_type, toolkit, accounts)
        SELECT NEW.project_id, NEW.auth_config_id, NEW.account_type, NEW.toolkit, 1 WHERE NEW.deleted_at IS NULL
        ON CONFLICT (project_id, auth_config_id, account_type, toolkit) DO UPDATE SET accounts = accounts + 1;
    DELETE FROM account_counts
        WHERE project_id = OLD.project_id AND auth_config_id = OLD.auth_config_id
          AND account_type = OLD.account_type AND toolkit = OLD.toolkit AND accounts <= 0;
END;
CREATE TRIGGER connected_accounts_count_gone AFTER DELETE ON connected_accounts WHEN OLD.deleted_at IS NULL BEGIN
    UPDATE account_counts SET accounts = accounts - 1
        WHERE project_id = OLD.project_id AND auth_config_id = OLD.auth_config_id
          AND account_type = OLD.account_type AND toolkit = OLD.toolkit;
    DELETE FROM account_counts
        WHERE project_id = OLD.project_id AND auth_config_id = OLD.auth_config_id
          AND account_type = OLD.account_type AND toolkit = OLD.toolkit AND accounts <= 0;
END;

-- What is counted whole: enabled_auth_configs and disabled_auth_configs of each project, and projects of
-- the installation, whose project is empty.
CREATE TABLE counts (
    project_id TEXT NOT NULL,
    what       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    PRIMARY KEY (project_id, what)
) WITHOUT ROWID;
INSERT INTO counts (project_id, what, number)
    SELECT '', 'projects', COUNT(*) FROM projects WHERE deleted_at IS NULL;
INSERT INTO counts (project_id, what, number)
    SELECT project_id, CASE WHEN status = 'ENABLED' THEN 'enabled_auth_configs' ELSE 'disabled_auth_configs' END,
        COUNT(*)
    FROM auth_configs WHERE deleted_at IS NULL GROUP BY 1, 2;

CREATE TRIGGER projects_count_new AFTER INSERT ON projects WHEN NEW.deleted_at IS NULL BEGIN
    UPDATE counts SET number = number + 1 WHERE project_id = '' AND what = 'projects';
END;
CREATE TRIGGER projects_count_deleted AFTER UPDATE OF deleted_at ON projects
    WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL BEGIN
    UPDATE counts SET number = number - 1 WHERE project_id = '' AND what = 'projects';
END;
CREATE TRIGGER auth_configs_count_new AFTER INSERT ON auth_configs WHEN NEW.deleted_at IS NULL BEGIN
    INSERT INTO counts (project_id, what, number)
        VALUES (NEW.project_id,
                CASE WHEN NEW.status = 'ENABLED' THEN 'enabled_auth_configs' ELSE 'disabled_auth_configs' END, 1)
        ON CONFLICT (project_id, what) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER auth_configs_count_changed AFTER UPDATE OF deleted_at, status ON auth_configs BEGIN
    UPDATE counts SET number = number - 1
        WHERE OLD.deleted_at IS NULL AND project_id = OLD.project_id
          AND what = CASE WHEN OLD.status = 'ENABLED' THEN 'enabled_auth_configs' ELSE 'disabled_auth_configs' END;
    INSERT INTO counts (project_id, what, number)
        SELECT NEW.project_id,
               CASE WHEN NEW.status = 'ENABLED' THEN 'enabled_auth_configs' ELSE 'disabled_auth_configs' END, 1
        WHERE NEW.deleted_at IS NULL
        ON CONFLICT (project_id, what) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER auth_configs_count_gone AFTER DELETE ON auth_configs WHEN OLD.deleted_at IS NULL BEGIN
    UPDATE counts SET number = number - 1
        WHERE project_id = OLD.project_id
          AND what = CASE WHEN OLD.status = 'ENABLED' THEN 'enabled_auth_configs' ELSE 'disabled_auth_configs' END;
END;

-- Deleting a project: what is in it is found by an index and ended in batches.
ALTER TABLE projects ADD COLUMN revokes_on_delete INTEGER NOT NULL DEFAULT 1; -- its credentials, at their providers
ALTER TABLE projects ADD COLUMN emptied_at INTEGER;                           -- nothing in it lives any more
CREATE INDEX projects_to_empty ON projects(id) WHERE deleted_at IS NOT NULL AND emptied_at IS NULL;
CREATE INDEX sessions_of_project ON sessions(project_id) WHERE deleted_at IS NULL;
DROP INDEX links_unfinished;
CREATE INDEX links_unfinished ON links(expires_at, project_id) WHERE finished_at IS NULL;
