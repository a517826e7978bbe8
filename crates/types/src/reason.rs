//! Why an account is not connected: a stable code, and a detail where the code alone does not say all.
//!
//! The sentence of a reason is the `status_reason` of API responses (contract section 3.4) and the outcome of its
//! audit event. Programs read the code; the sentence is for people.

use std::fmt;

/// Why an account failed, expired, was revoked or was disabled, or why an attempt to connect failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    code: ReasonCode,
    detail: Option<String>,
}

/// How the sentence of a code is made.
enum Sentence {
    /// Always the same.
    Fixed(&'static str),
    /// The text, followed by the detail.
    With(&'static str),
    /// The text, followed by a colon and the detail if there is one.
    WithCause(&'static str),
    /// The detail alone.
    Detail,
}

use Sentence::{Detail, Fixed, With, WithCause};

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $sentence:expr;)*) => {
        crate::words::words! {
            /// The code of a reason, as the database stores it.
            ReasonCode { $($(#[$doc])* $variant $code;)* }
        }

        impl ReasonCode {
            const fn sentence(self) -> Sentence {
                match self { $(Self::$variant => $sentence),* }
            }
        }
    };
}

reason_codes! {
    // --- the link ended without a connection ---
    /// The link was not used in time. The detail is the time that it was open.
    LinkExpired "link_expired" With("Connection initiation did not complete within ");
    /// The person who opened the link had not requested it.
    RejectedByUser "rejected_by_user" Fixed("rejected_by_user");
    /// The user refused the access at the provider. The detail has the provider's code and text.
    AccessDenied "access_denied" Detail;
    /// The provider answered the authorization request with another error. The detail has its code and text.
    AuthorizationRefused "authorization_refused" Detail;
    /// The user did not enter the device code in time.
    DeviceCodeExpired "device_code_expired" Fixed("expired_token: the code was not entered in time");
    /// The callback had neither a code nor an error.
    NoCode "no_code" Fixed("The provider returned neither a code nor an error");
    /// The authorization response does not belong to its request.
    ContextMismatch "context_mismatch" Fixed("context_mismatch");
    /// Another user of the developer's app finished the link.
    WrongUser "wrong_user"
        Fixed("IDENTITY_VERIFICATION_FAILED: another user than the one the link was for finished it");
    /// The auth config was changed while the user was at the provider.
    AuthConfigChanged "auth_config_changed" Fixed("The auth config was changed while the user was at the provider");
    /// The auth config was changed while the connection waited for its confirmation.
    AuthConfigChangedLater "auth_config_changed_later"
        Fixed("The auth config was changed while the connection was pending");
    /// The project confirms its users, which a device code does not support.
    ConfirmationRequired "confirmation_required"
        Fixed("The project confirms who finished a connection, which a code does not admit");
    /// The provider issued no token for the code. The detail is its error, or ours.
    ExchangeFailed "exchange_failed" WithCause("OAuth callback failed during token exchange");
    /// The token request could not be made. The detail says what is missing.
    ExchangeNotSent "exchange_not_sent" WithCause("OAuth callback failed during token exchange");
    /// The provider issued no refresh token, and the toolkit requires one.
    NoRefreshToken "no_refresh_token" Fixed("The provider gave no refresh token, and its connections need one");
    /// The request after the token exchange failed or found nothing. The detail says what.
    PostConnectFailed "post_connect_failed" Detail;
    /// The user had to choose one of several places and did not.
    ChoiceNeeded "choice_needed" Detail;
    /// What the user entered was not accepted. The detail says why.
    CredentialRefused "credential_refused" Detail;
    /// The provider did not say which account signed in.
    AccountUnknown "account_unknown" Fixed("account_mismatch: the provider did not say which account signed in");
    /// The account is not the one that the developer expects.
    UnexpectedAccount "unexpected_account"
        Fixed("account_mismatch: another account signed in than the one that is expected");
    /// The account is not the one that was connected before.
    DifferentAccount "different_account"
        Fixed("account_mismatch: another account signed in than the one that this connection belongs to");

    // --- a connected account ended ---
    /// The provider no longer accepts the refresh token.
    GrantEnded "grant_ended" Fixed("Permanent auth error during token refresh");
    /// The provider refused the entered credential when a new token was requested with it.
    EnteredCredentialRefused "entered_credential_refused"
        Fixed("Permanent auth error during token refresh: the provider refused what was entered");
    /// The provider no longer accepts the token, and it cannot be refreshed.
    TokenRevoked "token_revoked" Fixed("Permanent auth error: the provider no longer accepts the token");
    /// The access token expired, and there is no refresh token.
    TokenExpired "token_expired" Fixed("The access token expired and the provider gave no refresh token");
    /// The response to an earlier refresh was lost, and with it the new refresh token.
    RefreshInterrupted "refresh_interrupted"
        Fixed("refresh_interrupted: the answer to an earlier refresh was lost, and the provider no longer accepts the old token");
    /// The provider refused several refreshes without a clear error.
    UnclassifiedRejections "unclassified_rejections"
        Fixed("unclassified_rejections: the provider refused the refresh repeatedly");
    /// The provider no longer knows the registered client.
    ClientForgotten "client_forgotten"
        Fixed("client_forgotten: the provider no longer knows the client that this account was connected with");
    /// Revoked by an API request for this account.
    RevokedByRequest "revoked_by_request" Fixed("Revoked via user-initiated revoke endpoint");
    /// Revoked by the operator, or with many others.
    RevokedByOperator "revoked_by_operator" Fixed("Revoked via admin tool");
    /// Disabled by an API request.
    Disabled "disabled" Fixed("Connection status updated by user");

    /// A text that an earlier version stored. The detail is that text.
    Other "other" Detail;
}

impl Reason {
    /// A reason that its code says completely.
    pub fn new(code: ReasonCode) -> Self {
        Self { code, detail: None }
    }

    /// A reason with a detail.
    pub fn with_detail(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self { code, detail: Some(detail.into()) }
    }

    /// The stored form: the code, and after a colon the detail.
    pub fn to_stored(&self) -> String {
        match &self.detail {
            None => self.code.as_str().to_owned(),
            Some(detail) => format!("{}: {detail}", self.code.as_str()),
        }
    }

    /// Reads the stored form; none for a code that no version of this program writes.
    pub fn parse(stored: &str) -> Option<Self> {
        let (code, detail) = stored.split_once(": ").map_or((stored, None), |(code, detail)| (code, Some(detail)));
        Some(Self { code: ReasonCode::parse(code)?, detail: detail.map(ToOwned::to_owned) })
    }

    /// The reason whose sentence an earlier version stored without its code, in the account before migration 0014
    /// or in the audit log. What is not recognised is `other`.
    pub fn from_sentence(sentence: &str) -> Self {
        if sentence.starts_with("OAuth callback failed during token exchange: The request cannot be made") {
            return Self::of_sentence(ReasonCode::ExchangeNotSent, sentence);
        }
        let reads = |code: &ReasonCode| match code.sentence() {
            Fixed(text) => (text == sentence).then(|| Self::new(*code)),
            With(start) => sentence.strip_prefix(start).map(|detail| Self::with_detail(*code, detail)),
            WithCause(start) => match sentence.strip_prefix(start)? {
                "" => Some(Self::new(*code)),
                rest => rest.strip_prefix(": ").map(|detail| Self::with_detail(*code, detail)),
            },
            Detail => None,
        };
        ReasonCode::ALL.iter().find_map(reads).unwrap_or_else(|| Self::with_detail(code_of_text(sentence), sentence))
    }

    /// The reason with this code whose sentence was stored beside it.
    pub fn of_sentence(code: ReasonCode, sentence: &str) -> Self {
        match code.sentence() {
            Fixed(_) => Self::new(code),
            Detail => Self::with_detail(code, sentence),
            With(start) => Self::with_detail(code, sentence.strip_prefix(start).unwrap_or(sentence)),
            WithCause(start) => {
                let detail = sentence.strip_prefix(start).and_then(|rest| rest.strip_prefix(": "));
                Self { code, detail: detail.map(ToOwned::to_owned) }
            }
        }
    }

    /// The code.
    pub fn code(&self) -> ReasonCode {
        self.code
    }

    /// The detail.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

/// The code of a text that an earlier version made of the words of a provider or of a toolkit file.
fn code_of_text(text: &str) -> ReasonCode {
    let starts = |start: &str| text.starts_with(start);
    let contains = |part: &&str| text.contains(*part);
    let post_connect = [
        "did not answer which data the account reaches",
        "says that the account reaches nothing that could be used",
        "says that the account no longer reaches what was chosen",
        "did not say a usable ",
    ];
    let refused = [" does not accept this", "could not be reached to confirm this"];
    // An error code of OAuth, alone or before its description.
    let code = text.split(':').next().unwrap_or_default();
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    match text {
        _ if starts("account_mismatch") => ReasonCode::DifferentAccount,
        _ if starts("several to choose from") => ReasonCode::ChoiceNeeded,
        _ if post_connect.iter().any(contains) => ReasonCode::PostConnectFailed,
        _ if refused.iter().any(contains) => ReasonCode::CredentialRefused,
        _ if code == "access_denied" => ReasonCode::AccessDenied,
        _ if is_code => ReasonCode::AuthorizationRefused,
        _ => ReasonCode::Other,
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self::new(code)
    }
}

/// The sentence.
impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_deref().unwrap_or_default();
        match self.code.sentence() {
            Fixed(text) => out.write_str(text),
            With(start) => write!(out, "{start}{detail}"),
            WithCause(start) if self.detail.is_none() => out.write_str(start),
            WithCause(start) => write!(out, "{start}: {detail}"),
            Detail => out.write_str(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_sentence_gives_the_reason_that_wrote_it() {
        for code in ReasonCode::ALL {
            let reason = match code.sentence() {
                Fixed(_) => Reason::new(*code),
                With(_) | WithCause(_) => Reason::with_detail(*code, "10 minutes"),
                Detail => continue,
            };
            let read = Reason::from_sentence(&reason.to_string());
            // Both codes have the same sentence; the code tells them apart.
            let code = if *code == ReasonCode::ExchangeNotSent { &ReasonCode::ExchangeFailed } else { code };
            assert_eq!((read.code(), read.detail()), (*code, reason.detail()));
        }
        let other = Reason::from_sentence("words of an earlier version");
        assert_eq!((other.code(), other.to_string().as_str()), (ReasonCode::Other, "words of an earlier version"));
        for (text, code) in [
            ("access_denied: no", ReasonCode::AccessDenied),
            ("invalid_scope", ReasonCode::AuthorizationRefused),
            ("Acme did not say a usable site", ReasonCode::PostConnectFailed),
            ("Acme does not accept this (no). Check it.", ReasonCode::CredentialRefused),
            ("OAuth callback failed during token exchange: The request cannot be made: x", ReasonCode::ExchangeNotSent),
        ] {
            let reason = Reason::from_sentence(text);
            assert_eq!((reason.code(), reason.to_string().as_str()), (code, text));
        }
        assert_eq!(
            Reason::from_sentence("OAuth callback failed during token exchange"),
            Reason::new(ReasonCode::ExchangeFailed)
        );
    }

    #[test]
    fn the_stored_form_is_read_back() {
        for code in ReasonCode::ALL {
            for reason in [Reason::new(*code), Reason::with_detail(*code, "a: b: c")] {
                assert_eq!(Reason::parse(&reason.to_stored()), Some(reason));
            }
        }
        assert_eq!(Reason::parse("words of a later version"), None);
    }

    #[test]
    fn codes_are_unique() {
        for code in ReasonCode::ALL {
            assert_eq!(ReasonCode::parse(code.as_str()), Some(*code));
        }
    }
}
