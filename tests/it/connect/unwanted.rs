//! Tokens that no account gets, or none yet: used once, and never left behind at the provider.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_store::jobs::JobKind;

use super::flow::expect_page;
use crate::support::browser::Browser;
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// Which site is meant, and who it is.
const STEPS: &str = r#"
[[post_connect]]
request = { url = "$ORIGIN/sites" }
items = "/sites"
choose = { title = "Which site?", id = "/key", label = "/name" }
capture = [{ name = "site", at = "/key", format = "path_segment", required = true }]

[identity]
request = { url = "$ORIGIN/who" }
id = "/id"
"#;

const SITES: &str = r#"{"sites":[{"key":"s1","name":"One"},{"key":"s2","name":"Two"}]}"#;

struct World {
    provider: Provider,
    server: TestServer,
    auth_config: String,
    session: String,
}

impl World {
    async fn new() -> Self {
        Self::with("").await
    }

    /// `more` stands in the toolkit after `[oauth2]`.
    async fn with(more: &str) -> Self {
        let provider = Provider::mock(&[]);
        let revocation = format!("revocation_url = \"{}\"", provider.text("revocation_endpoint"));
        let file = provider.toolkit(
            "tk",
            &format!("{revocation}\n{}", format!("{more}{STEPS}").replace("$ORIGIN", &provider.origin())),
        );
        let server = TestServer::builder().toolkit("tk", &file).start().await;
        let auth_config = provider.auth_config(&server.api, "tk").await;
        let session = server.api.session("u", "tk").await;
        let world = Self { provider, server, auth_config, session };
        world.plays(json!([])).await;
        world
    }

    async fn answers(&self, path: &str, body: &str) {
        self.provider.fault(&json!({ "path": path, "status": 200, "body": body })).await;
    }

