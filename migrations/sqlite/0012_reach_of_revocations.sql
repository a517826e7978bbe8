-- What the tokens of an account belong to at their provider, where a revocation ends more than the token
-- that it names. Digests; a row counts only while its account holds a credential.
CREATE TABLE account_grants (
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,                      -- which of the account's tokens
    project_id TEXT NOT NULL,
    client_key BLOB NOT NULL,                      -- the client, at its provider
    grant_key  BLOB,                               -- the grant or installation; NULL: nobody can tell
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;
CREATE INDEX account_grants_by_key ON account_grants(client_key, grant_key);

-- The grant or installation that a revocation ended.
ALTER TABLE revocations ADD COLUMN grant_key BLOB;
CREATE INDEX revocations_by_grant ON revocations(grant_key) WHERE grant_key IS NOT NULL;

-- Accounts with a credential by toolkit: those that were connected before their file had a reach.
CREATE INDEX connected_accounts_of_toolkit ON connected_accounts(toolkit, id)
    WHERE credential_sealed IS NOT NULL AND deleted_at IS NULL;
