//! An account's `state` as answers show it (contract sections 4.3 and 4.4): keys as the schema
//! demands them, secrets masked.

use std::collections::BTreeMap;

use serde_json::Value;
use switchboard_store::accounts::AccountStatus;
use switchboard_vault::Secrets;

use super::view::AccountVal;
use crate::app::account::AccountView;
use crate::app::model::params::AccountParams;
use crate::time::iso;

/// What answers show instead of a secret.
pub const REDACTED: &str = "REDACTED";

/// How much of a secret an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mask {
    /// Nothing: the client is the operator's.
    Redact,
    /// The first four characters.
    Shorten,
    /// Everything: the project switched masking off.
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
            // The link token is stored as a hash only, so the page's URL cannot be shown again.
            val.insert("redirectUrl".to_owned(), format!("{public_url}/link/{REDACTED}").into());
        }
        AccountStatus::Active | AccountStatus::Inactive => add_credential(&mut val, view, params),
        AccountStatus::Failed => {
            val.insert("error".to_owned(), view.row.status_reason.as_deref().unwrap_or("failed").into());
        }
        AccountStatus::Expired => {
            val.insert("expired_at".to_owned(), iso(view.row.updated_at).into());
        }
        AccountStatus::Revoked => {
            val.insert("revoked_at".to_owned(), iso(view.row.updated_at).into());
        }
    }
    for name in demanded(&view.row.scheme, view.row.status) {
        val.entry((*name).to_owned()).or_insert_with(|| match *name {
            "authUri" => format!("{public_url}/link/{REDACTED}").into(),
            _ => REDACTED.into(),
        });
    }
    // No field of a connection takes the place of the account's own.
    val.remove("status");
    AccountVal { status: view.status().into(), fields: val }
}

/// Keys that the schema of a state demands (contract section 4.3), whether or not the account has such
/// a thing: clients that check answers refuse one without.
fn demanded(scheme: &str, status: AccountStatus) -> &'static [&'static str] {
    use AccountStatus::{Active, Expired, Failed, Inactive, Initiated};
    match (scheme, status) {
        ("OAUTH1", Initiated) => &["oauth_token", "oauth_token_secret", "authUri"],
        ("OAUTH1", Active | Inactive) => &["oauth_token", "oauth_token_secret"],
        ("OAUTH2" | "S2S_OAUTH2", Active | Inactive) => &["access_token"],
        ("DCR_OAUTH" | "CIMD_OAUTH", Initiated) => &["client_id"],
        ("DCR_OAUTH" | "CIMD_OAUTH", Active | Inactive) => &["client_id", "access_token"],
        ("BASIC", Active | Inactive) => &["username"],
        ("BASIC_WITH_JWT", Active | Inactive | Failed | Expired) => &["username", "password"],
        ("BEARER_TOKEN", Active | Inactive) => &["token"],
        ("GOOGLE_SERVICE_ACCOUNT", Active | Inactive) => &["credentials_json"],
        ("SERVICE_ACCOUNT", Active | Inactive) => &["application_id", "installation_id", "private_key"],
        ("BILLCOM_AUTH", Active | Inactive) => &["sessionId", "devKey"],
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
    add_secrets(val, &view.secrets, &view.row.scheme, mask);
    if ["OAUTH2", "DCR_OAUTH", "CIMD_OAUTH", "S2S_OAUTH2"].contains(&view.row.scheme.as_str()) {
        let granted = params.granted_scopes.as_ref().unwrap_or(&params.requested_scopes);
        val.insert("scope".to_owned(), granted.join(" ").into());
        val.insert("token_type".to_owned(), params.token_type.as_deref().unwrap_or("Bearer").into());
        if let Some(expires_in) = params.expires_in {
            val.insert("expires_in".to_owned(), expires_in.into());
        }
    }
}

fn add_secrets(val: &mut BTreeMap<String, Value>, secrets: &Secrets, scheme: &str, mask: Mask) {
    for (name, secret) in secrets.iter() {
        // An imported token is kept under the name that the toolkit applies.
        let name = if scheme == "BEARER_TOKEN" && name == "access_token" { "token" } else { name };
        // A user name may itself be the key (RFC 7617 with an empty password), so it is masked, too.
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
