//! What a revocation ends besides its token: deleting one account never switches off another, and the last
//! one that uses a grant or an installation ends it.

use serde_json::{Value, json};
use url::Url;

use crate::support::browser::Browser;
use crate::support::connected::finished;
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// A server with two toolkits of one provider, whose token answers say who has connected, and where.
struct Reach {
    provider: Provider,
    server: TestServer,
    configs: [String; 2],
}

impl Reach {
    async fn start(reach: &str) -> Self {
        let provider = Provider::mock(&[]);
        let origin = provider.origin();
        let host = origin.split_once("://").unwrap().1;
        let text = |slug: &str| {
            format!(
                "slug = \"{slug}\"\nname = \"{slug}\"\ndescription = \"A provider\"\ncategories = [\"testing\"]\n\
                 color = \"#336699\"\nversion = \"20261129_00\"\nbase_url = \"{origin}/api\"\nhosts = [\"{host}\"]\n\
                 [oauth2]\nauthorization_url = \"{origin}/authorize\"\ntoken_url = \"{origin}/token\"\n\
                 revocation_url = \"{origin}/revoke\"\n{reach}\n\
                 [identity]\nid = \"/user\"\ntenant = \"/team\"\n"
            )
        };
        let (mail, files) = (text("mail"), text("files"));
        let server = TestServer::builder().toolkit("mail", &mail).toolkit("files", &files).start().await;
        let mut configs = Vec::new();
        for slug in ["mail", "files"] {
            let body = json!({ "toolkit": { "slug": slug }, "auth_config": { "type": "use_custom_auth",
                "authScheme": "OAUTH2", "credentials": { "client_id": "one-client", "client_secret": "s3cr3t" } } });
            let made = server.api.post("/auth_configs", &body).await.expect(201);
            configs.push(made["auth_config"]["id"].as_str().unwrap().to_owned());
        }
        let configs = configs.try_into().unwrap();
        Self { provider, server, configs }
    }

    /// Connects a user of ours, who is a person in a team at the provider: the account.
    async fn connect(&self, toolkit: usize, user: &str, who: (&str, &str)) -> String {
        let slug = ["mail", "files"][toolkit];
        let session = self.server.api.session(user, slug).await;
        let link = self.server.api.link(&session, slug).await;
        let account = self.finish(toolkit, user, &link, who).await;
        assert_eq!(self.server.api.status(&account).await, "ACTIVE");
        account
    }

    /// Goes through a link: its account.
    async fn finish(&self, toolkit: usize, user: &str, link: &Value, (who, team): (&str, &str)) -> String {
        self.answer(
            "/token",
            200,
            &json!({ "access_token": format!("AT-{user}-{toolkit}"), "token_type": "Bearer",
            "refresh_token": format!("RT-{user}-{toolkit}"), "expires_in": 600, "user": who, "team": team }),
        )
        .await;
        let mut browser = Browser::new(user);
        let url = link["redirect_url"].as_str().unwrap();
        let started = browser.submit(url, &[("action", "continue")]).await;
        let authorize = Url::parse(started.header("location").unwrap()).unwrap();
        let state = authorize.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let config = &self.configs[toolkit];
        browser.get(&format!("{}/toolkits/auth/callback/{config}?state={state}&code=c", self.server.api.base)).await;
        link["connected_account_id"].as_str().unwrap().to_owned()
    }

    /// What the provider answers from now on.
    async fn answer(&self, path: &str, status: u16, body: &Value) {
        self.provider.heal().await;
        for (path, status, body) in [(path, status, body), ("/revoke", 200, &json!({}))] {
            let headers = json!({ "content-type": "application/json" });
            self.provider
                .fault(&json!({ "path": path, "status": status, "headers": headers, "body": body.to_string() }))
                .await;
        }
    }

    /// Deletes an account; its receipt, when that is finished.
    async fn delete(&self, account: &str) -> Value {
        let deleted = self.server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
        finished(&self.server.api, deleted["revoke_job_id"].as_str().unwrap()).await
    }

    /// The bodies of the revocation requests so far.
    async fn revocations(&self) -> Vec<String> {
        let seen = self.provider.seen("/revoke").await;
        seen.iter().map(|it| it["body"].as_str().unwrap().to_owned()).collect()
    }
}

