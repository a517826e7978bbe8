//! Named points at which a test aborts the process, as a power failure would: of the store, and of the program that uses
//! it. Not part of release builds.

/// Aborts the process if `SWITCHBOARD_FAILPOINT` names this point.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    if std::env::var("SWITCHBOARD_FAILPOINT").is_ok_and(|configured| configured == name) {
        tracing::error!(failpoint = name, "aborting at the failpoint");
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
pub fn hit(_name: &str) {}
