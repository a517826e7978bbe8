-- Answers of token endpoints that could not be read and may hold tokens that nobody can ask for again.
-- Sealed, kept for some days, deleted with their account.
CREATE TABLE unread_answers (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  answer_sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX unread_answers_of_account ON unread_answers(account_id, created_at);
CREATE INDEX unread_answers_over ON unread_answers(expires_at);
