-- API keys for the MCP endpoint of one session.
ALTER TABLE api_keys ADD COLUMN session_id TEXT;      -- NULL: the key is for the project
