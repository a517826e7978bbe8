//! Links of auth configs without scopes of their own ask for the least that a session's tools need, and an account gets
//! more when a tool lacks some (R29).

use serde_json::{Value, json};
use switchboard::app::ManagedClient;

use super::flow::{parameter, provider_url};
use crate::api::help::{Upstream, bare, finish_oauth, on_session, text};
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::server::TestServer;

/// A toolkit, a tool, another tool, and the scope that a link asks for because of the second one only.
const MATRIX: [(&str, &str, &str, &str); 20] = [
    ("airtable", "AIRTABLE_GET_BASE_SCHEMA", "AIRTABLE_CREATE_BASE", "schema.bases:write"),
    ("asana", "ASANA_GET_A_PROJECT", "ASANA_ADD_FOLLOWERS_TO_TASK", "tasks:write"),
    ("github", "GITHUB_GET_THE_AUTHENTICATED_USER", "GITHUB_GET_A_REPOSITORY", "repo"),
    ("gitlab", "GITLAB_GET_CURRENT_USER", "GITLAB_CREATE_COMMIT", "api"),
    ("gmail", "GMAIL_FETCH_EMAILS", "GMAIL_SEND_EMAIL", "https://www.googleapis.com/auth/gmail.send"),
    (
        "googlecalendar",
        "GOOGLECALENDAR_CALENDAR_LIST_GET",
        "GOOGLECALENDAR_ACL_DELETE",
        "https://www.googleapis.com/auth/calendar",
    ),
    (
        "googledocs",
        "GOOGLEDOCS_EXPORT_DOCUMENT_AS_PDF",
        "GOOGLEDOCS_COPY_DOCUMENT",
        "https://www.googleapis.com/auth/drive.file",
    ),
    (
        "googledrive",
        "GOOGLEDRIVE_DOWNLOAD_FILE",
        "GOOGLEDRIVE_LIST_SHARED_DRIVES",
        "https://www.googleapis.com/auth/drive.readonly",
    ),
    (
        "googlesheets",
        "GOOGLESHEETS_BATCH_GET",
        "GOOGLESHEETS_ADD_SHEET",
        "https://www.googleapis.com/auth/spreadsheets",
    ),
    ("hubspot", "HUBSPOT_GET_COMPANY", "HUBSPOT_ARCHIVE_COMPANY", "crm.objects.companies.write"),
    ("jira", "JIRA_FIND_USERS", "JIRA_ADD_ATTACHMENT", "write:jira-work"),
    ("linear", "LINEAR_GET_ALL_LINEAR_TEAMS", "LINEAR_CREATE_ATTACHMENT", "issues:create"),
    ("microsoft_teams", "MICROSOFT_TEAMS_CHATS_GET_ALL_CHATS", "MICROSOFT_TEAMS_ADD_CHAT_MEMBER", "Chat.ReadWrite"),
    ("one_drive", "ONE_DRIVE_DOWNLOAD_FILE", "ONE_DRIVE_COPY_ITEM", "Files.ReadWrite"),
    ("outlook", "OUTLOOK_DOWNLOAD_OUTLOOK_ATTACHMENT", "OUTLOOK_ACCEPT_EVENT", "Calendars.ReadWrite"),
    ("salesforce", "SALESFORCE_GET_USER_INFO", "SALESFORCE_COMPLETE_TASK", "api"),
    ("sandbox", "SANDBOX_LIST_NOTES", "SANDBOX_CREATE_NOTE", "notes:write"),
    ("slack", "SLACK_FETCH_CONVERSATION_HISTORY", "SLACK_ADD_REACTION_TO_AN_ITEM", "reactions:write"),
    (
        "youtube",
        "YOUTUBE_GET_CHANNEL_ACTIVITIES",
        "YOUTUBE_ADD_VIDEO_TO_PLAYLIST",
        "https://www.googleapis.com/auth/youtube",
    ),
    ("zendesk", "ZENDESK_COUNT_ZENDESK_ORGANIZATIONS", "ZENDESK_CREATE_ZENDESK_ORGANIZATION", "write"),
];

