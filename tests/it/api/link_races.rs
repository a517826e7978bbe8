//! Links asked for while their auth config comes or goes: none is offered on a dead one, and none is
//! made twice.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::http::Api;
use crate::support::server::TestServer;

async fn sessions(api: &Api, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        ids.push(api.session(&format!("user-{number}"), "openai").await);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_links_create_one_managed_auth_config() {
    let server = TestServer::start().await;
    let calls: Vec<_> = sessions(&server.api, 32)
        .await
        .into_iter()
        .map(|session| {
            let api = server.api.clone();
            tokio::spawn(async move { api.link(&session, "openai").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let configs = server.api.get("/auth_configs?toolkit_slug=openai").await.expect(200);
    assert_eq!(configs["total_items"], 1, "{configs}");
    assert_eq!(configs["items"][0]["no_of_connections"], 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_is_created_for_an_auth_config_that_is_being_deleted() {
    let server = Arc::new(TestServer::start().await);
    let sessions = sessions(&server.api, 16).await;
    for _ in 0..20 {
        let body = json!({ "toolkit": { "slug": "openai" }, "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY", "name": "n" } });
        let made = server.api.post("/auth_configs", &body).await.expect(201);
        let config = made["auth_config"]["id"].as_str().unwrap().to_owned();
        let mut calls = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            let (api, session, config) = (server.api.clone(), session.clone(), config.clone());
            calls.push(tokio::spawn(async move {
                if number == 8 {
                    api.delete(&format!("/auth_configs/{config}")).await.expect(200);
                }
                api.link(&session, "openai").await["connected_account_id"].as_str().unwrap().to_owned()
            }));
        }
        let mut ids = Vec::with_capacity(calls.len());
        for call in calls {
            ids.push(call.await.unwrap());
        }
        for id in ids {
            let reply = server.api.get(&format!("/connected_accounts/{id}")).await;
            // Deleted with its auth config, or alive under one that lives.
            if reply.status == 404 {
                continue;
            }
            let account: Value = reply.expect(200);
            let config = account["auth_config"]["id"].as_str().unwrap();
            server.api.get(&format!("/auth_configs/{config}")).await.expect(200);
        }
    }
}
