-- Tokens that wait for their user's choice are promised to the provider from the moment they are
-- stored: unless the account gets them, they are revoked.

-- The verification whose tokens these are; NULL: they are to be revoked whatever comes.
ALTER TABLE revocations ADD COLUMN promised_for TEXT;
CREATE INDEX revocations_promised ON revocations(account_id) WHERE promised_for IS NOT NULL;
