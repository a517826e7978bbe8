//! A request that is repeated with its `Idempotency-Key` after its outcome was lost.

use switchboard_store::tool_calls::CallRow;

use super::Tools;
use super::failure::may_have_happened;
use super::outcome::{FailureKind, Outcome, ToolFailure};
use crate::app::base::tools::FoundTool;

impl Tools {
    /// Whether the call can be made again with its own id, because the provider does nothing twice for one id: the tool
    /// is still the one that it was made with.
    pub fn can_repeat(&self, call: &CallRow) -> bool {
        self.tool_of(call).is_some_and(|found| {
            let is_same = call.version.as_deref() == Some(found.version());
            is_same && found.row.idempotency_header.is_some()
        })
    }

    /// The outcome of a call that was sent and whose answer was lost.
    pub fn lost_outcome(&self, call: &CallRow) -> Outcome {
        let advice = self.tool_of(call).map_or_else(
            || "The call may have been carried out: look before you call again.".to_owned(),
            |found| may_have_happened(&found),
        );
        Outcome::Failed(ToolFailure {
            kind: FailureKind::OutcomeUnknown,
            message: format!("This request was sent before, and its answer was lost. {advice}"),
            status: None,
            retry_after_ms: None,
            answer: serde_json::Map::new(),
        })
    }

    fn tool_of(&self, call: &CallRow) -> Option<FoundTool> {
        self.core.tool(call.tool.as_deref()?)
    }
}
