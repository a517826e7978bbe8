//! Errors that several folders return.

use switchboard_store::accounts::AccountRow;

use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Unknown, deleted or foreign account: the same error for all three.
pub fn account_not_found(id: &str) -> Error {
    Error::of(Code::AccountNotFound, &[("id", &truncate(id))])
}

/// Unknown, deleted or foreign auth config: the same error for all three.
pub fn auth_config_not_found(id: &str) -> Error {
    Error::of(Code::AuthConfigNotFound, &[("id", &truncate(id))])
}

/// The session's policy excludes the toolkit.
pub fn toolkit_not_allowed(slug: &str) -> Error {
    Error::of(Code::ToolkitNotAllowed, &[("slug", &slug)])
}

/// Toolkits that do not exist on this server.
pub fn invalid_slugs(slugs: &[&str]) -> Error {
    let listed: Vec<String> = slugs.iter().take(20).map(|slug| truncate(slug)).collect();
    Error::of(Code::InvalidToolkitSlugs, &[("slugs", &listed.join(", "))])
}

/// The account's credential no longer works; the user must reconnect.
pub fn reauth_required(account: &AccountRow) -> Error {
    let reason = account.status_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Error::new(
        Code::ReauthRequired,
        format!("Connected account {} is in {} state{reason}", account.id, account.status.as_str()),
    )
}

/// An item of a list. If its row cannot be read, it is logged and left out, so that it does not hide the
/// others. A request for its id returns the error.
pub fn readable<T>(id: &str, item: Result<T>) -> Option<T> {
    match item {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::error!(row.id = %id, cause = error.causes(), "stored row is inconsistent and omitted from lists");
            None
        }
    }
}
