-- What is over goes after its time: each kind is found by the time at which it ended.
CREATE INDEX links_ended ON links(finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX revocations_ended ON revocations(finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX connected_accounts_deleted ON connected_accounts(deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX auth_configs_deleted ON auth_configs(deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX sessions_deleted ON sessions(deleted_at) WHERE deleted_at IS NOT NULL;
-- Accounts that never were connected and whose links ended.
CREATE INDEX connected_accounts_unconnected ON connected_accounts(updated_at)
    WHERE connected_at IS NULL AND deleted_at IS NULL AND status IN ('FAILED', 'EXPIRED');
