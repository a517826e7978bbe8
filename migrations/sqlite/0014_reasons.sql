-- Reasons are stored as a code, with a detail after ": " where the code alone does not say all. What earlier
-- versions stored was the sentence for people. A sentence that cannot be read becomes `other` with its text.
UPDATE connected_accounts SET status_reason = CASE
    WHEN status_reason LIKE 'Connection initiation did not complete within %'
        THEN 'link_expired: ' || substr(status_reason, length('Connection initiation did not complete within ') + 1)
    WHEN status_reason = 'rejected_by_user' THEN 'rejected_by_user'
    WHEN status_reason = 'context_mismatch' THEN 'context_mismatch'
    WHEN status_reason LIKE 'IDENTITY_VERIFICATION_FAILED%' THEN 'wrong_user'
    WHEN status_reason LIKE 'account_mismatch: the provider did not say%' THEN 'account_unknown'
    WHEN status_reason LIKE 'account_mismatch: another account signed in than the one that is expected%'
        THEN 'unexpected_account'
    WHEN status_reason LIKE 'account_mismatch%' THEN 'different_account'
    WHEN status_reason LIKE 'expired_token%' THEN 'device_code_expired'
    WHEN status_reason LIKE 'The provider returned neither a code nor an error%' THEN 'no_code'
    WHEN status_reason LIKE 'The provider gave no refresh token%' THEN 'no_refresh_token'
    WHEN status_reason LIKE 'The auth config was changed while the user was at the provider%' THEN 'auth_config_changed'
    WHEN status_reason LIKE 'The auth config was changed while%' THEN 'auth_config_changed_later'
    WHEN status_reason LIKE 'The project confirms who finished a connection%' THEN 'confirmation_required'
    WHEN status_reason = 'OAuth callback failed during token exchange' THEN 'exchange_failed'
    WHEN status_reason LIKE 'OAuth callback failed during token exchange: The request cannot be made%'
        THEN 'exchange_not_sent: ' || substr(status_reason, length('OAuth callback failed during token exchange: ') + 1)
    WHEN status_reason LIKE 'OAuth callback failed during token exchange: %'
        THEN 'exchange_failed: ' || substr(status_reason, length('OAuth callback failed during token exchange: ') + 1)
    WHEN status_reason LIKE 'Permanent auth error during token refresh: the provider refused what was entered%'
        THEN 'entered_credential_refused'
    WHEN status_reason LIKE 'Permanent auth error during token refresh%' THEN 'grant_ended'
    WHEN status_reason LIKE 'Permanent auth error: the provider no longer accepts the token%' THEN 'token_revoked'
    WHEN status_reason LIKE 'The access token expired and the provider gave no refresh token%' THEN 'token_expired'
    WHEN status_reason LIKE 'refresh_interrupted%' THEN 'refresh_interrupted'
    WHEN status_reason LIKE 'unclassified_rejections%' THEN 'unclassified_rejections'
    WHEN status_reason LIKE 'client_forgotten%' THEN 'client_forgotten'
    WHEN status_reason = 'Revoked via user-initiated revoke endpoint' THEN 'revoked_by_request'
    WHEN status_reason = 'Revoked via admin tool' THEN 'revoked_by_operator'
    WHEN status_reason = 'Connection status updated by user' THEN 'disabled'
    WHEN status_reason LIKE 'several to choose from%' THEN 'choice_needed: ' || status_reason
    WHEN status_reason LIKE '%did not answer which data the account reaches%'
        OR status_reason LIKE '%says that the account reaches nothing that could be used%'
        OR status_reason LIKE '%says that the account no longer reaches what was chosen%'
        OR status_reason LIKE '%did not say a usable %' THEN 'post_connect_failed: ' || status_reason
    WHEN status_reason LIKE '% does not accept this%' OR status_reason LIKE '%could not be reached to confirm this%'
        THEN 'credential_refused: ' || status_reason
    WHEN status_reason = 'access_denied' OR status_reason LIKE 'access_denied:%' THEN 'access_denied: ' || status_reason
    -- The provider's error code, alone or before its description.
    WHEN status_reason <> '' AND substr(status_reason || ':', 1, instr(status_reason || ':', ':') - 1) <> ''
        AND substr(status_reason || ':', 1, instr(status_reason || ':', ':') - 1) NOT GLOB '*[^a-zA-Z0-9_.-]*'
        THEN 'authorization_refused: ' || status_reason
    ELSE 'other: ' || status_reason
END
WHERE status_reason IS NOT NULL;
