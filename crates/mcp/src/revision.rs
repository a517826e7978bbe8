//! Revisions of the protocol.

/// A revision of the protocol that is served, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2025-03-26: the first with streamable HTTP, and the only one with batches.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25: the newest with a handshake.
    V20251125,
    /// 2026-07-28: stateless.
    V20260728,
}

impl Revision {
    /// All of them, newest first.
    pub const ALL: [Self; 4] = [Self::V20260728, Self::V20251125, Self::V20250618, Self::V20250326];
    /// What `initialize` is answered with when it asks for a revision that has no handshake here.
    pub const NEWEST_HANDSHAKE: Self = Self::V20251125;

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    /// The revision of a name; none if it is not served.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Whether every request says what its client can do.
    pub fn is_stateless(self) -> bool {
        self == Self::V20260728
    }
}
