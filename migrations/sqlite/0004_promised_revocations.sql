-- Tokens that wait for their user's choice are promised to the provider from the moment they are
-- stored: unless the account gets them, they are revoked.

-- The verification whose tokens these are; NULL: they are to be revoked whatever comes.
ALTER TABLE revocations ADD COLUMN promised_for TEXT;
CREATE INDEX revocations_promised ON revocations(account_id) WHERE promised_for IS NOT NULL;

-- Who a connected account is at its provider, to be found by it: tokens that no account gets are not
-- revoked where somebody is connected as the same.
ALTER TABLE connected_accounts ADD COLUMN identity_id TEXT;
UPDATE connected_accounts SET identity_id = json_extract(params, '$.identity.id')
    WHERE json_extract(params, '$.identity.id') IS NOT NULL;
CREATE INDEX connected_accounts_by_identity ON connected_accounts(auth_config_id, identity_id)
    WHERE identity_id IS NOT NULL;