    /// The next answer of a path is another one; later faults stand behind earlier ones.
    async fn plays(&self, faults: Value) {
        self.provider.heal().await;
        self.provider.fault(&faults).await;
        // Without a refresh token, so that only the user can go on.
        self.answers("/token", r#"{"access_token":"AT","token_type":"Bearer","expires_in":86400}"#).await;
        self.answers("/sites", SITES).await;
        self.answers("/who", r#"{"id":"ann"}"#).await;
        self.answers("/revoke", "{}").await;
    }

    async fn link(&self) -> Value {
        self.server.api.link(&self.session, "tk").await
    }

    async fn revocations(&self) -> usize {
        self.provider.seen("/revoke").await.len()
    }

    /// The provider is asked to forget the token, and nothing is left to be revoked.
    async fn is_given_back(&self, why: &str) {
        let seen = async || if self.revocations().await > 0 { Ok(()) } else { Err("no revocation") };
        until(why, seen).await;
        self.is_settled().await;
        self.provider.forget().await;
    }

    /// Nothing waits to be revoked any more, now or later.
    async fn is_settled(&self) {
        let later = self.server.app.core.now() + Duration::from_hours(24);
        let pending = async || self.server.app.core.store.due_jobs(JobKind::Revocation, later, &[], 10).await.unwrap();
        until("the queue of revocations", async || {
            let left = pending().await;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

fn account_of(link: &Value) -> &str {
    link["connected_account_id"].as_str().unwrap()
}

/// Follows a link to the question.
async fn asked(browser: &mut Browser, link: &Value) -> String {
    let is_question = |url: &url::Url| url.path().starts_with("/link/choice/");
    browser.follow(link["redirect_url"].as_str().unwrap(), is_question).await.url.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_click_finds_the_account_connected() {
    let world = World::new().await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let question = asked(&mut browser, &link).await;
    // The second request to the provider gets no usable response.
    let slow = json!({ "path": "/sites", "status": 200, "body": SITES, "delay_ms": 300, "times": 1 });
    world.plays(json!([slow, { "path": "/sites", "status": 500, "times": 1 }])).await;
    let mut again = browser.clone();
    let choice = [("choice", "s2")];
    let (first, second) = tokio::join!(browser.submit(&question, &choice), again.submit(&question, &choice));
    assert_eq!((first.status, second.status), (303, 303), "{} {}", first.text(), second.text());
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(world.server.api.status(account_of(&link)).await, "ACTIVE");
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0, "the tokens of the account are not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_without_a_choice_are_revoked() {
    let world = World::new().await;
    let api = &world.server.api;
    // The time of the question passes.
    let link = world.link().await;
    asked(&mut Browser::new("ann"), &link).await;
    assert_eq!(world.revocations().await, 0, "not before");
    world.server.clock.advance(Duration::from_mins(11));
    world.is_given_back("its time is over").await;
    world.server.app.sweeps.expire_links().await.unwrap();
    // The user says no after all.
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    asked(&mut browser, &link).await;
    let url = link["redirect_url"].as_str().unwrap();
    assert_eq!(browser.submit(&format!("{url}/reject"), &[]).await.status, 200);
    world.is_given_back("this wasn't me").await;
    // The developer deletes the account, and is told where to look.
    let link = world.link().await;
    asked(&mut Browser::new("ann"), &link).await;
    let deleted = api.delete(&format!("/connected_accounts/{}", account_of(&link))).await.expect(200);
    assert!(deleted["revoke_job_id"].is_string(), "{deleted}");
    world.is_given_back("its account was deleted").await;
    // The auth config goes, and with it the client that the revocation needs.
    let link = world.link().await;
    asked(&mut Browser::new("ann"), &link).await;
    api.delete(&format!("/auth_configs/{}", world.auth_config)).await.expect(200);
    world.is_given_back("its auth config was deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_ends_before_the_choice_keeps_no_token() {
    let world = World::new().await;
    let link = world.link().await;
    world.plays(json!({ "path": "/sites", "status": 200, "body": SITES, "delay_ms": 600, "times": 1 })).await;
    let mut browser = Browser::new("ann");
    let deletion = async {
        until("the provider is asked", async || !world.provider.seen("/sites").await.is_empty()).await;
        world.server.api.delete(&format!("/connected_accounts/{}", account_of(&link))).await.expect(200);
    };
    let arrival = browser.follow(link["redirect_url"].as_str().unwrap(), |_| false);
    let (landing, ()) = tokio::join!(arrival, deletion);
    assert_eq!(landing.reply.unwrap().status, 410);
    world.is_given_back("the account was gone when its token came").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_choice_revokes_its_tokens() {
    let world = World::new().await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let question = asked(&mut browser, &link).await;
    world.plays(json!({ "path": "/sites", "status": 500, "times": 1 })).await;
    let failed = browser.submit(&question, &[("choice", "s1")]).await;
    assert_eq!(failed.status, 502, "{}", failed.text());
    assert_eq!(world.server.api.status(account_of(&link)).await, "INITIATED", "another try may follow");
    world.is_given_back("the choice failed").await;
}

/// An account that is connected again while it works: whatever becomes of that, it works on.
#[tokio::test(flavor = "multi_thread")]
async fn a_working_account_keeps_its_grant() {
    let world = World::new().await;
    let api = &world.server.api;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let question = asked(&mut browser, &link).await;
    browser.submit(&question, &[("choice", "s1")]).await;
    let account = account_of(&link);
    assert_eq!(api.status(account).await, "ACTIVE");
    let again = async || api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    asked(&mut Browser::new("ann"), &again().await).await;
    world.server.clock.advance(Duration::from_mins(11));
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0, "no choice was made");
    // It is unknown who signed in: it may be the owner of the account.
    let question = asked(&mut Browser::new("ann"), &again().await).await;
    world.plays(json!({ "path": "/who", "status": 500, "times": 1 })).await;
    let mut browser = Browser::new("ann");
    let refused = browser.submit(&question, &[("choice", "s1")]).await;
    assert_eq!(refused.status, 403, "another browser chooses nothing");
    let link = again().await;
    let mut browser = Browser::new("ann");
    let question = asked(&mut browser, &link).await;
    let refused = browser.submit(&question, &[("choice", "s1")]).await;
    expect_page(&refused, 409, "failed");
    // What an earlier question left at the provider waits while the link may still connect.
    world.server.clock.advance(Duration::from_mins(25));
    world.server.app.sweeps.expire_links().await.unwrap();
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0, "the person is unknown");
    assert_eq!(api.status(account).await, "ACTIVE");
    // Another person signed in, whose tokens are not needed.
    let link = again().await;
    let mut browser = Browser::new("bob");
    let question = asked(&mut browser, &link).await;
    world.plays(json!({ "path": "/who", "status": 200, "body": r#"{"id":"bob"}"#, "times": 1 })).await;
    let refused = browser.submit(&question, &[("choice", "s1")]).await;
    expect_page(&refused, 409, "failed");
    world.is_given_back("another person").await;
    // Another person who has an account here: at some providers all tokens of a grant end together.
    world.plays(json!({ "path": "/who", "status": 200, "body": r#"{"id":"bob"}"#, "times": 1 })).await;
    let theirs = world.link().await;
    let mut browser = Browser::new("bob");
    let question = asked(&mut browser, &theirs).await;
    browser.submit(&question, &[("choice", "s1")]).await;
    assert_eq!(api.status(account_of(&theirs)).await, "ACTIVE");
    world.plays(json!({ "path": "/who", "status": 200, "body": r#"{"id":"bob"}"#, "times": 1 })).await;
    let link = again().await;
    let mut browser = Browser::new("bob");
    let question = asked(&mut browser, &link).await;
    let refused = browser.submit(&question, &[("choice", "s1")]).await;
    expect_page(&refused, 409, "failed");
    // What an earlier question left at the provider waits while the link may still connect.
    world.server.clock.advance(Duration::from_mins(25));
    world.server.app.sweeps.expire_links().await.unwrap();
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0, "their account lives on");
    assert_eq!(api.status(account_of(&theirs)).await, "ACTIVE");
}

/// Many providers end all tokens of a person's grant with one of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_connection_does_not_end_the_user_s_other_accounts() {
    let world = World::new().await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let question = asked(&mut browser, &link).await;
    browser.submit(&question, &[("choice", "s1")]).await;
    assert_eq!(world.server.api.status(account_of(&link)).await, "ACTIVE");
    // A second account: left alone, and failed.
    asked(&mut Browser::new("ann"), &world.link().await).await;
    world.server.clock.advance(Duration::from_mins(11));
    world.is_settled().await;
    let question = asked(&mut browser, &world.link().await).await;
    world.plays(json!({ "path": "/sites", "status": 500, "times": 1 })).await;
    assert_eq!(browser.submit(&question, &[("choice", "s1")]).await.status, 502);
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0);
    assert_eq!(world.server.api.status(account_of(&link)).await, "ACTIVE");
}

/// Who begins again may get the tokens of the same grant once more: the first ones wait.
#[tokio::test(flavor = "multi_thread")]
async fn the_revocation_of_an_abandoned_connection_waits_while_the_user_connects_again() {
    let world = World::new().await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    asked(&mut browser, &link).await;
    world.server.clock.advance(Duration::from_secs(9 * 60 + 30));
    let question = asked(&mut browser, &link).await;
    // The time of the first question is over, that of the second is not.
    world.server.clock.advance(Duration::from_mins(2));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(world.revocations().await, 0);
    browser.submit(&question, &[("choice", "s2")]).await;
    assert_eq!(world.server.api.status(account_of(&link)).await, "ACTIVE");
    world.is_settled().await;
    assert_eq!(world.revocations().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_exchange_revokes_its_token() {
    let step =
        "[[oauth2.steps]]\nmethod = \"POST\"\nurl = \"$ORIGIN/longer\"\nparameters = { token = \"{access_token}\" }\n";
    let world = World::with(step).await;
    // It repeats what it was sent, which is too short to look like a token.
    world.plays(json!({ "path": "/token", "body": r#"{"access_token":"AT-half"}"#, "times": 1 })).await;
    world
        .provider
        .fault(&json!({ "path": "/longer", "status": 400, "body":
        r#"{"error":"invalid_request","error_description":"no longer token for AT-half"}"# }))
        .await;
    let link = world.link().await;
    let landing = Browser::new("ann").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let page = landing.reply.unwrap().text();
    assert!(page.contains("no longer token for") && !page.contains("AT-half"), "{page}");
    let shown = world.server.api.get(&format!("/connected_accounts/{}", account_of(&link))).await.expect(200);
    assert_eq!(shown["status"], "INITIATED", "{shown}");
    assert!(!shown.to_string().contains("AT-half"), "{shown}");
    until("the revocation", async || world.revocations().await > 0).await;
    let seen = world.provider.seen("/revoke").await;
    assert!(seen[0]["body"].as_str().unwrap().contains("token=AT-half"), "{seen:?}");
}
