//! `Idempotency-Key` (R68). The response is stored in the same unit as its effect. A retry after a crash gets
//! the same response and has no second effect.
//!
//! Keys are scoped to the project and kept for 24 hours. The body is sealed, because a link response contains a
//! link token.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use switchboard_store::idempotency::{self, IdempotencyRow};
use switchboard_store::tool_calls::CallKey;
use switchboard_store::{Refusal, Statement, Unit, WriteError};
use switchboard_types::ProjectId;
use switchboard_vault::{KeyRing, SealContext};

use crate::app::base::core::Core;
use crate::error::{Code, Error, Result};

/// Maximum length of a key.
const MAX_LENGTH: usize = 255;

/// An idempotency key together with the request that it was sent with.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    project_id: ProjectId,
    key: String,
    request_hash: [u8; 32],
}

/// A response as it is stored, to be sent again.
#[derive(Clone)]
pub struct StoredResponse {
    /// The number that the response was given. Only who rendered it interprets it.
    pub status: u16,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A new object that is not stored yet, with the unit that stores it. It is made in three steps: the service
/// prepares the object, the caller renders the response, and the service commits both together.
pub struct Prepared<T> {
    /// The object.
    pub object: T,
    pub(in crate::app) unit: Unit,
}

impl<T> Prepared<T> {
    /// An object and its unit.
    pub(in crate::app) fn new(object: T, unit: Unit) -> Self {
        Self { object, unit }
    }
}

/// The outcome of a commit.
#[derive(Debug)]
pub enum Commit {
    /// The object and its response are stored.
    Stored,
    /// An earlier request with the same key stored this response; send it again.
    StoredEarlier(StoredResponse),
}

impl IdempotencyKey {
    /// A key from the header, bound to its request.
    pub fn new(project: &ProjectId, key: &str, method: &str, path: &str, body: &[u8]) -> Result<Self> {
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

    /// The key of one of several calls that the request makes. No header can give such a key, because it has a space.
    pub(in crate::app) fn of_part(&self, index: usize) -> Self {
        Self { key: format!("{} {index}", self.key), ..self.clone() }
    }

    /// The project that it belongs to.
    pub(in crate::app) fn project_id(&self) -> &ProjectId {
        &self.project_id
    }

    /// What the log of calls stores of it.
    pub(in crate::app) fn to_stored(&self) -> CallKey {
        CallKey { key: self.key.clone(), request_hash: self.request_hash.to_vec() }
    }

    fn seal_context(&self, status: i64) -> SealContext {
        seal_context(&self.project_id, &self.key, &self.request_hash, status)
    }
}

/// The seal context of a stored response: bound to one request and one status.
pub(in crate::app) fn seal_context(project: &ProjectId, key: &str, request_hash: &[u8], status: i64) -> SealContext {
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
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn replay(&self, key: Option<&IdempotencyKey>) -> Result<Option<StoredResponse>> {
        let Some(key) = key else { return Ok(None) };
        let Some(row) = self.core.store.idempotency(&key.project_id, &key.key).await? else { return Ok(None) };
        if row.request_hash != key.request_hash {
            return Err(Error::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used with a different request",
            ));
        }
        let body = self.ring.open(key.seal_context(row.status), &row.response_sealed)?.to_vec();
        Ok(Some(StoredResponse { status: u16::try_from(row.status).unwrap_or(500), body }))
    }

    /// The statement that stores a response. Its unit is refused if the key is already used.
    fn store_response(&self, key: &IdempotencyKey, response: &StoredResponse) -> Statement {
        let status = i64::from(response.status);
        let row = IdempotencyRow {
            request_hash: key.request_hash.to_vec(),
            status,
            response_sealed: self.ring.seal(key.seal_context(status), &response.body),
            created_at: self.core.now(),
        };
        idempotency::insert(&key.project_id, &key.key, row)
    }
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
            // The project was deleted during the request; the next one with its key is refused.
            CommitError::Refused(Refusal::ProjectGone) => Self::new(Code::ProjectNotFound, "Project not found"),
            CommitError::Refused(refusal) => Self::internal(WriteError::Refused(refusal)),
            CommitError::Failed(error) => error,
        }
    }
}

impl Idempotency {
    /// Stores an object and its response in one unit.
    ///
    /// # Errors
    /// With the guard that refused the unit, other than the one of the key itself.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(in crate::app) async fn commit(
        &self,
        unit: Unit,
        key: Option<&IdempotencyKey>,
        response: &StoredResponse,
    ) -> std::result::Result<Commit, CommitError> {
        let unit = match key {
            None => unit,
            // The key comes first in the unit: two identical requests must conflict here and not on a unique alias.
            Some(key) => Unit::new().with(self.store_response(key, response)).and(unit),
        };
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(Commit::Stored),
            Err(WriteError::Refused(Refusal::IdempotencyKeyUsed)) => {
                let earlier = self.replay(key).await.map_err(CommitError::Failed)?;
                earlier.map(Commit::StoredEarlier).ok_or(CommitError::Refused(Refusal::IdempotencyKeyUsed))
            }
            Err(error) => Err(error.into()),
        }
    }
}

crate::redacted_debug!(StoredResponse);

impl<T> std::fmt::Debug for Prepared<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Prepared(redacted)")
    }
}
