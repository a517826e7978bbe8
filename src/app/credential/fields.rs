//! Connection fields: what a form asks for, and the values that were entered.

use std::collections::{BTreeMap, BTreeSet};

use switchboard_catalog::{Field, Scheme, Toolkit};
use switchboard_vault::{Secret, Secrets};

/// Values of a form, with the secrets kept apart.
pub(in crate::app) struct FormValues {
    pub fields: BTreeMap<String, String>,
    pub secrets: Secrets,
    /// Names of the fields that were filled in. Blank values do not count.
    pub filled: BTreeSet<String>,
}

impl FormValues {
    /// The values as the account stores them. A user name becomes part of the credential, and an imported token
    /// is stored like the toolkit's own tokens.
    pub fn into_credential(mut self, scheme: Scheme, toolkit: &Toolkit) -> Self {
        if matches!(scheme, Scheme::Basic | Scheme::BasicWithJwt) {
            for name in ["username", "password"] {
                if let Some(value) = self.fields.remove(name) {
                    self.secrets.insert(name, Secret::new(value));
                }
            }
        }
        if scheme == Scheme::BearerToken
            && toolkit.bearer_token.is_none()
            && let Some(token) = self.secrets.remove("token")
        {
            self.secrets.insert("access_token", token);
        }
        self
    }
}

/// Validates a form; the error names every invalid field. A blank field takes its known value, or else its
/// default.
pub(in crate::app) fn read_fields(
    fields: &[Field],
    form: &Secrets,
    known: &Secrets,
) -> Result<FormValues, BTreeMap<String, String>> {
    let mut entered = FormValues { fields: BTreeMap::new(), secrets: Secrets::new(), filled: BTreeSet::new() };
    let mut errors = BTreeMap::new();
    for field in fields {
        let given = form.get(&field.name).map(|value| field.clean(value)).filter(|value| !value.is_empty());
        if given.is_some() {
            entered.filled.insert(field.name.clone());
        }
        let is_visible = field
            .visible_when
            .as_ref()
            .is_none_or(|condition| entered.fields.get(&condition.field).is_some_and(|value| *value == condition.is));
        let Some(value) = given.or_else(|| known.get(&field.name)).or(field.default.as_deref()) else {
            if field.required && is_visible {
                errors.insert(field.name.clone(), format!("{} is required.", field.display_name));
            }
            continue;
        };
        if let Err(reason) = field.check(value) {
            errors.insert(field.name.clone(), format!("{} {reason}.", field.display_name));
        } else if field.secret {
            entered.secrets.insert(&field.name, Secret::from(value));
        } else {
            entered.fields.insert(field.name.clone(), value.to_owned());
        }
    }
    if errors.is_empty() { Ok(entered) } else { Err(errors) }
}
