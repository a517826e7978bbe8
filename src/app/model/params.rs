//! What a toolkit file adds to the stored properties of an account.

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_types::AccountParams;

/// Adds the values that a toolkit file derives from the fields: defaults of fields that were added to the
/// file later, and values that a selected option sets.
#[must_use]
pub fn with_derived_values(params: &AccountParams, toolkit: &Toolkit, scheme: Scheme) -> AccountParams {
    let implied = toolkit.implied(scheme, |name| params.fields.get(name).map(String::as_str));
    AccountParams { implied, ..params.clone() }
}
