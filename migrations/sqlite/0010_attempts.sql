-- Several attempts of one link may be under way, each bound to its own browser; the first that
-- succeeds ends the link.

-- The attempt, or the verification, whose code is being exchanged, and since when.
ALTER TABLE links ADD COLUMN exchange_by TEXT;
ALTER TABLE links ADD COLUMN exchange_since INTEGER;
-- JSON: what the visitor entered and what was asked for; NULL: as the account has it.
ALTER TABLE attempts ADD COLUMN params TEXT;
-- The attempt that it comes from, whose browser is to go on; NULL: none.
ALTER TABLE verifications ADD COLUMN attempt_id TEXT;
-- `links.browser_hash` is no longer used.

-- Auth configs with a redirect URI of their own, which are few and compared across projects.
CREATE INDEX auth_configs_redirected ON auth_configs(id)
    WHERE deleted_at IS NULL AND instr(settings, '"oauth_redirect_uri":"') > 0;

-- Who the users of deleted accounts were is nobody's business; nor who signed in instead of whom.
UPDATE connected_accounts SET params = '{}', identity_id = NULL WHERE deleted_at IS NOT NULL;
UPDATE revocations SET params = '{}' WHERE outcome IS NOT NULL;
UPDATE connected_accounts SET status_reason = 'account_mismatch: another account signed in than the one that is expected'
    WHERE status_reason LIKE 'account_mismatch: %signed in%' AND status_reason NOT LIKE 'account_mismatch: another account%'
      AND status_reason NOT LIKE 'account_mismatch: the provider%';
