//! Secrets of the credential engine: keys that sign, clients that register themselves, tokens of every
//! kind on their way, tokens that wait for a choice or a code. The provider repeats them all.

use serde_json::{Value, json};
use url::Url;

use super::canary;
use super::world::World;
use crate::support::wait::until;

/// A key for tests.
const KEY: &str = include_str!("../../connect/quirks/service_account.pem");

/// Toolkits at the provider `origin`, whose answers this file plays.
pub fn toolkits(origin: &str) -> Vec<(&'static str, String)> {
    let host = origin.split_once("://").unwrap().1;
    let head = |slug: &str| {
        format!(
            "slug = \"{slug}\"\nname = \"Engine\"\ndescription = \"Repeats what it is sent\"\ncategories = [\"testing\"]\n\
             color = \"#336699\"\nversion = \"20261126_00\"\nbase_url = \"{origin}/engine\"\nhosts = [\"{host}\"]\n"
        )
    };
    let file = |slug: &str, tables: &str| head(slug) + &tables.replace("$ORIGIN", origin);
    vec![
        (
            "enginechoice",
            file(
                "enginechoice",
                r#"
[oauth2]
authorization_url = "$ORIGIN/authorize"
token_url = "$ORIGIN/engine/token"
revocation_url = "$ORIGIN/engine/revoke"
client_authentication = "private_key_jwt"
tokens = [{ name = "user", access_token = "/user_token", refresh_token = "/user_refresh" }]
[[post_connect]]
request = { url = "$ORIGIN/engine/sites" }
items = "/sites"
choose = { title = "Which site?", id = "/id", label = "/id" }
capture = [{ name = "site", at = "/id" }]
"#,
            ),
        ),
        (
            "enginedevice",
            file(
                "enginedevice",
                "[oauth2]\ndevice_authorization_url = \"$ORIGIN/engine/device\"\ntoken_url = \"$ORIGIN/engine/poll\"\n",
            ),
        ),
        (
            "engineregistered",
            file(
                "engineregistered",
                "[dcr_oauth]\nauthorization_url = \"$ORIGIN/authorize\"\ntoken_url = \"$ORIGIN/engine/token\"\n\
                 registration_url = \"$ORIGIN/engine/register\"\nclient_authentication = \"client_secret_basic\"\n",
            ),
        ),
        (
            "engineone",
            file(
                "engineone",
                "[oauth1]\nrequest_token_url = \"$ORIGIN/engine/temporary\"\nauthorization_url = \"$ORIGIN/engine/allow\"\n\
                 access_token_url = \"$ORIGIN/engine/lasting\"\nsignature_method = \"PLAINTEXT\"\n",
            ),
        ),
        (
            "enginemachine",
            file(
                "enginemachine",
                r#"
[s2s_oauth2]
fields = [
  { name = "client_id", display_name = "Client id" },
  { name = "client_secret", display_name = "Secret", secret = true },
]
[[s2s_oauth2.steps]]
url = "$ORIGIN/engine/machine"
parameters = { grant_type = "client_credentials", secret = "{client_secret}" }
"#,
            ),
        ),
    ]
}

pub async fn every_kind(world: &mut World) {
    choices(world).await;
    codes(world).await;
    registered(world).await;
    oauth1(world).await;
    machines(world).await;
}

async fn plays(world: &World, path: &str, body: &str) {
    world.mock.fault(&json!({ "path": path, "status": 200, "body": body })).await;
}

/// A secret that an answer can hold in any encoding.
fn token(world: &mut World, name: &str) -> String {
    let secret = canary(name).replace(['%', '+', '=', '/', '~'], "_");
    world.secret(name, &secret);
    secret
}

