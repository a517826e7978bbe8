//! A dry run shows the bytes that a provider receives when the tool is then run: for every built-in tool in every scheme
//! of its toolkit, and for every place and style in which an argument or a credential can be written.

mod world;

use serde_json::{Map, Value, json};
use switchboard_catalog::{Catalog, Scheme, Tool};
use switchboard_tools::example_arguments;

use self::world::World;
use super::help::{Upstream, bare};
use crate::support::server::TestServer;

/// Arguments that fit, without files that may be left out.
fn arguments(tool: &Tool, only_required: bool) -> Map<String, Value> {
    let mut arguments = example_arguments(tool, only_required);
    let is_file = |name: &str| tool.input[name].schema.get("file_uploadable") == Some(&Value::Bool(true));
    arguments.retain(|name, _| tool.input[name].required || !is_file(name));
    arguments
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_tool_sends_what_its_dry_run_shows() {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().redirect_all_to(upstream.host.parse().unwrap()).start().await;
    let mut world = World::new(server, upstream);
    let catalog = Catalog::builtin();
    let mut tools = 0;
    for toolkit in catalog.iter().filter(|toolkit| toolkit.tool_count() > 0) {
        tools += toolkit.tool_count();
        for (number, scheme) in toolkit.schemes().into_iter().enumerate() {
            let account = world.account(toolkit, scheme, &[]).await;
            // The sandbox is on this machine.
            let url_scheme = if toolkit.slug == "sandbox" { "http" } else { "https" };
            for tool in toolkit.tools() {
                world.compare(&tool.slug, url_scheme, &account, &arguments(tool, false)).await;
                if number == 0 {
                    world.compare(&tool.slug, url_scheme, &account, &arguments(tool, true)).await;
                }
            }
        }
    }
    let World { compared, wrong, .. } = world;
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tools > 700 && compared > 2 * tools, "{compared} of {tools} tools");
}

/// Each way to write arguments.
const STYLES: &str = r#"
[[tools]]
slug = "UP_READ"
title = "Read"
description = "Reads things with every style."
use_cases = ["Read the thing.", "What is in it?"]
effect = "read"
method = "GET"
path = "/things/{id}/{names}"
query = { fixed = "a b&c", given = "{word}" }
headers = { X-Fixed = "yes", X-Call = "{call_id}" }
[tools.input]
id = { type = "string", description = "Id.", required = true }
names = { type = "array", description = "Names.", items = { type = "string" }, style = "commas", required = true }
word = { type = "string", description = "Word." }
commas = { type = "array", description = "List.", items = { type = "string" }, style = "commas" }
repeated = { type = "array", description = "List.", items = { type = "string" }, style = "repeated" }
spaces = { type = "array", description = "List.", items = { type = "string" }, style = "spaces" }
pipes = { type = "array", description = "List.", items = { type = "string" }, style = "pipes" }
brackets = { type = "array", description = "List.", items = { type = "string" }, style = "brackets" }
deep = { type = "object", description = "Object.", properties = { a = { type = "string", description = "A." } }, style = "deep_object" }
header = { type = "string", description = "Header.", in = "header", as = "X-Word" }
headers = { type = "array", description = "Header.", in = "header", as = "X-Words", items = { type = "string" }, style = "commas" }

[[tools]]
slug = "UP_JSON"
title = "JSON"
description = "Sends a thing as JSON."
use_cases = ["Send the thing.", "Make a thing."]
effect = "create"
method = "POST"
path = "/json"
idempotency_header = "X-Key"
[tools.template]
call = "{call_id}"
packed = { "$base64" = "{word}" }
[tools.input]
word = { type = "string", description = "Word.", required = true }
deep = { type = "string", description = "Deep.", as = "a.b.c" }

[[tools]]
slug = "UP_FORM"
title = "Form"
description = "Sends a thing as a form."
use_cases = ["Send the form.", "Make a form."]
effect = "update"
method = "PUT"
path = "/form"
body = "form"
[tools.input]
word = { type = "string", description = "Word.", required = true }
list = { type = "array", description = "List.", items = { type = "string" }, style = "brackets" }

[[tools]]
slug = "UP_QUERY"
title = "GraphQL"
description = "Asks a GraphQL API."
use_cases = ["Ask the graph.", "What is in the graph?"]
effect = "read"
method = "POST"
path = "/graphql"
graphql = "query Q($word: String!) { thing(word: $word) { id } }"
[tools.input]
word = { type = "string", description = "Word.", required = true }

[[tools]]
slug = "UP_DELETE"
title = "Delete"
description = "Deletes a thing."
use_cases = ["Delete the thing.", "Throw it away."]
effect = "destructive"
method = "DELETE"
path = "/things/{id}"
[tools.input]
id = { type = "integer", description = "Id.", required = true }
reason = { type = "string", description = "Why." }
"#;

/// Tools with multipart bodies cannot stand beside a credential in the body.
const MULTIPART: &str = r#"
[[tools]]
slug = "UP_MULTIPART"
title = "Multipart"
description = "Sends a thing in parts."
use_cases = ["Send the parts.", "Make a thing of parts."]
effect = "create"
method = "POST"
path = "/parts"
body = "multipart"
[tools.input]
word = { type = "string", description = "Word.", required = true }
list = { type = "array", description = "List.", items = { type = "string" }, style = "repeated" }
"#;

const KEY_FIELD: &str = "[[api_key.fields]]\nname = \"key\"\ndisplay_name = \"Key\"\nsecret = true\n";

