//! The table of errors: number, slug, class, message and fix of each.

/// The class of an error from the caller's point of view, independent of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request must be changed.
    BadRequest,
    /// Not authenticated.
    Unauthorized,
    /// Authenticated, but not allowed.
    Forbidden,
    /// Unknown, or not visible to the caller.
    NotFound,
    /// Wrong method for this path.
    MethodNotAllowed,
    /// The body did not arrive in time.
    Timeout,
    /// Conflicts with the current state.
    Conflict,
    /// Rate limited.
    TooManyRequests,
    /// Permanently gone.
    Gone,
    /// The URI is too long.
    UriTooLong,
    /// The headers are too large.
    HeadTooLarge,
    /// The body is too large.
    TooLarge,
    /// Not for this server name.
    Misdirected,
    /// Well-formed, but cannot be processed.
    Unprocessable,
    /// A bug of ours, or damaged data.
    Internal,
    /// Not built.
    NotImplemented,
    /// The provider failed.
    BadGateway,
    /// Try again later.
    Unavailable,
    /// The provider took too long.
    GatewayTimeout,
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = ($number:literal, $slug:literal, $class:ident, $message:literal, $fix:literal); )*) => {
        /// All errors of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $( $(#[$doc])* $name, )* }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &[Self] = &[ $( Self::$name, )* ];

            /// Numeric code of the envelope.
            pub fn number(self) -> u32 { match self { $( Self::$name => $number, )* } }

            /// Machine-readable name.
            pub fn slug(self) -> &'static str { match self { $( Self::$name => $slug, )* } }

            /// Class of the error.
            pub fn class(self) -> Class { match self { $( Self::$name => Class::$class, )* } }

            /// The message, with `{placeholders}` that [`Error::of`] fills; `{reason}` if only the
            /// place of the error knows it.
            pub fn template(self) -> &'static str { match self { $( Self::$name => $message, )* } }

            /// The default fix for the caller.
            pub fn fix(self) -> &'static str { match self { $( Self::$name => $fix, )* } }
        }
    };
}

