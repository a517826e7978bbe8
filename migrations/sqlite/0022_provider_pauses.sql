-- Pauses that providers have asked for: until when an account makes no calls at a host.
CREATE TABLE provider_pauses (
    account  TEXT NOT NULL,                        -- ca_…, or the toolkit of calls without an account
    host     TEXT NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (account, host)
) WITHOUT ROWID;
CREATE INDEX provider_pauses_until ON provider_pauses(until_at);