async fn config(world: &mut World, toolkit: &str, scheme: &str, credentials: Value) -> String {
    let body = json!({ "toolkit": { "slug": toolkit }, "auth_config": {
        "type": "use_custom_auth", "authScheme": scheme, "name": "engine", "credentials": credentials } });
    let reply = world.api.post("/auth_configs", &body).await;
    world.note("auth config create", &reply, &[]);
    reply.expect(201)["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// The same text as an answer of the account's own API.
async fn echoes(world: &mut World, session: &str, toolkit: &str, secrets: &[&str]) {
    let body = json!({ "seen": secrets, "harmless": "this text arrives" }).to_string();
    plays(world, "/engine/echo", &body).await;
    let reply = world.api.proxy_get(session, toolkit, "/echo").await;
    world.note(&format!("{toolkit} echo"), &reply, &[]);
    let shown = reply.expect(200)["data"].to_string();
    assert!(shown.contains("this text arrives") && shown.contains("REDACTED"), "{shown}");
    world.mock.heal().await;
}

/// A key that signs, and tokens that wait for a choice: made, left alone, failed.
async fn choices(world: &mut World) {
    let of_key = KEY.lines().nth(3).unwrap();
    world.secret("private key", of_key);
    let credentials = json!({ "client_id": "signing", "private_key": KEY });
    config(world, "enginechoice", "OAUTH2", credentials).await;
    let names = ["chosen access", "chosen refresh", "chosen user", "chosen id", "chosen user refresh"];
    let secrets: Vec<String> = names.iter().map(|name| token(world, name)).collect();
    let answer = json!({ "access_token": secrets[0], "refresh_token": secrets[1], "user_token": secrets[2],
        "id_token": secrets[3], "user_refresh": secrets[4], "expires_in": 3600 });
    let sites = r#"{"sites":[{"id":"one"},{"id":"two"}]}"#;
    for end in ["made", "failed", "left alone"] {
        plays(world, "/engine/token", &answer.to_string()).await;
        plays(world, "/engine/sites", sites).await;
        let session = world.session("enginechoice", None).await;
        let (link, mut browser) = world.link(&session, "enginechoice").await;
        let (_, url) = world.press(&link, &mut browser).await;
        let landing = browser.follow(url.as_str(), |url| url.path().contains("/toolkits/auth/callback/")).await;
        world.secret("code", &pair(&landing.url, "code"));
        let reply = browser.get(landing.url.as_str()).await;
        world.note("callback to a question", &reply, &["choice"]);
        assert_eq!(reply.status, 303, "{}", reply.text());
        let question = reply.header("location").unwrap().to_owned();
        world.secret("choice", question.rsplit_once('/').unwrap().1);
        let page = browser.get(&question).await;
        world.note("question", &page, &["choice"]);
        if end == "left alone" {
            continue;
        }
        if end == "failed" {
            world.mock.heal().await;
            let words = format!("what is {} or {}?", secrets[0], secrets[1]);
            let body = json!({ "error": "invalid", "error_description": words }).to_string();
            world.mock.fault(&json!({ "path": "/engine/sites", "status": 400, "body": body })).await;
        }
        let reply = browser.submit(&question, &[("choice", "two")]).await;
        world.note(&format!("choice that is {end}"), &reply, &[]);
        assert_eq!(reply.status, if end == "made" { 303 } else { 502 }, "{}", reply.text());
        world.mock.heal().await;
        if end == "made" {
            let all: Vec<&str> = secrets.iter().map(String::as_str).collect();
            echoes(world, &session, "enginechoice", &all).await;
        }
    }
    world.mock.heal().await;
}

/// A code that is entered at the provider, refused with words that repeat it.
async fn codes(world: &mut World) {
    config(world, "enginedevice", "OAUTH2", json!({ "client_id": "device", "client_secret": canary("device") })).await;
    let (device, access) = (token(world, "device code"), token(world, "device access"));
    let code = json!({ "device_code": device, "user_code": "WDJB-MJHT", "verification_uri": "https://p.example/",
        "interval": 1 });
    for is_refused in [true, false] {
        plays(world, "/engine/device", &code.to_string()).await;
        if is_refused {
            let words = format!("who is {device}?");
            let body = json!({ "error": "invalid_grant", "error_description": words }).to_string();
            world.mock.fault(&json!({ "path": "/engine/poll", "status": 400, "body": body })).await;
        } else {
            plays(world, "/engine/poll", &json!({ "access_token": access, "expires_in": 3600 }).to_string()).await;
        }
        let session = world.session("enginedevice", None).await;
        let (link, mut browser) = world.link(&session, "enginedevice").await;
        let reply = browser.submit(&link.url, &[]).await;
        world.note("Continue to a code", &reply, &["state", "browser cookie"]);
        world.cookie_of(&reply);
        let page = reply.header("location").unwrap().to_owned();
        world.secret("state", page.rsplit_once('/').unwrap().1);
        let shown = browser.get(&page).await;
        world.note("code", &shown, &["state"]);
        let end = until("the end of the code", async || {
            let reply = browser.get(&format!("{page}?done=1")).await;
            if reply.text().contains("WDJB-MJHT") { Err(reply.text()) } else { Ok(reply) }
        })
        .await;
        world.note("end of a code", &end, &[]);
        assert_eq!(end.status, if is_refused { 502 } else { 303 }, "{}", end.text());
        world.mock.heal().await;
        if !is_refused {
            echoes(world, &session, "enginedevice", &[&access]).await;
        }
    }
}

/// A client that registers itself.
async fn registered(world: &mut World) {
    let (secret, access) = (token(world, "registered client"), token(world, "registered access"));
    config(world, "engineregistered", "DCR_OAUTH", json!({})).await;
    let client = json!({ "client_id": "registered-1", "client_secret": secret });
    plays(world, "/engine/register", &client.to_string()).await;
    let refused = json!({ "error": "invalid_client", "error_description": format!("not {secret}") }).to_string();
    world.mock.fault(&json!({ "path": "/engine/token", "status": 401, "body": refused, "times": 1 })).await;
    plays(world, "/engine/token", &json!({ "access_token": access }).to_string()).await;
    let session = world.session("engineregistered", None).await;
    world.oauth(&session, "engineregistered", |_| json!({ "path": "/nowhere", "status": 400 })).await;
    world.oauth(&session, "engineregistered", |_| Value::Null).await;
    world.mock.heal().await;
    echoes(world, &session, "engineregistered", &[&access]).await;
}

/// OAuth 1.0a, whose plain signature holds two secrets.
async fn oauth1(world: &mut World) {
    let consumer = token(world, "consumer secret");
    let temporary = token(world, "temporary secret");
    let verifier = token(world, "verifier");
    let lasting = [token(world, "lasting token"), token(world, "lasting secret")];
    let id = config(world, "engineone", "OAUTH1", json!({ "consumer_key": "ck", "consumer_secret": consumer })).await;
    let begin = format!("oauth_token=temp&oauth_token_secret={temporary}&oauth_callback_confirmed=true");
    for is_refused in [true, false] {
        plays(world, "/engine/temporary", &begin).await;
        let body = if is_refused {
            format!("oauth_problem=nonce_used&error={consumer}%26{temporary}+{verifier}")
        } else {
            format!("oauth_token={}&oauth_token_secret={}", lasting[0], lasting[1])
        };
        let status = if is_refused { 401 } else { 200 };
        world.mock.fault(&json!({ "path": "/engine/lasting", "status": status, "body": body })).await;
        let session = world.session("engineone", None).await;
        let (link, mut browser) = world.link(&session, "engineone").await;
        let reply = browser.submit(&link.url, &[]).await;
        world.note("Continue to OAuth 1.0a", &reply, &["browser cookie"]);
        world.cookie_of(&reply);
        let state = state_of_first_request(world).await;
        world.secret("state", &state);
        let back = format!(
            "{}/toolkits/auth/callback/{id}?state={state}&oauth_token=temp&oauth_verifier={verifier}",
            world.api.base
        );
        let reply = browser.get(&back).await;
        world.note("callback of OAuth 1.0a", &reply, &[]);
        assert_eq!(reply.status, if is_refused { 502 } else { 303 }, "{}", reply.text());
        world.mock.heal().await;
        if !is_refused {
            let secrets = [lasting[0].as_str(), lasting[1].as_str(), consumer.as_str()];
            echoes(world, &session, "engineone", &secrets).await;
        }
    }
}

/// The newest request for temporary credentials names the callback, and that the state.
async fn state_of_first_request(world: &World) -> String {
    let seen = world.mock.seen("/engine/temporary").await;
    let header = seen.last().unwrap()["headers"]["authorization"].as_str().unwrap().to_owned();
    header.split_once("state%3D").unwrap().1.split('"').next().unwrap().to_owned()
}

/// What is entered for a machine, and the token that it buys.
async fn machines(world: &mut World) {
    config(world, "enginemachine", "S2S_OAUTH2", json!({})).await;
    let (entered, bought) = (token(world, "machine secret"), token(world, "machine access"));
    let session = world.session("enginemachine", None).await;
    let (link, mut browser) = world.link(&session, "enginemachine").await;
    let form = [("client_id", "machine"), ("client_secret", entered.as_str())];
    let refused = json!({ "error": "invalid_client", "error_description": format!("not {entered}") }).to_string();
    world.mock.fault(&json!({ "path": "/engine/machine", "status": 401, "body": refused, "times": 1 })).await;
    plays(world, "/engine/machine", &json!({ "access_token": bought, "expires_in": 3600 }).to_string()).await;
    for status in [422, 303] {
        let reply = browser.submit(&link.url, &form).await;
        world.note("machine form", &reply, &["link token", "browser cookie"]);
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    world.mock.heal().await;
    echoes(world, &session, "enginemachine", &[&entered, &bought]).await;
}

fn pair(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(it, _)| it == name).unwrap().1.into_owned()
}
