//! The circumstances of a call: who makes it, until when it may take, and how large its answer may be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_egress::Limits;

use crate::app::Actor;
use crate::app::call_log::LoggedCall;

/// How long a raw API call may take. It is more than one can take by its other limits, about 200 seconds: a
/// renewal of the token before it and one after a 401, for 20 seconds each, and for each attempt 22 seconds of
/// waiting for memory and two requests of 30 seconds, because a provider can ask for a `DPoP` nonce.
const PROXY_TIMEOUT: Duration = Duration::from_mins(5);

/// Maximum size of the answer to a raw API call in bytes.
const MAX_PROXY_ANSWER: usize = 10 * 1024 * 1024;

/// The same for a tool, whose answer is parsed: that takes several times its size.
const MAX_TOOL_ANSWER: usize = 2 * 1024 * 1024;

/// The same for a tool whose answer is a file, which is not parsed.
pub const MAX_TOOL_FILE: usize = 25 * 1024 * 1024;

/// The circumstances of a call.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The call in the log.
    pub call: Arc<LoggedCall>,
    /// Until when requests to the provider may take. No request gets longer, and none is sent later; the error is
    /// that of a provider that does not answer in time. A refresh of the token has limits of its own, because it
    /// also serves other calls.
    pub deadline: Instant,
    /// Maximum size of the answer's body in bytes, as received, after decompression and after conversion to UTF-8.
    pub max_answer: usize,
}

impl CallContext {
    /// The circumstances of a raw API call that starts now.
    pub fn of_proxy(call: Arc<LoggedCall>) -> Self {
        Self { call, deadline: Instant::now() + PROXY_TIMEOUT, max_answer: MAX_PROXY_ANSWER }
    }

    /// The circumstances of a call of a tool that starts now.
    pub fn of_tool(call: Arc<LoggedCall>) -> Self {
        Self { max_answer: MAX_TOOL_ANSWER, ..Self::of_proxy(call) }
    }

    /// Who makes it, in which request.
    pub fn actor(&self) -> &Actor {
        self.call.actor()
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same with at most so much time from now.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + time), ..self.clone() }
    }

    /// The same for an answer that is a file.
    #[must_use]
    pub fn for_file(self) -> Self {
        Self { max_answer: MAX_TOOL_FILE, ..self }
    }

    /// The limits of each request to the provider.
    pub(super) fn limits(&self) -> Limits {
        Limits { until: Some(self.deadline), max_body: self.max_answer, any_coding: true, ..Limits::default() }
    }
}
