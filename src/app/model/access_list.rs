//! Who may use a SHARED account (contract section 3.6).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const MAX_USERS: usize = 1_000;

/// Access list of a SHARED account. Its creator is always admitted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "AccessList")]
pub struct Acl {
    /// Everyone may use it, except the users in `not_allowed_user_ids`.
    pub allow_all_users: bool,
    /// Users who may use it.
    pub allowed_user_ids: Vec<String>,
    /// Users who may not use it. This list wins over the other two fields.
    pub not_allowed_user_ids: Vec<String>,
}

/// The list as the caller writes it. Every field is optional.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, schemars::JsonSchema)]
#[schemars(rename = "AccessListInput")]
#[serde(default, deny_unknown_fields)]
pub struct AclInput {
    /// Default false.
    pub allow_all_users: Option<bool>,
    /// At most 1,000 of 1 to 256 characters.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 256)))]
    pub allowed_user_ids: Option<Vec<String>>,
    /// At most 1,000.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 256)))]
    pub not_allowed_user_ids: Option<Vec<String>>,
}

impl AclInput {
    /// Checks the limits and fills in the defaults.
    pub fn check(self, at: &str) -> Result<Acl> {
        let acl = Acl {
            allow_all_users: self.allow_all_users.unwrap_or(false),
            allowed_user_ids: self.allowed_user_ids.unwrap_or_default(),
            not_allowed_user_ids: self.not_allowed_user_ids.unwrap_or_default(),
        };
        for (name, users) in
            [("allowed_user_ids", &acl.allowed_user_ids), ("not_allowed_user_ids", &acl.not_allowed_user_ids)]
        {
            if users.len() > MAX_USERS {
                return Err(Error::field(&format!("{at}.{name}"), format!("must hold at most {MAX_USERS} user ids")));
            }
            if users.iter().any(|user| !(1..=256).contains(&user.chars().count())) {
                return Err(Error::field(&format!("{at}.{name}"), "every user id must have 1 to 256 characters"));
            }
        }
        Ok(acl)
    }
}

impl Acl {
    /// Whether a user other than the creator may use the account: deny list, then everyone, then
    /// the allow list, otherwise no.
    pub fn admits(&self, user: &str) -> bool {
        if self.not_allowed_user_ids.iter().any(|denied| denied == user) {
            return false;
        }
        self.allow_all_users || self.allowed_user_ids.iter().any(|allowed| allowed == user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_table_of_the_contract() {
        for all in [false, true] {
            for allowed in [false, true] {
                for denied in [false, true] {
                    let list = |yes: bool| if yes { vec!["bob".to_owned()] } else { Vec::new() };
                    let acl = Acl {
                        allow_all_users: all,
                        allowed_user_ids: list(allowed),
                        not_allowed_user_ids: list(denied),
                    };
                    assert_eq!(acl.admits("bob"), !denied && (all || allowed), "{acl:?}");
                }
            }
        }
    }
}
