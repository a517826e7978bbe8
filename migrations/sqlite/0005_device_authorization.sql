-- The device authorization grant (RFC 8628): nobody comes back, so the provider is asked until the
-- user has entered the code there.

-- When it is asked next; NULL: somebody comes back.
ALTER TABLE attempts ADD COLUMN poll_at INTEGER;
-- Milliseconds between two questions.
ALTER TABLE attempts ADD COLUMN poll_interval INTEGER;
CREATE INDEX attempts_to_poll ON attempts(poll_at) WHERE poll_at IS NOT NULL AND consumed_at IS NULL;
