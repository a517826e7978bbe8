//! Where `scripts/setup` put the providers, SDKs and the browser driver.

use std::path::{Path, PathBuf};

/// Root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A path under the tools folder. Fails with advice when the set-up was not run.
pub fn tool(path: &str) -> PathBuf {
    let base = std::env::var_os("SWITCHBOARD_TEST_TOOLS").map_or_else(|| root().join(".test"), PathBuf::from);
    let tool = base.join(path);
    assert!(tool.exists(), "{} is missing: run scripts/setup first", tool.display());
    tool
}
