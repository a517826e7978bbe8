//! What a request gets whose `Idempotency-Key` was used before.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::tool_calls::{self, CallOfKey, CallRow};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{CallState, CompactString};
use switchboard_vault::SealContext;

use super::{CallLog, LoggedCall};
use crate::app::Actor;
use crate::app::base::idempotency::{IdempotencyKey, StoredResponse};
use crate::error::{Code, Error, Result};

/// How long a call takes at most that is made again.
const MAX_TIME: Duration = Duration::from_mins(6);

/// What is known of an earlier request with the same key.
pub enum Earlier {
    /// There was none, or it had no effect.
    None,
    /// Its response, which is sent again.
    Response(StoredResponse),
    /// It was sent, and whether it had its effect is not known.
    Unknown(Box<CallRow>),
}

impl CallLog {
    /// Looks for an earlier request with the same key.
    ///
    /// # Errors
    /// The key was used with another request, the call is being made, or its response was not kept.
    pub async fn earlier(&self, key: Option<&IdempotencyKey>) -> Result<Earlier> {
        let Some(key) = key else { return Ok(Earlier::None) };
        let stored = key.to_stored();
        let Some(found) = self.core.store.tool_call_of_key(key.project_id(), &stored.key).await? else {
            // The keys of other operations are in a table of their own.
            return match self.core.store.idempotency(key.project_id(), &stored.key).await? {
                Some(_) => Err(used_before()),
                None => Ok(Earlier::None),
            };
        };
        let CallOfKey { call, response } = found;
        if call.key.as_ref().is_none_or(|earlier| earlier.request_hash != stored.request_hash) {
            return Err(used_before());
        }
        if let Some((status, sealed)) = response {
            let body = self.ring.open(seal_context(key, &call.id, status), &sealed)?.to_vec();
            return Ok(Earlier::Response(StoredResponse { status: u16::try_from(status).unwrap_or(500), body }));
        }
        match call.state {
            CallState::Sent if self.is_being_made(&call) => Err(being_made(&call.id)),
            CallState::Sent | CallState::Unknown => Ok(Earlier::Unknown(Box::new(call))),
            CallState::Completed | CallState::Failed => Err(Error::of(Code::CallResponseNotKept, &[("id", &call.id)])),
        }
    }

    /// Makes a call of unknown outcome again, with its own id: the provider knows the id and does nothing twice.
    ///
    /// # Errors
    /// Another request makes it again.
    pub async fn again(self: &Arc<Self>, actor: Actor, key: IdempotencyKey, call: CallRow) -> Result<Arc<LoggedCall>> {
        let until = self.core.now() + MAX_TIME;
        match self.core.store.apply(Unit::new().with(tool_calls::reopen(&call, self.run, until))).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::CallChanged)) => return Err(being_made(&call.id)),
            Err(error) => return Err(error.into()),
        }
        Ok(Arc::new(LoggedCall::again(Arc::clone(self), actor, key, call)))
    }
}

fn used_before() -> Error {
    Error::new(Code::IdempotencyKeyReused, "This Idempotency-Key was used with a different request")
}

/// The error of a raw API call whose outcome is not known.
pub fn outcome_unknown(call: &CallRow) -> Error {
    Error::of(Code::CallOutcomeUnknown, &[("id", &call.id)])
}

fn being_made(id: &CompactString) -> Error {
    Error::of(Code::CallInProgress, &[("id", id)])
}

impl CallLog {
    /// The error of a request whose key another one took a moment earlier.
    pub(super) async fn key_is_taken(&self, key: Option<&IdempotencyKey>) -> Error {
        match self.earlier(key).await {
            Err(error) => error,
            Ok(_) => Error::new(Code::CallInProgress, "Another request with this Idempotency-Key was made just now"),
        }
    }
}

/// The seal context of a response: bound to the call, the request and the status.
pub(super) fn seal_context(key: &IdempotencyKey, call: &str, status: i64) -> SealContext {
    let stored = key.to_stored();
    SealContext::new(key.project_id(), "tool_calls", call, "response_sealed")
        .with("request", &stored.request_hash)
        .with("status", status.to_string())
}
