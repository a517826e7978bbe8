//! Who is expected to finish a link. If another account signs in, the connection is refused and its tokens are
//! revoked. This keeps a mistake or a forwarded link from giving one person's agent another person's account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_catalog::Toolkit;
use switchboard_types::{AccountIdentity, ReasonCode};

use crate::error::{Error, Result};

/// Maximum length of an expected value, in characters.
const MAX_CHARS: usize = 320;

/// The account at the provider that a link is for. Every given property must match.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ExpectedIdentity")]
pub struct ExpectedIdentity {
    /// The provider's identifier of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The account's e-mail address, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Domain of the account's e-mail address: `example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_domain: Option<String>,
    /// Identifier of the workspace, site or organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// What a link requires of the account that it connects.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Expectation {
    /// The account that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<ExpectedIdentity>,
    /// Who the account was when the reconnect was requested. Stored here because a new connection overwrites
    /// the identity in the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<AccountIdentity>,
    /// A reconnect may change to a different account.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_change: bool,
    /// Scopes that the account lacks, to be asked for beside those that it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The same for user-level scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_scopes: Vec<String>,
}

impl ExpectedIdentity {
    /// Validates what a developer gave. `at` is the path in the request.
    ///
    /// # Errors
    /// For a toolkit that does not report identities, and for values that can never match.
    pub fn check(self, toolkit: &Toolkit, at: &str) -> Result<Self> {
        let parts = [
            ("id", &self.id),
            ("email", &self.email),
            ("email_domain", &self.email_domain),
            ("tenant_id", &self.tenant_id),
        ];
        for (name, value) in parts {
            let fits = |text: &String| {
                !text.trim().is_empty() && text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control)
            };
            if value.as_ref().is_some_and(|text| !fits(text)) {
                return Err(Error::field(&format!("{at}.{name}"), "must be 1 to 320 visible characters"));
            }
        }
        if parts.iter().all(|(_, value)| value.is_none()) {
            return Err(Error::field(at, "must hold id, email, email_domain or tenant_id"));
        }
        let identities = || toolkit.schemes().into_iter().filter_map(|scheme| toolkit.identity_of(scheme));
        if identities().next().is_none() {
            return Err(Error::field(at, "cannot be checked: this toolkit does not say who an account is")
                .fix(format!("Leave {at} out, or add [identity] to the toolkit file of {}.", toolkit.slug)));
        }
        let needs_email = self.email.is_some() || self.email_domain.is_some();
        let supports = |identity: &switchboard_catalog::Identity| {
            (!needs_email || identity.email.is_some()) && (self.tenant_id.is_none() || identity.tenant.is_some())
        };
        if !identities().any(supports) {
            return Err(Error::field(at, "cannot be checked: this toolkit does not tell e-mail address or tenant")
                .fix(format!("Expect another property of accounts of {}.", toolkit.slug)));
        }
        Ok(self)
    }

    fn is_met(&self, found: &AccountIdentity) -> bool {
        let same = |expected: &Option<String>, found: Option<&str>| {
            expected.as_deref().is_none_or(|expected| found.is_some_and(|found| found.eq_ignore_ascii_case(expected)))
        };
        let exactly = |expected: &Option<String>, found: Option<&str>| {
            expected.as_deref().is_none_or(|expected| found == Some(expected))
        };
        let domain = found.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        exactly(&self.id, Some(&found.id))
            && same(&self.email, found.email.as_deref())
            && same(&self.email_domain, domain)
            && exactly(&self.tenant_id, found.tenant_id.as_deref())
    }
}

impl Expectation {
    /// Reads the stored form.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        text.map_or_else(|| Ok(Self::default()), |text| serde_json::from_str(text).map_err(Error::internal))
    }

    /// The stored form; none when nothing is expected.
    pub fn to_text(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    /// Why the account is not the expected one; none if it is. `before` is the identity of a working account.
    /// The reasons name no user, because they are stored, logged and sent to the app.
    pub fn mismatch(&self, before: Option<&AccountIdentity>, now: Option<&AccountIdentity>) -> Option<ReasonCode> {
        if let Some(expected) = &self.identity {
            return match now {
                Some(now) if expected.is_met(now) => None,
                Some(_) => Some(ReasonCode::UnexpectedAccount),
                None => Some(ReasonCode::AccountUnknown),
            };
        }
        let before = self.before.as_ref().or(before).filter(|_| !self.may_change)?;
        match now {
            Some(now) if now.is_same(before) => None,
            Some(_) => Some(ReasonCode::DifferentAccount),
            None => Some(ReasonCode::AccountUnknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, email: &str, tenant: &str) -> AccountIdentity {
        AccountIdentity {
            id: id.to_owned(),
            email: Some(email.to_owned()),
            tenant_id: Some(tenant.to_owned()),
            ..AccountIdentity::default()
        }
    }

    #[test]
    fn every_given_property_must_match() {
        let found = account("7", "Ann@Example.com", "T1");
        let cases = [
            (r#"{"id":"7"}"#, true),
            (r#"{"id":"8"}"#, false),
            (r#"{"email":"ann@example.COM"}"#, true),
            (r#"{"email":"ann@example.com.evil.test"}"#, false),
            (r#"{"email_domain":"example.com"}"#, true),
            (r#"{"email_domain":"ample.com"}"#, false),
            (r#"{"id":"7","tenant_id":"T2"}"#, false),
            (r#"{"id":"7","tenant_id":"T1"}"#, true),
        ];
        for (expected, met) in cases {
            let identity: ExpectedIdentity = serde_json::from_str(expected).unwrap();
            let expectation = Expectation { identity: Some(identity), ..Expectation::default() };
            assert_eq!(expectation.mismatch(None, Some(&found)).is_none(), met, "{expected}");
            assert!(expectation.mismatch(None, None).is_some(), "an unknown identity does not match: {expected}");
        }
    }

    #[test]
    fn a_reconnect_must_be_the_same_account() {
        let (before, other) = (account("7", "a@x.example", "T1"), account("7", "a@x.example", "T2"));
        let strict = Expectation::default();
        assert_eq!(strict.mismatch(Some(&before), Some(&before)), None);
        assert!(strict.mismatch(Some(&before), Some(&other)).is_some(), "another tenant is another account");
        assert!(strict.mismatch(Some(&before), None).is_some());
        assert_eq!(strict.mismatch(None, None), None, "an account without an identity may reconnect");
        let recorded = Expectation { before: Some(before.clone()), ..Expectation::default() };
        assert_eq!(recorded.mismatch(None, Some(&before)), None);
        assert!(
            recorded.mismatch(Some(&other), Some(&other)).is_some(),
            "the identity at the time of the request counts"
        );
        let loose = Expectation { may_change: true, ..Expectation::default() };
        assert_eq!(loose.mismatch(Some(&before), Some(&other)), None);
    }
}
