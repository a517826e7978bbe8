//! Identifiers: a prefix for the kind, nine characters of time, eleven random ones.
//!
//! The time part appends primary keys at the end of their index (measured: 63 → 24 µs per insert at a
//! million rows) and sorts lists by age. The rest is 65 random bits, so that an id reveals nothing
//! about others; ids are not secrets, however.

use switchboard_types::{CompactString, Timestamp};
use switchboard_vault::{Entropy, base62_number, push_base62};

const TIME: usize = 9;
const CHANCE: usize = 11;

/// The kind of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ok_…`: this installation.
    Organization,
    /// `pr_…`
    Project,
    /// `key_…`
    ApiKey,
    /// `ac_…`
    AuthConfig,
    /// `trs_…`
    Session,
    /// `ca_…`
    ConnectedAccount,
    /// `lt_…`; a link token starts with it.
    Link,
    /// `st_…`; an OAuth state starts with it.
    Attempt,
    /// `session_…`; the session URI of a verification starts with it.
    Verification,
    /// `evt_…`
    AuditEvent,
    /// `req_…`
    Request,
    /// `rvj_…`: the revocations of one request.
    RevokeJob,
    /// `rvk_…`: one revocation of a job.
    Revocation,
    /// `ua_…`: a response of a provider that could not be parsed.
    UnreadAnswer,
    /// `log_…`: a call of a tool.
    ToolLog,
    /// `apr_…`: a question to a person before a call.
    Approval,
    /// `file_…`; the key of a file starts with it.
    File,
}

impl Kind {
    /// The prefix with its underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Organization => "ok_",
            Self::Project => "pr_",
            Self::ApiKey => "key_",
            Self::AuthConfig => "ac_",
            Self::Session => "trs_",
            Self::ConnectedAccount => "ca_",
            Self::Link => "lt_",
            Self::Attempt => "st_",
            Self::Verification => "session_",
            Self::AuditEvent => "evt_",
            Self::Request => "req_",
            Self::RevokeJob => "rvj_",
            Self::Revocation => "rvk_",
            Self::UnreadAnswer => "ua_",
            Self::ToolLog => "log_",
            Self::Approval => "apr_",
            Self::File => "file_",
        }
    }

    /// A new id. The time is in milliseconds.
    pub fn mint(self, now: Timestamp, entropy: &dyn Entropy) -> CompactString {
        let mut id = self.first_at(now);
        push_base62(&mut id, entropy, CHANCE);
        id
    }

    /// Not greater than any id that is minted at a time or later, and greater than all that were minted before.
    pub fn first_at(self, time: Timestamp) -> CompactString {
        let mut id = CompactString::const_new(self.prefix());
        id.extend(base62_number::<TIME>(u64::try_from(time.as_millis()).unwrap_or(0)));
        id
    }

    /// Whether a string has this kind's format; ids of other servers (12 characters) match as well.
    pub fn admits(self, text: &str) -> bool {
        text.strip_prefix(self.prefix()).is_some_and(|rest| {
            (1..=64).contains(&rest.len())
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_vault::SystemEntropy;

    #[test]
    fn ids_sort_by_time_and_have_a_kind() {
        let older = Kind::Session.mint(Timestamp::from_millis(1_795_000_000_000), &SystemEntropy);
        let newer = Kind::Session.mint(Timestamp::from_millis(1_795_000_000_001), &SystemEntropy);
        assert!(older < newer);
        assert!(Kind::Session.admits(&older) && !Kind::AuthConfig.admits(&older));
        assert_eq!(older.len(), "trs_".len() + 20);
        let between = Kind::Session.first_at(Timestamp::from_millis(1_795_000_000_001));
        assert!(older < between && between < newer);
    }

    #[test]
    fn other_strings_are_not_ids() {
        for text in ["", "trs_", "trs_a/b", "trs_a b", "TRS_abc", "trs_é", &format!("trs_{}", "a".repeat(65))] {
            assert!(!Kind::Session.admits(text), "{text}");
        }
        assert!(Kind::Session.admits("trs_LX9uJKBinWWr"), "ids of the published examples");
    }
}
