//! The two demo users with their public passwords and API keys, and the scopes that a client may request.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::secret;

/// A demo user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum User {
    Alice,
    Bob,
}

impl User {
    pub(crate) const ALL: [Self; 2] = [Self::Alice, Self::Bob];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Alice => "user_alice",
            Self::Bob => "user_bob",
        }
    }

    pub(crate) fn username(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alice => "Alice Example",
            Self::Bob => "Bob Example",
        }
    }

    pub(crate) fn email(self) -> &'static str {
        match self {
            Self::Alice => "alice@sandbox.example",
            Self::Bob => "bob@sandbox.example",
        }
    }

    /// Shown on the login page: the password equals the user name.
    pub(crate) fn password(self) -> &'static str {
        self.username()
    }

    pub(crate) fn api_key(self) -> &'static str {
        match self {
            Self::Alice => "sandbox_alice_key",
            Self::Bob => "sandbox_bob_key",
        }
    }

    pub(crate) fn by_password(username: &str, password: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|user| user.username() == username)
            .filter(|user| secret::constant_time_eq(user.password(), password))
    }

    pub(crate) fn by_api_key(api_key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|user| secret::constant_time_eq(user.api_key(), api_key))
    }
}

/// A permission of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Scope {
    #[serde(rename = "notes:read")]
    NotesRead,
    #[serde(rename = "notes:write")]
    NotesWrite,
    #[serde(rename = "profile")]
    Profile,
}

/// A set of scopes, in the order of [`Scope`].
pub(crate) type Scopes = BTreeSet<Scope>;

impl Scope {
    pub(crate) const ALL: [Self; 3] = [Self::NotesRead, Self::NotesWrite, Self::Profile];

    /// Granted if a request names no scope (RFC 6749 §3.3 requires a documented default).
    pub(crate) const DEFAULT: Self = Self::NotesRead;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotesRead => "notes:read",
            Self::NotesWrite => "notes:write",
            Self::Profile => "profile",
        }
    }

    /// Description for the consent page.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::NotesRead => "Read your notes",
            Self::NotesWrite => "Write and delete your notes",
            Self::Profile => "See your name and email address",
        }
    }
}

/// Parses a space-separated scope parameter (RFC 6749 §3.3); `None` if a scope is unknown.
pub(crate) fn parse_scopes(text: &str) -> Option<Scopes> {
    let by_name = |name: &str| Scope::ALL.into_iter().find(|scope| scope.name() == name);
    text.split(' ').filter(|name| !name.is_empty()).map(by_name).collect()
}

/// Formats the `scope` parameter of a token response.
pub(crate) fn format_scopes(scopes: &Scopes) -> String {
    let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
    names.join(" ")
}
