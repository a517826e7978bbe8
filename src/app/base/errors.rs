//! Errors that several folders give.

use switchboard_store::accounts::AccountRow;

use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// Unknown, deleted or foreign account: all the same answer.
pub fn account_not_found(id: &str) -> Error {
    Error::of(Code::AccountNotFound, &[("id", &truncate(id))])
}

/// Unknown, deleted or foreign auth config: all the same answer.
pub fn auth_config_not_found(id: &str) -> Error {
    Error::of(Code::AuthConfigNotFound, &[("id", &truncate(id))])
}

/// The session's policy excludes a toolkit.
pub fn toolkit_not_allowed(slug: &str) -> Error {
    Error::of(Code::ToolkitNotAllowed, &[("slug", &slug)])
}

/// Toolkits that this server does not know.
pub fn invalid_slugs(slugs: &[&str]) -> Error {
    let shown: Vec<String> = slugs.iter().take(20).map(|slug| truncate(slug)).collect();
    Error::of(Code::InvalidToolkitSlugs, &[("slugs", &shown.join(", "))])
}

/// The account is dead; the user must connect again.
pub fn reauth_required(account: &AccountRow) -> Error {
    let reason = account.status_reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Error::new(
        Code::ReauthRequired,
        format!("Connected account {} is in {} state{reason}", account.id, account.status.as_str()),
    )
}

/// An item of a list; none, and a line in the log, where the stored row cannot be read: it must not hide
/// the others. Who asks for it by its id learns what is wrong.
pub fn readable<T>(id: &str, item: Result<T>) -> Option<T> {
    match item {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::error!(row.id = %id, cause = error.causes(), "stored row is inconsistent and omitted from lists");
            None
        }
    }
}