codes! {
    // --- generic family: 10000 + status ---
    /// The body, the query or a path parameter is invalid.
    Validation = (10400, "HTTP_BadRequest", BadRequest, "Validation error while processing request", "Correct the fields named in `errors` and send the request again.");
    /// No key, a malformed, unknown, expired or revoked one, or two credentials.
    Unauthorized = (10401, "HTTP_Unauthorized", Unauthorized, "Invalid API key", "Send a project API key in the `x-api-key` header. `switchboard key create` makes one.");
    /// The key is valid but lacks the permission.
    Forbidden = (10403, "HTTP_Forbidden", Forbidden, "{reason}", "Use a key with the permission that this operation needs.");
    /// No such path or resource.
    NotFound = (10404, "HTTP_NotFound", NotFound, "{reason}", "Check the path and the id. An id of another project is unknown here.");
    /// The path exists with other methods.
    MethodNotAllowed = (10405, "HTTP_MethodNotAllowed", MethodNotAllowed, "This path does not take this method", "Use one of the methods in the `allow` header.");
    /// The request's body stopped arriving.
    RequestTimeout = (10408, "HTTP_RequestTimeout", Timeout, "The request's body {reason}", "Send the body without long pauses.");
    /// Conflicts with the current state.
    Conflict = (10409, "HTTP_Conflict", Conflict, "{reason}", "Read the resource again and repeat the change on its present state.");
    /// More requests than the key or the address may make in a minute.
    TooManyRequests = (10429, "HTTP_TooManyRequests", TooManyRequests, "Rate limit exceeded. Limit: {limit} requests per 1 minutes", "Wait as many seconds as the Retry-After header says. The limit is this server's own: `rate_limit_…` in its settings.");
    /// Body over the limit.
    BodyTooLarge = (10413, "HTTP_PayloadTooLarge", TooLarge, "The request's body is larger than {limit} bytes", "Send a body of at most 1 MiB.");
    /// Headers over the limit.
    HeadTooLarge = (10431, "HTTP_RequestHeaderFieldsTooLarge", HeadTooLarge, "The request's headers are larger than {limit} bytes", "Send headers of at most 64 KiB in all.");
    /// URI over the limit.
    UriTooLong = (10414, "HTTP_UriTooLong", UriTooLong, "The request's URI is longer than {limit} bytes", "Use a URI of at most 8 KiB.");
    /// The Host header does not name this server.
    Misdirected = (10421, "HTTP_MisdirectedRequest", Misdirected, "This server does not answer to that host name", "Use the server's public URL, or add the name to `allowed_hosts`.");
    /// Well-formed, but cannot be processed.
    Unprocessable = (10422, "HTTP_UnprocessableEntity", Unprocessable, "{reason}", "Change the request as the message says.");
    /// A bug of ours, or damaged data.
    Internal = (10500, "HTTP_InternalServerError", Internal, "Internal server error", "Report it with the request_id; the log line of that id says more.");
    /// Not built.
    NotImplemented = (10501, "HTTP_NotImplemented", NotImplemented, "{what} is not built yet", "docs/compatibility.md lists what is built and what is not.");
    /// The database is unavailable.
    Unavailable = (10503, "HTTP_ServiceUnavailable", Unavailable, "The database cannot answer now", "Try again in a few seconds.");
    /// A stored row has a value that no version writes.
    RowUnreadable = (10500, "stored_row_unreadable", Internal, "A stored row cannot be read: {what}", "No version of this server writes that: restore the database from a backup, or have the operator mend the row.");
    /// The disk is full; reads still work.
    StorageFull = (10503, "storage_full", Unavailable, "The server's storage is full", "Free disk space on the server's data directory; no restart is needed.");
    /// The limit of buffered responses or connections is reached.
    Busy = (10503, "server_busy", Unavailable, "{reason}", "Try again in a few seconds.");
    /// A background job is not running.
    JobDown = (10503, "background_job_down", Unavailable, "The background job {job} does not run", "It is started again by itself; the server's log says why it ended (`a background job ended`).");
    /// A rotated credential could not be written yet.
    CredentialStoreUnavailable = (10503, "credential_store_unavailable", Unavailable, "The account's credential is still being refreshed", "Try again in a few seconds; the new credential is kept until it can be written.");
    /// A stored ciphertext cannot be opened at its row.
    CredentialUnreadable = (10500, "credential_unreadable", Internal, "A stored credential cannot be read", "The stored credential is damaged or was moved between rows. Delete the account and connect it again.");

    // --- idempotency ---
    /// The key was used with another request.
    IdempotencyKeyReused = (10422, "Idempotency_KeyReused", Unprocessable, "This Idempotency-Key was used with a different request", "Use a new Idempotency-Key for a different request.");

    /// The call with the key is on its way.
    CallInProgress = (10409, "Idempotency_CallInProgress", Conflict, "The call {id} with this Idempotency-Key is being made", "Wait until it has ended, which GET /logs/tool_execution/{id} shows, and send the same request again.");
    /// The call with the key was sent, and its answer lost.
    CallOutcomeUnknown = (10409, "Idempotency_CallOutcomeUnknown", Conflict, "The call {id} with this Idempotency-Key was sent, and its outcome is not known", "It may have been carried out: look at the provider before you call again with a new key.");
    /// The call with the key has ended, and its response is not kept.
    CallResponseNotKept = (10409, "Idempotency_ResponseNotKept", Conflict, "The call {id} with this Idempotency-Key was made, and its response was not kept", "GET /logs/tool_execution/{id} shows how it went; a response larger than 2 MiB is not kept.");

    // --- the log of calls (number is ours) ---
    /// Unknown call, or one that is older than what is kept.
    CallNotFound = (2406, "ToolExecutionLog_NotFound", NotFound, "Log \"{id}\" not found", "Calls appear within a second and are kept for keep.tool_calls_days; POST /logs/tool_execution lists them.");

    // --- 6xx: connected accounts ---
    /// A rule about accounts.
    AccountBadRequest = (600, "ConnectedAccount_BadRequest", BadRequest, "{reason}", "Change the request as the message says.");
    /// Unknown, deleted or foreign account.
    AccountNotFound = (606, "ConnectedAccount_ResourceNotFound", NotFound, "Connected account \"{id}\" not found", "List the accounts with GET /connected_accounts to see their ids.");
    /// The account's state does not allow it (number is ours).
    AccountConflict = (607, "ConnectedAccount_Conflict", Conflict, "Connected account {id} is in {status} state and cannot be revoked", "Read the account; only an ACTIVE one can be revoked.");
    /// Unknown, used or expired session URI of a verification (number is ours).
    AuthSessionNotFound = (608, "ConnectedAccount_AuthSessionNotFound", NotFound, "Auth session not found", "Use the session_uri of a browser that just came back; it works once, for ten minutes. Otherwise create a new link.");
    /// A SHARED account whose access list does not admit the user (number is ours).
    SharedAccessDenied = (609, "ConnectedAccount_SharedAccessDenied", Forbidden, "User \"{user}\" may not use SHARED connection {id}", "Add the user to the account's access list.");
    /// Connection fields that the developer must give.
    MissingRequiredFields = (612, "ConnectedAccount_MissingRequiredFields", BadRequest, "Missing required fields: {fields}", "Give the missing fields.");

    // --- auth configs (numbers are ours: none is public) ---
    /// A rule about auth configs.
    AuthConfigBadRequest = (300, "AuthConfig_BadRequest", BadRequest, "{reason}", "Change the request as the message says.");
    /// Unknown, deleted or foreign auth config.
    AuthConfigNotFound = (306, "AuthConfig_NotFound", NotFound, "Auth config \"{id}\" not found", "List the auth configs with GET /auth_configs to see their ids.");

    // --- toolkits (number is ours) ---
    /// Unknown toolkit, in a direct read.
    ToolkitNotFound = (206, "Toolkit_NotFound", NotFound, "Toolkit \"{slug}\" not found", "GET /toolkits lists the toolkits of this server.");

    // --- projects (numbers are ours) ---
    /// A rule about projects and their keys.
    ProjectBadRequest = (400, "Project_BadRequest", BadRequest, "{reason}", "Change the request as the message says.");
    /// Unknown or deleted project.
    ProjectNotFound = (406, "Project_NotFound", NotFound, "Project \"{id}\" not found", "GET /org/owner/project/list, or `switchboard project list`, shows the projects of this installation.");

    // --- revocation at providers (number is ours) ---
    /// Unknown or foreign revocation job.
    RevokeJobNotFound = (616, "RevokeJob_NotFound", NotFound, "Revoke job \"{id}\" not found", "Use the revoke_job_id of a DELETE of this project.");

    // --- links (number is ours) ---
    /// Unknown or foreign link, or one whose account was deleted.
    LinkNotFound = (617, "Link_NotFound", NotFound, "Link \"{id}\" not found", "Use the id of a link of this project: the first 23 characters of its link_token. The whole token is a secret and has no place in a URL.");

    // --- 16xx: the provider ---
    /// The provider could not be reached or returned no usable response.
    UpstreamUnreachable = (1602, "Upstream_Unreachable", BadGateway, "The provider could not be reached", "Try again; if it lasts, check the provider's status page.");
    /// The provider's certificate is not valid for its name.
    UpstreamTls = (1603, "upstream_tls_error", BadGateway, "The provider's TLS certificate was not accepted", "Check the provider's certificate, or add its CA to `extra_ca_file`.");
    /// The response is over the limit.
    UpstreamTooLarge = (1605, "upstream_too_large", BadGateway, "The provider's answer is larger than {limit} bytes", "Ask the provider for less, for example with its paging parameters.");
    /// The provider took too long.
    UpstreamTimeout = (1604, "Upstream_Timeout", GatewayTimeout, "The provider did not answer in time", "Try again; a request that changes something may have been carried out.");
    /// The provider is paused because it failed or refused just now (number is ours).
    ProviderPaused = (1607, "provider_paused", Unavailable, "{reason}; next try in {seconds} s", "Wait as many seconds as the Retry-After header says. GET /connected_accounts/{id}/explain says what the provider answered last.");
    /// The provider's limit for the account is reached (number is ours).
    ProviderLimitReached = (1608, "provider_limit_reached", TooManyRequests, "The provider's limit for this account is reached; the next call is possible in {seconds} s", "Wait as many seconds as the Retry-After header says. The limit is the provider's, not this server's; nothing was sent.");
    /// The destination is a private address.
    EgressDenied = (1606, "egress_denied", Forbidden, "The destination is not a public address", "The operator can admit an internal destination with --allow-egress.");

    // --- 18xx: use of an account ---
    /// The account can no longer be used (number is ours; 1820 is for a tool's execution).
    ReauthRequired = (1821, "reauth_required", Unprocessable, "Connected account {id} is in {status} state", "Create a new link for the user: POST /tool_router/session/{session_id}/link.");

    /// No usable account for a tool without a session.
    ToolAccountNotFound = (1810, "ActionExecute_ConnectedAccountNotFound", NotFound, "No connected account found for user ID {user} for toolkit {toolkit}", "Connect an account for the user: POST /connected_accounts/link.");
    /// A tool without a session and a user.
    UserIdMissing = (1811, "ActionExecute_ConnectedAccountEntityIdRequired", BadRequest, "{reason}", "Give user_id: whose account is used.");
    /// The account belongs to another user.
    UserIdMismatch = (1812, "ActionExecute_ConnectedAccountEntityIdMismatch", BadRequest, "Connected account {id} does not belong to this user", "Give the user_id that the account was connected with.");
    /// The account of a tool's call has ended.
    AccountGone = (1820, "ActionExecute_ConnectedAccountExpired", Gone, "{reason}", "Connect the account again: POST /connected_accounts/{id}/refresh.");
    /// The account of a tool's call is off or not connected (number is ours).
    AccountUnusable = (1822, "ActionExecute_ConnectedAccountUnusable", Unprocessable, "{reason}", "Read the account to see its status.");
    /// Unknown tool.
    ToolNotFound = (2401, "Tool_ToolNotFound", NotFound, "Tool \"{slug}\" not found", "GET /tools lists the tools of this server.");
    /// A version of a tool that is not run any more (number is ours).
    ToolVersionWithdrawn = (2410, "Tool_VersionWithdrawn", Gone, "Version {version} of toolkit {toolkit} was withdrawn: {reason}. Version {replacement} replaces it", "Use the version that replaces it.");
    /// A version of a tool that is no longer stored (number is ours).
    ToolVersionGone = (2411, "Tool_VersionGone", Gone, "{reason}", "Use another version.");

    // --- 43xx: tool router ---
    /// A rule about sessions.
    SessionBadRequest = (4300, "ToolRouterV2_BadRequest", BadRequest, "{reason}", "Change the request as the message says.");
    /// Unknown tool, in a session.
    SessionToolNotFound = (4301, "ToolRouterV2_ToolNotFound", NotFound, "Tool \"{slug}\" not found", "GET /tools lists the tools of this server.");
    /// No usable account.
    NoActiveConnection = (4302, "ToolRouterV2_NoActiveConnection", NotFound, "No active connection found for user ID {user} for toolkit {toolkit}", "Create a link for the user: POST /tool_router/session/{session_id}/link.");
    /// Unknown, deleted or foreign session (number is ours).
    SessionNotFound = (4303, "ToolRouterV2_SessionNotFound", NotFound, "Session \"{id}\" not found", "Create a session with POST /tool_router/session.");
    /// Unknown approval, or one of another session (number is ours).
    ApprovalNotFound = (4311, "ToolRouterV2_ApprovalNotFound", NotFound, "Approval \"{id}\" not found", "GET /tool_router/session/{session_id}/approvals lists those of the session.");
    /// An account of OAuth 2.0 without scopes that a tool needs (number is ours).
    MissingScope = (4310, "MISSING_SCOPE", Forbidden, "Connected account {id} lacks scopes that the tool needs: {scopes}", "Have the user connect the account again with these scopes.");
    /// The session's policy excludes the toolkit (number is ours).
    ToolkitNotAllowed = (4304, "ToolRouterV2_ToolkitNotAllowed", Forbidden, "[Session Restriction] Toolkit '{slug}' is not allowed", "Use a toolkit that the session enables, or create a session that enables this one.");
    /// Unknown toolkit in a session or link.
    InvalidToolkitSlugs = (4305, "ToolRouterV2_InvalidToolkitSlugs", BadRequest, "Invalid toolkit slugs: {slugs}. Please provide valid toolkit slugs.", "GET /toolkits lists the toolkits of this server.");
    /// Unknown, foreign or unusable accounts in a session (number is ours).
    InvalidConnectedAccountIds = (4306, "ToolRouterV2_InvalidConnectedAccountIds", BadRequest, "Could not find connected account(s): {ids}", "Use accounts of the session's user, or SHARED accounts whose access list admits the user.");
    /// Unknown or foreign auth configs in a session (number is ours).
    InvalidAuthConfigIds = (4307, "ToolRouterV2_InvalidAuthConfigIds", BadRequest, "Invalid auth config for toolkit \"{slug}\": {id}", "Use auth configs of this project, for toolkits that the session enables.");
    /// No auth config and no managed client.
    NoManagedAuth = (4308, "ToolRouterV2_NoManagedAuth", BadRequest, "Composio does not manage auth for toolkit {slug} and no auth config without required fields is available.", "Create an auth config with POST /auth_configs, or ask the operator for a managed client.");
    /// `expected_config_version` is not the stored one (number is ours).
    SessionConfigConflict = (4309, "ToolRouterV2_SessionConfigConflict", Conflict, "Session \"{id}\" has config_version {stored}, not {expected}", "Read the session again and repeat the change with its config_version.");
    /// The toolkit needs no account.
    ToolkitIsNoAuth = (4326, "ToolRouterV2_ToolkitsIsNoAuth", BadRequest, "Toolkit {slug} does not require authentication.", "Use the toolkit without connecting an account.");
    /// Two SHARED pins for one toolkit.
    MultipleSharedAccounts = (4347, "ToolRouterV2_MultipleSharedAccountsPerToolkit", BadRequest, "Toolkit \"{slug}\" has {count} SHARED connections pinned ({ids}). At most {limit} allowed per toolkit in a session.", "Pin one SHARED account per toolkit.");
    /// A SHARED pin that the session's user may not use (number is ours).
    SharedNotAccessible = (4348, "ToolRouterV2_SharedConnectionNotAccessible", BadRequest, "User \"{user}\" may not use SHARED connection {id}", "Add the user to the account's access list, or pin another account.");

    // --- files (numbers are ours) ---
    /// Unknown, foreign, expired or deleted file.
    FileNotFound = (2501, "File_NotFound", NotFound, "{reason}", "Upload the file again. Uploads and results of tools are kept for a while only.");
    /// A URL of a file without a valid signature, or for another method.
    FileUrlRefused = (2502, "File_UrlRefused", Forbidden, "The URL of the file {reason}", "Ask for a new URL, and use it unchanged with the method that it is for.");
    /// A file over the limit.
    FileTooLarge = (2503, "File_TooLarge", TooLarge, "The file is larger than {limit} bytes", "Send a smaller file; the operator can raise `files_max_mib`.");
    /// The project's files are as large as they may be.
    FileQuotaExceeded = (2504, "File_QuotaExceeded", Unprocessable, "The project's files would be larger than {limit} bytes", "Delete files of sessions, or wait until old uploads are deleted; the operator can raise `files_per_project_mib`.");
    /// A file has other bytes already.
    FileConflict = (2505, "File_Conflict", Conflict, "The file has other bytes already", "Ask for a new upload: a file is written once.");
    /// The bytes have another digest than the announced one.
    FileDigestMismatch = (2506, "File_DigestMismatch", BadRequest, "The bytes have another MD5 than the announced one", "Send the bytes whose MD5 was announced, or ask for a new upload.");
    /// The file store does not work.
    FileStoreUnavailable = (2507, "File_StoreUnavailable", Unavailable, "The file store cannot be used now", "Try again in a few seconds. The server's log says what is wrong.");

    // --- proxy ---
    /// The endpoint is not one of the toolkit's own hosts (number is ours).
    OriginMismatch = (1610, "OriginMismatch", BadRequest, "The endpoint is not allowed: {reason}", "Use a path, or a URL on one of the toolkit's own hosts.");
    /// A call without an account (number is ours).
    MissingAuthContext = (1612, "MissingAuthContext", BadRequest, "{reason}", "Give connected_account_id.");
    /// A header that the caller may not set (number is ours).
    HeaderNotAllowed = (1611, "header_not_allowed", BadRequest, "{reason}", "Leave the header out; credentials and connection headers are set by the server.");
}
