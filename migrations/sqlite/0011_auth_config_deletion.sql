-- Accounts of an auth config are looked for while they live: those that were deleted cost a deletion nothing.
DROP INDEX connected_accounts_by_auth_config;
CREATE INDEX connected_accounts_by_auth_config ON connected_accounts(project_id, auth_config_id)
    WHERE deleted_at IS NULL;
CREATE INDEX unread_answers_of_project ON unread_answers(project_id);
