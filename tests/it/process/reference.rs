//! `/docs` in Chromium: against WCAG 2.2 A and AA, on a phone and on a desk, light and dark.

use super::chromium::script;
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_page_is_free_of_wcag_a_and_aa_violations() {
    let server = TestServer::start().await;
    let url = format!("{}/docs", server.url);
    for (scheme, width) in [("light", "390"), ("dark", "1280")] {
        let (is_good, findings) = script("axe.mjs", &["--url", &url, "--scheme", scheme, "--width", width]).await;
        assert!(is_good && findings == serde_json::json!([]), "{scheme}, {width}: {findings:#}");
    }
}
