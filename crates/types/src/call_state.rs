//! The states and effects of logged calls.

use crate::words::words;

words! {
    /// How far a call has come.
    CallState {
        /// On its way. If its server has ended, or its time has passed, nothing more is known of it.
        Sent "sent";
        /// It did what it does.
        Completed "completed";
        /// It did not.
        Failed "failed";
        /// It was sent, and whether it had its effect is not known.
        Unknown "unknown";
    }
}

words! {
    /// What a call may do at the provider.
    CallEffect {
        /// Nothing is changed.
        Read "read";
        /// Something is added.
        Create "create";
        /// Something is changed.
        Update "update";
        /// Something may be lost.
        Destructive "destructive";
        /// A raw API call that may change something.
        Unknown "unknown";
    }
}

impl CallEffect {
    /// Whether making the call twice may have two effects.
    pub fn may_change(self) -> bool {
        self != Self::Read
    }
}