/// What a form asks before some of them.
const FORM: [(&str, &str); 2] = [("subdomain", "acme"), ("login_host", "login.salesforce.com")];

/// A server that manages a client of each of these toolkits.
async fn managed(toolkits: &[&str], scopes: Option<&[&str]>) -> TestServer {
    let mut server = TestServer::builder();
    for toolkit in toolkits.iter().filter(|toolkit| **toolkit != "sandbox") {
        let client = ManagedClient {
            client_id: "client".to_owned(),
            client_secret: Some("secret".into()),
            projects: vec!["*".to_owned()],
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..ManagedClient::default()
        };
        server = server.managed(toolkit, client);
    }
    server.start().await
}

async fn session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "user-1" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

/// Where a link sends its browser.
async fn authorization(link: &Value) -> String {
    let page = link["redirect_url"].as_str().unwrap_or_else(|| panic!("no link: {link}"));
    provider_url(&Browser::new("alice").submit(page, &FORM).await)
}

/// A parameter of an authorization request as scopes, in order of the alphabet.
fn scopes_in(url: &str, name: &str) -> Vec<String> {
    let text = parameter(url, name).unwrap_or_default();
    let mut scopes: Vec<String> = text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    scopes.sort_unstable();
    scopes
}

/// The scopes that a link of a session with this policy asks for.
async fn asked(api: &Api, toolkit: &str, policy: Value) -> Vec<String> {
    let session = session(api, policy).await;
    scopes_in(&authorization(&api.link(&session, toolkit).await).await, "scope")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_a_session_does_not_allow_takes_its_scope_with_it() {
    let server = managed(&MATRIX.map(|(toolkit, ..)| toolkit), None).await;
    let api = &server.api;
    for (toolkit, kept, removed, scope) in MATRIX {
        let both = asked(api, toolkit, json!({ "tools": { toolkit: { "enable": [kept, removed] } } })).await;
        let one = asked(api, toolkit, json!({ "tools": { toolkit: { "enable": [kept] } } })).await;
        assert!(both.iter().any(|asked| asked == scope), "{toolkit}: {both:?}");
        assert!(one.iter().all(|asked| asked != scope), "{toolkit}: {one:?}");
        // Nothing else goes, and nothing comes but a smaller scope that the other one contained.
        assert!(both.iter().all(|asked| asked == scope || one.contains(asked)), "{toolkit}: {both:?} {one:?}");
        assert!(one.len() <= both.len(), "{toolkit}: {both:?} {one:?}");
        // What the request needs that says whose account it is.
        let file = server.app.core.toolkit(toolkit).unwrap();
        let oauth = file.oauth2.as_ref().unwrap();
        for scope in &oauth.always_scopes {
            assert!(one.contains(scope), "{toolkit}: {one:?}");
        }
        let identity = &file.identity.as_ref().unwrap().scopes;
        let is_met = |scopes: &Vec<String>| scopes.iter().all(|scope| one.contains(scope));
        assert!(identity.is_empty() || identity.iter().any(is_met), "{toolkit}: {one:?}");
    }
    let google = |scope: &str| format!("https://www.googleapis.com/auth/{scope}");
    let read_mail = asked(api, "gmail", json!({ "tags": ["readOnlyHint"] })).await;
    let expected =
        [google("gmail.readonly"), google("userinfo.email"), google("userinfo.profile"), "openid".to_owned()];
    assert_eq!(read_mail, expected, "no `gmail.modify` where nothing is changed");
}

/// Whatever tool a session leaves out, its link asks for no scope that only that tool needs.
#[tokio::test(flavor = "multi_thread")]
async fn no_scope_is_asked_for_that_only_an_excluded_tool_needs() {
    let server = managed(&["gmail", "hubspot", "microsoft_teams", "slack"], None).await;
    for toolkit in ["gmail", "hubspot", "microsoft_teams", "slack"] {
        let file = server.app.core.toolkit(toolkit).unwrap();
        for tool in file.tools() {
            let of_others: Vec<&String> = file
                .tools()
                .iter()
                .filter(|other| other.slug != tool.slug)
                .flat_map(|other| other.scopes.iter().flatten())
                .collect();
            let identity = &file.identity.as_ref().unwrap().scopes;
            let exclusive =
                |scope: &&String| !of_others.contains(scope) && !identity.iter().flatten().any(|own| own == *scope);
            let exclusive: Vec<&String> = tool.scopes.iter().flatten().filter(exclusive).collect();
            if exclusive.is_empty() {
                continue;
            }
            let policy = json!({ "tools": { toolkit: { "disable": [tool.slug] } } });
            let asked = asked(&server.api, toolkit, policy).await;
            assert!(exclusive.iter().all(|scope| !asked.contains(scope)), "{}: {asked:?}", tool.slug);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_rules_on_tools_narrow_what_a_managed_auth_config_asks_for() {
    let server = managed(&["slack", "github"], None).await;
    let api = &server.api;
    let usual = ["channels:history", "channels:read", "chat:write", "users:read"];
    let open = [
        json!({}),
        json!({ "tools": { "github": { "enable": ["GITHUB_GET_AN_ISSUE"] } } }),
        json!({ "tools": { "slack": { "disable": [] } } }),
        json!({ "tags": ["readOnlyHint", "createHint", "updateHint", "destructiveHint"] }),
    ];
    for policy in open {
        assert_eq!(asked(api, "slack", policy.clone()).await, usual, "{policy}");
    }
    // Rules that only take tools out ask for no more than a session without them, and for less where a usual scope is
    // left that no other tool needs.
    let file = server.app.core.toolkit("slack").unwrap();
    let sends: Vec<&str> = file
        .tools()
        .iter()
        .filter(|tool| tool.scopes.iter().flatten().any(|scope| scope.starts_with("chat:write")))
        .map(|tool| tool.slug.as_str())
        .collect();
    for (policy, expected) in [
        (json!({ "tools": { "slack": { "disable": ["SLACK_ADD_REACTION_TO_AN_ITEM"] } } }), &usual[..]),
        (
            json!({ "tools": { "slack": { "disable": sends } } }),
            &["channels:history", "channels:read", "users:read"][..],
        ),
        (
            json!({ "tags": { "disable": ["createHint", "updateHint", "destructiveHint"] } }),
            &["channels:history", "channels:read", "users:read"][..],
        ),
    ] {
        assert_eq!(asked(api, "slack", policy.clone()).await, expected, "{policy}");
    }
    // Nothing that a provider would refuse: a request needs a scope.
    let none = json!({ "tools": { "slack": { "enable": [] } } });
    assert_eq!(asked(api, "slack", none).await, usual);
    let narrow = json!({ "tools": { "slack": { "enable": ["SLACK_ARCHIVE_CONVERSATION", "SLACK_JOIN_AN_EXISTING_CONVERSATION"] } } });
    assert_eq!(
        asked(api, "slack", narrow.clone()).await,
        ["channels:join", "channels:manage"],
        "`available_scopes` has no scope of persons"
    );
    // Scopes of the auth config win, and so does a client of the project's own.
    let explicit = json!({ "toolkit": { "slug": "slack" }, "auth_config": {
        "type": "use_composio_managed_auth", "credentials": { "scopes": ["chat:write"] } } });
    let own = json!({ "toolkit": { "slug": "slack" }, "auth_config": { "type": "use_custom_auth",
        "authScheme": "OAUTH2", "credentials": { "client_id": "c", "client_secret": "s" } } });
    for (config, expected) in [(explicit, &["chat:write"][..]), (own, &usual[..])] {
        let id = text(&api.post("/auth_configs", &config).await.expect(201)["auth_config"], "id");
        let mut policy = narrow.clone();
        policy["auth_configs"] = json!({ "slack": id });
        assert_eq!(asked(api, "slack", policy).await, expected, "{config}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_of_an_auth_config_narrow_its_links_with_and_without_a_session() {
    let server = managed(&["slack"], None).await;
    let api = &server.api;
    let create = |kind: &str, lists: Value| {
        let mut config = json!({ "type": kind });
        if kind == "use_custom_auth" {
            config["authScheme"] = "OAUTH2".into();
            config["credentials"] = json!({ "client_id": "c", "client_secret": "s" });
        }
        config.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
        json!({ "toolkit": { "slug": "slack" }, "auth_config": config })
    };
    let creation = json!({ "tool_access_config": { "tools_for_connected_account_creation": [
        "slack_add_reaction_to_an_item", "SLACK_FETCH_CONVERSATION_HISTORY"] } });
    let execution = json!({ "restrict_to_following_tools": ["SLACK_ADD_REACTION_TO_AN_ITEM"] });
    let both = json!({ "restrict_to_following_tools": ["SLACK_FETCH_CONVERSATION_HISTORY"],
        "tool_access_config": creation["tool_access_config"] });
    let none = json!({ "tool_access_config": { "tools_for_connected_account_creation": [] } });
    let usual = ["channels:history", "channels:read", "chat:write", "users:read"];
    for kind in ["use_composio_managed_auth", "use_custom_auth"] {
        for (lists, expected) in [
            (&creation, &["channels:history", "reactions:write"][..]),
            (&execution, &["reactions:write"][..]),
            (&both, &["channels:history"][..]),
            (&none, &usual[..]),
        ] {
            let made = api.post("/auth_configs", &create(kind, lists.clone())).await.expect(201);
            let id = text(&made["auth_config"], "id");
            let body = json!({ "auth_config_id": id, "user_id": "user-1" });
            let link = api.post("/connected_accounts/link", &body).await.expect(201);
            assert_eq!(scopes_in(&authorization(&link).await, "scope"), expected, "{kind} {lists}");
            let policy = json!({ "auth_configs": { "slack": id } });
            assert_eq!(asked(api, "slack", policy).await, expected, "{kind} {lists}");
        }
    }
    // The session narrows further what the operator's client asks for.
    let made = api.post("/auth_configs", &create("use_composio_managed_auth", creation)).await.expect(201);
    let policy = json!({ "auth_configs": { "slack": made["auth_config"]["id"] },
        "tools": { "slack": { "disable": ["SLACK_ADD_REACTION_TO_AN_ITEM"] } } });
    assert_eq!(asked(api, "slack", policy).await, ["channels:history"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_only_for_scopes_that_it_is_registered_for() {
    let server = managed(&["slack", "github"], Some(&["chat:write", "channels:history", "public_repo"])).await;
    let api = &server.api;
    assert_eq!(asked(api, "slack", json!({})).await, ["channels:history", "chat:write"]);
    let reacts = json!({ "tools": { "slack": { "enable": ["SLACK_ADD_REACTION_TO_AN_ITEM", "SLACK_FETCH_CONVERSATION_HISTORY"] } } });
    assert_eq!(asked(api, "slack", reacts).await, ["channels:history"]);
    assert_eq!(asked(api, "github", json!({})).await, ["read:user", "user:email"], "no tool needs these");
    // The next alternative where the first one cannot be asked for.
    let issues = json!({ "tools": { "github": { "enable": ["GITHUB_CREATE_AN_ISSUE"] } } });
    assert_eq!(asked(api, "github", issues).await, ["public_repo", "read:user", "user:email"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_follows_the_policy_that_its_session_has_when_it_is_opened() {
    let server = managed(&["github"], None).await;
    let api = &server.api;
    let read = json!({ "tools": { "github": { "enable": ["GITHUB_GET_THE_AUTHENTICATED_USER"] } } });
    let session = session(api, read).await;
    let link = api.link(&session, "github").await;
    assert_eq!(scopes_in(&authorization(&link).await, "scope"), ["read:user", "user:email"]);
    let more = json!({ "tools": { "github": { "enable": ["GITHUB_GET_AN_ISSUE"] } } });
    api.call("PATCH", &format!("/tool_router/session/{session}"), more.to_string()).await.expect(200);
    assert_eq!(scopes_in(&authorization(&link).await, "scope"), ["read:user", "repo", "user:email"]);
    // The page names them before the user goes to the provider.
    let page = Browser::new("visitor").get(link["redirect_url"].as_str().unwrap()).await.text();
    assert!(page.contains("repo"), "{page}");
    // A link outlives its session, and asks for no more then.
    api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    assert_eq!(scopes_in(&authorization(&link).await, "scope"), ["read:user", "repo", "user:email"]);
}

async fn run(api: &Api, session: &str, tool: &str, arguments: Value) -> Value {
    on_session(api, session, "execute", &json!({ "tool_slug": tool, "arguments": arguments })).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_without_its_scope_is_not_called_and_gets_it_for_the_same_account() {
    let server = TestServer::start().await;
    let api = &server.api;
    let reading = session(api, json!({ "tools": { "sandbox": { "enable": ["SANDBOX_LIST_NOTES"] } } })).await;
    let account = finish_oauth(api, &api.link(&reading, "sandbox").await).await;
    let scopes = async || api.get(&format!("/connected_accounts/{account}")).await.expect(200)["scopes"].clone();
    assert_eq!(scopes().await["granted"], json!(["notes:read"]));
    assert_eq!(run(api, &reading, "SANDBOX_LIST_NOTES", json!({})).await["result_type"], "completed");
    // A refresh asks the user for nothing: nothing that was asked for is missing.
    let refreshed = api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    assert_eq!((&refreshed["status"], &refreshed["redirect_url"]), (&json!("ACTIVE"), &Value::Null));

    let writing =
        session(api, json!({ "tools": { "sandbox": { "enable": ["SANDBOX_LIST_NOTES", "SANDBOX_CREATE_NOTE"] } } }))
            .await;
    let needed = run(api, &writing, "SANDBOX_CREATE_NOTE", json!({ "text": "x" })).await;
    assert_eq!(needed["data"]["error_code"], "MISSING_SCOPE", "{needed}");
    assert_eq!(needed["data"]["missing_scopes"], json!(["notes:write"]));
    assert_eq!(needed["data"]["connected_account_id"], json!(account));
    let notes = run(api, &reading, "SANDBOX_LIST_NOTES", json!({})).await;
    assert_eq!(notes["data"]["notes"], json!([]), "the call did not reach the provider: {notes}");
    let to = authorization(&needed["data"]).await;
    assert_eq!(scopes_in(&to, "scope"), ["notes:read", "notes:write"], "what it has, and what is missing");
    finish_oauth(api, &needed["data"]).await;
    assert_eq!(run(api, &writing, "SANDBOX_CREATE_NOTE", json!({ "text": "x" })).await["result_type"], "completed");
    assert_eq!(scopes().await["granted"], json!(["notes:read", "notes:write"]));
    let accounts = api.get("/connected_accounts").await.expect(200);
    assert_eq!(accounts["total_items"], 1, "{accounts}");
    // Connecting again asks for what it had.
    api.post(&format!("/connected_accounts/{account}/revoke"), &json!({})).await.expect(200);
    let again = api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    assert_eq!(scopes_in(&authorization(&again).await, "scope"), ["notes:read", "notes:write"]);
}

/// An account with a token that was issued elsewhere, with these scopes.
async fn imported(api: &Api, toolkit: &str, scope: &str) -> String {
    let config = json!({ "toolkit": { "slug": toolkit }, "auth_config": { "type": "use_composio_managed_auth" } });
    let config = text(&api.post("/auth_configs", &config).await.expect(201)["auth_config"], "id");
    let state =
        json!({ "authScheme": "OAUTH2", "val": { "status": "ACTIVE", "access_token": "token-1", "scope": scope } });
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "user-1", "state": state } });
    text(&api.post("/connected_accounts", &body).await.expect(201), "id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_a_further_token_needs_the_scopes_of_that_token() {
    let server = managed(&["slack"], None).await;
    let api = &server.api;
    let search =
        json!({ "tools": { "slack": { "enable": ["SLACK_SEARCH_MESSAGES", "SLACK_FETCH_CONVERSATION_HISTORY"] } } });
    let session = session(api, search.clone()).await;
    let to = authorization(&api.link(&session, "slack").await).await;
    assert_eq!(scopes_in(&to, "scope"), ["channels:history"]);
    assert_eq!(scopes_in(&to, "user_scope"), ["search:read"]);
    // A bot that reads everything has no token that may search.
    let account = imported(api, "slack", "channels:history,search:read").await;
    let needed = run(api, &session, "SLACK_SEARCH_MESSAGES", json!({ "query": "offer" })).await;
    assert_eq!(needed["data"]["error_code"], "MISSING_SCOPE", "{needed}");
    assert_eq!(needed["data"]["missing_scopes"], json!(["search:read"]));
    assert_eq!(needed["data"]["connected_account_id"], json!(account));
    let to = authorization(&needed["data"]).await;
    assert_eq!(scopes_in(&to, "user_scope"), ["search:read"]);
    assert_eq!(scopes_in(&to, "scope"), ["channels:history", "search:read"]);
    // A second tool that lacks a scope gets a link that asks for both, because it takes the place of the first.
    let wide = self::session(api, json!({})).await;
    let reacts = json!({ "channel": "C1", "name": "eyes", "timestamp": "1.2" });
    let needed = run(api, &wide, "SLACK_ADD_REACTION_TO_AN_ITEM", reacts).await;
    assert_eq!(needed["data"]["missing_scopes"], json!(["reactions:write"]), "{needed}");
    let to = authorization(&needed["data"]).await;
    assert_eq!(scopes_in(&to, "user_scope"), ["search:read"]);
    assert_eq!(scopes_in(&to, "scope"), ["channels:history", "reactions:write", "search:read"]);
}

const PUBLIC: &str = r#"
[[tools]]
slug = "OA_GET_REPOSITORY"
title = "Get a repository"
description = "Returns a repository."
use_cases = ["Show the repository.", "What is it about?"]
effect = "read"
method = "GET"
path = "/repository"
scopes = [["repo"], []]

[[tools]]
slug = "OA_CREATE_ISSUE"
title = "Create an issue"
description = "Creates an issue."
use_cases = ["Report the mistake.", "Open an issue."]
effect = "create"
method = "POST"
path = "/issues"
scopes = [["repo"], ["public_repo"]]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_also_works_without_scopes_is_called_and_its_scopes_are_asked_for() {
    let upstream = Upstream::start().await;
    let host = &upstream.host;
    let toolkit = format!(
        "{}[oauth2]\nauthorization_url = \"http://{host}/a\"\ntoken_url = \"http://{host}/t\"\n\
         scopes = [\"repo\", \"user\"]\nrefresh = \"none\"\n",
        bare("oa", &format!("http://{host}"), host)
    );
    let client = ManagedClient {
        client_id: "client".to_owned(),
        client_secret: Some("secret".into()),
        projects: vec!["*".to_owned()],
        ..ManagedClient::default()
    };
    let server = TestServer::builder().toolkit("oa", &toolkit).tools("oa", PUBLIC).managed("oa", client).start().await;
    let api = &server.api;
    let shown = api.get("/tools/OA_GET_REPOSITORY").await.expect(200);
    assert_eq!(shown["scopes"], json!(["repo"]));
    assert!(shown.get("scope_requirements").is_none(), "it works without: {shown}");
    let session = session(api, json!({ "tools": { "oa": { "enable": ["OA_GET_REPOSITORY"] } } })).await;
    assert_eq!(scopes_in(&authorization(&api.link(&session, "oa").await).await, "scope"), ["repo", "user"]);
    imported(api, "oa", "user").await;
    upstream.take();
    assert_eq!(run(api, &session, "OA_GET_REPOSITORY", json!({})).await["result_type"], "completed");
    assert!(upstream.only().starts_with("GET /repository "));
    let wide = self::session(api, json!({})).await;
    let needed = run(api, &wide, "OA_CREATE_ISSUE", json!({})).await;
    assert_eq!(needed["data"]["missing_scopes"], json!(["repo"]), "{needed}");
    assert!(upstream.take().is_empty(), "nothing was sent");
}
