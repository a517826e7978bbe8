-- The triggers of an insert may not need to take back a part of it: SQLite copies every page that such a
-- statement touches beforehand. So they fail instead of aborting, before anything was changed, and count
-- without a conflict that has to be resolved. The statements themselves are INSERT OR FAIL.
DROP TRIGGER audit_events_no_replace;
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit events are append-only'); END;

DROP TRIGGER connected_accounts_count_new;
CREATE TRIGGER connected_accounts_count_new AFTER INSERT ON connected_accounts WHEN NEW.deleted_at IS NULL BEGIN
    INSERT INTO account_counts (project_id, auth_config_id, account_type, toolkit, accounts)
        SELECT NEW.project_id, NEW.auth_config_id, NEW.account_type, NEW.toolkit, 0
        WHERE NOT EXISTS (SELECT 1 FROM account_counts
                          WHERE project_id = NEW.project_id AND auth_config_id = NEW.auth_config_id
                            AND account_type = NEW.account_type AND toolkit = NEW.toolkit);
    UPDATE account_counts SET accounts = accounts + 1
        WHERE project_id = NEW.project_id AND auth_config_id = NEW.auth_config_id
          AND account_type = NEW.account_type AND toolkit = NEW.toolkit;
END;
