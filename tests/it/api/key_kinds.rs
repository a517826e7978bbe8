//! Every operation with every kind of key, in the header that is for it and in the others (contract
//! section 1.2).

use switchboard::api::operations::Keys;
use switchboard::api::table;

use super::help::filled;
use crate::support::http::Http;
use crate::support::server::TestServer;

const HEADERS: [&str; 3] = ["x-api-key", "x-user-api-key", "x-org-api-key"];

/// Headers whose keys an operation takes.
fn taken(keys: Keys) -> &'static [&'static str] {
    match keys {
        Keys::Project => &HEADERS[..1],
        Keys::ProjectOrUser => &HEADERS[..2],
        Keys::User => &HEADERS[1..2],
        Keys::Organization => &HEADERS[2..],
        Keys::Any | Keys::Public => &HEADERS,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_accepts_its_kinds_of_key_in_their_headers_only() {
    let server = TestServer::start().await;
    // In the order of the headers. With one project, a member need not name it.
    let keys = [server.api.key.clone(), server.user_key("ada@example.com").await, server.organization_key().await];
    let http = Http::new();
    let mut wrong = Vec::new();
    for operation in table::all() {
        for prefix in ["/api/v3.1", "/api/v3"] {
            let url = format!("{}{prefix}{}", server.url, filled(operation.path));
            for (kind, key) in keys.iter().enumerate() {
                for (place, header) in HEADERS.iter().enumerate() {
                    let what = format!("{} {} with key {kind} in {header}", operation.method, operation.path);
                    let reply = http.send(operation.method, &url, &[(header, key)], "{}").await;
                    let is_open =
                        operation.keys == Keys::Public || (kind == place && taken(operation.keys).contains(header));
                    if is_open {
                        let unbuilt = operation.works_here() || reply.status == 501;
                        if [401, 403].contains(&reply.status) || !unbuilt {
                            wrong.push(format!("{what}: {} {}", reply.status, reply.text()));
                        }
                        continue;
                    }
                    let error = reply.expect_error(401, "HTTP_Unauthorized");
                    let (message, fix) = (error["message"].as_str().unwrap(), error["suggested_fix"].as_str().unwrap());
                    let helps = if kind == place {
                        let named = taken(operation.keys).iter().all(|header| message.contains(&format!("`{header}`")));
                        message.contains("cannot call this operation; it takes") && named
                    } else {
                        message.contains(&format!("was sent in the {header} header"))
                            && fix.contains(&format!("`{}`", HEADERS[kind]))
                    };
                    if !helps || error.to_string().contains(key) {
                        wrong.push(format!("{what}: {error}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_are_refused_even_when_each_is_valid() {
    let server = TestServer::start().await;
    let (user, owner) = (server.user_key("ada@example.com").await, server.organization_key().await);
    for path in ["/toolkits", "/org/list", "/org/owner/project/list", "/auth/session/info"] {
        for headers in [
            [("x-api-key", server.api.key.as_str()), ("x-user-api-key", user.as_str())],
            [("x-api-key", &server.api.key), ("x-org-api-key", &owner)],
            [("x-user-api-key", &user), ("x-org-api-key", &owner)],
            [("x-user-api-key", &user), ("x-user-api-key", &user)],
        ] {
            let reply = server.api.http.send("GET", &format!("{}{path}", server.api.base), &headers, "").await;
            let error = reply.expect_error(401, "HTTP_Unauthorized");
            assert!(error["message"].as_str().unwrap().starts_with("Multiple authentication modes were provided"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_user_and_organization_keys_are_refused_from_the_next_request_on() {
    let server = TestServer::start().await;
    let actor = switchboard::app::Actor::cli(&"".into());
    let reach = switchboard::app::project::keys::KeyOwner::User { email: "ada@example.com".to_owned() };
    let (key, row) = server.app.keys.create_organization_key(&actor, "laptop", &reach).await.unwrap();
    let url = format!("{}/org/list", server.api.base);
    let headers = [("x-user-api-key", key.expose())];
    server.api.http.send("GET", &url, &headers, "").await.expect(200);
    let other = switchboard::app::project::keys::KeyOwner::User { email: "eve@example.com".to_owned() };
    assert!(server.app.keys.revoke_organization_key(&actor, &other, &row.id).await.is_err(), "another member's");
    server.app.keys.revoke_organization_key(&actor, &reach, &row.id).await.unwrap();
    let revoked = server.api.http.send("GET", &url, &headers, "").await.expect_error(401, "HTTP_Unauthorized");
    let missing = server.api.http.send("GET", &url, &[], "").await.expect_error(401, "HTTP_Unauthorized");
    assert_eq!(revoked["message"], missing["message"]);
    assert_eq!(revoked["suggested_fix"], missing["suggested_fix"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_for_every_valid_key() {
    let server = TestServer::start().await;
    for (header, key) in [
        ("x-api-key", server.api.key.clone()),
        ("x-user-api-key", server.user_key("ada@example.com").await),
        ("x-org-api-key", server.organization_key().await),
    ] {
        let url = format!("{}/no/such/path", server.api.base);
        server.api.http.send("GET", &url, &[(header, &key)], "").await.expect_error(404, "HTTP_NotFound");
        let url = format!("{}/org/list", server.api.base);
        server.api.http.send("PUT", &url, &[(header, &key)], "").await.expect_error(405, "HTTP_MethodNotAllowed");
    }
}
