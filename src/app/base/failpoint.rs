//! Named places at which a test ends the process, as a power cut would. Nothing of it is in a release.

/// Ends the process when `SWITCHBOARD_FAILPOINT` names this place.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    if std::env::var("SWITCHBOARD_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        tracing::error!(failpoint = name, "the process ends here, as it was told to");
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn hit(_name: &str) {}
