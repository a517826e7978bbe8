//! Why a statement refuses its unit: one variant a guard.

use std::fmt;

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a unit was refused: the condition of a statement did not hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)*
        }

        impl Refusal {
            /// Its name in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

refusals! {
    /// The account was changed by another request meanwhile.
    AccountChanged = "account_changed",
    /// The account is not waiting for a connection any more.
    AccountNotConnecting = "account_not_connecting",
    /// There is no such account.
    AccountNotFound = "account_not_found",
    /// Another account of the user and toolkit has the alias.
    AliasInUse = "alias_in_use",
    /// A revocation of it is queued already.
    AlreadyBeingRevoked = "already_being_revoked",
    /// The API key exists.
    ApiKeyExists = "api_key_exists",
    /// There is no such API key.
    ApiKeyNotFound = "api_key_not_found",
    /// The approval was answered, or its time is over.
    ApprovalAnswered = "approval_answered",
    /// The approval was used, or its time is over.
    ApprovalUsed = "approval_used",
    /// The attempt exists.
    AttemptExists = "attempt_exists",
    /// Another server took the attempt.
    AttemptTaken = "attempt_taken",
    /// Another server dropped the segment.
    AuditAlreadyDropped = "audit_already_dropped",
    /// Another server sealed the events.
    AuditAlreadySealed = "audit_already_sealed",
    /// The audit event exists.
    AuditEventExists = "audit_event_exists",
    /// Another server or request changed the call meanwhile.
    CallChanged = "call_changed",
    /// The call exists.
    CallExists = "call_exists",
    /// The auth config has accounts.
    AuthConfigBusy = "auth_config_busy",
    /// The auth config was changed by another request meanwhile.
    AuthConfigChanged = "auth_config_changed",
    /// The auth config exists.
    AuthConfigExists = "auth_config_exists",
    /// The auth config was deleted or disabled meanwhile.
    AuthConfigGone = "auth_config_gone",
    /// There is no such auth config.
    AuthConfigNotFound = "auth_config_not_found",
    /// The auth config has a client.
    ClientIsSet = "client_is_set",
    /// Another attempt of the link exchanges its code.
    ExchangeBusy = "exchange_busy",
    /// Another holder has a newer lease of the account.
    FenceLost = "fence_lost",
    /// The file exists.
    FileExists = "file_exists",
    /// The time of the file is not over.
    FileNotExpired = "file_not_expired",
    /// The file does not wait for its bytes, or for those of another request.
    FileNotPending = "file_not_pending",
    /// The project's files would be larger than they may be.
    FileQuotaExceeded = "file_quota_exceeded",
    /// The idempotency key was used by an earlier request.
    IdempotencyKeyUsed = "idempotency_key_used",
    /// The job exists.
    JobExists = "job_exists",
    /// Another worker has the job, or the job is over.
    JobLeaseLost = "job_lease_lost",
    /// Another worker took the job, or the job is not due any more.
    JobTaken = "job_taken",
    /// The link exists.
    LinkExists = "link_exists",
    /// The link has ended.
    LinkFinished = "link_finished",
    /// An attempt of the link is in progress.
    LinkInUse = "link_in_use",
    /// The managed auth config was created by another request.
    ManagedAuthConfigExists = "managed_auth_config_exists",
    /// The fact of the database exists.
    MetaExists = "meta_exists",
    /// The organization key exists.
    OrganizationKeyExists = "organization_key_exists",
    /// There is no such organization key.
    OrganizationKeyNotFound = "organization_key_not_found",
    /// The project was changed by another request meanwhile.
    ProjectChanged = "project_changed",
    /// The project exists.
    ProjectExists = "project_exists",
    /// The project was deleted meanwhile.
    ProjectGone = "project_gone",
    /// The project is not empty yet.
    ProjectNotEmpty = "project_not_empty",
    /// There is no such project.
    ProjectNotFound = "project_not_found",
    /// Another holder has the lease of the account.
    RefreshLeased = "refresh_leased",
    /// The revocation exists.
    RevocationExists = "revocation_exists",
    /// The revocation has an outcome.
    RevocationFinished = "revocation_finished",
    /// The session was changed by another request meanwhile.
    SessionChanged = "session_changed",
    /// The session exists.
    SessionExists = "session_exists",
    /// There is no such session.
    SessionNotFound = "session_not_found",
    /// The state of the attempt was used.
    StateConsumed = "state_consumed",
    /// The confirmation was used.
    VerificationConsumed = "verification_consumed",
    /// The confirmation exists.
    VerificationExists = "verification_exists",
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