/// Each way to put a credential on a request: the scheme, and its table.
fn schemes(host: &str) -> Vec<(&'static str, Scheme, String)> {
    let keyed = |more: &str| format!("{KEY_FIELD}{more}");
    let oauth = format!("[oauth2]\nauthorization_url = \"http://{host}/a\"\ntoken_url = \"http://{host}/t\"\n");
    let sign = |more: &str| keyed(&format!("[api_key.sign]\n{more}\n"));
    vec![
        ("header", Scheme::ApiKey, keyed("[[api_key.apply]]\nheader = \"X-Api\"\nvalue = \"v1 {key}\"\n")),
        ("query", Scheme::ApiKey, keyed("[[api_key.apply]]\nquery = \"api_key\"\nvalue = \"{key}\"\n")),
        ("cookie", Scheme::ApiKey, keyed("[[api_key.apply]]\ncookie = \"sid\"\nvalue = \"{key}\"\n")),
        ("body", Scheme::ApiKey, keyed("[[api_key.apply]]\nbody = \"token\"\nvalue = \"{key}\"\n")),
        (
            "several",
            Scheme::ApiKey,
            keyed("apply = [{ header = \"X-A\", value = \"{key}\" }, { query = \"b\", value = \"x-{key}-y\" }]\n")
                .replace("[[api_key.fields]]\nname = \"key\"\ndisplay_name = \"Key\"\nsecret = true\n", "[api_key]\nfields = [{ name = \"key\", display_name = \"Key\", secret = true }]\n"),
        ),
        (
            "SigV4",
            Scheme::ApiKey,
            sign("method = \"aws_sigv4\"\naccess_key_id = \"{key}\"\nsecret_access_key = \"{key}\"\nsession_token = \"{key}\"\nregion = \"eu-central-1\"\nservice = \"s3\""),
        ),
        ("WSSE", Scheme::ApiKey, sign("method = \"wsse\"\nusername = \"{key}\"\nsecret = \"{key}\"")),
        (
            "HMAC",
            Scheme::ApiKey,
            sign("method = \"hmac_sha256\"\nkey = \"{key}\"\nmessage = \"{timestamp}.{method}.{path}.{body}\"\nheader = \"X-Sig\"\nvalue = \"t={timestamp},k={key},v1={signature}\""),
        ),
        ("bearer", Scheme::BearerToken, "[bearer_token]\nfields = [{ name = \"token\", display_name = \"Token\", secret = true }]\napply = [{ header = \"Authorization\", value = \"Bearer {token}\" }]\n".to_owned()),
        ("Basic", Scheme::Basic, "[basic]\nusername_template = \"{username}/token\"\n".to_owned()),
        ("OAuth 2.0", Scheme::OAuth2, oauth.clone()),
        ("DPoP", Scheme::OAuth2, format!("{oauth}dpop = true\n")),
        (
            "OAuth 1.0a",
            Scheme::OAuth1,
            format!("[oauth1]\nrequest_token_url = \"http://{host}/r\"\nauthorization_url = \"http://{host}/a\"\naccess_token_url = \"http://{host}/t\"\n"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_and_style_is_sent_as_its_dry_run_shows() {
    let upstream = Upstream::start().await;
    let host = upstream.host.clone();
    let mut builder = TestServer::builder();
    let mut files = Vec::new();
    for (number, (name, scheme, table)) in schemes(&host).into_iter().enumerate() {
        let slug = format!("up{number}");
        let file =
            format!("{}headers = {{ X-Own = \"plain\" }}\n{table}", bare(&slug, &format!("http://{host}/base"), &host));
        let tools = if name == "body" { STYLES.to_owned() } else { format!("{STYLES}{MULTIPART}") };
        let tools = tools.replace("UP_", &format!("UP{number}_"));
        builder = builder.toolkit(&slug, &file).tools(&slug, &tools);
        files.push((slug, name, scheme));
    }
    let server = builder.start().await;
    let mut world = World::new(server, upstream);
    let proof_key = switchboard_auth::new_dpop_key().unwrap();
    let words = ["a b", "ä/ö?&=#+%", "\"quoted\"", "«account:ca_x»"];
    for (slug, name, scheme) in files {
        let toolkit = world.server.app.core.toolkit(&slug).unwrap();
        let own = if name == "DPoP" { vec![("dpop_key", proof_key.expose())] } else { Vec::new() };
        let account = world.account(&toolkit, scheme, &own).await;
        for tool in toolkit.tools() {
            // A GET has no body for the credential.
            if name == "body" && !tool.method.has_body() {
                continue;
            }
            for word in words {
                let mut arguments = arguments(tool, false);
                for value in arguments.values_mut() {
                    match value {
                        Value::String(text) => word.clone_into(text),
                        Value::Array(items) => *items = vec![json!(word), json!("second")],
                        _ => {}
                    }
                }
                // Where letters other than those of headers are refused.
                for header in ["header", "headers"].into_iter().filter(|name| tool.input.contains_key(*name)) {
                    arguments
                        .insert(header.to_owned(), if header == "header" { json!("plain") } else { json!(["a", "b"]) });
                }
                world.compare(&tool.slug, "http", &account, &arguments).await;
            }
            world.compare(&tool.slug, "http", &account, &arguments(tool, true)).await;
        }
    }
    assert!(world.wrong.is_empty(), "{} differ:\n{}", world.wrong.len(), world.wrong.join("\n"));
    assert!(world.compared > 300, "{}", world.compared);
}