fn outcome(receipt: &Value) -> (&str, &Value) {
    (receipt["items"][0]["outcome"].as_str().unwrap(), &receipt["items"][0]["revoked_tokens"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_revoked_with_its_last_account() {
    let reach = Reach::start("revocation_reach = \"installation\"\nrevocation_tokens = [\"access_token\"]").await;
    let ada = reach.connect(0, "ada", ("u1", "T1")).await;
    let ben = reach.connect(0, "ben", ("u2", "T1")).await;
    let other = reach.connect(0, "cleo", ("u3", "T2")).await;
    let receipt = reach.delete(&ada).await;
    assert_eq!(outcome(&receipt), ("kept", &json!([])), "{receipt}");
    assert_eq!((&receipt["kept"], &receipt["revoked"]), (&json!(1), &json!(0)), "{receipt}");
    let detail = receipt["items"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("installation") && detail.contains("last account"), "{detail}");
    assert!(reach.revocations().await.is_empty());
    assert_eq!(reach.server.api.status(&ben).await, "ACTIVE");
    // Another workspace is another installation.
    assert_eq!(outcome(&reach.delete(&other).await), ("revoked", &json!(["access_token"])));
    assert_eq!(outcome(&reach.delete(&ben).await), ("revoked", &json!(["access_token"])));
    let sent = reach.revocations().await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains("AT-cleo-0") && sent[1].contains("AT-ben-0"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_spans_all_toolkits_of_a_client() {
    let reach = Reach::start("revocation_reach = \"grant\"").await;
    let mail = reach.connect(0, "ada", ("u1", "T1")).await;
    let files = reach.connect(1, "ada", ("u1", "T1")).await;
    let ben = reach.connect(0, "ben", ("u2", "T1")).await;
    assert_eq!(outcome(&reach.delete(&mail).await), ("kept", &json!([])));
    // Another person in the same workspace has their own grant. One request ends all of its tokens.
    assert_eq!(outcome(&reach.delete(&ben).await), ("revoked", &json!(["refresh_token"])));
    assert_eq!(outcome(&reach.delete(&files).await), ("revoked", &json!(["refresh_token"])));
    let sent = reach.revocations().await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains("RT-ben-0") && sent[1].contains("RT-ada-1"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_on_request_ends_the_account_and_leaves_the_others() {
    let reach = Reach::start("revocation_reach = \"installation\"").await;
    let ada = reach.connect(0, "ada", ("u1", "T1")).await;
    let ben = reach.connect(0, "ben", ("u2", "T1")).await;
    let revoked = reach.server.api.post(&format!("/connected_accounts/{ada}/revoke"), &json!({})).await.expect(200);
    assert_eq!(revoked["revoked_tokens"], json!([]));
    assert_eq!(reach.server.api.status(&ada).await, "REVOKED");
    assert_eq!(reach.server.api.status(&ben).await, "ACTIVE");
    assert!(reach.revocations().await.is_empty());
    let revoked = reach.server.api.post(&format!("/connected_accounts/{ben}/revoke"), &json!({})).await.expect(200);
    assert_eq!(revoked["revoked_tokens"], json!(["refresh_token"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_deleted_together_are_revoked_by_one_request() {
    let reach = Reach::start("revocation_reach = \"installation\"\nrevocation_tokens = [\"access_token\"]").await;
    for user in ["ada", "ben", "cleo"] {
        reach.connect(0, user, ("u1", "T1")).await;
    }
    let deleted = reach.server.api.delete(&format!("/auth_configs/{}", reach.configs[0])).await.expect(200);
    let receipt = finished(&reach.server.api, deleted["revoke_job_id"].as_str().unwrap()).await;
    assert_eq!((&receipt["total"], &receipt["revoked"]), (&json!(3), &json!(3)), "{receipt}");
    assert_eq!(reach.revocations().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reach_each_token_is_revoked_separately() {
    let reach = Reach::start("revocation_tokens = [\"refresh_token\"]").await;
    let ada = reach.connect(0, "ada", ("u1", "T1")).await;
    reach.connect(0, "ben", ("u1", "T1")).await;
    assert_eq!(outcome(&reach.delete(&ada).await), ("revoked", &json!(["refresh_token"])));
    let sent = reach.revocations().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains("RT-ada-0"), "{sent:?}");
}

/// If the installation of an account is unknown, it is not revoked while another account may belong to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_an_identity_is_not_revoked_while_others_exist() {
    let reach = Reach::start("revocation_reach = \"grant\"").await;
    let known = reach.connect(0, "ada", ("u1", "T1")).await;
    let unknown = reach.connect(0, "ben", ("", "")).await;
    assert_eq!(outcome(&reach.delete(&unknown).await), ("kept", &json!([])));
    assert_eq!(outcome(&reach.delete(&known).await), ("revoked", &json!(["refresh_token"])));
}

/// Some providers limit the number of tokens of one user: `explain` warns of it.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_of_one_person_are_reported() {
    let reach = Reach::start("token_limit = 2").await;
    let first = reach.connect(0, "ada", ("u1", "T1")).await;
    let explained = |account: String| {
        let api = reach.server.api.clone();
        async move { api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200) }
    };
    assert_eq!(explained(first.clone()).await["warnings"], Value::Null);
    reach.connect(0, "ben", ("u2", "T1")).await;
    assert_eq!(explained(first.clone()).await["warnings"], Value::Null);
    reach.connect(0, "cleo", ("u1", "T1")).await;
    let told = explained(first).await;
    let warning = told["warnings"][0].as_str().unwrap();
    assert!(warning.contains("keeps 2 connections of one user") && warning.contains("2 accounts"), "{warning}");
}

/// Tokens that no account gets are revoked, even if others use the same client.
#[tokio::test(flavor = "multi_thread")]
async fn unwanted_tokens_of_a_person_are_revoked() {
    let reach = Reach::start("revocation_reach = \"grant\"").await;
    reach.connect(0, "ben", ("u2", "T1")).await;
    let session = reach.server.api.session("ada", "mail").await;
    let body = json!({ "toolkit": "mail", "expected_identity": { "id": "u9" } });
    let path = format!("/tool_router/session/{session}/link");
    let link = reach.server.api.post(&path, &body).await.expect(201);
    let account = reach.finish(0, "ada", &link, ("u1", "T1")).await;
    assert_eq!(reach.server.api.status(&account).await, "INITIATED");
    until("the revocation", async || reach.revocations().await.len() == 1).await;
    assert!(reach.revocations().await[0].contains("RT-ada-0"));
}
