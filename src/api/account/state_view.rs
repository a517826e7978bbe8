//! An account's `state` in responses (contract sections 4.3 and 4.4): with the keys that the schema
//! requires, secrets masked.

use std::collections::BTreeMap;

use serde_json::Value;
use switchboard_catalog::Scheme;
use switchboard_store::accounts::AccountStatus;
use switchboard_vault::Secrets;

use super::view::AccountVal;
use crate::app::account::AccountView;
use crate::time::iso;
use switchboard_types::AccountParams;

/// Shown in responses instead of a secret.
pub const REDACTED: &str = "REDACTED";

/// How much of a secret a response shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mask {
    /// Nothing: the client is the operator's.
    Redact,
    /// The first four characters.
    Shorten,
    /// Everything: the project has disabled masking.
    Show,
}

impl Mask {
    fn apply(self, secret: &str) -> String {
        match self {
            Self::Redact => REDACTED.to_owned(),
            Self::Show => secret.to_owned(),
            Self::Shorten if secret.chars().count() <= 8 => REDACTED.to_owned(),
            Self::Shorten => secret.chars().take(4).chain("...".chars()).collect(),
        }
    }
}

/// `val` of an account's state.
pub fn state_val(view: &AccountView, params: &AccountParams, public_url: &str) -> AccountVal {
    let mut val = BTreeMap::new();
    for (name, value) in params.fields.iter().chain(&params.captured) {
        val.insert(name.clone(), value.as_str().into());
    }
    if let Some(client_id) = &view.client_id {
        val.insert("client_id".to_owned(), client_id.as_str().into());
    }
    match view.row.status {
        AccountStatus::Initializing => {}
        AccountStatus::Initiated => {
            // Only a hash of the link token is stored, so the page's URL cannot be shown again.
            val.insert("redirectUrl".to_owned(), format!("{public_url}/link/{REDACTED}").into());
        }
        AccountStatus::Active | AccountStatus::Inactive => add_credential(&mut val, view, params),
        AccountStatus::Failed => {
            val.insert(
                "error".to_owned(),
                view.row.status_reason.as_ref().map_or_else(|| "failed".to_owned(), ToString::to_string).into(),
            );
        }
        AccountStatus::Expired => {
            val.insert("expired_at".to_owned(), iso(view.row.updated_at).into());
        }
        AccountStatus::Revoked => {
            val.insert("revoked_at".to_owned(), iso(view.row.updated_at).into());
        }
    }
    for name in required_keys(view.row.scheme, view.row.status) {
        val.entry((*name).to_owned()).or_insert_with(|| match *name {
            "authUri" => format!("{public_url}/link/{REDACTED}").into(),
            _ => REDACTED.into(),
        });
    }
    // A field of the connection must not replace the account's own status.
    val.remove("status");
    AccountVal { status: view.status().into(), fields: val }
}

/// Keys that the schema of a state requires (contract section 4.3), even if the account has no such
/// value: clients that validate responses reject a state without them.
fn required_keys(scheme: Scheme, status: AccountStatus) -> &'static [&'static str] {
    use AccountStatus::{Active, Expired, Failed, Inactive, Initiated};
    match (scheme, status) {
        (Scheme::OAuth1, Initiated) => &["oauth_token", "oauth_token_secret", "authUri"],
        (Scheme::OAuth1, Active | Inactive) => &["oauth_token", "oauth_token_secret"],
        (Scheme::OAuth2 | Scheme::S2sOAuth2, Active | Inactive) => &["access_token"],
        (Scheme::DcrOAuth | Scheme::CimdOAuth, Initiated) => &["client_id"],
        (Scheme::DcrOAuth | Scheme::CimdOAuth, Active | Inactive) => &["client_id", "access_token"],
        (Scheme::Basic, Active | Inactive) => &["username"],
        (Scheme::BasicWithJwt, Active | Inactive | Failed | Expired) => &["username", "password"],
        (Scheme::BearerToken, Active | Inactive) => &["token"],
        (Scheme::GoogleServiceAccount, Active | Inactive) => &["credentials_json"],
        (Scheme::ServiceAccount, Active | Inactive) => &["application_id", "installation_id", "private_key"],
        (Scheme::BillcomAuth, Active | Inactive) => &["sessionId", "devKey"],
        _ => &[],
    }
}

fn add_credential(val: &mut BTreeMap<String, Value>, view: &AccountView, params: &AccountParams) {
    let is_managed = view.auth_config.as_ref().is_some_and(|config| config.is_managed);
    let mask = match (is_managed, view.mask) {
        (true, _) => Mask::Redact,
        (false, true) => Mask::Shorten,
        (false, false) => Mask::Show,
    };
    add_secrets(val, &view.secrets, view.row.scheme, mask);
    if view.row.scheme.is_oauth2() || view.row.scheme == Scheme::S2sOAuth2 {
        let granted = params.granted_scopes.as_ref().unwrap_or(&params.requested_scopes);
        val.insert("scope".to_owned(), granted.join(" ").into());
        val.insert("token_type".to_owned(), params.token_type.as_deref().unwrap_or("Bearer").into());
        if let Some(expires_in) = params.expires_in {
            val.insert("expires_in".to_owned(), expires_in.into());
        }
    }
}

fn add_secrets(val: &mut BTreeMap<String, Value>, secrets: &Secrets, scheme: Scheme, mask: Mask) {
    for (name, secret) in secrets.iter() {
        // An imported token is stored under the name that the toolkit applies.
        let name = if scheme == Scheme::BearerToken && name == "access_token" { "token" } else { name };
        // A user name may itself be the key (RFC 7617 with an empty password), so it is masked as well.
        val.insert(name.to_owned(), mask.apply(secret.expose()).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_show_four_characters_or_none() {
        assert_eq!(Mask::Shorten.apply("gho_abcdefghij"), "gho_...");
        assert_eq!(Mask::Shorten.apply("abc"), REDACTED);
        assert_eq!(Mask::Shorten.apply("hunter2"), REDACTED, "half of a short password is too much");
        assert_eq!(Mask::Redact.apply("gho_abcdefghij"), REDACTED);
        assert_eq!(Mask::Show.apply("gho_abcdefghij"), "gho_abcdefghij");
    }
}
