-- The queue of jobs: one row for each piece of work that waits, is due or runs. What is to be done is in
-- the row of another table, whose id is the job's key. A row is deleted when its job is over.
CREATE TABLE jobs (
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,                     -- id of the row that holds the payload
    project_id  TEXT NOT NULL,
    lane        TEXT NOT NULL,                     -- jobs of one lane run a few at a time
    run_at      INTEGER NOT NULL,                  -- not before
    tries       INTEGER NOT NULL DEFAULT 0,        -- runs, including one in progress
    lease_until INTEGER,                           -- a worker has the job until then; NULL: none
    fence       INTEGER NOT NULL DEFAULT 0,        -- grows with each lease
    detail      TEXT,                              -- why the last run failed
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
-- What is due is found and counted in the index alone.
CREATE INDEX jobs_due ON jobs(kind, run_at, lane, lease_until);
CREATE INDEX jobs_failed ON jobs(kind, tries) WHERE detail IS NOT NULL;

-- Revocations were a queue of their own. The row keeps the number of tries of a finished one, for its
-- receipt. `revocations.next_try_at` is no longer used.
INSERT INTO jobs (kind, key, project_id, lane, run_at, tries, detail, created_at)
    SELECT 'revocation', id, project_id, toolkit, next_try_at, tries, detail, created_at FROM revocations
    WHERE outcome IS NULL;
UPDATE revocations SET tries = 0, detail = NULL WHERE outcome IS NULL;
DROP INDEX revocations_due;
