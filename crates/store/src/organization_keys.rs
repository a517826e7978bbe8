//! Keys that are valid beyond one project: those of the organisation and of its members. Only hashes are
//! stored.

use switchboard_types::Timestamp;

use crate::{ReadError, Refusal, Row, Statement, Store};

/// Who owns the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrganizationKeyKind {
    /// Manages projects.
    Organization,
    /// A member's key: valid in every project.
    User,
}

impl OrganizationKeyKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "ORGANIZATION",
            Self::User => "USER",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Organization, Self::User].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A key as it is listed.
#[derive(Clone, Debug)]
pub struct OrganizationKeyRow {
    /// `key_…`.
    pub id: String,
    /// Who owns it.
    pub kind: OrganizationKeyKind,
    /// Name given at creation.
    pub name: String,
    /// Email of the member; only for a user's key.
    pub email: Option<String>,
    /// First characters of the key.
    pub prefix: String,
    /// Creation.
    pub created_at: Timestamp,
    /// Rejected from this time on.
    pub expires_at: Option<Timestamp>,
    /// Precise to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Rejected since this time.
    pub revoked_at: Option<Timestamp>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, name, email, prefix, created_at, expires_at, last_used_at, revoked_at FROM organization_keys ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<OrganizationKeyRow, ReadError> {
    Ok(OrganizationKeyRow {
        id: row.text(0)?,
        kind: row.word(1, OrganizationKeyKind::parse)?,
        name: row.text(2)?,
        email: row.opt_text(3)?,
        prefix: row.text(4)?,
        created_at: row.timestamp(5)?,
        expires_at: row.opt_timestamp(6)?,
        last_used_at: row.opt_timestamp(7)?,
        revoked_at: row.opt_timestamp(8)?,
    })
}

/// Adds a key. Only its hash is stored.
pub fn insert(key: &OrganizationKeyRow, hash: [u8; 32]) -> Statement {
    Statement::one(
        Refusal::OrganizationKeyExists,
        "INSERT INTO organization_keys (id, kind, name, email, prefix, key_hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        vec![
            (&key.id).into(),
            key.kind.as_str().into(),
            (&key.name).into(),
            key.email.clone().into(),
            (&key.prefix).into(),
            hash.into(),
            key.created_at.into(),
            key.expires_at.into(),
        ],
    )
}

/// Revokes an active key of this kind and, for user keys, of this member.
pub fn revoke(kind: OrganizationKeyKind, email: Option<&str>, id: &str, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::OrganizationKeyNotFound,
        "UPDATE organization_keys SET revoked_at = $4
         WHERE id = $3 AND kind = $1 AND COALESCE(email, '') = COALESCE($2, '') AND revoked_at IS NULL",
        vec![kind.as_str().into(), email.into(), id.into(), now.into()],
    )
}

/// Revokes a key of any owner. Revoking twice has no effect.
pub fn revoke_leaked(id: &str, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE organization_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        vec![id.into(), now.into()],
    )
}

/// Records a use; callers do this at most once a minute.
pub fn touch(id: &str, now: Timestamp) -> Statement {
    Statement::any("UPDATE organization_keys SET last_used_at = $2 WHERE id = $1", vec![id.into(), now.into()])
}

impl Store {
    /// The key with this hash, in any state: the caller checks expiry and revocation.
    pub async fn organization_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<OrganizationKeyRow>, ReadError> {
        self.one(select!("WHERE key_hash = $1"), &[hash.into()], read).await
    }

    /// Keys of a kind and, for user keys, of a member; oldest first.
    pub async fn organization_keys(
        &self,
        kind: OrganizationKeyKind,
        email: Option<&str>,
    ) -> Result<Vec<OrganizationKeyRow>, ReadError> {
        self.list(
            "",
            select!(
                "WHERE kind = $1 AND COALESCE(email, '') = COALESCE($2, '')
             ORDER BY id LIMIT 1000"
            ),
            vec![kind.as_str().into(), email.into()],
            read,
        )
        .await
    }
}
