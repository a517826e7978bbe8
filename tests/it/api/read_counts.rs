//! What a call reads from the database does not grow with what it shows. Each number is the cost on an engine
//! behind a network: reads are round trips that no other read shares, queries are all SQL statements.

use serde_json::{Value, json};
use switchboard::app::session::toolkits::ToolkitFilter;
use switchboard_store::accounts::AccountFilter;
use switchboard_store::auth_configs::AuthConfigFilter;
use switchboard_store::{PageQuery, PageStart};

use super::help::{Upstream, auth_config, connect_key, text};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

const TOOLKITS: [&str; 3] = ["up", "over", "beyond"];

async fn world() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let mut server = TestServer::builder();
    for slug in TOOLKITS {
        server = server.toolkit(slug, &upstream.toolkit(slug));
    }
    (server.start().await, upstream)
}

fn page() -> PageQuery {
    PageQuery { start: PageStart::Skip(0), limit: 50 }
}

/// How often a call is made. Reads of the server's own work are counted, too, so that the smallest numbers are those of
/// the call.
const REPEATS: usize = 25;

/// The result of a call, and the reads and queries that it makes.
async fn counted<T, F: Future<Output = T>>(server: &TestServer, call: impl Fn() -> F) -> (T, u64, u64) {
    let (mut reads, mut queries) = (u64::MAX, u64::MAX);
    let mut result = None;
    for _ in 0..REPEATS {
        let before = server.app.core.store.read_counts();
        result = Some(call().await);
        let after = server.app.core.store.read_counts();
        reads = reads.min(after.reads - before.reads);
        queries = queries.min(after.queries - before.queries);
    }
    (result.unwrap(), reads, queries)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_accounts_takes_two_reads_however_many_it_shows() {
    let (server, _upstream) = world().await;
    for (accounts, toolkit) in (1..).zip(TOOLKITS) {
        connect_key(&server.api, &format!("u{accounts}"), toolkit).await;
        let list =
            || server.app.accounts.list(&server.project_id, AccountFilter::default(), page(), |page| page.rows.len());
        let (found, reads, queries) = counted(&server, list).await;
        assert_eq!((found.unwrap(), reads, queries), (accounts, 2, 5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_auth_configs_takes_one_read_and_counts_their_accounts() {
    let (server, _upstream) = world().await;
    for (configs, toolkit) in (1..).zip(TOOLKITS) {
        auth_config(&server.api, toolkit, "API_KEY").await;
        let list = || server.app.auth_configs.list(&server.project_id, AuthConfigFilter::default(), page());
        let (found, reads, queries) = counted(&server, list).await;
        assert_eq!((found.unwrap().rows.len(), reads, queries), (configs, 1, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_sessions_toolkits_takes_three_reads_however_many_it_shows() {
    let (server, _upstream) = world().await;
    let api = &server.api;
    let (_, pinned) = connect_key(api, "u", "up").await;
    for toolkit in TOOLKITS {
        connect_key(api, "u", toolkit).await;
    }
    let body = json!({ "user_id": "u", "connected_accounts": { "up": pinned } });
    let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let list = || async {
        let session = server.app.sessions.get(&server.project_id, &session.as_str().into()).await.unwrap();
        server.app.sessions.toolkits(&session, &ToolkitFilter::default(), 0, 500).await.unwrap()
    };
    let ((found, total), reads, queries) = counted(&server, list).await;
    assert!(total > 10, "{total}");
    let mut accounts: Vec<_> = found.iter().filter_map(|item| item.account.as_ref()).collect();
    accounts.sort_by_key(|account| account.row.toolkit.clone());
    let shown: Vec<_> = accounts.iter().map(|account| account.row.toolkit.as_str()).collect();
    assert_eq!(shown, ["beyond", "over", "up"]);
    assert_eq!(accounts[2].row.id, pinned, "not the newer one");
    assert!(reads <= 3 && queries <= 4, "{reads} reads, {queries} queries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_of_a_link_takes_two_reads() {
    let (server, _upstream) = world().await;
    let body = json!({ "user_id": "u" });
    let session = text(&server.api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let link: Value = server.api.link(&session, "up").await;
    let url = link["redirect_url"].as_str().unwrap();
    let token = url.rsplit('/').next().unwrap();
    let (visit, reads, queries) = counted(&server, || server.app.connector.visit(token, |_| None)).await;
    visit.unwrap();
    assert_eq!((reads, queries), (2, 2));
    let (shown, reads, _) = counted(&server, || async { Browser::new("visitor").get(url).await }).await;
    assert!(shown.status == 200 && shown.text().contains("Test up"), "{}", shown.text());
    assert!(reads <= 3, "{reads} reads for the page");
}
