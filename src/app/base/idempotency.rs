//! `Idempotency-Key` (R68). The response is stored in the same unit as its effect. A retry after a crash gets
//! the same response and has no second effect.
//!
//! Keys are scoped to the project and kept for 24 hours. The body is sealed, because a link response contains a
//! link token.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use switchboard_store::idempotency::{self, IdempotencyRow};
use switchboard_store::{Refusal, Statement, Unit, WriteError};
use switchboard_vault::{KeyRing, SealContext};

use crate::app::base::core::Core;
use crate::error::{Code, Error, Result};

/// Maximum length of a key.
const MAX_LENGTH: usize = 255;

/// An idempotency key together with the request that it was sent with.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    project_id: String,
    key: String,
    request_hash: [u8; 32],
}

/// A stored response that can be sent again.
#[derive(Clone)]
pub struct Replay {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

impl IdempotencyKey {
    /// A key from the header, bound to its request.
    pub fn new(project: &str, key: &str, method: &str, path: &str, body: &[u8]) -> Result<Self> {
        let visible = !key.is_empty() && key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !visible || key.len() > MAX_LENGTH {
            return Err(Error::validation(vec![format!(
                "Error in header Idempotency-Key: must have 1 to {MAX_LENGTH} visible ASCII characters"
            )]));
        }
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), path.as_bytes(), body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Self { project_id: project.to_owned(), key: key.to_owned(), request_hash: hash.finalize().into() })
    }

    fn seal_context(&self, status: i64) -> SealContext {
        seal_context(&self.project_id, &self.key, &self.request_hash, status)
    }
}

/// The seal context of a stored response: bound to one request and one status.
pub(in crate::app) fn seal_context(project: &str, key: &str, request_hash: &[u8], status: i64) -> SealContext {
    SealContext::new(project, "idempotency_keys", key, "response_sealed")
        .with("request", request_hash)
        .with("status", status.to_string())
}

/// Stored responses by idempotency key.
pub struct Idempotency {
    core: Arc<Core>,
    ring: KeyRing,
}

crate::redacted_debug!(Idempotency);

impl Idempotency {
    /// Creates the service.
    pub fn new(core: Arc<Core>, ring: KeyRing) -> Self {
        Self { core, ring }
    }
}

impl Idempotency {
    /// The stored response of an earlier request with this key, if there is one.
    pub async fn replay(&self, key: Option<&IdempotencyKey>) -> Result<Option<Replay>> {
        let Some(key) = key else { return Ok(None) };
        let Some(row) = self.core.store.idempotency(&key.project_id, &key.key).await? else { return Ok(None) };
        if row.request_hash != key.request_hash {
            return Err(Error::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used with a different request",
            ));
        }
        let body = self.ring.open(key.seal_context(row.status), &row.response_sealed)?.to_vec();
        Ok(Some(Replay { status: u16::try_from(row.status).unwrap_or(500), body }))
    }

    /// The statement that stores a response. Its unit is refused if the key is already used.
    pub fn remember(&self, key: &IdempotencyKey, replay: &Replay) -> Statement {
        let status = i64::from(replay.status);
        let row = IdempotencyRow {
            request_hash: key.request_hash.to_vec(),
            status,
            response_sealed: self.ring.seal(key.seal_context(status), &replay.body),
            created_at: self.core.now(),
        };
        idempotency::insert(&key.project_id, &key.key, row)
    }
}

/// The outcome of a write under an idempotency key.
#[derive(Debug)]
pub enum Once<T> {
    /// Applied now.
    Done(T),
    /// Applied earlier; send this response again.
    Replayed(Replay),
}

/// Why a unit was not applied.
#[derive(Debug)]
pub enum CommitError {
    /// A guard refused it.
    Refused(Refusal),
    /// The store failed.
    Failed(Error),
}

impl From<WriteError> for CommitError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refusal) => Self::internal(WriteError::Refused(refusal)),
            CommitError::Failed(error) => error,
        }
    }
}

impl Idempotency {
    /// Applies a unit and stores its response in the same transaction.
    pub async fn apply_once<T>(
        &self,
        key: Option<&IdempotencyKey>,
        unit: Unit,
        answer: T,
        encode: impl FnOnce(&T) -> Replay,
    ) -> std::result::Result<Once<T>, CommitError> {
        let Some(key) = key else {
            self.core.store.apply(unit).await?;
            return Ok(Once::Done(answer));
        };
        // The key comes first in the unit: two identical requests must conflict here and not on a unique alias.
        let unit = Unit::new().with(self.remember(key, &encode(&answer))).and(unit);
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(Once::Done(answer)),
            Err(WriteError::Refused(Refusal::IdempotencyKeyUsed)) => {
                let replay = self.replay(Some(key)).await.map_err(CommitError::Failed)?;
                replay.map(Once::Replayed).ok_or(CommitError::Refused(Refusal::IdempotencyKeyUsed))
            }
            Err(error) => Err(error.into()),
        }
    }
}

crate::redacted_debug!(Replay);
