-- The credential engine: accounts that are kept alive, identities that are expected, what happened
-- to an account.

-- When the scheduler looks after the account; NULL: never. Set with each credential.
ALTER TABLE connected_accounts ADD COLUMN refresh_due_at INTEGER;
CREATE INDEX connected_accounts_due ON connected_accounts(refresh_due_at)
    WHERE refresh_due_at IS NOT NULL AND status = 'ACTIVE' AND deleted_at IS NULL;
-- Accounts of before are due at once; what is not to be refreshed yet is left alone.
UPDATE connected_accounts SET refresh_due_at = expires_at WHERE expires_at IS NOT NULL AND status = 'ACTIVE';

-- Who is to finish a link (JSON); NULL: anybody.
ALTER TABLE links ADD COLUMN expected TEXT;

-- How the credential authenticated: not every scheme is revoked in the same way.
ALTER TABLE revocations ADD COLUMN scheme TEXT NOT NULL DEFAULT 'OAUTH2';

-- What happened to an account, for whoever asks.
CREATE INDEX audit_events_by_object ON audit_events(project_id, object);
